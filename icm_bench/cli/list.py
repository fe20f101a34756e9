"""List methods, tasks and nets, and what is missing."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from icm_bench.registry import Plugin


def list_() -> None:
    """List methods, tasks and the nets of each task, and optional packages that are missing.

    A name stands for its default parameters: vvc, or with some of them set, vvc(preset="fast").
    """
    from icm_bench import registry

    for kind, axes in (("method", _method_axes), ("task", _task_nets)):
        typer.echo(f"{kind}s")
        names = registry.names(kind)
        width = max((len(name) for name in names), default=0)
        for name in names:
            plugin = registry.plugin(kind, name)
            typer.echo(f"  {name:{width}}  {plugin.summary}")
            for line in axes(plugin):
                typer.echo(f"  {'':{width}}    {line}")
        typer.echo("")
    missing = {package: fix for package, fix in registry.EXTRAS.items() if find_spec(package) is None}
    if missing:
        typer.echo("missing, and only needed where they are used")
        width = max(map(len, missing))
        for package, fix in missing.items():
            typer.echo(f"  {package:{width}}  {fix}")
        typer.echo("")
    typer.echo("icm-bench doctor looks at programs, data and weights as well")


def _method_axes(plugin: Plugin) -> Iterator[str]:
    """The rate axis and betas of a method in this repository; others are not imported only to be listed."""
    cls = _light(plugin)
    if isinstance(cls, str):
        yield cls
    elif cls is not None:
        if not cls.lossless:
            axis = cls().rate
            yield f"{axis.name}: {' '.join(f'{point:g}' for point in axis.points)}"
        betas = " ".join(f"{beta:g}" for beta in cls.betas if beta is not None)
        if betas:
            yield f"beta: {betas}"


def _task_nets(plugin: Plugin) -> Iterator[str]:
    """The nets of a task in this repository."""
    cls = _light(plugin)
    if isinstance(cls, str):
        yield cls
    elif cls is not None:
        for where, nets in (("built-in mini set", cls.mini_nets), ("real data", cls.default_nets)):
            if nets:
                yield f"nets, {where}: {', '.join(nets)}"


def _light(plugin: Plugin) -> Any:
    """The class, the reason why it cannot be had, or None for a plug-in from elsewhere."""
    from icm_bench import registry
    from icm_bench.errors import UserError

    if plugin.path is None:
        return None
    try:
        return registry.load(plugin.kind, plugin.name)
    except UserError as error:
        return str(error)


#: A command's function bears the name of its file.
list = list_
