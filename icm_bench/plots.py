"""Figures of results, by kind; each is drawn for every group of rows that allows it.

Rows of another profile, rate kind or bpp denominator are refused: they do not share a rate axis.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from icm_bench import plot_more, plot_style, verification
from icm_bench.curves import Group, find_series, groups, one_axis, series, slug_of, why_not_one_axis
from icm_bench.errors import UserError
from icm_bench.plot_curves import Look, Looks, against_rate, along_beta
from icm_bench.selection import complete, lossless

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from matplotlib.figure import Figure

#: Figures by net, then those of the pictures alone.
KINDS = ("rate-metric", "metric-psnr", "surface", "difference", "rate-psnr", "histogram")


@dataclass(frozen=True)
class Plot:
    """A drawn figure and the stem of its files."""

    name: str
    figure: Figure


def draw(
    rows: pd.DataFrame,
    look: Look | None = None,
    kinds: Sequence[str] = KINDS,
    bits: Mapping[str, np.ndarray] | None = None,
) -> list[Plot]:
    """All figures of these kinds that the rows allow, by group.

    bits: bits per pixel of each picture by row key, for histograms. Raises UserError for rows that do not share an
    axis, and for an anchor that no group holds.
    """
    look = look or Look()
    made: list[Plot] = []
    with plot_style.style(look.style):
        looks = plot_style.looks(rows.loc[~lossless(complete(rows)), "method"].dropna())
        held = groups(rows)
        _check_anchor(held, look.anchor)
        for group in held:
            if not look.mixed:
                one_axis(group.rows, f"{group.data} (--mixed draws them all the same, with a mark)")
            made += _drawn(group, _of_net(group, looks, look), kinds, made)
        for pictures in _pictures(held):
            if not look.mixed:
                one_axis(pictures.rows, pictures.data)
            made += _drawn(pictures, _of_pictures(pictures, looks, look, bits or {}), kinds, made)
    if not made:
        raise UserError("nothing to draw: the rows hold no points with bits and a score")
    return made


def _check_anchor(held: Sequence[Group], anchor: str | None) -> None:
    """Raises UserError, naming the curves that there are, where none is the anchor."""
    refusals = []
    for group in held if anchor is not None else ():
        try:
            find_series(series(group.rows), str(anchor))
            return
        except UserError as error:
            refusals.append(error)
    if refusals:
        raise refusals[0]


def _drawn(
    group: Group, figures: Iterator[tuple[str, str, Figure | None]], kinds: Sequence[str], before: list[Plot]
) -> list[Plot]:
    """The figures that there are, named and, where rates are mixed, marked. figures: (kind, end of name, figure)."""
    taken = {plot.name for plot in before}
    reason, warning = why_not_one_axis(group.rows), verification.warning(group.rows.to_dict("records"))
    made = []
    for kind, more, figure in figures:
        if figure is None or kind not in kinds:
            continue
        stem = f"{group.slug}-{kind}{more}"
        name = next(n for n in (stem, *(f"{stem}-{count}" for count in range(2, 999))) if n not in taken)
        taken.add(name)
        if reason is not None:
            plot_style.mark_mixed(figure, reason.partition(":")[0])
        if warning is not None:
            plot_style.warn(figure, warning)
        plot_style.fit_headings(figure)
        made.append(Plot(name, figure))
    return made


def _of_net(group: Group, looks: Looks, look: Look) -> Iterator[tuple[str, str, Figure | None]]:
    """The figures of one net's metric."""
    metric = group.main_metric
    if not metric:
        return
    yield "rate-metric", "", against_rate(group, metric, looks, look)
    yield "metric-psnr", "", along_beta(group, metric, looks, look)
    for method in sorted(group.rows.loc[group.rows["beta"].notna(), "method"].unique()):
        yield "surface", f"-{slug_of(method, None)}", plot_more.surface(group, metric, method, look)
    if look.anchor is not None:
        yield "difference", "", plot_more.difference(group, metric, looks, look)


def _of_pictures(
    group: Group, looks: Looks, look: Look, bits: Mapping[str, np.ndarray]
) -> Iterator[tuple[str, str, Figure | None]]:
    """The figures that no net changes."""
    yield "rate-psnr", "", against_rate(group, "psnr_mean", looks, look)
    if look.anchor is not None:
        yield "difference", "", plot_more.difference(group, "psnr_mean", looks, look)
    yield "histogram", "", plot_more.histogram(group, bits, looks, look)


def _pictures(held: Sequence[Group]) -> Iterator[Group]:
    """One group for all nets that saw the same pictures: quality and bits do not depend on the net."""
    import pandas as pd

    same: dict[tuple[str, str, int], list[Group]] = {}
    for group in held:
        key = (group.task, group.data, int(group.rows["n_expected"].fillna(0).iloc[0]))
        same.setdefault(key, []).append(group)
    for first, *others in same.values():
        every = pd.concat([group.rows for group in (first, *others)])
        every = every.drop_duplicates(["method", "checkpoint", "rate", "beta", "profile"])
        yield Group(first.task, None, first.data, every, slug_of(first.task, None))


def save(plot: Plot, folder: Path, formats: Sequence[str], style: Path | None = None) -> list[Path]:
    """Write a figure in each format, the same bytes for the same rows. Returns the files."""
    paths = []
    dateless = {"png": {"Software": None}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}
    for extension in formats:
        if extension not in plot_style.FORMATS:
            raise UserError(f"unknown picture format {extension!r}: known are {', '.join(plot_style.FORMATS)}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with plot_style.style(style):
            for extension in formats:
                path = folder / f"{plot.name}.{extension}"
                plot.figure.savefig(path, format=extension, metadata=dateless[extension])
                paths.append(path)
    except OSError as error:
        raise UserError(f"{folder}: plots cannot be written here ({error})") from error
    return paths
