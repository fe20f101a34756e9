"""Draw metric and PSNR against rate and against each other, surfaces, differences and histograms."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from icm_bench.cli import _results


def plot(
    out: _results.Out = Path("results"),
    format: Annotated[str, typer.Option("--format", help="png, svg, pdf, or several: png,svg.")] = "png,svg",
    kind: Annotated[str, typer.Option("--kind", help="Kinds of figures, such as rate-metric,surface.")] = "",
    task: _results.Tasks = None,
    net: _results.Nets = None,
    method: _results.Methods = None,
    beta: Annotated[
        float | None,
        typer.Option("--beta", help="The beta to draw in full; without it, both ends of the axis."),
    ] = None,
    anchor: Annotated[
        str | None, typer.Option("--anchor", help="Draw differences against METHOD or METHOD@BETA too.")
    ] = None,
    width: Annotated[str, typer.Option("--width", help="single or double column.")] = "single",
    style: Annotated[Path | None, typer.Option("--style", help="A .mplstyle file on top of ours.")] = None,
    into: Annotated[
        Path | None, typer.Option("--to", help="Folder for the files, instead of plots in --out.")
    ] = None,
    profile: _results.Profile = None,
    rate_kind: _results.RateKind = None,
    also: _results.With = None,
    pareto: _results.Pareto = False,
    mixed: Annotated[bool, typer.Option("--mixed", help="Draw mixed rates, with a visible mark.")] = False,
    resamples: _results.Resamples = 1000,
) -> None:
    """Draw metric and PSNR against rate and against each other, surfaces, differences and histograms.

    Kinds: rate-metric, rate-psnr, metric-psnr (along beta), surface (rate x beta), difference (with --anchor),
    histogram (of per-picture rates). Prints the paths of the files.
    """
    from icm_bench import plot_style, plots, selection

    formats = [_results.one_of(one.strip(), plot_style.FORMATS, "format") for one in format.split(",")]
    kinds = [_results.one_of(one.strip(), plots.KINDS, "kind") for one in kind.split(",")] if kind else plots.KINDS
    chosen = _results.chosen(task, net, method, profile, rate_kind)
    rows = selection.select(_results.joined(out, also), chosen)
    folder = into or (out if out.is_dir() else out.parent) / "plots"
    look = plots.Look(width, beta, anchor, style, mixed, pareto)
    with _results.sampler(out, resamples) as sampler:
        bits = sampler.bits(rows) if sampler is not None and "histogram" in kinds else {}
        drawn = plots.draw(_results.bounded(rows, sampler), look, kinds, bits)
    for one in drawn:
        for path in plots.save(one, folder, formats, style):
            typer.echo(path)
