"""Confidence by the paired bootstrap over pictures.

A resample is a row of counts: how often each picture was drawn. A statistic is a function of such counts, so
that means, ratios of sums, summed confusion matrices and re-accumulated AP all fit, and two methods are
paired by giving both the same counts.

Source: B. Efron and R. Tibshirani, An Introduction to the Bootstrap (1993), percentile intervals.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from icm_bench.errors import UserError

if TYPE_CHECKING:
    import numpy as np

#: A figure over pictures, from int counts (n_pictures,), all ones for the data set itself.
Statistic = Callable[["np.ndarray"], float]


@dataclass(frozen=True)
class Plan:
    """How many resamples, which seed, and which share of them the interval holds."""

    n_resamples: int = 1000
    seed: int = 0
    level: float = 0.95


@dataclass(frozen=True)
class Interval:
    """A figure on the data set itself with its percentile interval."""

    value: float
    low: float
    high: float
    plan: Plan = Plan()

    @property
    def excludes_zero(self) -> bool:
        """Whether a difference is told from zero at this level."""
        return self.low > 0 or self.high < 0


def resamples(n_pictures: int, plan: Plan | None = None) -> np.ndarray:
    """Counts (n_resamples, n_pictures), each row summing to n_pictures. The same plan gives the same rows."""
    import numpy as np

    if n_pictures < 1:
        raise UserError("a bootstrap needs at least one picture")
    plan = plan or Plan()
    rng = np.random.default_rng(plan.seed)
    return rng.multinomial(n_pictures, np.full(n_pictures, 1 / n_pictures), size=plan.n_resamples)


def interval(statistic: Statistic, n_pictures: int, plan: Plan | None = None) -> Interval:
    """A statistic over n_pictures with its interval."""
    import numpy as np

    plan = plan or Plan()
    drawn = [statistic(counts) for counts in resamples(n_pictures, plan)]
    tail = 50 * (1 - plan.level)
    low, high = np.percentile(drawn, [tail, 100 - tail])
    return Interval(float(statistic(np.ones(n_pictures, dtype=int))), float(low), float(high), plan)


def difference(test: Statistic, anchor: Statistic, n_pictures: int, plan: Plan | None = None) -> Interval:
    """The paired difference test - anchor over the same pictures in the same order, with its interval."""
    return interval(lambda counts: test(counts) - anchor(counts), n_pictures, plan)


def mean_of(values: Sequence[float] | np.ndarray) -> Statistic:
    """The mean over pictures: PSNR, or top-1 from 0 and 100 for a miss and a hit."""
    return ratio_of(values, [1.0] * len(values))


def ratio_of(numerators: Sequence[float] | np.ndarray, denominators: Sequence[float] | np.ndarray) -> Statistic:
    """A ratio of sums over pictures: bpp from the bits and the original pixels of each picture."""
    import numpy as np

    above, below = np.asarray(numerators, dtype=float), np.asarray(denominators, dtype=float)
    if above.shape != below.shape:
        raise UserError(f"a ratio needs equally many values, not {len(above)} and {len(below)}")
    return lambda counts: float(counts @ above / (counts @ below))


def score_of(score: Callable[[Mapping[str, Any]], float], evidence: Mapping[str, Any]) -> Statistic:
    """Any score over evidence keyed by picture id, scored anew for each resample.

    A picture drawn twice appears twice, the copies under ids with a NUL and a number appended, so the score
    must not look anything up by id. Slow for AP: give it a statistic of its own that re-accumulates matches.
    """
    ids = list(evidence)

    def statistic(counts: np.ndarray) -> float:
        drawn = {
            key if copy == 0 else f"{key}\0{copy}": evidence[key]
            for key, count in zip(ids, counts.tolist(), strict=True)
            for copy in range(count)
        }
        return float(score(drawn))

    return statistic
