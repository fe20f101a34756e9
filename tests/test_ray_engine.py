"""A real cluster of two nodes: the rows are those of a serial run, also when a node and a worker die."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command import call
from plugin_world import lasting, until

from icm_bench import registry
from icm_bench.units import Coder, Context, Subject

ray = pytest.importorskip("ray")
from icm_bench import ray_engine  # noqa: E402 - needs ray

pytestmark = pytest.mark.slow
#: A node that is gone is noticed after a second and a half.
_WATCHFUL = {"RAY_health_check_period_ms": "500", "RAY_health_check_failure_threshold": "3"}
#: Some other cluster of this user may have left a token, which ``ray start`` would then ask for.
_OPEN = {"RAY_AUTH_MODE": "disabled"}


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


class Cluster:
    """A head and a further node with one core each, each a process group of its own."""

    def __init__(self, home, environment):
        self.environment = environment
        self.address = f"127.0.0.1:{free_port()}"
        port = self.address.partition(":")[2]
        self.head = self._start("--head", f"--port={port}", "--include-dashboard=false", f"--temp-dir={home}")
        self._wait(1)
        self.second = self._start(f"--address={self.address}")
        self._wait(2)

    def _start(self, *arguments):
        ray_command = Path(sys.executable).with_name("ray")
        words = [ray_command, "start", "--block", "--num-cpus=1", "--object-store-memory=100000000"]
        words += ["--node-ip-address=127.0.0.1", *arguments]
        return subprocess.Popen(
            words, env=self.environment, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def _wait(self, n_nodes):
        code = f"import ray; ray.init('{self.address}', log_to_driver=False); print(len(ray.nodes()))"
        for _ in range(60):
            told = subprocess.run([sys.executable, "-c", code], env=self.environment, capture_output=True, text=True)
            if told.stdout.strip() == str(n_nodes):
                return
            time.sleep(0.5)
        raise AssertionError(f"{n_nodes} nodes are not up: {told.stdout} {told.stderr[-2000:]}")

    def kill(self, node):
        """SIGKILL to all of a node."""
        os.killpg(node.pid, signal.SIGKILL)
        node.wait()

    def stop(self):
        for node in (self.second, self.head):
            if node.poll() is None:
                self.kill(node)


@pytest.fixture
def cluster(world, tmp_path_factory):
    home = Path("/tmp") / f"icm-ray-{os.getpid()}"  # sockets have short names
    made = Cluster(home, {**os.environ, **_WATCHFUL, **_OPEN, "QUANT_PAUSE": "0.25"})
    yield made
    made.stop()
    shutil.rmtree(home, ignore_errors=True)


def actors(cluster):
    """Process ids of the actors at work."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if entry.read_bytes().startswith(b"ray::_Actor"):
                found.append(int(entry.parent.name))
        except OSError:
            pass
    return found


def test_a_lost_worker_and_a_lost_node_lose_no_unit(world, cluster, capsys):
    world.add_pictures(18)
    expected, _ = world.run(store=world.root / "serial.sqlite", nets=("mean", "max"), rates=(2, 3, 4))
    world.log.unlink()
    words = ["--net", "mean", "--net", "max", "--rates", "2,3,4", "--engine", "ray", "--address", cluster.address]
    running = world.command(*words, "--no-reference", **_WATCHFUL)
    until(lambda: world.logged("decode") >= 8, running)
    os.kill(actors(cluster)[0], signal.SIGKILL)
    until(lambda: world.logged("decode") >= 22, running)
    cluster.kill(cluster.second)
    out, error = running.communicate(timeout=240)
    assert running.returncode == 0, out + error
    found, events = world.run(nets=("mean", "max"), rates=(2, 3, 4))
    assert lasting(found) == lasting(expected)
    assert events[0].n_cached == events[0].n_units == 54
    assert world.logged("encode") <= 54 + 4, "only what the dead were at was coded twice"


def test_weights_named_by_path_travel(world, cluster, tmp_path, capsys):
    given = tmp_path / "mine.safetensors"
    shutil.copy(registry.method("hyperprior(variable=True)").files[0], given)
    words = ["run", "--method", f"hyperprior(variable=True, checkpoint='{given}')", "--task", "imagenet"]
    words += ["--limit", "2", "--data", "mini", "--rates", "0", "--no-reference", "--json"]
    far = ["--out", str(tmp_path / "far"), "--engine", "ray", "--address", cluster.address]
    program = [sys.executable, "-m", "icm_bench"]
    done = subprocess.run([*program, *words, *far], capture_output=True, text=True, env=cluster.environment)
    assert done.returncode == 0, done.stderr
    status, near, _ = call([*words, "--out", tmp_path / "near", "--workers", 1], capsys)
    assert status == 0 and '"n_bytes"' in near
    counts = [[line for line in text.splitlines() if '"n_bytes"' in line] for text in (done.stdout, near)]
    assert counts[0] == counts[1]


def test_paths_become_those_of_the_node(tmp_path):
    given = tmp_path / "a b.safetensors"
    given.write_bytes(b"weights")
    context = Context(
        (Coder("k", f"rdc(checkpoint='{given}')", "d"), Coder("j", "jpeg", "")),
        (Subject("s", "coco", f"onnx:{given}", None), Subject("t", "coco", "resnet50", str(given))),
    )
    assert ray_engine.files_of(context) == [str(given)]
    place = ray_engine.kept(str(given), b"weights")
    assert Path(place).read_bytes() == b"weights" and ray_engine.kept(str(given), b"weights") == place
    moved = ray_engine.localised(context, {str(given): place})
    assert ray_engine.files_of(moved) == [place]
    assert [coder.key for coder in moved.coders] == ["k", "j"] and moved.coders[1] == context.coders[1]


def test_a_cluster_that_is_not_there_is_told(world, capsys):
    words = world.arguments("--engine", "ray", "--address", f"127.0.0.1:{free_port()}")
    status, _, error = call(words, capsys)
    assert status == 2 and "no cluster at 127.0.0.1:" in error
    assert call(world.arguments("--engine", "spark"), capsys)[0] == 2
    assert call(world.arguments("--address", "x:1"), capsys)[0] == 2
