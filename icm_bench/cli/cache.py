"""What a store keeps of coded pictures: its size, whether it is sound, and what may go."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def cache(
    out: Annotated[Path, typer.Option(help="Folder of the store.")] = Path("results"),
    verify: Annotated[bool, typer.Option("--verify", help="Read every stream and check it.")] = False,
    prune_older: Annotated[str, typer.Option(help="Drop bytes of streams older than this: 36h, 30d, 8w.")] = "",
    prune_to: Annotated[str, typer.Option(help="Drop the oldest streams' bytes down to this: 500MB, 2GB.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Show, verify or prune the streams of a store. Rows stay; a pruned stream is coded again when it is needed."""
    import dataclasses
    import json

    from icm_bench import cache as streams
    from icm_bench.cli import _cache_text
    from icm_bench.store import Store, store_of

    path = store_of(out)
    older = _cache_text.age(prune_older) if prune_older else None
    most = _cache_text.size(prune_to) if prune_to else None
    with Store(path, create=False) as store:
        if older is not None or most is not None:
            n_streams, n_bytes = streams.prune(store, older, most)
            typer.echo(f"pruned: {n_streams} streams, {_cache_text.told(n_bytes)}", err=as_json)
        if verify:
            n_faults = _cache_text.looked_through(streams.faults(store))
            typer.echo("sound" if not n_faults else f"{n_faults} faults", err=as_json)
            if n_faults:
                raise typer.Exit(1)
        found = streams.shares(store)
        if as_json:
            typer.echo(json.dumps([dataclasses.asdict(one) for one in found], indent=1))
        else:
            typer.echo(_cache_text.table(found, streams.evidence_bytes(store), path))
