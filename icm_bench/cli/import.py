"""Read results of other tools into a text table, for tables and plots with a note of their source."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from icm_bench.cli import _results


def import_(
    form: Annotated[str, typer.Argument(help="compressai, compressai-vision or codec-compare.")],
    files: Annotated[list[Path], typer.Argument(help="Files to read, a curve each.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The CSV table to write.")],
    data: Annotated[str, typer.Option("--data", help="What the curves were measured on, in plain words.")],
    source: Annotated[str, typer.Option("--source", help="Where they come from: a paper, a repository.")],
    name: Annotated[str, typer.Option("--name", help="The method's name, for one file; default: its own.")] = "",
    metric: Annotated[str, typer.Option("--metric", help="A task's metric to take too, such as mAP.")] = "",
    estimated: Annotated[bool, typer.Option("--estimated", help="The bits are likelihoods, no real bytes.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace the output file.")] = False,
) -> None:
    """Read results of other tools into a text table; give it to table, plot or report with --with."""
    import pandas as pd

    from icm_bench import exchange
    from icm_bench.cli import _files
    from icm_bench.errors import UserError

    _results.one_of(form, tuple(exchange.IMPORTS), "format")
    if name and len(files) > 1:
        raise UserError(f"--name {name}: names one curve, and {len(files)} files are given")
    about = {"name": name, "data": data, "source": source, "metric": metric}
    about["rate_kind"] = "estimated" if estimated else "real"
    rows = pd.concat([exchange.imported(form, path, about) for path in files])
    _files.write_once(output, force, partial(_results.write_table, rows, ".csv"))
    typer.echo(f"{output}: {len(rows)} points of {rows['method'].nunique()} curves, {data}; source: {source}")


#: A command's function bears the name of its file, which is a word of the language.
globals()["import"] = import_
