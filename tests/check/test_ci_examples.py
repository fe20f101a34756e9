"""The jobs of examples/ci: what they run is run here, as their runner would, on a good and on a broken checkpoint."""

import os
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import parse_qs

import pytest
import torch
import yaml
from safetensors import safe_open
from safetensors.torch import save_file

from icm_bench import registry
from icm_bench.cli import main

EXAMPLES = Path(__file__).parents[2] / "examples" / "ci"
GITHUB, GITLAB = (yaml.safe_load((EXAMPLES / name).read_text()) for name in ("github.yml", "gitlab.yml"))

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("git") is None or shutil.which("curl") is None, reason="git and curl are needed"),
]


@pytest.fixture(scope="module")
def baseline(tmp_path_factory):
    """A baseline as the examples' heading makes it, of fewer pictures."""
    path = tmp_path_factory.mktemp("made") / "baseline.json"
    words = ["check", "--baseline", path, "--update", "--method", "hyperprior(variable=True)", "--task", "imagenet"]
    words += ["--data", "mini", "--limit", 6, "--rates", "0,2,5", "--workers", 1]
    with pytest.raises(SystemExit) as stopped:
        main([str(word) for word in words])
    assert stopped.value.code == 0
    return path


@pytest.fixture
def project(tmp_path, baseline):
    """A git repository that holds the baseline and, as the candidate, the shipped checkpoint."""
    home = tmp_path / "project"
    (home / "checkpoints").mkdir(parents=True)
    shutil.copy(baseline, home / "baseline.json")
    shutil.copy(registry.method("hyperprior(variable=True)").files[0], home / "checkpoints" / "candidate.safetensors")
    subprocess.run(["git", "init", "-q"], cwd=home, check=True)
    return home


def broken(home):
    """Put noise into one layer of the candidate."""
    path = home / "checkpoints" / "candidate.safetensors"
    with safe_open(path, "pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a mapping
        metadata = file.metadata()
    name = next(key for key in tensors if "g_s." in key and tensors[key].dim() == 4)
    torch.manual_seed(0)
    tensors[name] = tensors[name] + tensors[name].float().std() * torch.randn(tensors[name].shape)
    save_file(tensors, path, metadata)


def shell(script, home, variables):
    """What a runner does with a script: a shell that stops at the first failure. The exit status."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, **variables, "PATH": path}
    return subprocess.run(["bash", "-e", "-o", "pipefail", "-c", script], cwd=home, env=environment).returncode


def github(home):
    """All steps but the installation. Exit status of the check, and the job's summary."""
    summary = home / "summary.md"
    steps = {step["name"]: step["run"] for step in GITHUB["jobs"]["check"]["steps"] if "run" in step}
    assert steps.pop("Install") == "pip install icm-bench"
    assert list(steps) == ["Check", "Summary"]
    variables = {**GITHUB["env"], "GITHUB_STEP_SUMMARY": str(summary)}
    status = shell(steps["Check"], home, variables)
    assert shell(steps["Summary"], home, variables) == 0
    return status, summary.read_text()


@pytest.fixture
def notes():
    """The address of a server that takes notes on merge requests as GitLab's does, and the notes."""
    taken = []

    class Api(BaseHTTPRequestHandler):
        def do_POST(self):
            text = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())["body"][0]
            taken.append((self.path, self.headers["PRIVATE-TOKEN"], text))
            self.send_response(201)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Api)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/api/v4", taken
    server.shutdown()


def gitlab(home, api):
    """All parts but the installation. Exit status of the script."""
    job = GITLAB["codec"]
    assert job["before_script"] == ["pip install icm-bench"]
    variables = {"METHOD": job["variables"]["METHOD"], "CHECK_TOKEN": "secret", "CI_API_V4_URL": api}
    variables |= {"CI_PROJECT_ID": "7", "CI_MERGE_REQUEST_IID": "3"}
    status = shell("\n".join(job["script"]), home, variables)
    assert shell("\n".join(job["after_script"]), home, variables) == 0
    return status


def test_the_shipped_checkpoint_passes_and_a_broken_one_does_not(project, notes):
    api, taken = notes
    assert github(project) == (0, (project / "check.md").read_text())
    assert gitlab(project, api) == 0
    broken(project)
    status, summary = github(project)
    assert status == 1 and "WORSE" in summary and "| worse | imagenet" in summary
    assert gitlab(project, api) == 1
    assert [where for where, *_ in taken] == ["/api/v4/projects/7/merge_requests/3/notes"] * 2
    assert [token for _, token, _ in taken] == ["secret"] * 2
    assert taken[0][2] != taken[1][2] == (project / "check.md").read_text()
    (cache,) = (step["with"] for step in GITHUB["jobs"]["check"]["steps"] if "/cache@" in step.get("uses", ""))
    assert (project / cache["path"] / "store.sqlite").is_file()
    assert list((project / GITLAB["codec"]["cache"][1]["paths"][0]).glob("*/store.sqlite"))
    kept = GITLAB["codec"]["artifacts"]
    written = {path.name for path in project.glob("check.*")}
    assert written == {"check.md", "check.xml", "check.json"} == {*kept["paths"], kept["reports"]["junit"]}
