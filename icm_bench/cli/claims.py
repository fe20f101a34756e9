"""Draw a page of claims, with BD values and their intervals, from stores and a TOML file that says which."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def claims(
    spec: Annotated[Path, typer.Argument(help="TOML file of the page, such as results/claims.toml.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File to write; default: stdout.")] = None,
) -> None:
    """Draw a page of claims as Markdown. Intervals are paired bootstraps over pictures."""
    from icm_bench.claims import draw
    from icm_bench.cli import _files

    page = draw(spec)
    if output is None:
        typer.echo(page, nl=False)
        return
    _files.write_once(output, True, lambda part: part.write_text(page, encoding="utf-8"))
    typer.echo(output)
