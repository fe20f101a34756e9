"""Run codecs on tasks: code, decode, predict, score; finished work is kept and never done twice."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Optional

import typer

# typer reads these annotations when the command is called, so they stay out of TYPE_CHECKING.
Many = Optional[list[str]]  # noqa: UP045


def run(
    context: typer.Context,
    method: Annotated[Many, typer.Option(help="Codec spec, such as jpeg or vvc(preset='fast'); several.")] = None,
    task: Annotated[Many, typer.Option(help="Task spec, such as coco; several.")] = None,
    net: Annotated[Many, typer.Option(help="Net spec; several. Default: the task's own.")] = None,
    rates: Annotated[str, typer.Option(help='Rates: "0,1,2" or "start:stop:step". Default: the codec\'s.')] = "",
    betas: Annotated[str, typer.Option(help="Trade-offs in 0 .. 1, written as --rates.")] = "",
    coded_scale: Annotated[str, typer.Option(help="Per cent of the side to code (VCM: 100,75,50,25).")] = "",
    profile: Annotated[str, typer.Option(help="orig: pictures as they are; transtic: resized first.")] = "orig",
    aux_rates: Annotated[str, typer.Option(help="Rates of the second layer, as --rates. Default: tied.")] = "",
    data: Annotated[str, typer.Option(help="The data set's folder, or mini. Default: as icm-bench data says.")] = "",
    weights: Annotated[Many, typer.Option(help="Weights file, one for each --net.")] = None,
    limit: Annotated[int, typer.Option(help="Take the first N pictures only; 0 takes all.")] = 0,
    out: Annotated[Path, typer.Option(help="Folder of the store and of what is drawn from it.")] = Path("results"),
    device: Annotated[str, typer.Option(help="Where networks run: cpu, cuda, ...")] = "cpu",
    batch: Annotated[int, typer.Option(help="Most pictures through a net at once; 0: the device's.", min=0)] = 0,
    workers: Annotated[int, typer.Option(help="Processes of one thread; 0: one per core if it pays.", min=0)] = 0,
    engine: Annotated[str, typer.Option(help="local, or ray: on the machines of a Ray cluster.")] = "local",
    address: Annotated[str, typer.Option(help="The Ray cluster: HOST:PORT, or auto. Default: this machine.")] = "",
    shard: Annotated[str, typer.Option(help="I/N: part I of N, for job arrays; icm-bench merge joins them.")] = "",
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
    verify: Annotated[bool, typer.Option("--verify", help="Decode each stream again in another process.")] = False,
    reference: Annotated[bool, typer.Option(help="Measure the uncompressed line too.")] = True,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and stop.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the rows as JSON on stdout.")] = False,
) -> None:
    """Run codecs on tasks. Finished work is kept in OUT/store.sqlite: the same call goes on from there."""
    from icm_bench import plan, rows, runner
    from icm_bench.cli import _run_text
    from icm_bench.engine import engine_of
    from icm_bench.grid import optional_grid
    from icm_bench.request import Request
    from icm_bench.shard import WHOLE, parse_shard
    from icm_bench.store import Store

    request = Request(
        tuple(method or ()), tuple(task or ()), tuple(net or ()), tuple(weights or ()),
        rates=optional_grid(rates, "--rates"), betas=optional_grid(betas, "--betas"),
        aux_rates=optional_grid(aux_rates, "--aux-rates"), coded_scales=optional_grid(coded_scale, "--coded-scale"),
        profile=profile, batch=batch, data=data or None, limit=limit or None, device=device, seed=seed,
        reference="identity" if reference else None, verify=verify,
    )  # fmt: skip
    path, part = out / "store.sqlite", parse_shard(shard) if shard else WHOLE
    with Store(None if dry_run and not path.is_file() else path) as store:
        made = plan.build(request, store)
        _run_text.data(made)
        if dry_run:
            _run_text.foretell(made, store, workers, part)
            return
        events = runner.run(made, store, engine_of(engine, workers, device, address), part)
        failed = _run_text.follow(events, path, context.obj)
        found = rows.rows(store, made)
    if as_json:
        json.dump(found, sys.stdout, indent=1)
        print()
    else:
        _run_text.tables(found)
        following = "plot" if part == WHOLE else "merge, with the stores of the other parts"
        print(f"results: {path}; next: icm-bench {following}" + ("" if str(out) == "results" else f" --out {out}"))
    if failed:
        raise typer.Exit(1)
