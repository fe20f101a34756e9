"""What a check says: figures with tolerances, and findings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from icm_bench.errors import UserError

if TYPE_CHECKING:
    import numpy as np

#: Chance that a check with no real change finds anything worse.
FALSE_ALARM = 0.01
#: Differences of no consequence, below the rounding of what a baseline keeps.
NEGLIGIBLE = {"%": 0.02, "dB": 0.002, "points": 0.02}
VERDICTS = ("worse", "changed", "better", "same")


@dataclass(frozen=True)
class Figure:
    """One figure before and now. draws: its paired difference, of the pictures themselves and of each resample."""

    where: str
    what: str
    values: tuple[float, float]
    draws: np.ndarray
    n_pictures: int
    higher_is_better: bool
    unit: str


@dataclass(frozen=True)
class Finding:
    """verdict: one of VERDICTS. difference: now against before, tolerance: how far it may go, both in unit."""

    verdict: str
    where: str
    what: str
    text: str
    difference: float | None = None
    tolerance: float | None = None
    unit: str = ""
    severity: float = 0.0


def judge(figures: list[Figure], allowed: Mapping[str, float]) -> list[Finding]:
    """A finding for each figure. allowed: tolerances by the figure's name that replace the bootstrap's."""
    return [_judged(one, allowed, len(figures)) for one in figures]


def _judged(one: Figure, allowed: Mapping[str, float], n_figures: int) -> Finding:
    difference = float(one.draws[0])
    tolerance = allowed.get(one.what.partition(" · ")[0])
    if tolerance is None:
        tolerance = max(_factor(one.n_pictures, n_figures) * _standard_error(one.draws), NEGLIGIBLE[one.unit])
    gain = difference if one.higher_is_better else -difference
    verdict = "worse" if gain < -tolerance else "better" if gain > tolerance else "same"
    text = f"{one.values[1]:.4g}, was {one.values[0]:.4g}"
    if one.what.startswith("BD-rate"):
        text = f"{difference:+.2f} % bits at equal quality"
    severity = abs(difference) / tolerance if tolerance else float("inf")
    return Finding(verdict, one.where, one.what, text, difference, tolerance, one.unit, severity)


def _standard_error(draws: np.ndarray) -> float:
    """Of the difference; infinite where a part of the resamples leaves it undefined."""
    import numpy as np

    from icm_bench.bootstrap import MIN_DEFINED

    drawn = draws[1:][np.isfinite(draws[1:])]
    return float(drawn.std(ddof=1)) if len(drawn) >= MIN_DEFINED * len(draws[1:]) else float("inf")


def _factor(n_pictures: int, n_figures: int) -> float:
    """Standard errors that chance passes in one of n_figures with probability FALSE_ALARM."""
    from scipy.stats import t

    return float(t.isf(FALSE_ALARM / n_figures, max(n_pictures - 1, 1)))


def parse_tolerances(texts: Iterable[str], known: Iterable[str]) -> dict[str, float]:
    """"AP=0.5" and "bytes=1%" as numbers by figure. Raises UserError naming what there is."""
    names = sorted(set(known))
    found = {}
    for text in texts:
        name, _, value = text.partition("=")
        try:
            found[name.strip()] = abs(float(value.strip().removesuffix("%").strip()))
        except ValueError:
            raise UserError(f"--tolerance {text!r}: expected NAME=NUMBER, as in AP=0.5 or bytes=1%") from None
        if name.strip() not in names:
            raise UserError(f"--tolerance {text!r}: no such figure, there are {', '.join(names)}")
    return found


def ordered(findings: Iterable[Finding]) -> list[Finding]:
    """The worst first."""
    return sorted(findings, key=lambda one: (VERDICTS.index(one.verdict), -one.severity, one.where, one.what))
