"""Write results in the forms of other tools, or as tidy tables."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from icm_bench.cli import _results

_TABLES = ("csv", "parquet")


def export(
    form: Annotated[
        str, typer.Argument(help="compressai, compressai-vision, codec-compare, rows or records (one per picture).")
    ],
    to: Annotated[Path, typer.Argument(help="Folder for the files.")],
    out: _results.Out = Path("results"),
    table: Annotated[str, typer.Option("--table", help="How rows and records are written: csv or parquet.")] = "csv",
    task: _results.Tasks = None,
    net: _results.Nets = None,
    method: _results.Methods = None,
) -> None:
    """Write results in the forms of other tools, or as tidy tables; print the paths of the files."""
    from icm_bench import exchange, selection
    from icm_bench.cli import _files
    from icm_bench.errors import UserError

    _results.one_of(form, tuple(exchange.EXPORTS), "format")
    _results.one_of(table, _TABLES, "table")
    rows = selection.select(selection.read_rows(out), _results.chosen(task, net, method, None, None))
    with _results.opened(out) as store:
        for name, content in exchange.export(form, rows, store):
            path = to / (name if Path(name).suffix else f"{name}.{table}")
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise UserError(f"{path.parent}: cannot be made ({error.strerror or error})") from error
            _files.write_once(path, True, partial(_results.write_table, content, path.suffix))
            typer.echo(path)
