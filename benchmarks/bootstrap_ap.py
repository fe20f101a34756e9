"""COCO's twelve numbers under a thousand resamples: evidence of the size of COCO val2017.

    python benchmarks/bootstrap_ap.py [--pictures 5000]

Prints the seconds of matching once, of all resamples after it, and of scoring the set itself as many times anew.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np

from icm_bench.bootstrap import Plan, draws
from icm_bench.tasks._cocoeval import box_metrics
from icm_bench.tasks._resampled_ap import resampled_metrics

CATEGORIES = list(range(1, 81))


def world(n: int) -> tuple[dict[str, list[dict[str, Any]]], dict[str, list[list[float]]]]:
    """About seven labels and exactly a hundred boxes in each picture; seven of ten labels are found, more or less."""
    rng = np.random.default_rng(0)
    share = 1 / np.arange(1, 81) ** 0.8
    share /= share.sum()
    truth: dict[str, list[dict[str, Any]]] = {}
    boxes: dict[str, list[list[float]]] = {}
    for index in range(n):
        labels, found = [], []
        for _ in range(rng.poisson(7.3)):
            w, h = np.exp(rng.normal(4, 1, 2))
            x, y = rng.uniform(0, 500, 2)
            category = int(rng.choice(80, p=share)) + 1
            crowd = int(rng.random() < 0.01)
            labels.append({"bbox": [x, y, w, h], "area": w * h, "category_id": category, "iscrowd": crowd})
            if rng.random() < 0.7:
                moved = [x + rng.normal(0, 0.1 * w), y + rng.normal(0, 0.1 * h), w, h]
                found.append([*moved, float(rng.random() ** 0.5), category])
        while len(found) < 100:
            size = np.exp(rng.normal(4, 1, 2))
            score = float(rng.random() ** 2 * 0.6)
            found.append([*rng.uniform(0, 500, 2), *size, score, int(rng.choice(80, p=share)) + 1])
        truth[f"p{index}"], boxes[f"p{index}"] = labels, found
    return truth, boxes


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--pictures", type=int, default=5000)
    n = options.parse_args().pictures
    truth, boxes = world(n)
    seconds = []
    for counts in (draws(n, Plan(100))[:1], draws(n, Plan(1000))):
        start = time.perf_counter()
        found = resampled_metrics(truth, boxes, CATEGORIES, counts)
        seconds.append(time.perf_counter() - start)
    start = time.perf_counter()
    expected = box_metrics(truth, boxes, CATEGORIES)
    once = time.perf_counter() - start
    apart = max(abs(found[name][0] - value) for name, value in expected.items())
    print(f"{n} pictures: matching {seconds[0]:.0f} s; with 1000 resamples {seconds[1]:.0f} s in all")
    print(f"scoring anew, 1000 times: {1000 * once:.0f} s, {1000 * once / seconds[1]:.0f} times as long")
    print(f"largest difference from COCOeval on the set itself: {apart:.1e}")


if __name__ == "__main__":
    main()
