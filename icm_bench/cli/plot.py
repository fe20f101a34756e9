"""Draw metric and PSNR against rate, and metric against PSNR along beta."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from icm_bench.cli import _results


def plot(
    out: _results.Out = Path("results"),
    format: Annotated[str, typer.Option("--format", help="png, svg, pdf, or several: png,svg.")] = "png,svg",
    task: _results.Tasks = None,
    net: _results.Nets = None,
    method: _results.Methods = None,
    beta: Annotated[
        float | None,
        typer.Option("--beta", help="The beta to draw in full; without it, both ends of the axis."),
    ] = None,
    width: Annotated[str, typer.Option("--width", help="single or double column.")] = "single",
    into: Annotated[
        Path | None, typer.Option("--to", help="Folder for the files, instead of plots in --out.")
    ] = None,
    profile: _results.Profile = None,
    rate_kind: _results.RateKind = None,
) -> None:
    """Draw metric and PSNR against rate, and metric against PSNR along beta; print the paths of the files."""
    from icm_bench import plot_style, plots, selection

    formats = [_results.one_of(one.strip(), plot_style.FORMATS, "format") for one in format.split(",")]
    rows = selection.select(selection.read_rows(out), _results.chosen(task, net, method, profile, rate_kind))
    folder = into or (out if out.is_dir() else out.parent) / "plots"
    for one in plots.draw(rows, plots.Look(width, beta)):
        for path in plots.save(one, folder, formats):
            typer.echo(path)
