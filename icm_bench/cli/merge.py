"""Make one store of several: the parts of a run on several machines, or a colleague's results."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def merge(
    stores: Annotated[list[Path], typer.Argument(help="Results folders, or their stores; in any order.")],
    out: Annotated[Path, typer.Option(help="Folder of the store that takes them in.")] = Path("results"),
) -> None:
    """Take in everything of other stores, then make the rows that their units allow. Nothing is coded."""
    from icm_bench import merge as stores_of
    from icm_bench.errors import UserError
    from icm_bench.store import Store, store_of

    paths = [store_of(path) for path in stores]
    for path in paths:
        if not path.is_file():
            raise UserError(f"{path}: there is no store here; give the results folders of runs, or their stores")
    n_missing = 0
    with Store(out / "store.sqlite") as store:
        for path in paths:
            brought = stores_of.take_in(store, path)
            differ = f"; {brought.n_conflicts} streams differ, the earlier ones stay" if brought.n_conflicts else ""
            typer.echo(f"{path}: {brought.n_streams} new streams, {brought.n_evidence} new predictions{differ}")
        for one in stores_of.score(store):
            what = f"{', '.join(one.request.methods)} on {', '.join(one.request.tasks)}"
            if one.reason:
                typer.echo(f"{what}: no rows made here ({one.reason})", err=True)
                continue
            n_missing += one.n_missing
            lack = f"; {one.n_missing} of {one.n_units} units are in none of the stores" if one.n_missing else ""
            typer.echo(f"{what}: {one.n_rows} rows{lack}")
    typer.echo(f"results: {out / 'store.sqlite'}")
    if n_missing:
        raise typer.Exit(1)
