"""Tolerances: how often chance alone is called worse, and that real changes are."""

import numpy as np
import pytest

from icm_bench import bootstrap
from icm_bench.check.verdict import FALSE_ALARM, Figure, judge, ordered, parse_tolerances
from icm_bench.errors import UserError

_PLAN = bootstrap.Plan(100, 0)


def figure(differences, what="psnr", better=True, unit="dB"):
    counts = bootstrap.draws(len(differences), _PLAN)
    drawn = bootstrap.means(counts, np.asarray(differences, float))
    return Figure("here", what, (30.0, 30.0 + drawn[0]), drawn, len(differences), better, unit)


@pytest.mark.parametrize("n", [12, 24, 100])
def test_chance_alone_is_hardly_ever_called_worse(n):
    rng = np.random.default_rng(n)
    n_checks, n_figures = 150, 60
    alarms = 0
    for _ in range(n_checks):
        found = judge([figure(rng.normal(0, 0.5, n)) for _ in range(n_figures)], {})
        alarms += any(one.verdict == "worse" for one in found)
    told = "one check in a hundred is meant; the bootstrap of few pictures is a little narrow"
    assert alarms / n_checks <= 0.05, told
    assert FALSE_ALARM == 0.01


def test_what_all_pictures_lose_is_worse_and_what_they_win_is_better():
    rng = np.random.default_rng(1)
    noise = rng.normal(0, 0.05, 24)
    lost, won = judge([figure(noise - 0.2), figure(noise + 0.2)], {})
    assert (lost.verdict, won.verdict) == ("worse", "better")
    more_bytes, fewer = judge([figure(noise + 2, "bytes", False, "%"), figure(noise - 2, "bytes", False, "%")], {})
    assert (more_bytes.verdict, fewer.verdict) == ("worse", "better")
    assert lost.tolerance < 0.2 < lost.severity


def test_one_picture_alone_does_not_decide():
    (found,) = judge([figure([-3.0] + [0.0] * 23)], {})
    assert found.verdict == "same" and found.tolerance > abs(found.difference) == pytest.approx(0.125)


def test_differences_below_rounding_are_the_same():
    (found,) = judge([figure([-0.001] * 24)], {})
    assert found.verdict == "same"


def test_a_tolerance_of_the_user_comes_first():
    noise = np.random.default_rng(1).normal(-0.2, 0.01, 24)
    assert judge([figure(noise)], {"psnr": 0.5})[0].verdict == "same"
    assert judge([figure(noise)], {"psnr": 0.1})[0].verdict == "worse"
    assert judge([figure([-3.0] + [0.0] * 23)], {"psnr": 0.1})[0].verdict == "worse"


def test_undefined_resamples_leave_no_verdict():
    one = figure(np.zeros(24))
    drawn = one.draws - 1
    drawn[1:30] = np.nan
    (found,) = judge([Figure(one.where, one.what, one.values, drawn, 24, True, "dB")], {})
    assert found.verdict == "same" and found.tolerance == float("inf")


def test_tolerances_are_read_or_refused():
    assert parse_tolerances(["AP=0.5", "bytes = 1 %"], ["AP", "bytes"]) == {"AP": 0.5, "bytes": 1.0}
    with pytest.raises(UserError, match="there are AP, bytes"):
        parse_tolerances(["PSNR=1"], ["bytes", "AP"])


def test_the_worst_come_first():
    noise = np.random.default_rng(1).normal(0, 0.05, 24)
    found = ordered(judge([figure(noise + 0.3), figure(noise * 0), figure(noise - 0.2), figure(noise - 0.9)], {}))
    assert [one.verdict for one in found] == ["worse", "worse", "better", "same"]
    assert found[0].difference < found[1].difference
