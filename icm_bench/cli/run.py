"""Run codecs on tasks: code, decode, predict, score; finished work is kept and never done twice."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Optional

import typer

from icm_bench.cli import _complete

# typer reads these annotations when the command is called, so they stay out of TYPE_CHECKING.
Many = Optional[list[str]]  # noqa: UP045
File = Optional[Path]  # noqa: UP045


def run(
    context: typer.Context,
    sweep: Annotated[File, typer.Argument(help="A sweep file (TOML); flags replace its keys.")] = None,
    method: Annotated[
        Many,
        typer.Option(help="Codec: jpeg, vvc(preset='fast'), ./mine.py; several.", autocompletion=_complete.methods),
    ] = None,
    task: Annotated[Many, typer.Option(help="Task, such as coco; several.", autocompletion=_complete.tasks)] = None,
    net: Annotated[
        Many, typer.Option(help="Net; several. Default: the task's own.", autocompletion=_complete.nets)
    ] = None,
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
    save: Annotated[File, typer.Option(help="Write what is asked for as a sweep file, and stop.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and stop.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the rows as JSON on stdout.")] = False,
) -> None:
    """Run codecs on tasks, as flags or a sweep file say. Finished work is kept: the same call goes on from there."""
    from icm_bench import own_files, rows
    from icm_bench.cli import _asked, _run_text
    from icm_bench.shard import WHOLE
    from icm_bench.store import Store

    asked = _asked.sweep_of(context, sweep)
    if save is not None:
        print(_asked.save(asked, save))
        return
    path, part, engines = Path(asked.out) / "store.sqlite", _asked.part(asked), _asked.engines(asked)
    with Store(None if dry_run and not path.is_file() else path) as store:
        plans = _asked.plans(asked, store)
        _run_text.data(plans)
        if dry_run:
            _run_text.foretell(plans, store, asked.workers, part)
            return
        own_files.remember(spec for one in asked.requests for spec in (*one.methods, *one.tasks, *one.nets))
        failed = _run_text.follow(_asked.events(plans, store, engines, part), path, context.obj)
        found = rows.rows(store, *plans)
    if as_json:
        json.dump(found, sys.stdout, indent=1)
        print()
    else:
        _run_text.tables(found)
        following = "plot" if part == WHOLE else "merge, with the stores of the other parts"
        where = "" if asked.out == "results" else f" --out {asked.out}"
        print(f"results: {path}; next: icm-bench {following}{where}")
    if failed:
        raise typer.Exit(1)
