"""A task's metrics under resampling against its scores on a set that really holds the copies."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from icm_bench import registry
from icm_bench.tasks import _resampled_ap
from icm_bench.tasks._cocoeval import box_metrics
from icm_bench.tasks._resampled_ap import resampled_metrics

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


def once(boxes: dict[str, list[list[float]]]) -> np.ndarray:
    """The draw that is the set itself."""
    return np.ones((1, len(boxes)), int)


@pytest.mark.parametrize("seed", range(4))
def test_all_twelve_are_cocoevals_on_the_set_itself(seed: int) -> None:
    truth, boxes = world(seed, 30)
    found = resampled_metrics(truth, boxes, CATEGORIES, once(boxes))
    expected = box_metrics(truth, boxes, CATEGORIES)
    assert {name: values[0] for name, values in found.items() if not np.isnan(values[0])} == pytest.approx(
        expected, abs=1e-9
    )


@pytest.mark.parametrize("seed", range(3))
def test_all_twelve_are_those_of_a_set_with_copies(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_resampled_ap, "_CHUNK", 1)  # sixteen draws at a time
    truth, boxes = world(seed)
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(len(boxes), np.full(len(boxes), 1 / len(boxes)), size=70)
    found = resampled_metrics(truth, boxes, CATEGORIES, counts)
    for row in (0, 1, 2, 64, 69):
        copies = [(key, copy) for key, count in zip(boxes, counts[row], strict=True) for copy in range(count)]
        drawn_truth = {f"{key} {copy}": truth[key] for key, copy in copies}
        drawn_boxes = {f"{key} {copy}": boxes[key] for key, copy in copies}
        expected = box_metrics(drawn_truth, drawn_boxes, CATEGORIES)
        for name, value in expected.items():
            assert found[name][row] == pytest.approx(value, abs=0.2), name  # ties are ranked in another order
        assert {name for name in found if np.isnan(found[name][row])} == set(found) - set(expected)


def test_no_boxes_at_all_score_nothing() -> None:
    truth, boxes = world(0)
    assert resampled_metrics(truth, {key: [] for key in boxes}, CATEGORIES, once(boxes))["AP"].tolist() == [0]
    nothing = resampled_metrics({key: [] for key in boxes}, boxes, CATEGORIES, once(boxes))
    assert all(np.isnan(values).all() for values in nothing.values())


@pytest.mark.parametrize("name", ["imagenet", "cityscapes", "coco"])
def test_fast_resampling_agrees_with_scoring_anew(name: str) -> None:
    task = registry.task(name)
    samples = task.samples()[:20]
    net = task.net(task.nets[0])
    evidence = {}
    for sample, record in zip(samples, task.predict(net, samples, [s.read() for s in samples]), strict=True):
        evidence[sample.id] = record
    counts = np.random.default_rng(0).integers(0, 2, (4, 20))
    counts[0] = 1
    fast = task.resampled(evidence, counts)
    for row, drawn in enumerate(counts):
        kept = {key: record for (key, record), count in zip(evidence.items(), drawn, strict=True) if count}
        scores = task.score(kept)
        assert str(task.main_metric) in scores
        for metric in task.metrics:
            if metric in scores:
                assert fast[metric][row] == pytest.approx(scores[metric]), metric
