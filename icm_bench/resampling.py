"""Curves under the paired bootstrap over pictures, and the intervals of Bjøntegaard deltas that follow.

Every curve of one set of pictures is drawn with the same counts, so that two codecs are compared on the same
resamples.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from icm_bench import bdrate, registry, rows
from icm_bench.bootstrap import Plan, Statistic, ratio_of, resamples
from icm_bench.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from icm_bench.store import Store

#: An interval is given when at least this share of the resamples has a defined value.
MIN_DEFINED = 0.95


@dataclass(frozen=True)
class Resampled:
    """bpp and quality, (1 + n_resamples, n_points) each; the first line is the data set itself."""

    bpp: np.ndarray
    values: np.ndarray

    def curve(self, line: int) -> bdrate.Curve:
        return bdrate.Curve(tuple(self.bpp[line].tolist()), tuple(self.values[line].tolist()))


@dataclass(frozen=True)
class Bounded:
    """A delta with its 95 % interval; None when the delta or too many of its resamples are undefined."""

    delta: bdrate.Delta
    low: float | None = None
    high: float | None = None


def resample(store: Store, points: pd.DataFrame, column: str, plan: Plan) -> Resampled:
    """The points of one curve (rows of the store, by their keys) under all resamples of a plan.

    column: the task's main metric or "psnr_mean". Raises UserError for another column, for points on different
    pictures, and for points with pictures missing.
    """
    import numpy as np

    drawn: list[tuple[Statistic, Statistic]] = []
    counted: set[tuple[str, ...]] = set()
    for _, row in points.iterrows():
        found = rows.records(store, row["key"])
        if len(found) < row["n_expected"]:
            raise UserError(f"{row['method']} at {row['rate']:g}: {len(found)} of {row['n_expected']:.0f} pictures")
        counted.add(tuple(found["sample"]))
        drawn.append((ratio_of(8 * found["n_bytes"], found["n_pixels"]), _quality(store, row, found, column)))
    if len(counted) != 1:
        raise UserError(f"{points['method'].iloc[0]}: its points were measured on different pictures")
    n = len(next(iter(counted)))
    counts = np.vstack([np.ones((1, n), int), resamples(n, plan)])
    made = np.array([[(bpp(line), value(line)) for bpp, value in drawn] for line in counts])
    return Resampled(made[:, :, 0], made[:, :, 1])


def _quality(store: Store, row: pd.Series, found: pd.DataFrame, column: str) -> Statistic:
    if column == "psnr_mean":
        finite = found["psnr"].notna()
        return ratio_of(found["psnr"].fillna(0).astype(float), finite.astype(float))
    task = registry.task(row["task_spec"])
    if column != task.main_metric:
        raise UserError(f"{column}: intervals are there for {task.main_metric} and psnr_mean")
    return task.statistic(rows.evidence(store, row["key"]))


def bd_rate(anchor: Resampled, test: Resampled, options: bdrate.Options) -> Bounded:
    """BD-rate in percent with its interval."""
    return _bounded(bdrate.bd_rate, anchor, test, options)


def bd_metric(anchor: Resampled, test: Resampled, options: bdrate.Options) -> Bounded:
    """BD-metric in units of the metric with its interval."""
    return _bounded(bdrate.bd_metric, anchor, test, options)


def _bounded(delta: bdrate.DeltaOf, anchor: Resampled, test: Resampled, options: bdrate.Options) -> Bounded:
    import numpy as np

    whole = delta(anchor.curve(0), test.curve(0), options)
    if whole.value is None:
        return Bounded(whole)
    found = [delta(anchor.curve(i), test.curve(i), options).value for i in range(1, len(anchor.bpp))]
    defined = [value for value in found if value is not None]
    if len(defined) < MIN_DEFINED * len(found):
        return Bounded(whole)
    low, high = np.percentile(defined, [2.5, 97.5])
    return Bounded(whole, float(low), float(high))
