"""COCO's box AP under resampling: boxes are matched once, and only precision and recall are summed up anew.

A picture drawn k times counts k times, its boxes one after another in the ranking, as if it lay in the set k times.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from icm_bench.bootstrap import Statistic
from icm_bench.tasks._cocoeval import dataset_of

MAX_BOXES = 100


@dataclass(frozen=True)
class _Ranked:
    """One category: its boxes by falling score. picture: (n,) place in the set; hit, counted: (10 IoU, n) matched a
    label, and counts at all (a crowd's match does not); labels: (n_pictures,) labels to be found in each.
    """

    picture: np.ndarray
    hit: np.ndarray
    counted: np.ndarray
    labels: np.ndarray

    def precision(self, counts: np.ndarray) -> float | None:
        """Mean of interpolated precision over IoU thresholds and 101 recalls; None without a label."""
        n_labels = float(counts @ self.labels)
        if not n_labels:
            return None
        weight = counts[self.picture]
        true = np.cumsum(weight * (self.hit & self.counted), 1, dtype=float)
        false = np.cumsum(weight * (~self.hit & self.counted), 1, dtype=float)
        recall = true / n_labels
        precision = true / np.maximum(true + false, np.spacing(1.0))
        precision = np.maximum.accumulate(precision[:, ::-1], 1)[:, ::-1]
        levels = np.linspace(0.0, 1.0, 101)
        total = 0.0
        for row, curve in zip(recall, precision, strict=True):
            at = np.searchsorted(row, levels, side="left")
            total += float(curve[at[at < len(curve)]].sum())
        return total / (101 * len(recall))


def average_precision(
    truth: Mapping[str, Sequence[Mapping[str, Any]]],
    boxes: Mapping[str, Sequence[Sequence[float]]],
    categories: Sequence[int],
) -> Statistic:
    """AP in percent as a function of counts (n_pictures,) in the order of ``boxes``.

    truth, boxes, categories: as for ``_cocoeval.box_metrics``.
    """
    order = list(boxes)
    ranked = [one for one in (_ranked(found) for found in _matched(truth, boxes, categories, order)) if one]

    def statistic(counts: np.ndarray) -> float:
        values = [value for one in ranked if (value := one.precision(counts)) is not None]
        return 100 * float(np.mean(values)) if values else 0.0

    return statistic


def _matched(
    truth: Mapping[str, Sequence[Mapping[str, Any]]],
    boxes: Mapping[str, Sequence[Sequence[float]]],
    categories: Sequence[int],
    order: list[str],
) -> list[list[Any]]:
    """For each category what pycocotools matched in each picture, over all areas."""
    import contextlib
    import io

    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    dataset, results = dataset_of(truth, boxes, categories, order)
    with contextlib.redirect_stdout(io.StringIO()):
        known = COCO()
        known.dataset = dataset
        known.createIndex()
        found = COCO()
        found.dataset = {**dataset, "annotations": results}
        found.createIndex()
        evaluator = COCOeval(known, found, "bbox")
        evaluator.params.areaRng, evaluator.params.areaRngLbl = evaluator.params.areaRng[:1], ["all"]
        evaluator.params.maxDets = [MAX_BOXES]
        evaluator.evaluate()
    n = len(order)
    return [evaluator.evalImgs[index * n : (index + 1) * n] for index in range(len(evaluator.params.catIds))]


def _ranked(found: list[Any]) -> _Ranked | None:
    """One category's boxes in one ranking; None where it has no label and no box."""
    labels = np.array([0 if one is None else int(np.sum(np.asarray(one["gtIgnore"]) == 0)) for one in found])
    if not labels.sum():
        return None
    seen = [(place, one) for place, one in enumerate(found) if one is not None and len(one["dtScores"])]
    if not seen:
        return _Ranked(np.zeros(0, int), np.zeros((10, 0), bool), np.zeros((10, 0), bool), labels)
    scores = np.concatenate([one["dtScores"] for _, one in seen])
    by_score = np.argsort(-scores, kind="mergesort")
    picture = np.repeat([place for place, _ in seen], [len(one["dtScores"]) for _, one in seen])
    hit = np.concatenate([one["dtMatches"] for _, one in seen], 1) > 0
    ignored = np.concatenate([one["dtIgnore"] for _, one in seen], 1) > 0
    return _Ranked(picture[by_score], hit[:, by_score], ~ignored[:, by_score], labels)
