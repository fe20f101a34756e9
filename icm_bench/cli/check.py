"""Check codecs against a baseline: exit status 0 same or better, 1 worse, 2 could not run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from icm_bench.cli import _complete

# typer reads these annotations when the command is called, so they stay out of TYPE_CHECKING.
Many = Optional[list[str]]  # noqa: UP045
File = Optional[Path]  # noqa: UP045


def check(
    baseline: Annotated[Path, typer.Option(help="The baseline file.")] = Path("results/baseline/mini.json"),
    method: Annotated[
        Many,
        typer.Option(help="Only this one, or it in place of that of its name.", autocompletion=_complete.methods),
    ] = None,
    golden: Annotated[File, typer.Option(help="Folder of golden streams that must still decode.")] = None,
    limit: Annotated[int, typer.Option(help="At most so many pictures of each set; 0: all.")] = 0,
    tolerance: Annotated[Many, typer.Option(help="AP=0.5, bytes=1%: replaces the bootstrap's; several.")] = None,
    store: Annotated[File, typer.Option(help="Folder of a store to keep; default: everything is made anew.")] = None,
    data: Annotated[str, typer.Option(help="Folder of the data, where it is not a built-in set.")] = "",
    device: Annotated[str, typer.Option(help="Where networks run: cpu, cuda, ...")] = "cpu",
    workers: Annotated[int, typer.Option(help="Processes of one thread; 0: one per core if it pays.", min=0)] = 0,
    markdown: Annotated[File, typer.Option(help="Write the findings as Markdown, for a job's summary.")] = None,
    junit: Annotated[File, typer.Option(help="Write the findings as JUnit XML.")] = None,
    as_json: Annotated[File, typer.Option("--json", help="Write all findings as JSON.")] = None,
    update: Annotated[bool, typer.Option("--update", help="Write a new baseline, and print what changed.")] = False,
    task: Annotated[
        Many,
        typer.Option(help="With --update: a further grid of these and of --method.", autocompletion=_complete.tasks),
    ] = None,
    net: Annotated[Many, typer.Option(help="Nets of the further grid.", autocompletion=_complete.nets)] = None,
    weights: Annotated[Many, typer.Option(help="Weights file, one for each --net.")] = None,
    rates: Annotated[str, typer.Option(help="Rates of the further grid, as for run.")] = "",
    betas: Annotated[str, typer.Option(help="Trade-offs of the further grid, as for run.")] = "",
) -> None:
    """Run a baseline's own grid and compare, the worst first: bytes, PSNR, metrics, BD-rates, exact facts.

    Worse is what a paired bootstrap over the pictures tells from chance. Exit status: 0 same or better, 1 worse, 2
    could not run. --update --method ... --task ... makes a baseline, or adds a grid to one.
    """
    from icm_bench.check import baseline as files
    from icm_bench.check import reports, run
    from icm_bench.check.golden import check as check_golden
    from icm_bench.cli import _checking, _progress
    from icm_bench.engine import engine_of
    from icm_bench.errors import UserError
    from icm_bench.grid import optional_grid
    from icm_bench.request import Request

    further = bool(task or net or weights or rates or betas)
    if further and not (update and task and method):
        raise UserError("--task, --net, --weights, --rates, --betas make a further grid: add --update and --method")
    grid = Request(
        tuple(method or ()), tuple(task or ()), tuple(net or ()), tuple(weights or ()),
        rates=optional_grid(rates, "--rates"), betas=optional_grid(betas, "--betas"), data=data or None,
        limit=limit or None, device=device,
    )  # fmt: skip
    held = None if further and not baseline.is_file() else files.load(baseline)
    with _checking.opened(store) as kept, _progress.Progress() as progress:
        engine = engine_of("local", workers, device)
        how = run.How(kept, engine, progress.show, limit or None, data or None, device)
        if update:
            made = run.update(held, how, grid if further else None, () if further else method or ())
            found = run.differences(held, made) if held else []
            files.save(made, baseline)
            n_golden = run.record_golden(made, golden) if golden else 0
        else:
            assert held is not None  # only an update may begin without one
            found = run.check(held, how, method or (), tolerance or ())
            found = run.ordered([*found, *(check_golden(golden) if golden else ())])
    for path, text in ((markdown, reports.markdown), (junit, reports.junit), (as_json, reports.as_json)):
        _checking.write(path, text(found))
    typer.echo(reports.terminal(found))
    if update:
        typer.echo(f"baseline: {baseline}" + (f"; {n_golden} new golden streams in {golden}" if golden else ""))
    elif any(one.verdict == "worse" for one in found):
        raise typer.Exit(1)
