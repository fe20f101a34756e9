"""COCO scoring against pycocotools: 5,000 pictures with 100 boxes each, the same twelve numbers.

    python benchmarks/score.py [--pictures 5000] [--repeats 3]

Both begin with boxes in memory. pycocotools is called as evaluation scripts call it: loadRes, evaluate, accumulate,
summarize. The two take turns; the ratio is of medians.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import statistics
import time
from typing import Any

import numpy as np
from bootstrap_ap import CATEGORIES, world
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from icm_bench.tasks._cocoeval import box_metrics, dataset_of

NAMES = (
    "AP", "AP50", "AP75", "AP_small", "AP_medium", "AP_large",
    "AR_1", "AR_10", "AR_100", "AR_small", "AR_medium", "AR_large",
)  # fmt: skip


def reference(dataset: dict[str, Any], results: list[dict[str, Any]]) -> np.ndarray:
    """pycocotools' twelve numbers in percent."""
    with contextlib.redirect_stdout(io.StringIO()):
        known = COCO()
        known.dataset = dataset
        known.createIndex()
        evaluator = COCOeval(known, known.loadRes(results), "bbox")
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    return 100 * np.array(evaluator.stats)


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--pictures", type=int, default=5000)
    options.add_argument("--repeats", type=int, default=3)
    given = options.parse_args()
    truth, boxes = world(given.pictures)
    seconds: tuple[list[float], list[float]] = ([], [])
    for repeat in range(given.repeats):
        dataset, results = dataset_of(truth, boxes, CATEGORIES, sorted(truth))
        results = [{key: row[key] for key in ("image_id", "category_id", "bbox", "score")} for row in results]
        start = time.perf_counter()
        expected = reference(dataset, results)
        seconds[0].append(time.perf_counter() - start)
        start = time.perf_counter()
        found = box_metrics(truth, boxes, CATEGORIES)
        seconds[1].append(time.perf_counter() - start)
        print(f"{repeat + 1}: pycocotools {seconds[0][-1]:.1f} s, ours {seconds[1][-1]:.1f} s", flush=True)
    ours = np.array([found[name] for name in NAMES])
    ratio = statistics.median(seconds[0]) / statistics.median(seconds[1])
    print(f"{ratio:.1f} times faster; the twelve numbers differ by at most {np.abs(ours - expected).max():.1e}")


if __name__ == "__main__":
    main()
