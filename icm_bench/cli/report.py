"""Write one HTML file of a run's results: curves, tables and a picture viewer; it opens offline."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from icm_bench.cli import _results


def report(
    out: _results.Out = Path("results"),
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write; default: report.html in --out.")
    ] = None,
    anchor: Annotated[str | None, typer.Option("--anchor", help="BD values against METHOD or METHOD@BETA.")] = None,
    task: _results.Tasks = None,
    net: _results.Nets = None,
    method: _results.Methods = None,
    title: Annotated[str, typer.Option("--title", help="Heading of the page.")] = "icm-bench results",
    pictures: Annotated[
        int, typer.Option("--pictures", help="Most pictures in the viewer, for each data set; 0: none.", min=0)
    ] = 6,
    max_mb: Annotated[float, typer.Option("--max-mb", help="Largest size of the file, in megabytes.")] = 15.0,
    programs: Annotated[
        bool, typer.Option("--programs", help="Start programs that the rows name by a path, such as vvc's encoder.")
    ] = False,
    profile: _results.Profile = None,
    rate_kind: _results.RateKind = None,
    also: _results.With = None,
    resamples: _results.Resamples = 1000,
) -> None:
    """Write one HTML file of a run's results: curves, tables and a picture viewer; it opens offline.

    The viewer needs the streams, so it is there for a results folder and not for a text table.
    """
    from icm_bench import html, selection, tables
    from icm_bench.cli import _files

    chosen = _results.chosen(task, net, method, profile, rate_kind)
    rows = selection.select(_results.joined(out, also), chosen)
    path = output or (out if out.is_dir() else out.parent) / "report.html"
    wanted = html.Wanted(title, pictures, max_mb, programs)
    with _results.sampler(out, resamples) as sampler, _results.opened(out if pictures else None) as store:
        made = tables.build(_results.bounded(rows, sampler), anchor, None, sampler)
        with _results.doing() as told:
            page = html.document(made, store, wanted, told)
    _files.write_once(path, True, lambda part: part.write_text(page, encoding="utf-8"))
    typer.echo(f"{path}: {len(page.encode()) / 1e6:.1f} MB")
