"""COCO's metrics under resampling: boxes are matched once, and only precision and recall are summed up anew.

A picture drawn k times counts k times, its boxes one after another in the ranking, as if it lay in the set k times.
All resamples are worked through together: of each ranking only the hits matter, because the interpolated precision
at any recall is that of a hit.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from icm_bench.tasks._cocoeval import AREAS, dataset_of

MAX_BOXES = 100
_LIMITS = (1, 10, 100)
_LEVELS = np.linspace(0.0, 1.0, 101)
_LEVELS_AND_MORE = np.append(_LEVELS, np.inf)
_IOUS = 10
#: Numbers in the arrays worked through at once: few enough for the cache, enough to be worth a call.
_CHUNK = 500_000


@dataclass(frozen=True)
class _Ranked:
    """One category in one range of areas: its boxes by falling score.

    picture: (n,) place in the set; rank: (n,) place among the picture's boxes; hit: (10 IoU, n) matched a label that
    counts; ignored: (10 IoU, n) does not count at all; labels: (n_pictures,) labels to be found in each.
    """

    picture: np.ndarray
    rank: np.ndarray
    hit: np.ndarray
    ignored: np.ndarray
    labels: np.ndarray

    def precisions(self, counts: np.ndarray) -> np.ndarray:
        """Mean interpolated precision over 101 recalls: (10 IoU, resamples), NaN where there is no label."""
        n_labels = counts @ self.labels
        weight = counts[:, self.picture]
        boxes_before = np.cumsum(weight, 1)
        found = np.full((_IOUS, len(counts)), np.nan)
        for iou in range(_IOUS):
            at = np.flatnonzero(self.hit[iou])
            found[iou] = _interpolated(
                np.cumsum(weight[:, at], 1), boxes_before[:, at] - self._ignored_before(iou, at, weight), n_labels
            )
        return np.where(n_labels > 0, found, np.nan)

    def _ignored_before(self, iou: int, at: np.ndarray, weight: np.ndarray) -> np.ndarray | int:
        """How many of the boxes before each hit do not count: (resamples, hits)."""
        ignored = np.flatnonzero(self.ignored[iou])
        if not len(ignored):
            return 0
        before = np.concatenate([np.zeros((len(weight), 1), weight.dtype), np.cumsum(weight[:, ignored], 1)], 1)
        return before[:, np.searchsorted(ignored, at)]

    def recalls(self, counts: np.ndarray, limit: int) -> np.ndarray:
        """Labels found by the first boxes of each picture: (10 IoU, resamples), NaN where there is no label."""
        n_labels = counts @ self.labels
        kept = self.rank < limit
        weight = counts[:, self.picture[kept]].astype(float)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(n_labels > 0, self.hit[:, kept].astype(float) @ weight.T / n_labels, np.nan)


def _interpolated(hits: np.ndarray, boxes: np.ndarray, n_labels: np.ndarray) -> np.ndarray:
    """Mean over 101 recall levels of the best precision from there on: (draws,).

    hits, boxes: sums up to each hit (draws, hits).
    """
    if not hits.shape[1]:
        return np.zeros(len(hits))
    best = np.maximum.accumulate((hits / np.maximum(boxes, 1))[:, ::-1], 1)[:, ::-1]
    reached = _levels_reached(hits, np.maximum(n_labels, 1)[:, None])
    reached[:, 1:] -= reached[:, :-1].copy()  # the levels that each hit is the first to reach
    values: np.ndarray = np.einsum("ij,ij->i", best, reached) / len(_LEVELS)
    return values


def _levels_reached(hits: np.ndarray, n_labels: np.ndarray) -> np.ndarray:
    """How many of the 101 recall levels that many hits reach, compared in floating point as COCOeval does."""
    recall = hits / n_labels
    n_full = (recall * 100).astype(np.int32)  # right but for rounding, which the two comparisons mend
    n_full += _LEVELS_AND_MORE[n_full + 1] <= recall
    n_full -= _LEVELS_AND_MORE[n_full] > recall
    return np.where(hits > 0, n_full + 1.0, 0.0)


def resampled_metrics(
    truth: Mapping[str, Sequence[Mapping[str, Any]]],
    boxes: Mapping[str, Sequence[Sequence[float]]],
    categories: Sequence[int],
    counts: np.ndarray,
) -> dict[str, np.ndarray]:
    """COCO's box metrics in percent for counts (resamples, n_pictures) in the order of ``boxes``; (resamples,) each.

    truth, boxes, categories: as for ``_cocoeval.box_metrics``. NaN where a resample holds no label of the kind.
    """
    ranked = _matched(truth, boxes, categories, list(boxes))
    longest = max((len(one.picture) for of_area in ranked for one in of_area), default=0)
    rows = max(16, _CHUNK // max(longest, 1))
    chunks = [counts[start : start + rows] for start in range(0, len(counts), rows)]
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as threads:  # numpy lets go of the interpreter's lock
        parts = list(threads.map(lambda chunk: _chunk(ranked, chunk), chunks))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _chunk(ranked: list[list[_Ranked]], counts: np.ndarray) -> dict[str, np.ndarray]:
    counts = np.ascontiguousarray(counts, dtype=np.int32)
    made: dict[str, np.ndarray] = {}
    for area, of_area in zip(AREAS, ranked, strict=True):
        precision = _stacked([one.precisions(counts) for one in of_area], len(counts))
        made[f"AP{area}"] = _mean(precision)
        if not area:
            made |= {"AP50": _mean(precision[:, :1]), "AP75": _mean(precision[:, 5:6])}
        for limit in _LIMITS if not area else _LIMITS[-1:]:
            recall = _stacked([one.recalls(counts, limit) for one in of_area], len(counts))
            made[f"AR{area}" if area else f"AR_{limit}"] = _mean(recall)
    return made


def _stacked(parts: list[np.ndarray], n_resamples: int) -> np.ndarray:
    """(categories, 10 IoU, resamples)."""
    return np.stack(parts) if parts else np.full((1, _IOUS, n_resamples), np.nan)


def _mean(values: np.ndarray) -> np.ndarray:
    """Mean in percent over the categories and IoU thresholds that have labels: (resamples,)."""
    there = ~np.isnan(values)
    n = there.sum((0, 1))
    with np.errstate(invalid="ignore"):
        mean: np.ndarray = 100 * np.where(there, values, 0).sum((0, 1)) / np.where(n > 0, n, np.nan)
    return mean


def _matched(
    truth: Mapping[str, Sequence[Mapping[str, Any]]],
    boxes: Mapping[str, Sequence[Sequence[float]]],
    categories: Sequence[int],
    order: list[str],
) -> list[list[_Ranked]]:
    """For each range of areas the categories with labels, as pycocotools matches them."""
    import contextlib
    import io

    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    dataset, results = dataset_of(truth, boxes, categories, order)
    with contextlib.redirect_stdout(io.StringIO()):
        known, found = COCO(), COCO()
        known.dataset, found.dataset = dataset, {**dataset, "annotations": results}
        known.createIndex()
        found.createIndex()
        evaluator = COCOeval(known, found, "bbox")
        evaluator.params.maxDets = [MAX_BOXES]
        evaluator.evaluate()
    n, n_areas = len(order), len(AREAS)
    made: list[list[_Ranked]] = [[] for _ in AREAS]
    for index in range(len(evaluator.params.catIds)):
        for area in range(n_areas):
            start = (index * n_areas + area) * n
            made[area] += _ranked(evaluator.evalImgs[start : start + n])
    return made


def _ranked(found: list[Any]) -> Iterator[_Ranked]:
    """One category's boxes in one ranking; nothing where it has no label."""
    labels = np.array([0 if one is None else int(np.sum(np.asarray(one["gtIgnore"]) == 0)) for one in found])
    if not labels.sum():
        return
    seen = [(place, one) for place, one in enumerate(found) if one is not None and len(one["dtScores"])]
    if not seen:
        none = np.zeros((_IOUS, 0), bool)
        yield _Ranked(np.zeros(0, int), np.zeros(0, int), none, none, labels)
        return
    scores = np.concatenate([one["dtScores"] for _, one in seen])
    by_score = np.argsort(-scores, kind="mergesort")
    sizes = [len(one["dtScores"]) for _, one in seen]
    picture = np.repeat([place for place, _ in seen], sizes)
    rank = np.concatenate([np.arange(size) for size in sizes])
    matched = np.concatenate([one["dtMatches"] for _, one in seen], 1) > 0
    ignored = np.concatenate([one["dtIgnore"] for _, one in seen], 1) > 0
    by_score = by_score[~ignored[:, by_score].all(0)]  # what never counts changes nothing
    yield _Ranked(
        picture[by_score], rank[by_score], (matched & ~ignored)[:, by_score], ignored[:, by_score], labels
    )
