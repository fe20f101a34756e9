"""What the harness itself costs: wall time of a run beyond the seconds of codec and nets.

    python benchmarks/overhead.py [--limit 24]

rdc on the mini COCO set (six rates, five betas, two nets), and jpeg on pictures without a net; serial, new stores. The
codec's and nets' seconds are the ones that rows carry; set-up (weights into memory) is taken off by a first run on one
picture. Prints the remainder as a share, as milliseconds per unit, and where it goes by cProfile.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import time
from pathlib import Path

from icm_bench import plan, runner
from icm_bench.request import Request
from icm_bench.store import Store

ROOT = f"{Path(__file__).resolve().parents[1]}/"
WORK = ("method.py", "_codec.py", "jpeg.py", "predict")
SECONDS = (
    "SELECT (SELECT sum(encode_s) FROM streams) + (SELECT sum(decode_s) FROM decodes)"
    " + coalesce((SELECT sum(predict_s) FROM evidence), 0)"
)


def measured(request: Request) -> tuple[int, float, float]:
    """Units, wall seconds, and seconds of codec and nets, of a serial run on a new store."""
    with Store(None) as store:
        made = plan.build(request, store)
        start = time.perf_counter()
        for _ in runner.run(made, store):
            pass
        wall = time.perf_counter() - start
        return made.n_units(), wall, store.query(SECONDS)[0][0]


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--limit", type=int, default=24)
    limit = options.parse_args().limit
    for name, request in (
        ("rdc on coco mini", Request(("rdc",), ("coco",), data="mini", limit=limit, reference=None)),
        ("jpeg on images mini", Request(("jpeg",), ("images",), limit=None, reference=None)),
    ):
        measured(Request(request.methods, request.tasks, data=request.data, limit=1, reference=None))
        n_units, wall, work = measured(request)
        over = wall - work
        print(f"{name}: {n_units} units, {wall:.1f} s, of which codec and nets {work:.1f} s; harness {over:.2f} s: "
              f"{100 * over / work:.1f} % of their time, {1000 * over / n_units:.2f} ms a unit", flush=True)  # fmt: skip
        profile = cProfile.Profile()
        profile.runcall(measured, request)
        told = pstats.Stats(profile)
        lines = sorted(
            ((spent, f"{file.removeprefix(ROOT)}:{function}") for (file, _, function), (_, _, spent, *_) in told.stats.items()),  # type: ignore[attr-defined]
            reverse=True,
        )
        for spent, where in lines[:12]:
            print(f"  {spent:7.2f} s  {where}")


if __name__ == "__main__":
    main()
