"""The bootstrap: reproducible, paired, and with the coverage that it claims."""

import numpy as np
import pytest

from icm_bench.bootstrap import Interval, Plan, draws, interval, means, ratios, rescored
from icm_bench.errors import UserError


def test_counts_draw_as_many_pictures_as_there_are():
    counts = draws(40, Plan(n_resamples=300))
    assert counts.shape == (301, 40) and (counts[0] == 1).all()
    assert (counts.sum(axis=1) == 40).all()
    # A picture stays out of a resample with probability (1 - 1/40)^40 = 0.363.
    assert (counts[1:] == 0).mean() == pytest.approx(0.363, abs=0.02)


def test_the_seed_decides():
    assert (draws(9, Plan(seed=3)) == draws(9, Plan(seed=3))).all()
    assert (draws(9, Plan(seed=3)) != draws(9, Plan(seed=4))).any()
    with pytest.raises(UserError, match="at least one picture"):
        draws(0)
    with pytest.raises(UserError, match="at least 100"):
        Plan(99)


def test_values_on_the_data_itself():
    assert interval(means(draws(3), [1.0, 2.0, 6.0])).value == 3
    assert interval(ratios(draws(2), [8.0, 8.0], [4.0, 12.0])).value == 1
    with pytest.raises(UserError, match="not 2 and 1"):
        ratios(draws(2), [1.0, 2.0], [1.0])


def test_a_ratio_of_sums_is_no_mean_of_ratios():
    bits, pixels = np.array([10.0, 400.0]), np.array([10.0, 100.0])
    found = interval(ratios(draws(2), bits, pixels))
    assert found.value == pytest.approx(410 / 110)
    assert found.low == 1 and found.high == 4


def test_pairing_removes_what_both_share():
    rng = np.random.default_rng(5)
    hard = rng.normal(30, 5, 80)
    first, second = hard + rng.normal(0, 0.1, 80), hard + 0.5 + rng.normal(0, 0.1, 80)
    counts = draws(80)
    paired = interval(means(counts, second) - means(counts, first))
    alone = interval(means(counts, first))
    assert paired.value == pytest.approx(second.mean() - first.mean())
    assert paired.excludes_zero and paired.low > 0.4
    assert paired.high - paired.low < (alone.high - alone.low) / 10
    same = interval(means(counts, first) - means(counts, first))
    assert (same.low, same.high) == (0, 0) and not same.excludes_zero


def test_what_is_undefined_has_no_interval():
    values = np.linspace(0, 1, 201)
    assert interval(np.where(np.arange(201) == 0, np.nan, values)) == Interval(None, None, None)
    few = np.where(np.arange(201) % 4 == 1, np.nan, values)
    assert interval(few) == Interval(0, None, None)
    rare = np.where(np.arange(201) == 7, np.nan, values)
    assert interval(rare).low is not None
    assert means(np.array([[1, 1], [0, 2]]), [3.0, None]).tolist()[0] == 3
    assert np.isnan(means(np.array([[1, 1], [0, 2]]), [3.0, None])[1])


def test_a_score_over_evidence_sees_pictures_as_often_as_drawn():
    evidence = {f"p{i}": value for i, value in enumerate([1.0, 2.0, 4.0, 8.0])}

    def score(drawn):
        return {"mean": sum(drawn.values()) / len(drawn)} | ({"largest": 8.0} if 8.0 in drawn.values() else {})

    found = rescored(score, evidence, np.array([[0, 3, 1, 0], [1, 1, 1, 1]]))
    assert found["mean"].tolist() == pytest.approx([(3 * 2 + 4) / 4, 15 / 4])
    assert np.isnan(found["largest"][0]) and found["largest"][1] == 8
    counts = draws(4, Plan(200))
    by_score = interval(rescored(score, evidence, counts)["mean"])
    by_mean = interval(means(counts, list(evidence.values())))
    assert (by_score.low, by_score.high) == pytest.approx((by_mean.low, by_mean.high))


def test_95_percent_intervals_cover_the_truth_in_93_to_97_of_100_worlds():
    rng = np.random.default_rng(11)
    worlds = rng.normal(0, 1, (2000, 80))
    counts = draws(80, Plan(n_resamples=600))
    found = [interval(means(counts, world)) for world in worlds]
    covered = np.mean([one.low <= 0 <= one.high for one in found])
    assert 0.93 <= covered <= 0.97
