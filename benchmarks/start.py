"""Start-up, a run that finds everything done, and the store's writes.

    python benchmarks/start.py [--units 10000] [--repeats 5]

Prints the median seconds of ``icm-bench --help`` in a fresh process, of a ``run`` of so many units that are all in
the store, in a fresh process too, and how many units a second the store takes, each in a transaction of its own.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from icm_bench import plan, runner
from icm_bench.request import Request
from icm_bench.store import Store
from icm_bench.units import Coded, Decoded, UnitResult

PROGRAM = [sys.executable, "-m", "icm_bench"]
RATES = (10, 20, 30, 40, 50, 60, 70, 80, 90, 95)


def seconds_of(words: list[str], repeats: int) -> float:
    """Median wall time of a command."""
    spent = []
    for _ in range(repeats):
        start = time.perf_counter()
        subprocess.run(words, check=True, capture_output=True)
        spent.append(time.perf_counter() - start)
    return statistics.median(spent)


def small_pictures(folder: Path, n: int) -> None:
    """Small pictures, no two alike."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for index in range(n):
        Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8)).save(folder / f"{index:06d}.png")


def cached_run(n_units: int, repeats: int) -> float:
    """Seconds of a run whose units are all in the store."""
    with tempfile.TemporaryDirectory() as home:
        small_pictures(Path(home) / "pictures", n_units // len(RATES))
        rates = ",".join(map(str, RATES))
        words = ["run", "--method", "jpeg", "--task", "images", "--data", f"{home}/pictures", "--rates", rates]
        words = [*PROGRAM, *words, "--out", f"{home}/out"]
        subprocess.run(words, check=True, capture_output=True)
        request = Request(("jpeg",), ("images",), data=f"{home}/pictures", rates=tuple(map(float, RATES)))
        with Store(Path(home) / "out" / "store.sqlite") as store:
            started = next(iter(runner.run(plan.build(request, store), store)))
        assert isinstance(started, runner.Started) and started.n_cached == started.n_units == n_units
        return seconds_of(words, repeats)


def writes(n_units: int) -> float:
    """Units a second that the store takes: a stream of a few kilobytes, and its decode."""
    data = np.random.default_rng(0).bytes(4000)
    with tempfile.TemporaryDirectory() as home, Store(Path(home) / "store.sqlite") as store:
        store.begin(lambda: {"machine": "this one"})
        made = []
        for index in range(n_units):
            coded = Coded("m", "", 1.0, f"{index}", "orig", 64, 64, 4096, 4096, data, 0.1)
            made.append(UnitResult(f"{index:032x}", coded, (Decoded(None, 4000, {"main": 3990}, 1, 0.9, 0.1),)))
        start = time.perf_counter()
        for result in made:
            store.put(result)
        return n_units / (time.perf_counter() - start)


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--units", type=int, default=10_000)
    options.add_argument("--repeats", type=int, default=5)
    given = options.parse_args()
    print(f"icm-bench --help: {seconds_of([*PROGRAM, '--help'], given.repeats):.2f} s", flush=True)
    print(f"store: {writes(given.units):.0f} units/s", flush=True)
    print(f"run of {given.units} units, all in the store: {cached_run(given.units, given.repeats):.2f} s")


if __name__ == "__main__":
    main()
