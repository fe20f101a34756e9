"""Look at packages, programs, data and weights, and say how to mend what is missing."""

from __future__ import annotations

import typer


def doctor() -> None:
    """Look at packages, programs, data and weights, and say how to mend what is missing.

    Exit status 1 when something that the main job needs is missing.
    """
    from icm_bench.programs import checks

    group, broken = "", 0
    for check in checks():
        if check.group != group:
            typer.echo(f"{'' if not group else chr(10)}{check.group}")
            group = check.group
        sign = "ok     " if check.found is not None else "MISSING" if check.needed else "-      "
        typer.echo(f"  {sign}  {check.name:32}  {check.found if check.found is not None else check.fix}")
        broken += not check.is_well
    typer.echo("")
    if broken:
        typer.echo(f"{broken} needed but missing: the commands above mend that")
        raise typer.Exit(1)
    typer.echo("everything that the main job needs is there; lines marked - are optional")
