"""Rows and curves under the paired bootstrap over pictures, and the intervals that follow.

Every row of one set of pictures is drawn with the same counts, so that two codecs are compared on the same resamples.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from icm_bench import bdbatch, bdrate, bootstrap, own_files, records, registry
from icm_bench.bootstrap import Interval, Plan
from icm_bench.errors import UserError
from icm_bench.rows import SCORED_BY
from icm_bench.selection import BOUNDS, BPP_INPUT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np
    import pandas as pd

    from icm_bench.curves import Series
    from icm_bench.store import Store
    from icm_bench.task import Task


@dataclass(frozen=True)
class Resampled:
    """Bits and quality of a curve, (1 + n_resamples, n_points) each; the first line is the data set itself."""

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


class Sampler:
    """The figures of a store's rows under one plan, each row read and resampled once."""

    def __init__(self, store: Store, plan: Plan) -> None:
        self.store, self.plan = store, plan
        self._rows: dict[str, tuple[tuple[str, ...], dict[str, np.ndarray]]] = {}
        self._counts: dict[int, np.ndarray] = {}
        self._tasks: dict[str, Task] = {}

    def row(self, row: pd.Series | Mapping[str, Any]) -> dict[str, np.ndarray]:
        """bpp, bpp_input_mean, psnr_mean, ms_ssim_mean and the task's metrics: (1 + n_resamples,) each.

        Raises UserError for a row whose pictures are not all there.
        """
        return self._of(row)[1]

    def bits(self, held: pd.DataFrame) -> dict[str, np.ndarray]:
        """Bits per pixel of each picture, by the key of each complete row."""
        import numpy as np

        found = {}
        for _, row in held[held["n_failed"] == 0].iterrows():
            sizes = records.sizes(self.store, records.where_of(self.store, row["key"]))
            if sizes:
                found[row["key"]] = np.array([8 * n_bytes / n_pixels for n_bytes, n_pixels in sizes])
        return found

    def pictures(self, row: pd.Series | Mapping[str, Any]) -> tuple[str, ...]:
        """The ids of a row's pictures, in their order."""
        return self._of(row)[0]

    def with_bounds(self, held: pd.DataFrame, progress: Callable[[int, int], None] | None = None) -> pd.DataFrame:
        """Rows with the interval of each figure in columns NAME_low and NAME_high; empty for incomplete rows.

        progress(done, total) is called after each row.
        """
        import pandas as pd

        bounds = []
        for done, (_, row) in enumerate(held.iterrows(), 1):
            found = self.intervals(row) if row["n_failed"] == 0 and isinstance(row["key"], str) else {}
            bounds.append(
                {f"{name}{end}": bound for name, one in found.items()
                 for end, bound in zip(BOUNDS, (one.low, one.high), strict=True)}
            )  # fmt: skip
            if progress is not None:
                progress(done, len(held))
        extra = pd.DataFrame.from_records(bounds, index=held.index)
        plain = held.drop(columns=[name for name in extra.columns if name in held.columns])
        return pd.concat([plain, extra.astype(float)], axis=1)

    def intervals(self, row: pd.Series | Mapping[str, Any]) -> dict[str, Interval]:
        """Each figure of a row with its interval."""
        return {name: bootstrap.interval(values, self.plan) for name, values in self.row(row).items()}

    def curve(self, one: Series, column: str) -> Resampled:
        """A curve of a column against its rate. Raises UserError for points on different pictures."""
        import numpy as np

        points = [row for _, row in one.rows.iterrows()]
        if len({self.pictures(row) for row in points}) != 1:
            raise UserError(f"{one.method}: its points were measured on different pictures")
        for row in points:
            if column not in self.row(row):
                raise UserError(f"{column}: no such figure of {row['method']} at {row['rate']:g}")
        made = [np.stack([self.row(row)[name] for row in points], 1) for name in (one.bits, column)]
        return Resampled(*made)

    def _of(self, row: pd.Series | Mapping[str, Any]) -> tuple[tuple[str, ...], dict[str, np.ndarray]]:
        key = row["key"]
        if key not in self._rows:
            plan = f"{SCORED_BY}, {self.plan.n_resamples} from {self.plan.seed}"
            kept = self.store.draws(key, plan)
            if kept is None:
                found = records.read(self.store, records.where_of(self.store, key))
                if len(found) < row["n_expected"]:
                    pictures = f"{len(found)} of {row['n_expected']:.0f} pictures"
                    raise UserError(f"{row['method']} at {row['rate']:g}: {pictures}, no interval")
                self._rows[key] = tuple(one.sample for one in found), self._figures(row, found)
                self.store.put_draws(key, plan, _packed(*self._rows[key]))
            else:
                self._rows[key] = _unpacked(kept)
        return self._rows[key]

    def _figures(self, row: Any, found: list[records.Record]) -> dict[str, np.ndarray]:
        n = len(found)
        if n not in self._counts:
            self._counts[n] = bootstrap.draws(n, self.plan)
        counts = self._counts[n]
        bits = [8 * one.n_bytes for one in found]
        figures = {
            "bpp": bootstrap.ratios(counts, bits, [one.n_pixels for one in found]),
            BPP_INPUT: bootstrap.means(counts, [b / one.pixels_seen for b, one in zip(bits, found, strict=True)]),
            "psnr_mean": bootstrap.means(counts, [one.psnr for one in found]),
            "ms_ssim_mean": bootstrap.means(counts, [one.ms_ssim for one in found]),
        }
        if isinstance(row["net"], str):
            spec = row["task_spec"]
            if spec not in self._tasks:
                own_files.check(spec)
                self._tasks[spec] = registry.task(spec)
            figures |= self._tasks[spec].resampled({one.sample: one.evidence for one in found}, counts)
        return figures


def _packed(pictures: tuple[str, ...], figures: dict[str, np.ndarray]) -> bytes:
    """A row's figures as bytes: values of the set itself in full, of the draws in single precision."""
    import numpy as np

    made = np.stack(list(figures.values()))
    head = json.dumps([pictures, list(figures)]).encode()
    body = made[:, :1].astype("<f8").tobytes() + made[:, 1:].astype("<f4").tobytes()
    return zlib.compress(len(head).to_bytes(4, "little") + head + body, 1)


def _unpacked(data: bytes) -> tuple[tuple[str, ...], dict[str, np.ndarray]]:
    import numpy as np

    data = zlib.decompress(data)
    start = 4 + int.from_bytes(data[:4], "little")
    pictures, names = json.loads(data[4:start])
    own = np.frombuffer(data, "<f8", len(names), start)[:, None]
    drawn = np.frombuffer(data, "<f4", offset=start + 8 * len(names)).reshape(len(names), -1)
    made = np.concatenate([own, drawn.astype(float)], 1)
    return tuple(pictures), dict(zip(names, made, strict=True))


def bd_rate(anchor: Resampled, test: Resampled, options: bdrate.Options, level: Plan | None = None) -> Bounded:
    """BD-rate in percent with its interval."""
    return _bounded((bdrate.bd_rate, bdbatch.bd_rates), anchor, test, (options, level))


def bd_metric(anchor: Resampled, test: Resampled, options: bdrate.Options, level: Plan | None = None) -> Bounded:
    """BD-metric in units of the metric with its interval."""
    return _bounded((bdrate.bd_metric, bdbatch.bd_metrics), anchor, test, (options, level))


def _bounded(
    deltas: tuple[bdrate.DeltaOf, Any], anchor: Resampled, test: Resampled, how: tuple[bdrate.Options, Plan | None]
) -> Bounded:
    import numpy as np

    (one_by_one, together), (options, plan) = deltas, how
    whole = one_by_one(anchor.curve(0), test.curve(0), options)
    if whole.value is None:
        return Bounded(whole)
    drawn = slice(1, None)
    plain = options.interpolation == "pchip" and options.shape == "pareto" and options.max_rate is None
    if plain and options.min_overlap == bdrate.MIN_OVERLAP:
        found = together((anchor.bpp[drawn], anchor.values[drawn]), (test.bpp[drawn], test.values[drawn]))
    else:
        quiet = replace(options, sensitivity=False)
        values = [one_by_one(anchor.curve(i), test.curve(i), quiet).value for i in range(1, len(anchor.bpp))]
        found = np.array([np.nan if value is None else value for value in values])
    bounds = bootstrap.interval(np.concatenate([[whole.value], found]), plan)
    return Bounded(whole, bounds.low, bounds.high)
