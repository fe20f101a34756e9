"""What each part of stage I buys: short trainings, one thing changed in each, measured on held-out pictures.

    python benchmarks/ablations.py results/ablations.csv --photos FOLDER --weights squeezenet1_1=FILE

Trains every config ``ablation-*`` that has not been trained yet (``icm-bench train``, in RUNS), codes the held-out
pictures of ``held_out_sets.py`` with each and with the common start, and writes one line each: BD-rate in percent
against the start, for each mini task (mean of its two nets), and how much of x1 lies outside of 0 .. 1. Finished work
is not done again. Where a net's curve has too little in common with the start's, scores and bits at gain 2 stand.
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
from pixel_histogram import values

from icm_bench import bdrate, registry
from icm_bench.config import opening
from icm_bench.curves import find_series, groups, series
from icm_bench.methods._codec import Codec
from icm_bench.rows import load
from icm_bench.training.data import folder_pictures

TASKS = ("imagenet", "coco", "cityscapes")
START = "trunk-mini"
#: What a training took, in its run folder.
MINUTES = "minutes.txt"
RATES, PICTURES = "0,1,2,3,4", "40"


def call(*words: object) -> None:
    """One icm-bench command; ends this script when it fails."""
    subprocess.run([sys.executable, "-m", "icm_bench", *map(str, words)], check=True)


def spec(checkpoint: Path) -> str:
    """Stage I makes one layer, which the hyperprior's wrapper codes."""
    return f"hyperprior(checkpoint={str(checkpoint)!r}, variable=True)"


def bd_rates(rows: pd.DataFrame, start: Path, checkpoint: Path) -> list[str]:
    """Mean BD-rate over the nets of each task, in percent; where one is undefined, scores and bits at gain 2."""
    made = []
    for task in TASKS:
        found, middle = [], []
        for group in groups(rows[rows["task"] == task]):
            column = str(group.main_metric)
            both = [find_series(series(group.rows), spec(path)) for path in (start, checkpoint)]
            curves = [one.curve(column) for one in both]
            found.append(bdrate.bd_rate(*curves, bdrate.Options(sensitivity=False)).value)
            middle.append([one.rows.loc[one.rows["rate"] == 2, [column, "bpp"]].iloc[0].tolist() for one in both])
        if all(value is not None for value in found):
            made.append(f"{np.mean([value for value in found if value is not None]):+.1f}")
        else:
            (score0, bpp0), (score, bpp) = np.mean(middle, axis=0)
            made.append(f"undefined ({score:.1f} at {bpp:.3f} bpp, start {score0:.1f} at {bpp0:.3f})")
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--weights", action="append", default=[])
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    held_out = options.runs / "held-out"
    script = Path(__file__).with_name("held_out_sets.py")
    if not held_out.is_dir():
        subprocess.run([sys.executable, script, held_out, "--photos", options.photos], check=True)
    places = ["--photos", options.photos, "--runs", options.runs, "--threads", options.threads]
    places += [word for one in options.weights for word in ("--weights", one)]
    configs = {name: path for name, path in registry.training_configs().items() if name.startswith("ablation-")}
    checkpoints = {}
    for name in (START, *configs):
        checkpoints[name] = options.runs / name / f"{name}.safetensors"
        if not checkpoints[name].is_file():
            started = time.monotonic()
            call("train", name, "--name", name, *places)
            took = (time.monotonic() - started) / 60
            (options.runs / name / MINUTES).write_text(f"{took:.1f}\n", encoding="utf-8")
    for task in TASKS:
        methods = [word for path in checkpoints.values() for word in ("--method", spec(path))]
        grid = ["--rates", RATES, "--limit", PICTURES, "--out", held_out]
        call("run", *methods, "--task", task, "--data", held_out / task, *nets(task), *grid)
    rows = load(held_out / "store.sqlite")
    photos = folder_pictures(held_out / "photos")[:20]
    with options.out.open("w", newline="", encoding="utf-8") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(["training", "what", "minutes", *TASKS, "x1 outside (%)", "squared excess"])
        for name, path in configs.items():
            x1 = values(Codec(checkpoints[name]), photos, 2.0)
            excess = x1 - x1.clip(0, 1)
            what = opening(path)[1].removeprefix("Ablation: ").partition(". About")[0]
            outside = [f"{100 * np.mean(excess != 0):.2f}", f"{np.mean(excess**2):.1e}"]
            bits = bd_rates(rows, checkpoints[START], checkpoints[name])
            took = (options.runs / name / MINUTES).read_text(encoding="utf-8").strip()
            lines.writerow([name, what, took, *bits, *outside])
    print(options.out)


def nets(task: str) -> list[str]:
    """The mini nets of a task, which data from elsewhere does not bring by itself."""
    return [word for net in registry.load("task", task).mini_nets for word in ("--net", net)]  # type: ignore[attr-defined]


if __name__ == "__main__":
    main()
