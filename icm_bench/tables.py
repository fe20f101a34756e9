"""Tables of results: for each task, net and data set the points, and one line per curve with its BD values.

Values stay numbers until ``icm_bench.table_text`` writes them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from icm_bench import bdrate, verification
from icm_bench.curves import (
    IMPORTED,
    Group,
    Series,
    beta_label,
    bits_column,
    find_series,
    groups,
    method_labels,
    one_axis,
    one_kind,
    series,
    short_spec,
)
from icm_bench.errors import UserError
from icm_bench.pareto import joined, on_fronts
from icm_bench.selection import BOUNDS, lossless

if TYPE_CHECKING:
    import pandas as pd

    from icm_bench.resampling import Sampler

_LONGEST_NOTE = 160
#: Head of the column with the main metric's interval.
INTERVAL = "95 %"


@dataclass(frozen=True)
class Comparison:
    """A curve against the anchor: BD values of one column of the rows, with their intervals where they are known."""

    label: str
    column: str
    rate: bdrate.Delta
    metric: bdrate.Delta
    rate_bounds: tuple[float, float] | None = None
    metric_bounds: tuple[float, float] | None = None


@dataclass(frozen=True)
class Table:
    """One group: its points, what its methods cost, BD values, and notes to stand below them.

    points: columns method, rate, beta, bpp, psnr, ms_ssim, the task's metrics and counts, n_pictures, n_expected,
    encode_ms, decode_ms (per picture); under a profile that resizes, bpp_input_mean in place of bpp. models: columns
    method, rates, betas (how many), checkpoints, parameters (what the whole grid of rates and betas needs).
    """

    group: Group
    points: pd.DataFrame
    models: pd.DataFrame
    anchor: str | None = None
    comparisons: tuple[Comparison, ...] = ()
    notes: tuple[str, ...] = field(default=())

    @property
    def title(self) -> str:
        """The data set, said plainly, and the net."""
        return self.group.data if self.group.net is None else f"{self.group.data} · {short_spec(self.group.net)}"


def build(
    rows: pd.DataFrame,
    anchor: str | None = None,
    options: bdrate.Options | None = None,
    sampler: Sampler | None = None,
    pareto: bool = False,
) -> list[Table]:
    """One table per task, net and data set. anchor: ``METHOD``, ``METHOD@BETA`` or a pattern whose curves are
    pooled. sampler: of the rows' store, for the intervals of BD values. pareto: the scales of a codec make one curve,
    and only points on fronts in the main metric are shown (BD values in PSNR are of the fronts in PSNR).

    Raises UserError for an anchor that no group holds, and for curves that do not share an axis with it.
    """
    made, refusals = [], []
    for group in groups(rows):
        comparisons: tuple[Comparison, ...] = ()
        held = None
        one_kind(group.rows, group.data)
        if anchor is not None:
            one_axis(group.rows, f"{group.data}: BD values")
            try:
                every = joined(series(group.rows)) if pareto else series(group.rows)
                comparisons = tuple(compare(group, every, anchor, options or bdrate.Options(), sampler))
                held = anchor
            except UserError as error:
                refusals.append(str(error))
        notes = _notes(group, comparisons)
        points = _points(on_fronts(group) if pareto else group)
        if pareto and len(points) < len(group.rows):
            shown = f"{len(points)} of {len(group.rows)} points are shown"
            notes = (*notes, f"Pareto fronts over rate and scale: {shown}")
        made.append(Table(group, points, _models(group), held, comparisons, notes))
    if anchor is not None and len(refusals) == len(made):
        raise UserError(refusals[0] if refusals else f"no results to compare with {anchor!r}")
    return made


def compare(
    group: Group, every: list[Series], anchor: str, options: bdrate.Options, sampler: Sampler | None = None
) -> list[Comparison]:
    """BD values of every other of a group's curves against the anchor, for the main metric and for PSNR."""
    base = find_series(every, anchor)
    columns = [name for name in (group.main_metric, "psnr_mean") if name]
    made = []
    for one in every:
        if one is base:
            continue
        for column in columns:
            falling = column == group.main_metric and not group.higher_is_better
            first, second = (_rising(curve.curve(column), falling) for curve in (base, one))
            rate = bdrate.bd_rate(first, second, options)
            metric = bdrate.bd_metric(first, second, options)
            if falling:
                note = f"{column}: lower is better, its negative is compared"
                rate = replace(rate, notes=(*rate.notes, note))
            bounds = (None, None) if sampler is None or falling else _bounds(sampler, (base, one), column, options)
            made.append(Comparison(beta_label(one.label, one.beta), column, rate, metric, *bounds))
    return made


def _bounds(
    sampler: Sampler, curves: tuple[Series, Series], column: str, options: bdrate.Options
) -> tuple[tuple[float, float] | None, tuple[float, float] | None]:
    """The intervals of BD-rate and BD-metric of two curves (anchor, test); None for what has none."""
    from icm_bench import resampling

    try:
        anchor, test = (sampler.curve(one, column) for one in curves)
    except UserError:  # points with pictures missing, or on other pictures
        return None, None
    quick = replace(options, sensitivity=False)
    found = (delta(anchor, test, quick, sampler.plan) for delta in (resampling.bd_rate, resampling.bd_metric))
    rate, metric = (None if one.low is None or one.high is None else (one.low, one.high) for one in found)
    return rate, metric


def _rising(curve: bdrate.Curve, falling: bool) -> bdrate.Curve:
    """The curve, with its values negated where lower is better."""
    return bdrate.Curve(curve.rates, tuple(-value for value in curve.values)) if falling else curve


def _points(group: Group) -> pd.DataFrame:
    import pandas as pd

    rows = _ordered(group.rows)
    labels = method_labels(rows)
    keys = zip(rows["method"], rows["checkpoint"], strict=True)
    columns: dict[str, Any] = {"method": [labels[(m, c if isinstance(c, str) else "")] for m, c in keys]}
    columns["rate"] = [
        "lossless" if free else f"{'' if pd.isna(name) else name} {rate:g}".strip()
        for name, rate, free in zip(rows["rate_name"], rows["rate"], lossless(rows), strict=True)
    ]
    columns |= {"beta": rows["beta"], group.bits: rows[group.bits], "psnr": _finite(rows["psnr_mean"])}
    columns["ms_ssim"] = rows["ms_ssim_mean"]
    for name in group.metrics:
        columns[name] = rows[name]
        if name == group.main_metric and f"{name}{BOUNDS[0]}" in rows.columns:
            columns[INTERVAL] = [_text(*ends) for ends in zip(*(rows[f"{name}{end}"] for end in BOUNDS), strict=True)]
    columns |= {name: rows[name] for name in group.counts}
    columns |= {name: rows[name] for name in ("n_pictures", "n_expected", "n_verified")}
    for name in ("encode", "decode"):
        columns[f"{name}_ms"] = 1000 * rows[f"{name}_s"].astype(float) / rows["n_pictures"]
    made = pd.DataFrame(columns, index=rows.index).reset_index(drop=True)
    optional = {"beta", "psnr", "ms_ssim", "n_verified", "encode_ms", "decode_ms"}
    return made.drop(columns=[name for name in made.columns if name in optional and made[name].isna().all()])


def _text(low: float, high: float) -> str | None:
    return None if low != low or high != high else f"{low:.1f} … {high:.1f}"


def _ordered(rows: pd.DataFrame) -> pd.DataFrame:
    """The uncompressed line first, then by method, by bits of the rate, by beta."""
    keyed = rows.assign(_coded=~lossless(rows))
    keyed["_bits"] = keyed.groupby(["method", "checkpoint", "rate"], dropna=False)[bits_column(rows)].transform("max")
    keyed = keyed.sort_values(["_coded", "method", "checkpoint", "_bits", "rate", "beta"], kind="stable")
    return keyed.drop(columns=["_coded", "_bits"])


def _finite(column: pd.Series) -> pd.Series:
    """PSNR of an exact copy is infinite: shown as absent."""
    import numpy as np

    return column.astype(float).replace([np.inf, -np.inf], np.nan)


def _models(group: Group) -> pd.DataFrame:
    import pandas as pd

    coded = group.rows[~lossless(group.rows)]
    labels = method_labels(coded)
    made = []
    for (method, checkpoint), part in coded.groupby(["method", "checkpoint"], dropna=False, sort=True):
        label = labels[(str(method), checkpoint if isinstance(checkpoint, str) else "")]
        counts = {"rates": part["rate"].nunique(), "betas": part["beta"].nunique() or float("nan")}
        cost = {name: float(part[name].max()) for name in ("checkpoints", "parameters")}
        made.append({"method": label} | counts | cost)
    return pd.DataFrame.from_records(made, columns=["method", "rates", "betas", "checkpoints", "parameters"])


def _notes(group: Group, comparisons: tuple[Comparison, ...]) -> tuple[str, ...]:
    made = [text] if (text := verification.warning(group.rows.to_dict("records"))) else []
    for _, row in group.rows[group.rows["error"].notna()].iterrows():
        text = " ".join(str(row["error"]).split())
        where = f"{row['method']} at {row['rate_name']} {row['rate']:g}"
        more = f" (and {row['n_failed'] - 1:.0f} more)" if row["n_failed"] > 1 else ""
        made.append(f"{where}: {text if len(text) <= _LONGEST_NOTE else text[: _LONGEST_NOTE - 1] + '…'}{more}")
    for method, source in group.rows.reindex(columns=["method", "source"]).dropna().drop_duplicates().to_numpy():
        made.append(f"{short_spec(method)}{IMPORTED}: not measured here, from {source}")
    for one in comparisons:
        for delta, name in ((one.rate, "BD-rate"), (one.metric, "BD-metric")):
            made += [f"{one.label}, {name} ({one.column}): {note}" for note in delta.notes]
    return tuple(dict.fromkeys(made))
