"""What every task must hold to, on its own first pictures."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from typing import ClassVar

import numpy as np
import pytest

from icm_bench import registry
from icm_bench.task import Evidence, Net, Sample, Task
from icm_bench.testing.limits import CHECK_S, limited


class TaskTests:
    """Tests that any task must pass. A subclass gives the fixture ``task``, with its data."""

    #: Pictures looked at.
    n_pictures: ClassVar[int] = 6

    #: What a check may take.
    seconds: ClassVar[float] = CHECK_S

    @pytest.fixture(autouse=True)
    def _in_time(self) -> Iterator[None]:
        with limited(self.seconds):
            yield

    @pytest.fixture
    def net(self, task: Task) -> Net | None:
        """The task's first net, set up; None for a task without nets."""
        return first_net(task)

    def test_order_is_stable(self, task: Task) -> None:
        ids = [sample.id for sample in task.samples()]
        assert ids, "the task has no pictures"
        assert len(set(ids)) == len(ids), "two pictures have the same id"
        again = registry.task(task.spec)
        assert [sample.id for sample in task.samples()] == ids, "samples() gives another order the second time"
        assert [sample.id for sample in again.samples()] == ids, "another object of the same spec gives another order"
        assert again.fingerprint == task.fingerprint, "another object of the same spec has another fingerprint"

    def test_parameters_survive_spec_and_json(self, task: Task) -> None:
        assert registry.task(task.spec) == task, "the spec string makes another task"
        assert type(task)(**json.loads(json.dumps(task.params))) == task, "the parameters do not survive JSON"

    def test_undistorted_pictures_score_best(self, task: Task, net: Net | None) -> None:
        if net is None or task.main_metric is None:
            return
        samples = task.samples()[: self.n_pictures]
        seen = _score(task, samples, _evidence(task, net, samples))[task.main_metric]
        grey = [np.full_like(sample.read(), 128) for sample in samples]
        blind = _score(task, samples, task.predict(net, samples, grey))[task.main_metric]
        better = seen >= blind if task.higher_is_better else seen <= blind
        assert better, f"grey pictures score {blind:g} in {task.main_metric}, the undistorted ones {seen:g}"

    def test_perfect_outputs_score_best(self, task: Task) -> None:
        samples = task.samples()[: self.n_pictures]
        outputs = [task.perfect(sample) for sample in samples]
        if task.main_metric is None or any(output is None for output in outputs):
            return
        evidence = [task.evidence(*pair) for pair in zip(samples, outputs, strict=True)]
        found, best = _score(task, samples, evidence)[task.main_metric], 100 if task.higher_is_better else 0
        is_best = math.isclose(found, best, abs_tol=1e-6)
        assert is_best, f"perfect outputs score {found:g} in {task.main_metric}, not {best}"

    def test_evidence_survives_json(self, task: Task, net: Net | None) -> None:
        if net is None:
            return
        samples = task.samples()[: self.n_pictures]
        evidence = _evidence(task, net, samples)
        try:
            back = json.loads(json.dumps(evidence, allow_nan=False))
        except (TypeError, ValueError) as error:
            raise AssertionError(f"evidence does not survive JSON: {error}") from error
        kept = _score(task, samples, back)
        assert kept == _score(task, samples, evidence), "evidence that went through JSON scores otherwise"

    def test_score_does_not_depend_on_order(self, task: Task, net: Net | None) -> None:
        if net is None:
            return
        samples = task.samples()[: self.n_pictures]
        evidence = _evidence(task, net, samples)
        straight = _score(task, samples, evidence)
        turned = _score(task, samples[::-1], evidence[::-1])
        for name, value in straight.items():
            same = math.isclose(value, turned[name], rel_tol=1e-9, abs_tol=1e-9)
            assert same, f"{name} is {value:g} and, in reverse order, {turned[name]:g}"

    def test_a_subset_is_scored(self, task: Task, net: Net | None) -> None:
        if net is None:
            return
        samples = task.samples()[:1]
        found = _score(task, samples, _evidence(task, net, samples))
        assert set(task.metrics) & set(found), f"score gives {sorted(found)}, none of {task.metrics}"
        broken = [name for name, value in found.items() if value is not None and math.isnan(value)]
        assert not broken, f"NaN for one picture: {', '.join(broken)}"

    def test_an_empty_picture_is_seen(self, task: Task, net: Net | None) -> None:
        if net is None:
            return
        samples = task.samples()[:1]
        black = [np.zeros_like(samples[0].read())]
        found = _score(task, samples, task.predict(net, samples, black))
        broken = [name for name, value in found.items() if value is not None and math.isnan(value)]
        assert not broken, f"NaN for a black picture: {', '.join(broken)}"


def first_net(task: Task) -> Net | None:
    """The task's first net, set up; None for a task without nets."""
    if not task.nets:
        return None
    net = task.net(task.nets[0])
    net.setup()
    return net


def _evidence(task: Task, net: Net, samples: Sequence[Sample]) -> list[Evidence]:
    return task.predict(net, samples, [sample.read() for sample in samples])


def _score(task: Task, samples: Sequence[Sample], evidence: Sequence[Evidence]) -> dict[str, float]:
    return task.score({sample.id: one for sample, one in zip(samples, evidence, strict=True)})
