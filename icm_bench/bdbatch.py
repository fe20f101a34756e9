"""Bjøntegaard deltas of many resamples of two curves at once.

The rules are those of ``bdrate`` with PCHIP on Pareto fronts, which stays the reference that the tests hold it to.
One delta after another takes ten to a hundred times longer, nearly all of it in building interpolators.

Source of the slopes: F. Fritsch and J. Butland, SIAM J. Sci. Stat. Comput. 5 (1984), as in scipy's PchipInterpolator.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from icm_bench.bdrate import INTERPOLATIONS, MIN_OVERLAP

if TYPE_CHECKING:
    from numpy import ndarray

_POINTS = INTERPOLATIONS["pchip"]


def bd_rates(anchor: tuple[ndarray, ndarray], test: tuple[ndarray, ndarray]) -> ndarray:
    """BD-rates in percent, (n,), NaN where undefined. anchor, test: rates and values, (n, points) each."""
    mean = _mean_gaps(anchor, test, over_quality=True)
    percent: ndarray = 100 * (10**mean - 1)
    return percent


def bd_metrics(anchor: tuple[ndarray, ndarray], test: tuple[ndarray, ndarray]) -> ndarray:
    """BD-metrics in units of the metric, (n,), NaN where undefined. anchor, test as for ``bd_rates``."""
    return _mean_gaps(anchor, test, over_quality=False)


def _mean_gaps(anchor: tuple[ndarray, ndarray], test: tuple[ndarray, ndarray], over_quality: bool) -> ndarray:
    """Mean of test - anchor over the range that both share; log10 rates over quality, or the other way round."""
    sorted_curves = [_by_rate(*curve) for curve in (anchor, test)]
    fronts = [_front(values) for _, values in sorted_curves]
    gaps = np.full(len(anchor[0]), np.nan)
    # Resamples that keep the same points are worked through together.
    patterns, member = np.unique(np.concatenate(fronts, 1), axis=0, return_inverse=True)
    for number, pattern in enumerate(patterns):
        rows = np.flatnonzero(member.ravel() == number)
        kept = np.split(pattern, [fronts[0].shape[1]])
        if min(one.sum() for one in kept) < _POINTS:
            continue
        curves = []
        for (rates, values), points in zip(sorted_curves, kept, strict=True):
            x, y = np.log10(rates[rows][:, points]), values[rows][:, points]
            curves.append((y, x) if over_quality else (x, y))
        gaps[rows] = _gap(*curves)
    return gaps


def _by_rate(rates: ndarray, values: ndarray) -> tuple[ndarray, ndarray]:
    """Points by rising rate; of equal rates the better one first."""
    order = np.lexsort((-values, rates), axis=1)
    return np.take_along_axis(rates, order, 1), np.take_along_axis(values, order, 1)


def _front(values: ndarray) -> ndarray:
    """Which points, by rising rate, are better than all before them."""
    before = np.maximum.accumulate(values, 1)[:, :-1]
    return np.concatenate([np.ones((len(values), 1), bool), values[:, 1:] > before], 1)


def _gap(anchor: tuple[ndarray, ndarray], test: tuple[ndarray, ndarray]) -> ndarray:
    low = np.maximum(anchor[0][:, 0], test[0][:, 0])
    high = np.minimum(anchor[0][:, -1], test[0][:, -1])
    narrower = np.minimum(*(x[:, -1] - x[:, 0] for x, _ in (anchor, test)))
    defined = (high - low) / narrower >= MIN_OVERLAP
    with np.errstate(invalid="ignore", divide="ignore"):
        gap = (_integral(*test, low, high) - _integral(*anchor, low, high)) / (high - low)
    return np.where(defined, gap, np.nan)


def _integral(x: ndarray, y: ndarray, low: ndarray, high: ndarray) -> ndarray:
    """Integral of the PCHIP interpolant from low to high, row by row."""
    width, rise = np.diff(x), np.diff(y)
    slopes = _slopes(width, rise / width)
    start = np.clip((low[:, None] - x[:, :-1]) / width, 0, 1)
    end = np.clip((high[:, None] - x[:, :-1]) / width, 0, 1)
    # On each piece y = a + b t + c t^2 + d t^3 for t in 0 .. 1.
    first, second = slopes[:, :-1] * width, slopes[:, 1:] * width
    parts = (y[:, :-1], first, 3 * rise - 2 * first - second, first + second - 2 * rise)
    areas = sum(part * (end**power - start**power) / power for power, part in enumerate(parts, 1))
    total: ndarray = (areas * width).sum(1)
    return total


def _slopes(width: ndarray, secant: ndarray) -> ndarray:
    """The slope at each point: a weighted harmonic mean inside, three-point formulae at the ends."""
    before, after = secant[:, :-1], secant[:, 1:]
    weight_before = 2 * width[:, 1:] + width[:, :-1]
    weight_after = width[:, 1:] + 2 * width[:, :-1]
    with np.errstate(invalid="ignore", divide="ignore"):
        inside = (weight_before + weight_after) / (weight_before / before + weight_after / after)
    inside = np.where(before * after > 0, inside, 0.0)
    ends = (
        _end(width[:, 0], width[:, 1], secant[:, 0], secant[:, 1]),
        _end(width[:, -1], width[:, -2], secant[:, -1], secant[:, -2]),
    )
    return np.concatenate([ends[0][:, None], inside, ends[1][:, None]], 1)


def _end(width: ndarray, next_width: ndarray, secant: ndarray, next_secant: ndarray) -> ndarray:
    slope = ((2 * width + next_width) * secant - width * next_secant) / (width + next_width)
    slope = np.where(np.sign(slope) != np.sign(secant), 0.0, slope)
    steep = (np.sign(secant) != np.sign(next_secant)) & (np.abs(slope) > 3 * np.abs(secant))
    return np.where(steep, 3 * secant, slope)
