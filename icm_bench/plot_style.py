"""How figures look: sizes for one or two columns, embedded fonts, colours that the colour-blind tell apart.

Colours: M. Okabe and K. Ito, "Color Universal Design" (2008), its yellow left out (too pale on white);
then wine and olive of P. Tol, "Colour Schemes" (2021).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from icm_bench.errors import UserError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

#: Width and height in inches.
SIZES = {"single": (3.5, 2.75), "double": (7.16, 4.2)}
FORMATS = ("png", "svg", "pdf")

_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#555555", "#882255", "#999933")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", "p")

_HEADING = "heading"
INK = "#222222"
QUIET = "#6b6b6b"
FAINT = "#e6e6e6"

_RC: dict[str, Any] = {
    "pdf.fonttype": 42,
    "ps.fonttype": 42,
    "svg.fonttype": "path",
    "svg.hashsalt": "icm-bench",
    "font.family": "DejaVu Sans",
    "font.size": 7.5,
    "text.parse_math": False,  # a name with dollar signs is a name
    "axes.labelsize": 7.5,
    "axes.labelcolor": INK,
    "axes.edgecolor": QUIET,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.5,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "xtick.minor.size": 0,
    "lines.linewidth": 1.3,
    "lines.markersize": 3.6,
    "lines.markeredgewidth": 0.8,
    "legend.frameon": False,
    "legend.fontsize": 7,
    "legend.handlelength": 1.8,
    "legend.borderaxespad": 0.2,
    "figure.dpi": 100,
    "savefig.dpi": 300,
    "text.color": INK,
}


@contextmanager
def style(own: Path | None = None) -> Iterator[None]:
    """The publication defaults, for the time of drawing only. own: a .mplstyle file on top of them."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_RC)  # type: ignore[arg-type]
        if own is not None:
            try:
                matplotlib.rcParams.update(matplotlib.rc_params_from_file(own, use_default_template=False))
            except (OSError, ValueError, KeyError) as error:
                raise UserError(f"{own}: cannot be read as a matplotlib style ({error})") from error
        yield


def mark_mixed(figure: Figure, reason: str) -> None:
    """Write across a figure that its points do not share an axis, and why."""
    axes = figure.axes[0]
    looks = {"transform": axes.transAxes, "ha": "center", "color": "#b00020", "zorder": 6}
    axes.text(0.5, 0.5, "MIXED RATES", fontsize=20, alpha=0.22, rotation=18, va="center", **looks)  # type: ignore
    axes.text(0.5, 0.02, reason, fontsize=5.5, va="bottom", **looks)  # type: ignore


def looks(methods: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Colour and marker of each method, the same in all figures made from the same methods."""
    unique = sorted(set(methods))
    n = len(_COLOURS)
    # After one round of colours the markers shift, so that no pair is used twice.
    return {name: (_COLOURS[i % n], _MARKERS[(i + i // n) % n]) for i, name in enumerate(unique)}


def lighter(colour: str, share: float) -> tuple[float, float, float]:
    """A colour mixed with white: 0 leaves it, 1 is white."""
    from matplotlib.colors import to_rgb

    red, green, blue = (value + (1 - value) * share for value in to_rgb(colour))
    return red, green, blue


def new_figure(width: str) -> tuple[Figure, Axes]:
    """An empty figure of one axes; width is "single" or "double"."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    if width not in SIZES:
        raise UserError(f"unknown figure width {width!r}: known are {', '.join(SIZES)}")
    figure = Figure(figsize=SIZES[width], layout=ConstrainedLayoutEngine(w_pad=0.03, h_pad=0.03))
    return figure, figure.add_subplot()


def headings(axes: Axes, title: str, subtitle: str, plain: bool = True) -> None:
    """Title and subtitle, flush with the left edge of the axes; plain numbers up the side."""
    above = axes.set_title(f"{title}\n", loc="left", fontsize=8, fontweight="bold", pad=3, linespacing=1.35)
    above.set_gid(_HEADING)
    below = axes.annotate(
        subtitle,
        (0, 1),
        (0, 4),
        xycoords="axes fraction",
        textcoords="offset points",
        fontsize=6.8,
        color=QUIET,
    )
    # A long line must not squeeze the axes.
    below.set_in_layout(False)
    below.set_gid(_HEADING)
    if plain:
        plain_numbers(axes.yaxis)


def fit_headings(figure: Figure) -> None:
    """Make headings that would run over the right edge smaller, until they end at it."""
    figure.draw_without_rendering()
    right = figure.bbox.width - 2
    for text in figure.axes[0].findobj(lambda one: one.get_gid() == _HEADING):
        box = text.get_window_extent()
        if box.x1 > right:
            text.set_fontsize(text.get_fontsize() * max((right - box.x0) / box.width, 0.5))  # type: ignore


def plain_numbers(axis: Axis) -> None:
    """A few round tick labels without padding zeros."""
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(nbins=7, steps=[1, 2, 5, 10]))
    axis.set_major_formatter(lambda value, _: f"{value:g}")


def rate_axis(axes: Axes, span: tuple[float, float], name: str) -> None:
    """Bits per pixel, logarithmic with plain numbers, a little wider than its points. span: lowest and highest."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    axes.set_xscale("log")
    left, right = span[0] / 1.15, span[1] * 1.25
    axes.set_xlim(left, right)
    ticks = [m * 10.0**e for e in range(-4, 3) for m in (1, 2, 5) if left <= m * 10.0**e <= right]
    if len(ticks) < 3:
        ticks = [float(f"{left * (right / left) ** share:.2g}") for share in (0.1, 0.5, 0.9)]
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_xlabel(f"{name}, log scale)")


def legend_below(figure: Figure, entries: dict[str, Line2D]) -> None:
    """A legend under the axes, in as many columns as fit; for further lines the figure grows."""
    columns = next(n for n in range(len(entries), 0, -1) if n == 1 or _fits(list(entries), n, figure.get_figwidth()))
    lines = -(-len(entries) // columns)
    figure.set_figheight(figure.get_figheight() + 0.14 * (lines - 1))
    figure.legend(
        list(entries.values()),
        list(entries),
        loc="outside lower center",
        ncols=columns,
        fontsize=6.5,
        labelcolor=QUIET,
        columnspacing=1.2,
        labelspacing=0.3,
    )


def _fits(texts: list[str], columns: int, width: float) -> bool:
    """Whether a legend of so many columns, filled one after another, is narrower than this many inches."""
    lines = -(-len(texts) // columns)
    parts = [texts[start : start + lines] for start in range(0, len(texts), lines)]
    return sum(0.38 + 0.052 * max(map(len, part)) for part in parts) < width
