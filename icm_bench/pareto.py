"""Fronts over the scales at which a codec was run, as MPEG's VCM conditions report their anchors.

A codec run with ``--coded-scale`` leaves one curve for each scale. For a net and a metric what counts of all of them
is the front: the points that no other point of the codec beats at fewer or equal bits. Source: the common test
conditions of MPEG Video Coding for Machines (ISO/IEC JTC 1/SC 29/WG 04).
"""

from __future__ import annotations

from dataclasses import replace

from icm_bench.bdrate import pareto_front
from icm_bench.curves import IMPORTED, Group, Series, series, short_spec
from icm_bench.selection import lossless
from icm_bench.spec import format_spec, parse_spec


def fronts(group: Group, column: str) -> list[Series]:
    """The front of each curve of a group in a column, the scales of one codec joined; curves without points are left
    out. Which way is better is the group's word for its main metric, else upwards.
    """
    falling = column == group.main_metric and not group.higher_is_better
    return [held for one in joined(series(group.rows)) if len((held := _front(one, column, falling)).rows)]


def joined(every: list[Series]) -> list[Series]:
    """The curves that differ in nothing but their scale as one, under the method of the first; others as they are."""
    import pandas as pd

    families: dict[tuple[object, ...], list[Series]] = {}
    for one in every:
        families.setdefault((*_family(one), one.beta), []).append(one)
    made = []
    for (base, *_), members in families.items():
        first = members[0]
        if len(members) > 1:
            rows = pd.concat([one.rows for one in members]).sort_values(first.bits)
            mark = IMPORTED if first.label.endswith(IMPORTED) else ""
            first = replace(first, label=f"{short_spec(str(base))}, {len(members)} scales{mark}", rows=rows)
        made.append(first)
    return made


def on_fronts(group: Group) -> Group:
    """The group with the rows on its fronts in the main metric (in PSNR where it has none), and the uncompressed."""
    import pandas as pd

    kept = [one.rows for one in fronts(group, group.main_metric or "psnr_mean")]
    return replace(group, rows=pd.concat([group.rows[lossless(group.rows)], *kept]))


def _family(one: Series) -> tuple[str, str, bool]:
    """Method without its scale, checkpoint, and whether the curve is imported."""
    name, params = parse_spec(one.method)
    params.pop("scale", None)
    return format_spec(name, params), str(one.rows["checkpoint"].iloc[0]), one.label.endswith(IMPORTED)


def _front(one: Series, column: str, falling: bool) -> Series:
    curve = one.curve(column)
    if falling:
        curve = replace(curve, values=tuple(-value for value in curve.values))
    front = pareto_front(curve)
    points = set(zip(front.rates, (-value if falling else value for value in front.values), strict=True))
    pairs = zip(one.rows[one.bits].astype(float), one.rows[column].astype(float), strict=True)
    rows = one.rows[[pair in points for pair in pairs]]
    return replace(one, rows=rows.drop_duplicates([one.bits, column]))
