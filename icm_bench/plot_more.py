"""Further figures: the rate-beta surface, relative curve differences, histograms of per-picture rates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from icm_bench import bdrate, plot_style
from icm_bench.curves import Group, beta_label, beta_of, find_series, series, short_spec
from icm_bench.errors import UserError
from icm_bench.pareto import fronts
from icm_bench.plot_curves import Look, Looks, axis_name, draw_names, subtitle
from icm_bench.plot_labels import Name
from icm_bench.selection import lossless

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import pandas as pd
    from matplotlib.figure import Figure

#: From here to white the numbers in the cells are written in white.
_DARK = 0.5
_BINS = 24


def surface(group: Group, metric: str, method: str, look: Look) -> Figure | None:
    """The metric over beta and rate setting of one method, a number in each cell; None without such a grid."""
    rows = group.rows[(group.rows["method"] == method) & group.rows["beta"].notna() & group.rows[metric].notna()]
    grid = rows.pivot_table(index="rate", columns="beta", values=metric)
    if grid.shape[0] < 2 or grid.shape[1] < 2:
        return None
    figure, axes = plot_style.new_figure(look.width)
    axes.pcolormesh(range(grid.shape[1] + 1), range(grid.shape[0] + 1), grid, cmap="cividis")
    low, high = grid.min(axis=None), grid.max(axis=None)
    middle = [[place + 0.5 for place in range(size)] for size in grid.shape]
    for y, values in zip(middle[0], grid.to_numpy(), strict=True):
        for x, value in zip(middle[1], values, strict=True):
            if value == value:
                ink = "white" if value - low < _DARK * (high - low) else plot_style.INK
                axes.text(x, y, f"{value:.1f}", ha="center", va="center", fontsize=6.5, color=ink)
    bits = rows.groupby("rate")[group.bits].agg(["min", "max"])
    name = rows["rate_name"].iloc[0]
    spans = [f"{name} {rate:g}: {low:.2f}–{high:.2f} bpp" for rate, low, high in bits.itertuples()]
    axes.set_yticks(middle[0], spans)
    axes.set_xticks(middle[1], [f"{beta:g}" for beta in grid.columns])
    axes.grid(False)
    axes.tick_params(length=0)
    axes.set_xlabel("β  (0: for the eye, 1: for machines)")
    plot_style.headings(axes, group.data, f"{axis_name(metric)} of {short_spec(method)}", False)
    figure.supxlabel(subtitle(group), fontsize=6.2, color=plot_style.QUIET, x=0.01, ha="left")
    return figure


def difference(group: Group, column: str, looks: Looks, look: Look) -> Figure | None:
    """Percent more or fewer bits than the anchor at each quality both reach; None where no curve overlaps.

    Source: C. Herglotz et al., "The Bjøntegaard Bible" (2023), relative curve difference.
    """
    every = fronts(group, column) if look.pareto else series(group.rows[group.rows[column].notna()])
    try:
        anchor = find_series(every, str(look.anchor))
    except UserError:
        return None
    figure, axes = plot_style.new_figure(look.width)
    names = []
    for one in every:
        found = None if one is anchor else bdrate.relative_difference(anchor.curve(column), one.curve(column))
        if found is None or (one.beta is not None and one.beta not in (0.0, 1.0, look.beta)):
            continue
        colour, _ = looks[one.method]
        dashes = "-" if one.beta in (None, 1.0) else (0, (4, 1.5))
        (line,) = axes.plot(*found, color=colour, linestyle=dashes, zorder=3)
        names.append(Name(line, beta_label(one.label, one.beta), colour))
    if not names:
        return None
    axes.axhline(0, color=plot_style.QUIET, linewidth=0.8, zorder=1)
    low, high = axes.get_ylim()
    axes.set_ylim(max(low, -100), min(high, 300))
    axes.margins(x=0.08)
    plot_style.plain_numbers(axes.xaxis)
    axes.set_xlabel(axis_name(column))
    axes.set_ylabel(f"bits against {beta_label(anchor.label, anchor.beta)} (%)")
    plot_style.headings(axes, group.data, subtitle(group))
    draw_names(axes, names)
    return figure


def histogram(group: Group, bits: Mapping[str, np.ndarray], looks: Looks, look: Look) -> Figure | None:
    """How the pictures' own bits per pixel spread, each method at its middle rate. bits: per picture, by row key."""
    import numpy as np

    chosen = [row for row in _middle_rows(group) if row["key"] in bits] if bits else []
    if not chosen:
        return None
    figure, axes = plot_style.new_figure(look.width)
    values = {row["key"]: bits[row["key"]] for row in chosen}
    low, high = min(one.min() for one in values.values()), max(one.max() for one in values.values())
    edges = np.geomspace(low / 1.05, high * 1.05, _BINS)
    names = []
    for row in chosen:
        colour, _ = looks[row["method"]]
        share = np.histogram(values[row["key"]], edges)[0] / len(values[row["key"]]) * 100
        (line,) = axes.plot(
            np.repeat(edges, 2)[1:-1], np.repeat(share, 2), color=colour, linewidth=1.0, zorder=3
        )
        label = beta_label(short_spec(row["method"]), beta_of(row["beta"]))
        told = f"{label}, {row['rate_name']} {row['rate']:g}: mean {values[row['key']].mean():.2f}"
        names.append(Name(line, told, colour))
    plot_style.rate_axis(axes, (edges[0], edges[-1]), "rate (bits per pixel of each picture")
    axes.set_ylabel("pictures (%)")
    axes.set_ylim(bottom=0)
    plot_style.headings(axes, group.data, subtitle(group))
    draw_names(axes, names, beside=False)
    return figure


def _middle_rows(group: Group) -> list[pd.Series]:
    """One row for each method: its middle rate by bits, at the largest beta."""
    found = []
    coded = group.rows[~lossless(group.rows) & (group.rows["n_failed"].fillna(0) == 0)]
    for _, part in coded.groupby("method", sort=True):
        ends = part[part["beta"] == part["beta"].max()] if part["beta"].notna().any() else part
        ends = ends.sort_values(group.bits)
        found.append(ends.iloc[len(ends) // 2])
    return found
