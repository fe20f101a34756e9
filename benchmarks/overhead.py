"""What the harness itself costs: wall time of a run beyond the seconds of codec and nets.

    python benchmarks/overhead.py [--limit 24]

rdc on the mini COCO set (six rates, five betas, two nets), and jpeg on the mini pictures without a net; serial, new
stores. The seconds of codec and nets are those that rows carry; setting them up is taken off by a first run on one
picture. Prints the remainder as a share, as milliseconds per unit, and what cProfile finds in the harness's files.
"""

from __future__ import annotations

import argparse
import cProfile
import dataclasses
import pstats
import time
from pathlib import Path
from typing import Any

from icm_bench import plan, runner
from icm_bench.datasets import task_of
from icm_bench.request import Request
from icm_bench.store import Store

PACKAGE = Path(__file__).resolve().parents[1] / "icm_bench"
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


def told(name: str, request: Request) -> None:
    """Print what a run costs beyond its codec and nets."""
    measured(dataclasses.replace(request, limit=1))
    n_units, wall, work = measured(request)
    over = wall - work
    print(f"{name}: {n_units} units, {wall:.1f} s, of which codec and nets {work:.1f} s; harness {over:.2f} s:")
    print(f"  {100 * over / work:.1f} % of their time, {1000 * over / n_units:.2f} ms a unit", flush=True)
    profile = cProfile.Profile()
    profile.runcall(measured, request)
    stats: dict[Any, Any] = vars(pstats.Stats(profile))["stats"]
    ours = sorted(
        ((spent, f"{Path(file).name}:{function}") for (file, _, function), (_, _, _, spent, _) in stats.items()
         if str(PACKAGE) in file), reverse=True,
    )  # fmt: skip
    for spent, where in ours[:15]:
        print(f"  {spent:7.2f} s  {where}")


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--limit", type=int, default=24)
    limit = options.parse_args().limit
    told("rdc on coco mini", Request(("rdc",), ("coco",), data="mini", limit=limit, reference=None))
    pictures = str(task_of("imagenet", "mini").samples()[0].path.parents[1])
    told("jpeg on pictures", Request(("jpeg",), ("images",), data=pictures, reference=None))


if __name__ == "__main__":
    main()
