"""Two worker processes of one thread each against one process with torch's own threads.

    python benchmarks/scaling.py [--methods "jpeg;vvc(preset='fast');rdc"] [--workers 2] [--repeats 3]

The two kinds take turns, each on a new store, with one worker of one thread as the third. What is compared is the
time per unit between a run's first unit and its last, so that loading libraries counts in neither; the ratio is of
medians. Pictures are mini scenes enlarged to --side pixels, else a unit would be over before it is sent. Also prints
each worker's resident memory, and how much of it is its own (private) rather than shared.
"""

from __future__ import annotations

import argparse
import multiprocessing
import re
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from icm_bench import plan, runner
from icm_bench.datasets import task_of
from icm_bench.engine import Engine, Pool, Serial
from icm_bench.request import Request
from icm_bench.store import Store


def pace(request: Request, engine: Engine) -> tuple[float, list[str]]:
    """Seconds per unit between the first and the last, and the workers' memory."""
    with Store(None) as store:
        done: list[float] = []
        memory: list[str] = []
        for event in runner.run(plan.build(request, store), store, engine):
            if isinstance(event, runner.UnitDone):
                done.append(time.perf_counter())
                if len(done) == 10:
                    memory = workers()
    skip = engine.workers
    return (done[-1] - done[skip]) / (len(done) - 1 - skip), memory


def workers() -> list[str]:
    """Resident and private megabytes of each worker."""
    found = []
    for child in multiprocessing.active_children():
        text = Path(f"/proc/{child.pid}/smaps_rollup").read_text()
        sizes = {name: int(value) for name, value in re.findall(r"(\w+): +(\d+) kB", text)}
        private = sizes["Private_Clean"] + sizes["Private_Dirty"]
        found.append(f"{sizes['Rss'] // 1024} MB, {private // 1024} of it private")
    return found


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--methods", default="jpeg;vvc(preset='fast');rdc")
    options.add_argument("--workers", type=int, default=2)
    options.add_argument("--repeats", type=int, default=3)
    options.add_argument("--pictures", type=int, default=24)
    options.add_argument("--side", type=int, default=768)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as home:
        for index, sample in enumerate(task_of("cityscapes", "mini").samples()[: given.pictures]):
            size = (given.side, given.side * 2 // 3)
            picture = Image.fromarray(sample.read()).resize(size, Image.Resampling.BICUBIC)
            noisy = np.asarray(picture) + np.random.default_rng(index).normal(0, 3, (*picture.size[::-1], 3))
            Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(Path(home) / f"{index:03d}.png")
        for method in given.methods.split(";"):
            request = Request((method,), ("images",), data=home, reference=None)
            spent: tuple[list[float], list[float], list[float]] = ([], [], [])
            memory: list[str] = []
            for _ in range(given.repeats):
                spent[0].append(pace(request, Serial())[0])
                seconds, memory = pace(request, Pool(given.workers))
                spent[1].append(seconds)
                spent[2].append(pace(request, Pool(1))[0])
            one, several, alone = map(statistics.median, spent)
            print(f"{method}: {1000 * one:.1f} ms a unit in one process, {1000 * several:.1f} with {given.workers} "
                  f"workers: {one / several:.2f} times ({alone / several:.2f} times one worker alone, "
                  f"{1000 * alone:.1f} ms); workers hold {'; '.join(memory)}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
