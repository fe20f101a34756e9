"""Paired differences of two codecs, or of two runs of one: point by point, and over whole curves.

Both are drawn with the same resamples of the same pictures, so that what the pictures share cancels out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from icm_bench import bdrate, bootstrap, resampling
from icm_bench.bootstrap import Interval
from icm_bench.curves import Group, Series, beta_label, beta_of, find_series, groups, series, short_spec
from icm_bench.errors import UserError
from icm_bench.resampling import Bounded, Sampler

if TYPE_CHECKING:
    import pandas as pd

#: What identifies a point of two runs, beside its group.
_POINT = ["method", "rate_name", "rate", "beta", "profile"]


@dataclass(frozen=True)
class PointDifference:
    """One rate setting: B against A. bits: percent more bytes; others: B - A in units of the figure."""

    where: str
    point: str
    bits: Interval
    figures: dict[str, Interval]


@dataclass(frozen=True)
class CurveDifference:
    """Whole curves: BD-rate (percent) and BD-metric of B against the anchor A, for one column."""

    where: str
    column: str
    rate: Bounded
    metric: Bounded


def curves(
    rows: pd.DataFrame, sampler: Sampler, names: tuple[str, str]
) -> Iterator[CurveDifference | PointDifference]:
    """Two curves of one store, METHOD or METHOD@BETA each, in every group that holds both.

    Rate settings of one name and value are compared point by point too. Raises UserError when no group holds both.
    """
    refusal: UserError | None = None
    found = False
    for group in groups(rows):
        try:
            pair = [find_series(series(group.rows), name) for name in names]
        except UserError as error:
            refusal = error
            continue
        found = True
        yield from _of_group(group, pair, sampler)
    if not found:
        raise refusal or UserError("nothing to compare: there are no coded rows")


def _of_group(group: Group, pair: list[Series], sampler: Sampler) -> Iterator[CurveDifference | PointDifference]:
    where = _where(group)
    columns = [name for name in (group.main_metric, "psnr_mean") if name]
    for column in columns:
        first, second = (sampler.curve(one, column) for one in pair)
        options = bdrate.Options(sensitivity=False)
        found = (delta(first, second, options, sampler.plan) for delta in (resampling.bd_rate, resampling.bd_metric))
        yield CurveDifference(where, column, *found)
    common = pair[0].rows.merge(pair[1].rows, on=["rate_name", "rate"], suffixes=("_a", "_b"))
    for _, both in common.iterrows():
        rows = [pair[at].rows[pair[at].rows["key"] == both[f"key_{end}"]].iloc[0] for at, end in enumerate("ab")]
        yield _point(where, f"{both['rate_name']} {both['rate']:g}", (sampler, sampler), (rows[0], rows[1]), columns)


def runs(
    rows: tuple[pd.DataFrame, pd.DataFrame], samplers: tuple[Sampler, Sampler]
) -> Iterator[PointDifference]:
    """Every point that two runs share: the same pictures, net, method, rate and trade-off.

    Raises UserError when they share none.
    """
    other = {_where(group): group for group in groups(rows[1])}
    found = False
    for group in groups(rows[0]):
        if _where(group) not in other:
            continue
        columns = [name for name in (group.main_metric, "psnr_mean") if name]
        pairs = group.rows.reset_index().merge(
            other[_where(group)].rows.reset_index(), on=_POINT, suffixes=("_a", "_b")
        )
        for _, both in pairs.iterrows():
            first = group.rows[group.rows["key"] == both["key_a"]].iloc[0]
            second = other[_where(group)].rows
            second = second[second["key"] == both["key_b"]].iloc[0]
            method = beta_label(short_spec(both["method"]), beta_of(both["beta"]))
            label = f"{method}, {both['rate_name']} {both['rate']:g}"
            found = True
            yield _point(_where(group), label, samplers, (first, second), columns)
    if not found:
        raise UserError("the two runs share no point: same data, net, method, rate and beta are needed")


def _point(
    where: str, label: str, samplers: tuple[Sampler, Sampler], rows: tuple[pd.Series, pd.Series], columns: list[str]
) -> PointDifference:
    pictures = [sampler.pictures(row) for sampler, row in zip(samplers, rows, strict=True)]
    if pictures[0] != pictures[1]:
        raise UserError(f"{where}, {label}: measured on different pictures, a paired difference needs the same")
    first, second = (sampler.row(row) for sampler, row in zip(samplers, rows, strict=True))
    plan = samplers[0].plan
    bits = bootstrap.interval(100 * (second["bpp"] / first["bpp"] - 1), plan)
    return PointDifference(
        where, label, bits, {name: bootstrap.interval(second[name] - first[name], plan) for name in columns}
    )


def _where(group: Group) -> str:
    return group.data if group.net is None else f"{group.data} · {short_spec(group.net)}"
