"""A task's main metric under resampling against its score on a set that really holds the copies."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from icm_bench import registry
from icm_bench.tasks._cocoeval import box_metrics
from icm_bench.tasks._resampled_ap import average_precision

CATEGORIES = [3, 7, 44]


def world(seed: int, n: int = 12) -> tuple[dict[str, list[dict[str, Any]]], dict[str, list[list[float]]]]:
    """Labels and boxes of n pictures: some found well, some badly, some not; a crowd now and then."""
    rng = np.random.default_rng(seed)
    truth, boxes = {}, {}
    for index in range(n):
        labels, found = [], []
        for _ in range(int(rng.integers(0, 6))):
            box = [*rng.uniform(0, 200, 2), *rng.uniform(20, 90, 2)]
            crowd = int(rng.random() < 0.15)
            area = float(box[2] * box[3])
            category = int(rng.choice(CATEGORIES[:2]))
            labels.append({"bbox": box, "area": area, "category_id": category, "iscrowd": crowd})
            if rng.random() < 0.8:
                shifted = [value + float(rng.normal(0, 4)) for value in box]
                found.append([*shifted, float(rng.random()), category if rng.random() < 0.8 else 44])
        for _ in range(int(rng.integers(0, 4))):
            found.append([*rng.uniform(0, 200, 2), *rng.uniform(20, 90, 2), float(rng.random()), 3])
        truth[f"p{index}"], boxes[f"p{index}"] = labels, found
    return truth, boxes


@pytest.mark.parametrize("seed", range(4))
def test_resampled_ap_is_cocoevals_on_the_set_itself(seed: int) -> None:
    truth, boxes = world(seed)
    statistic = average_precision(truth, boxes, CATEGORIES)
    assert statistic(np.ones(len(boxes), int)) == pytest.approx(box_metrics(truth, boxes, CATEGORIES)["AP"])


@pytest.mark.parametrize("seed", range(3))
def test_resampled_ap_is_that_of_a_set_with_copies(seed: int) -> None:
    truth, boxes = world(seed)
    statistic = average_precision(truth, boxes, CATEGORIES)
    rng = np.random.default_rng(seed)
    for _ in range(5):
        counts = rng.multinomial(len(boxes), np.full(len(boxes), 1 / len(boxes)))
        copies = [(key, copy) for key, count in zip(boxes, counts, strict=True) for copy in range(count)]
        drawn_truth = {f"{key} {copy}": truth[key] for key, copy in copies}
        drawn_boxes = {f"{key} {copy}": boxes[key] for key, copy in copies}
        expected = box_metrics(drawn_truth, drawn_boxes, CATEGORIES)["AP"]
        assert statistic(counts) == pytest.approx(expected, abs=0.2)  # ties are ranked in another order


def test_no_boxes_at_all_score_nothing() -> None:
    truth, boxes = world(0)
    assert average_precision(truth, {key: [] for key in boxes}, CATEGORIES)(np.ones(len(boxes), int)) == 0


@pytest.mark.parametrize("name", ["imagenet", "cityscapes"])
def test_fast_statistics_agree_with_scoring_anew(name: str) -> None:
    task = registry.task(name)
    samples = task.samples()[:20]
    net = task.net(task.nets[0])
    evidence = {}
    for sample, record in zip(samples, task.predict(net, samples, [s.read() for s in samples]), strict=True):
        evidence[sample.id] = record
    counts = np.random.default_rng(0).multinomial(20, np.full(20, 0.05), size=4)
    counts[0] = 1
    scores = [task.score(evidence)[task.main_metric]]  # type: ignore[index]
    fast = task.statistic(evidence)
    assert fast(counts[0]) == pytest.approx(scores[0])
    drawn_once = {key: record for (key, record), count in zip(evidence.items(), counts[1], strict=True) if count}
    assert fast((counts[1] > 0).astype(int)) == pytest.approx(task.score(drawn_once)[task.main_metric])  # type: ignore[index]
