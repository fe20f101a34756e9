"""Groups of rows as plain data for the page: curves, tables, notes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from icm_bench import plot_style, table_text
from icm_bench.curves import Series, beta_label, series, short_spec
from icm_bench.plot_curves import axis_name
from icm_bench.selection import BOUNDS, BPP_INPUT, lossless

if TYPE_CHECKING:
    import pandas as pd

    from icm_bench.tables import Table

_RATES = {"bpp": "bits per pixel", BPP_INPUT: "bits per input pixel, mean over pictures"}


def group(table: Table) -> dict[str, Any]:
    """One group: what it is, its curves for the chart, and its tables as text."""
    rows, metric = table.group.rows, table.group.main_metric
    columns = [name for name in (metric, "psnr_mean") if name]
    looks = plot_style.looks(rows.loc[~lossless(rows), "method"])
    free = rows[lossless(rows)]
    return {
        "id": table.group.slug,
        "title": table.group.data,
        "net": None if table.group.net is None else short_spec(table.group.net),
        "task": short_spec(table.group.task),
        "rate": _RATES[table.group.bits],
        "columns": [{"name": name, "label": axis_name(name)} for name in columns],
        "uncompressed": {name: _number(free[name].iloc[0]) for name in columns if len(free)},
        "curves": [_curve(one, columns, looks[one.method][0]) for one in series(rows)],
        "tables": [
            {"caption": sheet.caption, "heads": sheet.heads, "rows": sheet.cells, "left": sheet.left}
            for sheet in table_text.sheets(table)
        ],
        "deltas": [
            {"curve": one.label, "anchor": table.anchor, "text": one.rate.text(" %"), "bounds": one.rate_bounds}
            for one in table.comparisons
            if one.column == metric or not metric
        ],
        "notes": list(table.notes),
    }


def _curve(one: Series, columns: list[str], colour: str) -> dict[str, Any]:
    rows = one.rows
    points = {name: _numbers(rows, name) for name in columns}
    bounds = {name: [_numbers(rows, f"{name}{end}") for end in BOUNDS] for name in columns}
    return {
        "label": beta_label(one.label, one.beta),
        "method": one.label,
        "beta": one.beta,
        "colour": colour,
        "bits": _numbers(rows, one.bits),
        "values": points,
        "bounds": bounds,
        "points": [f"{name} {rate:g}" for name, rate in zip(rows["rate_name"], rows["rate"], strict=True)],
    }


def _numbers(rows: pd.DataFrame, name: str) -> list[float | None] | None:
    return [_number(value) for value in rows[name]] if name in rows.columns else None


def _number(value: Any) -> float | None:
    """A number for JSON, to six digits; None for what is none."""
    number = float(value) if value is not None else float("nan")
    return float(f"{number:.6g}") if abs(number) < float("inf") else None
