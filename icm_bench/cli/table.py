"""Print results as tables, with BD values against an anchor."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from icm_bench.cli import _results


def table(
    out: _results.Out = Path("results"),
    format: Annotated[str, typer.Option("--format", help="terminal, markdown, csv, json or latex.")] = "terminal",
    task: _results.Tasks = None,
    net: _results.Nets = None,
    method: _results.Methods = None,
    anchor: Annotated[
        str | None,
        typer.Option("--anchor", help="BD values against METHOD, METHOD@BETA, or a pooled pattern."),
    ] = None,
    interpolation: Annotated[str, typer.Option("--bd", help="pchip, akima or cubic.")] = "pchip",
    shape: Annotated[
        str, typer.Option("--shape", help="Curves that turn back: pareto (front) or concave (fit).")
    ] = "pareto",
    profile: _results.Profile = None,
    rate_kind: _results.RateKind = None,
    also: _results.With = None,
    pareto: _results.Pareto = False,
    resamples: _results.Resamples = 1000,
) -> None:
    """Print results as tables, with BD values against an anchor.

    CSV and JSON hold every column of the rows and can be given back as --out.
    """
    from icm_bench import bdrate, selection, table_text, tables

    _results.one_of(format, table_text.FORMATS, "format")
    options = bdrate.Options(interpolation, shape)
    chosen = _results.chosen(task, net, method, profile, rate_kind)
    rows = selection.select(_results.joined(out, also), chosen)
    with _results.sampler(out, resamples) as sampler:
        made = tables.build(_results.bounded(rows, sampler), anchor, options, sampler, pareto)
    if format == "terminal":
        from rich.console import Console

        # Into a file or pipe nothing is cut to a width that nobody looks at.
        Console(width=None if sys.stdout.isatty() else 200, highlight=False).print(table_text.terminal(made))
        return
    write = {"markdown": table_text.markdown, "csv": table_text.csv, "latex": table_text.latex}
    text = table_text.as_json(made) if format == "json" else write[format](made)
    sys.stdout.write(text)
