"""The bootstrap: reproducible, paired, and with the coverage that it claims."""

import numpy as np
import pytest

from icm_bench.bootstrap import Plan, difference, interval, mean_of, ratio_of, resamples, score_of
from icm_bench.errors import UserError


def test_counts_draw_as_many_pictures_as_there_are():
    counts = resamples(40, Plan(n_resamples=300))
    assert counts.shape == (300, 40)
    assert (counts.sum(axis=1) == 40).all()
    # A picture stays out of a resample with probability (1 - 1/40)^40 = 0.363.
    assert (counts == 0).mean() == pytest.approx(0.363, abs=0.02)


def test_the_seed_decides():
    assert (resamples(9, Plan(seed=3)) == resamples(9, Plan(seed=3))).all()
    assert (resamples(9, Plan(seed=3)) != resamples(9, Plan(seed=4))).any()
    with pytest.raises(UserError, match="at least one picture"):
        resamples(0)


def test_values_on_the_data_itself():
    assert interval(mean_of([1.0, 2.0, 6.0]), 3).value == 3
    assert interval(ratio_of([8.0, 8.0], [4.0, 12.0]), 2).value == 1
    with pytest.raises(UserError, match="not 2 and 1"):
        ratio_of([1.0, 2.0], [1.0])


def test_a_ratio_of_sums_is_no_mean_of_ratios():
    bits, pixels = np.array([10.0, 400.0]), np.array([10.0, 100.0])
    found = interval(ratio_of(bits, pixels), 2)
    assert found.value == pytest.approx(410 / 110)
    assert found.low == 1 and found.high == 4


def test_pairing_removes_what_both_share():
    rng = np.random.default_rng(5)
    hard = rng.normal(30, 5, 80)
    first, second = hard + rng.normal(0, 0.1, 80), hard + 0.5 + rng.normal(0, 0.1, 80)
    paired = difference(mean_of(second), mean_of(first), 80)
    alone = interval(mean_of(first), 80)
    assert paired.value == pytest.approx(second.mean() - first.mean())
    assert paired.excludes_zero and paired.low > 0.4
    assert paired.high - paired.low < (alone.high - alone.low) / 10
    same = difference(mean_of(first), mean_of(first), 80)
    assert (same.low, same.high) == (0, 0) and not same.excludes_zero


def test_a_score_over_evidence_sees_pictures_as_often_as_drawn():
    evidence = {f"p{i}": value for i, value in enumerate([1.0, 2.0, 4.0, 8.0])}

    def score(drawn):
        return sum(drawn.values()) / len(drawn)

    counts = np.array([0, 3, 1, 0])
    assert score_of(score, evidence)(counts) == pytest.approx((3 * 2 + 4) / 4)
    by_score = interval(score_of(score, evidence), 4, Plan(200))
    by_mean = interval(mean_of(list(evidence.values())), 4, Plan(200))
    assert (by_score.low, by_score.high) == pytest.approx((by_mean.low, by_mean.high))


def test_95_percent_intervals_cover_the_truth_in_93_to_97_of_100_worlds():
    rng = np.random.default_rng(11)
    worlds = rng.normal(0, 1, (2000, 80))
    counts = resamples(80, Plan(n_resamples=600))
    means = worlds @ counts.T / 80
    low, high = np.percentile(means, [2.5, 97.5], axis=1)
    one = interval(mean_of(worlds[0]), 80, Plan(n_resamples=600))
    assert (one.low, one.high) == pytest.approx((low[0], high[0]))
    covered = ((low <= 0) & (high >= 0)).mean()
    assert 0.93 <= covered <= 0.97
