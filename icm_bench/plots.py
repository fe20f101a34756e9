"""Figures of results: metric against rate, PSNR against rate, and metric against PSNR along beta.

Rows of another profile, rate kind or bpp denominator are refused: they do not share a rate axis.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from icm_bench import plot_style
from icm_bench.curves import Group, groups, one_axis, slug_of
from icm_bench.errors import UserError
from icm_bench.plot_curves import Look, Looks, against_rate, along_beta
from icm_bench.selection import complete, lossless

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Plot:
    """A drawn figure and the stem of its files."""

    name: str
    figure: Figure


def draw(rows: pd.DataFrame, look: Look | None = None) -> list[Plot]:
    """All figures that the rows allow, by group. Raises UserError for rows that do not share an axis."""
    import pandas as pd

    look = look or Look()
    made: list[Plot] = []
    same_pictures: dict[tuple[str, str, int], list[Group]] = {}
    with plot_style.style():
        looks = plot_style.looks(rows.loc[~lossless(complete(rows)), "method"].dropna())
        for group in groups(rows):
            one_axis(group.rows, group.data)
            key = (group.task, group.data, int(group.rows["n_expected"].fillna(0).iloc[0]))
            same_pictures.setdefault(key, []).append(group)
            if group.main_metric:
                made += _metric_plots(group, looks, look)
        for first, *others in same_pictures.values():
            # Quality does not depend on the net: one figure for all nets that saw the same pictures.
            every = pd.concat([group.rows for group in (first, *others)])
            one_axis(every, first.data)
            every = every.drop_duplicates(["method", "checkpoint", "rate", "beta"])
            pictures = Group(first.task, None, first.data, every, slug_of(first.task, None))
            figure = against_rate(pictures, "psnr_mean", looks, look)
            if figure:
                same = sum(plot.name.startswith(f"{pictures.slug}-rate-psnr") for plot in made)
                number = f"-{same + 1}" if same else ""
                made.append(Plot(f"{pictures.slug}-rate-psnr{number}", figure))
    if not made:
        raise UserError("nothing to draw: the rows hold no points with bits and a score")
    return made


def save(plot: Plot, folder: Path, formats: Sequence[str]) -> list[Path]:
    """Write a figure in each format, the same bytes for the same rows. Returns the files."""
    paths = []
    dateless = {"png": {"Software": None}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}
    for extension in formats:
        if extension not in plot_style.FORMATS:
            raise UserError(f"unknown picture format {extension!r}: known are {', '.join(plot_style.FORMATS)}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with plot_style.style():
            for extension in formats:
                path = folder / f"{plot.name}.{extension}"
                plot.figure.savefig(path, format=extension, metadata=dateless[extension])
                paths.append(path)
    except OSError as error:
        raise UserError(f"{folder}: plots cannot be written here ({error})") from error
    return paths


def _metric_plots(group: Group, looks: Looks, look: Look) -> list[Plot]:
    metric = str(group.main_metric)
    made = []
    figure = against_rate(group, metric, looks, look)
    if figure:
        made.append(Plot(f"{group.slug}-rate-metric", figure))
    figure = along_beta(group, metric, looks, look)
    if figure:
        made.append(Plot(f"{group.slug}-metric-psnr", figure))
    return made
