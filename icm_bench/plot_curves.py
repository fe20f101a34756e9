"""The curves of one figure: a column against rate, and the metric against PSNR along beta."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from icm_bench import plot_labels, plot_style
from icm_bench.curves import IMPORTED, Group, Series, beta_label, series, short_spec
from icm_bench.errors import UserError
from icm_bench.pareto import fronts
from icm_bench.plot_labels import Name
from icm_bench.selection import BOUNDS, BPP_INPUT, lossless

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.text import Text

#: More names than this go to a legend at once.
_MOST_LABELS = 12
#: With more curves than this intervals are bars: bands would hide each other.
_MOST_BANDS = 4
_DOTS = (0, (1, 1.6))
#: What the rate axis is called, by the column it shows.
_RATES = {"bpp": "rate (bits per pixel", BPP_INPUT: "rate (bits per input pixel, mean over pictures"}

#: Colour and marker by method.
Looks = dict[str, tuple[str, str]]


@dataclass(frozen=True)
class Look:
    """How figures are drawn.

    width: "single" or "double" column; beta: the one to draw in full, None for both ends of the axis; anchor: the
    curve that differences are taken against; style: a .mplstyle file of matplotlib's settings on top of ours; mixed:
    draw what does not share an axis all the same, with a mark that says so; pareto: the scales of a codec make one
    curve, of which only the points on its front are drawn.
    """

    width: str = "single"
    beta: float | None = None
    anchor: str | None = None
    style: Path | None = None
    mixed: bool = False
    pareto: bool = False


@dataclass
class _Drawn:
    """What a figure holds so far: curves to be named, things not to write over, signs to be explained."""

    axes: Axes
    names: list[Name] = field(default_factory=list)
    obstacles: list[Line2D | Text] = field(default_factory=list)
    signs: dict[str, Line2D] = field(default_factory=dict)
    n_bold: int = 0

    def finish(self) -> None:
        """Name the curves beside them where there is room, else in a legend; explain the signs below."""
        figure = self.axes.get_figure(root=True)
        assert figure is not None
        below = dict(self.signs)
        if len(self.names) > _MOST_LABELS or not plot_labels.place(self.axes, self.names, self.obstacles):
            lines = {name.full or name.text: name.line for name in self.names}
            legend = self.axes.legend(list(lines.values()), list(lines), loc="best", labelspacing=0.25)
            if not plot_labels.is_free(legend, [name.line for name in self.names], self.obstacles):
                legend.remove()
                below = lines | below
        if below:
            plot_style.legend_below(figure, below)

    def sign(self, text: str, **looks: Any) -> None:
        """Note what a way of drawing means."""
        from matplotlib.lines import Line2D

        self.signs.setdefault(text, Line2D([], [], **{"color": plot_style.QUIET, **looks}))


def against_rate(group: Group, column: str, looks: Looks, look: Look) -> Figure | None:
    """A column against bits per pixel; None when no coded point has it."""
    held = fronts(group, column) if look.pareto else series(group.rows)
    every = [one for one in (_with(one, column) for one in held) if len(one.rows)]
    if not every:
        return None
    figure, axes = plot_style.new_figure(look.width)
    bits = [value for one in every for value in one.rows[one.bits]]
    plot_style.rate_axis(axes, (min(bits), max(bits)), _RATES[every[0].bits])
    families = _by_method(every)
    drawn = _Drawn(axes, n_bold=sum(len(_bold_betas(curves, look.beta)) for curves in families))
    for curves in families:
        _family(drawn, curves, column, looks[curves[0].method], look)
    _roomy(axes)
    if look.pareto:
        drawn.sign("Pareto fronts over rate and scale", linestyle="")
    if column != "psnr_mean":
        _uncompressed_line(drawn, group, column)
    axes.set_ylabel(axis_name(column))
    plot_style.headings(axes, group.data, subtitle(group))
    drawn.finish()
    return figure


def _family(drawn: _Drawn, curves: list[Series], column: str, look_of: tuple[str, str], look: Look) -> None:
    """All curves of one method: bold ones to be named, light ones, and dotted jumps where bits change."""
    colour, marker = look_of
    bold = _bold_betas(curves, look.beta)
    for one in curves:
        x, y = one.rows[one.bits], one.rows[column]
        if one.beta in bold:
            face = "white" if one.beta != max(bold, key=lambda beta: beta or 0.0) else colour
            (line,) = drawn.axes.plot(x, y, color=colour, marker=marker, markerfacecolor=face, zorder=3)
            drawn.names.append(Name(line, beta_label(one.label, one.beta), colour))
            if IMPORTED in one.label:
                line.set_linestyle((0, (5, 1.5)))
                drawn.sign(f"{IMPORTED.strip()} from elsewhere, not measured here", linestyle="")
            _mark_partial(drawn, one, column)
            _interval(drawn, one, column, colour)
        else:
            pale = plot_style.lighter(colour, 0.55)
            drawn.obstacles += drawn.axes.plot(x, y, color=pale, linewidth=0.7, zorder=2)
            drawn.sign("other β", color=plot_style.lighter(plot_style.QUIET, 0.4), linewidth=0.7)
    for first, second, x_pair, y_pair in _jumps(curves, column):
        pale = plot_style.lighter(colour, 0.35)
        drawn.obstacles += drawn.axes.plot(x_pair, y_pair, color=pale, linewidth=0.8, linestyle=_DOTS, zorder=1)
        drawn.sign(f"β {first:g} → {second:g}, same rate", linewidth=0.8, linestyle=_DOTS)


def _jumps(curves: list[Series], column: str) -> list[tuple[float, float, list[float], list[float]]]:
    """Where the bits change from one beta to the next at one rate setting: both betas, bpp and values."""
    made = []
    bits = curves[0].bits
    ordered = sorted(((one.beta, one.rows) for one in curves if one.beta is not None), key=lambda pair: pair[0])
    for (first, rows), (second, next_rows) in pairwise(ordered):
        both = rows.merge(next_rows, on="rate", suffixes=("_a", "_b"))
        for _, row in both.iterrows():
            if abs(row[f"{bits}_a"] - row[f"{bits}_b"]) > 1e-9:
                pair = [row[f"{bits}_a"], row[f"{bits}_b"]], [row[f"{column}_a"], row[f"{column}_b"]]
                made.append((first, second, *pair))
    return made


def _bold_betas(curves: list[Series], chosen: float | None) -> set[float | None]:
    betas = [one.beta for one in curves if one.beta is not None]
    if not betas:
        return {None}
    if chosen is None:
        return {min(betas), max(betas)}
    if chosen not in betas:
        known = ", ".join(f"{beta:g}" for beta in sorted(set(betas)))
        raise UserError(f"{curves[0].method} has no results at beta {chosen:g}: there are {known}")
    return {chosen}


def along_beta(group: Group, metric: str, looks: Looks, look: Look) -> Figure | None:
    """The metric against PSNR, a line per rate along beta, other codecs thin; None without a beta axis."""
    every = [_with(_with(one, metric), "psnr_mean") for one in series(group.rows)]
    families = _by_method([one for one in every if len(one.rows)])
    if not any(len(curves) > 1 for curves in families):
        return None
    figure, axes = plot_style.new_figure(look.width)
    drawn = _Drawn(axes)
    for curves in families:
        colour, marker = looks[curves[0].method]
        if len(curves) > 1:
            _rate_lines(drawn, curves, metric, (colour, marker))
            continue
        x, y = curves[0].rows["psnr_mean"], curves[0].rows[metric]
        (line,) = axes.plot(x, y, color=colour, linewidth=0.9, marker=marker, markersize=2.6, zorder=2)
        drawn.names.append(Name(line, curves[0].label, colour))
    axes.margins(x=0.1)
    plot_style.plain_numbers(axes.xaxis)
    _roomy(axes)
    _uncompressed_line(drawn, group, metric)
    axes.set_xlabel("PSNR, RGB (dB)")
    axes.set_ylabel(axis_name(metric))
    plot_style.headings(axes, group.data, subtitle(group))
    drawn.finish()
    return figure


def _rate_lines(drawn: _Drawn, curves: list[Series], metric: str, look_of: tuple[str, str]) -> None:
    """One line per rate setting, paler for fewer bits, from the smallest beta (open) to the largest."""
    import pandas as pd

    colour, marker = look_of
    rows = pd.concat([one.rows for one in curves])
    order = rows.groupby("rate")[curves[0].bits].max().sort_values().index
    for rank, rate in enumerate(order):
        line_rows = rows[rows["rate"] == rate].sort_values("beta")
        shade = plot_style.lighter(colour, 0.6 * (1 - rank / max(len(order) - 1, 1)))
        x, y = line_rows["psnr_mean"].to_numpy(), line_rows[metric].to_numpy()
        (line,) = drawn.axes.plot(x, y, color=shade, marker=".", markersize=3, zorder=3)
        for at, face in ((0, "white"), (-1, shade)):
            drawn.axes.plot(x[at], y[at], color=shade, marker=marker, markerfacecolor=face, zorder=4)
            text = f"β = {line_rows['beta'].iloc[at]:g}"
            drawn.sign(text, color=colour, marker=marker, markerfacecolor=face if at == 0 else colour, linestyle="")
        name = line_rows["rate_name"].iloc[0]
        text, full = f"{name} {rate:g}", f"{curves[0].label} {name} {rate:g}"
        # Beside the lines the codec is named once, in a legend each time.
        drawn.names.append(Name(line, full if rank == len(order) - 1 else text, colour, full))


def _uncompressed_line(drawn: _Drawn, group: Group, column: str) -> None:
    """The score without coding, as a labelled line."""
    value = group.rows.loc[lossless(group.rows), column].dropna()
    if value.empty:
        return
    axes = drawn.axes
    line = axes.axhline(float(value.iloc[0]), color=plot_style.QUIET, linewidth=0.8, linestyle=(0, (4, 2)), zorder=1)
    _roomy(axes)
    text = axes.annotate(
        f"uncompressed {value.iloc[0]:.1f}",
        (0, float(value.iloc[0])),
        (2, 2),
        xycoords=axes.get_yaxis_transform(),
        textcoords="offset points",
        fontsize=6.8,
        color=plot_style.QUIET,
        path_effects=plot_labels.halo(),
    )
    drawn.obstacles += [text, line]


def _roomy(axes: Axes) -> None:
    """Room above and below the points, but none below zero, where no score lies."""
    axes.set_ylim(auto=True)
    axes.margins(y=0.1)
    axes.autoscale_view(scalex=False)
    low, high = axes.get_ylim()
    if low < 0:
        axes.set_ylim(bottom=-0.02 * high)


def _interval(drawn: _Drawn, one: Series, column: str, colour: str) -> None:
    """The 95 % interval of each point: a pale band for a few curves, thin bars for many; nothing without."""
    ends = [f"{column}{end}" for end in BOUNDS]
    if not set(ends) <= set(one.rows.columns) or one.rows[ends].isna().any(axis=None):
        return
    x, low, high = one.rows[one.bits], *(one.rows[end] for end in ends)
    if drawn.n_bold <= _MOST_BANDS:
        drawn.axes.fill_between(x, low, high, color=colour, alpha=0.13, linewidth=0, zorder=1)
        drawn.sign("95 % interval", color=plot_style.lighter(plot_style.QUIET, 0.7), linewidth=5)
    else:
        drawn.axes.vlines(x, low, high, color=colour, alpha=0.4, linewidth=0.8, zorder=2)
        drawn.sign("95 % interval", color=plot_style.QUIET, marker="|", linestyle="", markersize=7)


def draw_names(axes: Axes, names: list[Name], beside: bool = True) -> None:
    """Name lines beside them where there is room, else (or at once) in a legend below."""
    drawn = _Drawn(axes, names)
    if beside:
        drawn.finish()
    else:
        plot_style.legend_below(axes.get_figure(root=True), {name.text: name.line for name in names})  # type: ignore


def _mark_partial(drawn: _Drawn, one: Series, column: str) -> None:
    """A cross on each point that lacks some of its pictures."""
    partial = one.rows[one.rows["n_failed"].fillna(0) > 0]
    if len(partial):
        looks: dict[str, Any] = {"color": plot_style.INK, "marker": "x", "markersize": 5.5, "linestyle": ""}
        drawn.axes.plot(partial[one.bits], partial[column], zorder=5, **looks)
        drawn.sign("some pictures failed", **looks)


def _with(one: Series, column: str) -> Series:
    """Only the points whose column is a finite number."""
    import numpy as np

    kept = one.rows[np.isfinite(one.rows[column].astype(float))]
    return replace(one, rows=kept)


def _by_method(every: list[Series]) -> list[list[Series]]:
    found: dict[str, list[Series]] = {}
    for one in every:
        found.setdefault(one.label, []).append(one)
    return list(found.values())


def axis_name(column: str) -> str:
    """A column with its unit."""
    return "PSNR, RGB (dB)" if column == "psnr_mean" else f"{column} (%)"


def subtitle(group: Group) -> str:
    """Net, number of pictures, kind of bits and profile, in one line."""
    coded = group.rows[~lossless(group.rows)]
    expected = group.rows["n_expected"].max()
    parts = [group.net and short_spec(group.net), f"{expected:.0f} pictures" if expected == expected else None]
    parts += [f"{kind} bytes" if kind == "real" else f"{kind} bits" for kind in coded["rate_kind"].dropna().unique()]
    parts += [f"profile {name}" for name in coded["profile"].dropna().unique() if name != "orig"]
    return " · ".join(part for part in parts if part)
