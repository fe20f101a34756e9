"""A data set and two plug-ins in a folder, found through entry points as any installed plug-in is."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image

from icm_bench import backlog, plan, registry, rows, runner
from icm_bench.engine import Serial
from icm_bench.request import Request
from icm_bench.store import Store

_ENTRY_POINTS = """[icm_bench.methods]
quant = bench_test_plugins.quant:Quant
moody = bench_test_plugins.moody:Moody
[icm_bench.tasks]
bright = bench_test_plugins.bright:Bright
"""


class World:
    """Pictures in ``data``, a store in ``out``, and short ways to run on them."""

    def __init__(self, root: Path, monkeypatch) -> None:
        self.root, self.data, self.out, self.log = root, root / "pictures", root / "out", root / "log"
        self._plugins(monkeypatch)
        self.data.mkdir()
        self.add_pictures(6)
        monkeypatch.setenv("QUANT_LOG", str(self.log))

    def _plugins(self, monkeypatch) -> None:
        site = self.root / "site"
        shutil.copytree(Path(__file__).parent / "plugins", site / "bench_test_plugins")
        info = site / "bench_test_plugins-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: bench-test-plugins\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(_ENTRY_POINTS)
        monkeypatch.syspath_prepend(str(site))
        monkeypatch.setenv("PYTHONPATH", str(site))
        for name in [name for name in sys.modules if name.startswith("bench_test_plugins")]:
            monkeypatch.delitem(sys.modules, name)
        registry._plugins.cache_clear()

    def add_pictures(self, n: int) -> None:
        for index in range(n):
            rng = np.random.default_rng(index)
            level = 40 + 25 * (index % 7)
            size = (12 + index % 3, 10 + index % 4, 3)
            picture = np.clip(rng.normal(level, 6, size), 0, 255).astype(np.uint8)
            picture[0, 0, 0] = 100 + index
            Image.fromarray(picture).save(self.data / f"p{index:02d}_{round(picture.mean())}.png")

    def request(self, **changes) -> Request:
        values = {"methods": ("quant",), "tasks": ("bright",), "data": str(self.data), "reference": None}
        return Request(**(values | changes))

    def run(self, engine=None, store: Path | None = None, **changes) -> tuple[list[dict], list[runner.Event]]:
        with Store(store or self.out / "store.sqlite") as opened:
            made = plan.build(self.request(**changes), opened)
            events = list(runner.run(made, opened, engine or Serial()))
            return rows.rows(opened, made), events

    def todo(self, **changes) -> backlog.Missing:
        with Store(self.out / "store.sqlite") as opened:
            made = plan.build(self.request(**changes), opened)
            done = rows.complete(opened, made)
            return backlog.missing(made, opened, [i for i in range(len(made.cells)) if i not in done])

    def logged(self, what: str) -> int:
        return self.log.read_text().split().count(what) if self.log.exists() else 0

    def command(self, *arguments: str, **environment: str) -> subprocess.Popen:
        """``icm-bench run`` on this world, in a process (and a process group) of its own."""
        # A job that a shell starts in the background inherits an ignored SIGINT.
        code = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
        words = [sys.executable, "-c", f"{code}; from icm_bench.cli import main; main()", *self.arguments(*arguments)]
        return subprocess.Popen(
            words, env=os.environ | environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            start_new_session=True,
        )  # fmt: skip

    def arguments(self, *more: str) -> list[str]:
        words = ["run", "--method", "quant", "--task", "bright", "--data", str(self.data), "--out", str(self.out)]
        return [*words, *more]


def lasting(found: list[dict]) -> list[dict]:
    """Rows without what differs from run to run."""
    return [{name: value for name, value in row.items() if name not in rows.VOLATILE} for row in found]


def until(condition, process: subprocess.Popen) -> None:
    """Wait for something a running command does."""
    for _ in range(1200):
        if condition():
            return
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    raise AssertionError("the run did not come that far")
