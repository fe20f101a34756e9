"""What a call of ``icm-bench run`` asks for: its flags, a sweep file, or flags in place of some of a file's keys."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from icm_bench import plan, registry, runner, sweep
from icm_bench.cli._files import must_be_new, write_once
from icm_bench.engine import Engine, engine_of
from icm_bench.errors import UserError
from icm_bench.grid import parse_grid
from icm_bench.shard import WHOLE, Shard, parse_shard
from icm_bench.sweep_keys import KEYS

if TYPE_CHECKING:
    from icm_bench.store import Store


def sweep_of(context: typer.Context, file: Path | None) -> sweep.Sweep:
    """The sweep of a call. Raises UserError, for a mistake in a file with its line."""
    flags = dict(_flags(context))
    if file is None:
        return sweep.of_flags(flags)
    if not file.is_file():
        raise UserError(f"{file}: there is no such sweep file; a codec is given as --method, a task as --task")
    return sweep.read(file, flags)


def _flags(context: typer.Context) -> Iterator[tuple[str, Any]]:
    """Key and value of each option that the command line really gives."""
    for key in KEYS:
        option = key.option or key.name
        source = context.get_parameter_source(option)
        if source is None or source.name != "COMMANDLINE":
            continue
        value = context.params[option]
        if key.kind == "grid":
            if not value:
                continue
            value = parse_grid(value, f"--{key.flag}")
        yield key.name, str(value) if isinstance(value, Path) else value


def save(asked: sweep.Sweep, path: Path) -> str:
    """Write a sweep as a file; what to say about it. Raises UserError where there is a file already."""
    if path.suffix != ".toml":
        raise UserError(f"--save {path}: the name of a sweep file ends in .toml")
    must_be_new(path)
    if not all(one.methods and one.tasks for one in asked.requests):
        raise UserError("--save: there is nothing to save without --method and --task")
    for request in asked.requests:  # a wrong name is told now, not when the file is used
        for made_by, specs in ((registry.method, request.methods), (registry.task, request.tasks)):
            for spec in specs:
                made_by(spec)
    text = sweep.text_of(asked, path.parent)
    write_once(path, False, lambda part: part.write_text(text, encoding="utf-8"))
    return f"{path}: written, nothing run; next: icm-bench run {path}"


def part(asked: sweep.Sweep) -> Shard:
    """The part of the sweep that is to be run here. Raises UserError."""
    with _blaming(asked):
        return parse_shard(asked.shard) if asked.shard else WHOLE


def engines(asked: sweep.Sweep) -> Callable[[int], Engine]:
    """What makes an engine for a number of units. Raises UserError."""
    with _blaming(asked):
        return engine_of(asked.engine, asked.workers, asked.requests[0].device, asked.address)


def plans(asked: sweep.Sweep, store: Store) -> list[plan.Plan]:
    """The plan of each request: all are looked through before the first is run."""
    made = []
    for index, request in enumerate(asked.requests):
        with _blaming(asked, index):
            made.append(plan.build(request, store))
    return made


@contextmanager
def _blaming(asked: sweep.Sweep, index: int = 0) -> Iterator[None]:
    """Errors of a request get the line of the sweep file that they are about."""
    try:
        yield
    except UserError as error:
        raise asked.blame(index, error) from error


def events(
    made: list[plan.Plan], store: Store, engines: Callable[[int], Engine], part: Shard
) -> Generator[runner.Event]:
    """What happens in all of the runs, one after the other."""
    for one in made:
        yield from runner.run(one, store, engines, part)
