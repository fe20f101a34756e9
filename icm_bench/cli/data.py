"""Remember where a real data set lies, and say what was found there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from icm_bench.cli import _complete

if TYPE_CHECKING:
    from icm_bench.task import Task

_ACTIONS = ("list", "add", "remove")


def data(
    action: Annotated[str, typer.Argument(help="list, add or remove.")] = "list",
    task: Annotated[
        str, typer.Argument(help="The task: imagenet, coco, cityscapes, ...", autocompletion=_complete.tasks)
    ] = "",
    path: Annotated[Optional[Path], typer.Argument(help="The data set's folder, for add.")] = None,  # noqa: UP045
) -> None:
    """Remember where a real data set lies (add TASK PATH), forget it (remove TASK), or list what is known.

    Tasks then run on the remembered folder; --data mini takes the built-in set all the same.
    """
    from icm_bench import datasets, registry
    from icm_bench.errors import UserError

    if action not in _ACTIONS:
        raise UserError(f"unknown action {action!r}{registry.suggest(action, _ACTIONS)}")
    if action == "list":
        _list()
        return
    if not task or (path is None) != (action == "remove"):
        raise UserError(f"expected: icm-bench data {action} TASK" + (" PATH" if action == "add" else ""))
    if action == "remove":
        datasets.remember(task, None)
        typer.echo(f"{task}: forgotten; the task runs on the built-in mini set again")
        return
    assert path is not None
    found = registry.task(task, data=str(path.expanduser().resolve()))
    typer.echo(f"{task}: {_counts(found)} found")  # read first: a wrong layout is told before it is remembered
    datasets.remember(found.name, path)
    typer.echo(f"remembered in {datasets.config_file()}; icm-bench run --task {found.name} takes it from now on")


def _list() -> None:
    """One line per task: where its data lies and what was found."""
    from icm_bench import datasets, registry
    from icm_bench.errors import UserError

    held = datasets.remembered()
    names = [*registry.names("task"), *(name for name in held if name not in registry.names("task"))]
    width = max(map(len, names))
    for name in names:
        if name not in held:
            fallback = "the built-in mini set" if _task_class(name).mini_nets else "nothing"
            typer.echo(f"{name:{width}}  {fallback}; icm-bench data add {name} PATH")
            continue
        try:
            task = registry.task(name, data=held[name])
            typer.echo(f"{name:{width}}  {held[name]}: {_counts(task)}")
        except UserError as error:
            typer.echo(f"{name:{width}}  {held[name]}: cannot be used ({error})")


def _task_class(name: str) -> type[Task]:
    from icm_bench import registry

    return registry.load("task", name)


def _counts(task: Task) -> str:
    """Pictures found, and how many the full set has."""
    n = len(task.samples())
    return f"{n} of {task.expected} pictures" if task.expected else f"{n} picture{'' if n == 1 else 's'}"
