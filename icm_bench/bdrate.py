"""Bjøntegaard deltas: how many bits more or less at equal quality, how much quality at equal bits.

Integration is that of the package ``bjontegaard`` over log10 rate. Around it stand the rules that make a
value trustworthy: curves that turn back are reduced to their Pareto front and flagged, nothing is
extrapolated, a small overlap gives a reason instead of a number, and a value comes with its range when any
one point is left out.

Source: G. Bjøntegaard, VCEG-M33 (2001); C. Herglotz et al., "Beyond Bjøntegaard", ICIP 2022 (Akima).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from icm_bench.errors import UserError

if TYPE_CHECKING:
    import numpy as np

#: Interpolations and the fewest points each needs.
INTERPOLATIONS = {"pchip": 3, "akima": 3, "cubic": 4}
#: Below this share of the narrower curve a delta is undefined.
MIN_OVERLAP = 0.25


@dataclass(frozen=True)
class Curve:
    """Points of one codec: rates in bits per pixel (positive) and quality, larger is better, in any order."""

    rates: tuple[float, ...]
    values: tuple[float, ...]

    def __post_init__(self) -> None:
        from math import isfinite

        if len(self.rates) != len(self.values):
            raise UserError(f"a curve has {len(self.rates)} rates but {len(self.values)} values")
        for rate, value in zip(self.rates, self.values, strict=True):
            if not (isfinite(rate) and rate > 0 and isfinite(value)):
                raise UserError(f"a curve holds the point ({rate}, {value}): rates are positive, values finite")

    def without(self, index: int) -> Curve:
        """The curve with one point left out."""
        return Curve(
            self.rates[:index] + self.rates[index + 1 :],
            self.values[:index] + self.values[index + 1 :],
        )


@dataclass(frozen=True)
class Options:
    """How deltas are computed.

    interpolation: "pchip", "akima" or "cubic"; shape: what a curve is reduced to before, "pareto" (its front)
    or "concave" (the nearest monotone concave curve in least squares); sensitivity: also leave out one point
    at a time; max_rate: compare up to this many bits per pixel only (the end point is interpolated).
    """

    interpolation: str = "pchip"
    shape: str = "pareto"
    min_overlap: float = MIN_OVERLAP
    sensitivity: bool = True
    max_rate: float | None = None

    def __post_init__(self) -> None:
        if self.interpolation not in INTERPOLATIONS:
            raise UserError(f"unknown interpolation {self.interpolation!r}: known are {', '.join(INTERPOLATIONS)}")
        if self.shape not in ("pareto", "concave"):
            raise UserError(f"unknown curve shape {self.shape!r}: known are pareto, concave")


@dataclass(frozen=True)
class Delta:
    """A Bjøntegaard delta, or the reason why there is none.

    value: percent of rate (BD-rate) or units of the metric (BD-metric), None when undefined. interval: where
    the two curves overlap, in metric units (BD-rate) or bits per pixel (BD-metric); overlap: its share of the
    narrower curve. notes: what was done to the points. sensitivity: lowest and highest value with any one
    point of either curve left out, None when undefined or not asked for; n_fragile: how many such omissions
    leave no defined value.
    """

    value: float | None
    overlap: float
    interval: tuple[float, float] | None = None
    reason: str | None = None
    notes: tuple[str, ...] = ()
    sensitivity: tuple[float, float] | None = None
    n_fragile: int = 0

    def text(self, unit: str = "") -> str:
        """The value with its sign, or "undefined: reason"."""
        return f"undefined: {self.reason}" if self.value is None else f"{self.value:+.1f}{unit}"


def bd_rate(anchor: Curve, test: Curve, options: Options | None = None) -> Delta:
    """Percent more (+) or fewer (-) bits than the anchor at equal quality, over their common range."""
    return _delta(anchor, test, options or Options(), _rate_value, _over_quality)


def bd_metric(anchor: Curve, test: Curve, options: Options | None = None) -> Delta:
    """Quality gained (+) or lost (-) at equal bits, averaged over the common range of log rate."""
    return _delta(anchor, test, options or Options(), _metric_value, _over_rate)


def relative_difference(anchor: Curve, test: Curve) -> tuple[list[float], list[float]] | None:
    """Quality, and percent more (+) or fewer (-) bits than the anchor there, over the range that both fronts share.

    By PCHIP in log rate; None where they share nothing, or a front has fewer than three points.
    """
    import numpy as np
    from scipy.interpolate import PchipInterpolator

    fronts = [pareto_front(curve) for curve in (anchor, test)]
    if min(len(front.rates) for front in fronts) < INTERPOLATIONS["pchip"]:
        return None
    low, high = max(front.values[0] for front in fronts), min(front.values[-1] for front in fronts)
    if not low < high:
        return None
    quality = np.linspace(low, high, 101)
    logs = [PchipInterpolator(front.values, np.log10(front.rates))(quality) for front in fronts]
    return quality.tolist(), (100 * (10 ** (logs[1] - logs[0]) - 1)).tolist()


def pareto_front(curve: Curve) -> Curve:
    """The points that no other point beats at fewer or equal bits, by rising rate and quality."""
    kept: list[tuple[float, float]] = []
    for rate, value in sorted(zip(curve.rates, curve.values, strict=True), key=lambda point: (point[0], -point[1])):
        if not kept or value > kept[-1][1]:
            kept.append((rate, value))
    return Curve(tuple(rate for rate, _ in kept), tuple(value for _, value in kept))


def cut(curve: Curve, max_rate: float, interpolation: str) -> Curve:
    """A rising curve up to a rate; where it goes on beyond, its value there is interpolated in log rate."""
    import numpy as np
    from scipy.interpolate import Akima1DInterpolator, CubicSpline, PchipInterpolator

    kept = sum(rate <= max_rate for rate in curve.rates)
    short = Curve(curve.rates[:kept], curve.values[:kept])
    if kept in (0, len(curve.rates)) or curve.rates[kept - 1] == max_rate or len(curve.rates) < 2:
        return short
    through = {"pchip": PchipInterpolator, "akima": Akima1DInterpolator, "cubic": CubicSpline}[interpolation]
    value = float(through(np.log10(curve.rates), curve.values)(np.log10(max_rate)))
    return Curve((*short.rates, max_rate), (*short.values, value))


def concave_fit(curve: Curve) -> Curve:
    """The nearest curve (least squares, at the same rates) that rises and is concave in the rate."""
    import numpy as np
    from scipy.optimize import lsq_linear

    order = np.argsort(curve.rates, kind="stable")
    rates, values = np.asarray(curve.rates)[order], np.asarray(curve.values)[order]
    # Every rising concave polygon is a constant plus ramps that end at one of the rates, with weights >= 0.
    ramps = np.minimum(rates[:, None], rates[None, 1:]) - rates[0]
    basis = np.hstack([np.ones((len(rates), 1)), ramps])
    lower = np.r_[-np.inf, np.zeros(len(rates) - 1)]
    fitted = basis @ lsq_linear(basis, values, (lower, np.full(len(rates), np.inf)), method="bvls").x
    # Rounding keeps a flat stretch flat: noise in the last digit would give it a meaningless inverse.
    return Curve(tuple(rates.tolist()), tuple(fitted.round(10).tolist()))


def _shaped(curve: Curve, role: str, options: Options) -> tuple[Curve, tuple[str, ...]]:
    notes = []
    if options.shape == "concave" and len(curve.rates) > 2:
        fitted = concave_fit(curve)
        by_rate = [value for _, value in sorted(zip(curve.rates, curve.values, strict=True))]
        moved = max(abs(a - b) for a, b in zip(fitted.values, by_rate, strict=True))
        notes.append(f"{role}: monotone concave fit, points moved by up to {moved:.3g}")
        # A flat stretch of the fit has no inverse; its first point stands for it.
        return pareto_front(fitted), tuple(notes)
    front = pareto_front(curve)
    dropped = len(curve.rates) - len(front.rates)
    if dropped:
        notes.append(f"{role}: not monotone, Pareto front of {len(front.rates)} of {len(curve.rates)} points")
    return front, tuple(notes)


#: ``bd_rate`` or ``bd_metric``.
DeltaOf = Callable[[Curve, Curve, Options | None], Delta]
_Axis = Callable[[Curve], "np.ndarray"]
_Value = Callable[[Curve, Curve, str], float]


def _delta(anchor: Curve, test: Curve, options: Options, value: _Value, axis: _Axis) -> Delta:
    delta = _one_delta(anchor, test, options, value, axis)
    if delta.value is None or not options.sensitivity:
        return delta
    found = [
        *(_one_delta(anchor.without(i), test, options, value, axis).value for i in range(len(anchor.rates))),
        *(_one_delta(anchor, test.without(i), options, value, axis).value for i in range(len(test.rates))),
    ]
    defined = [one for one in found if one is not None]
    span = (min(defined), max(defined)) if defined else None
    return replace(delta, sensitivity=span, n_fragile=len(found) - len(defined))


def _one_delta(anchor: Curve, test: Curve, options: Options, value: _Value, axis: _Axis) -> Delta:
    anchor, anchor_notes = _shaped(anchor, "anchor", options)
    test, test_notes = _shaped(test, "test", options)
    notes = (*anchor_notes, *test_notes)
    if options.max_rate is not None:
        anchor, test = (cut(curve, options.max_rate, options.interpolation) for curve in (anchor, test))
    needed = INTERPOLATIONS[options.interpolation]
    for role, curve in (("anchor", anchor), ("test", test)):
        if len(curve.rates) < needed:
            reason = f"{role} has {_points(len(curve.rates))}, {options.interpolation} needs {needed}"
            return Delta(None, 0.0, reason=reason, notes=notes)
    low, high, share = _overlap(axis(anchor), axis(test))
    if share < options.min_overlap:
        return Delta(None, share, reason=f"overlap {100 * share:.0f} %", notes=notes)
    interval = (low, high) if axis is _over_quality else (10**low, 10**high)
    return Delta(value(anchor, test, options.interpolation), share, interval, notes=notes)


def _points(n: int) -> str:
    return f"{n} point" if n == 1 else f"{n} points"


def _overlap(anchor: Sequence[float] | np.ndarray, test: Sequence[float] | np.ndarray) -> tuple[float, float, float]:
    low, high = float(max(min(anchor), min(test))), float(min(max(anchor), max(test)))
    narrower = float(min(max(anchor) - min(anchor), max(test) - min(test)))
    return low, high, max(high - low, 0.0) / narrower


def _over_quality(curve: Curve) -> np.ndarray:
    import numpy as np

    return np.asarray(curve.values)


def _over_rate(curve: Curve) -> np.ndarray:
    import numpy as np

    return np.log10(curve.rates)


def _rate_value(anchor: Curve, test: Curve, interpolation: str) -> float:
    from bjontegaard import bd_rate as integrate

    points = (anchor.rates, anchor.values, test.rates, test.values)
    return float(integrate(*points, interpolation, require_matching_points=False, min_overlap=0))


def _metric_value(anchor: Curve, test: Curve, interpolation: str) -> float:
    from bjontegaard import bd_psnr as integrate

    points = (anchor.rates, anchor.values, test.rates, test.values)
    return float(integrate(*points, interpolation, require_matching_points=False, min_overlap=0))
