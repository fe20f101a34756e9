"""Confidence by the paired bootstrap over pictures.

A resample is a row of counts: how often each picture was drawn. Every figure is made for all rows of counts at once,
the first of which is the data set itself, so that means, ratios of sums, summed confusion matrices and re-accumulated
AP all fit, and two methods are paired by giving both the same counts.

Source: B. Efron and R. Tibshirani, An Introduction to the Bootstrap (1993), percentile intervals.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from icm_bench.errors import UserError

if TYPE_CHECKING:
    import numpy as np

#: An interval is given when at least this share of the resamples has a defined value.
MIN_DEFINED = 0.95


@dataclass(frozen=True)
class Plan:
    """How many resamples, which seed, and which share of them the interval holds."""

    n_resamples: int = 1000
    seed: int = 0
    level: float = 0.95

    def __post_init__(self) -> None:
        if self.n_resamples < 100:
            raise UserError(f"{self.n_resamples} resamples: an interval of 95 % needs at least 100")


@dataclass(frozen=True)
class Interval:
    """A figure on the data set itself with its percentile interval; None for what is undefined."""

    value: float | None
    low: float | None
    high: float | None

    @property
    def excludes_zero(self) -> bool:
        """Whether a difference is told from zero at this level."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


def draws(n_pictures: int, plan: Plan | None = None) -> np.ndarray:
    """Counts (1 + n_resamples, n_pictures), each row summing to n_pictures; the first is all ones.

    The same plan gives the same rows.
    """
    import numpy as np

    if n_pictures < 1:
        raise UserError("a bootstrap needs at least one picture")
    plan = plan or Plan()
    rng = np.random.default_rng(plan.seed)
    drawn = rng.multinomial(n_pictures, np.full(n_pictures, 1 / n_pictures), size=plan.n_resamples)
    return np.vstack([np.ones((1, n_pictures), drawn.dtype), drawn])


def interval(values: np.ndarray, plan: Plan | None = None) -> Interval:
    """The interval of a figure made of ``draws``: (1 + n_resamples,), NaN where it is undefined."""
    import numpy as np

    own, drawn = float(values[0]), values[1:]
    if np.isnan(own):
        return Interval(None, None, None)
    defined = drawn[~np.isnan(drawn)]
    if len(defined) < MIN_DEFINED * len(drawn):
        return Interval(own, None, None)
    tail = 50 * (1 - (plan or Plan()).level)
    low, high = np.percentile(defined, [tail, 100 - tail])
    return Interval(own, float(low), float(high))


def means(counts: np.ndarray, values: Sequence[float | None] | np.ndarray) -> np.ndarray:
    """The mean over pictures, (n_draws,): PSNR, or top-1 from 0 and 100 for a miss and a hit.

    A picture whose value is None or NaN takes no part; a draw of such pictures only gives NaN.
    """
    import numpy as np

    given = np.array([np.nan if value is None else value for value in values], float)
    there = ~np.isnan(given)
    return ratios(counts, np.where(there, given, 0.0), there.astype(float))


def ratios(
    counts: np.ndarray, above: Sequence[float] | np.ndarray, below: Sequence[float] | np.ndarray
) -> np.ndarray:
    """A ratio of sums over pictures, (n_draws,): bpp from the bits and the original pixels of each picture."""
    import numpy as np

    numerators, denominators = np.asarray(above, dtype=float), np.asarray(below, dtype=float)
    if numerators.shape != denominators.shape:
        raise UserError(f"a ratio needs equally many values, not {len(numerators)} and {len(denominators)}")
    total = counts @ denominators
    return (counts @ numerators) / np.where(total == 0, np.nan, total)


def rescored(
    score: Callable[[Mapping[str, Any]], Mapping[str, float]], evidence: Mapping[str, Any], counts: np.ndarray
) -> dict[str, np.ndarray]:
    """Any scores over evidence keyed by picture id, made anew for each draw; (n_draws,) each.

    A picture drawn twice appears twice, the copies under ids with a NUL and a number appended, so the score
    must not look anything up by id. Slow: a task that can does better in ``Task.resampled``.
    """
    import numpy as np

    ids = list(evidence)
    found = []
    for row in counts.tolist():
        drawn = {
            key if copy == 0 else f"{key}\0{copy}": evidence[key]
            for key, count in zip(ids, row, strict=True)
            for copy in range(count)
        }
        found.append(score(drawn))
    names = dict.fromkeys(name for one in found for name in one)
    return {name: np.array([one.get(name, np.nan) for one in found], float) for name in names}
