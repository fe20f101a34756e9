"""What the shell offers for the word that is being typed, each with what it is, for shells that show that too.

Only the nets of a task need its file to be imported; nothing here loads torch.
"""

from __future__ import annotations

from typing import Any

import typer

Offers = list[tuple[str, str]]


def methods() -> Offers:
    """Codecs."""
    return _names("method")


def tasks() -> Offers:
    """Tasks."""
    return _names("task")


def plugins() -> Offers:
    """Codecs and tasks."""
    return [*methods(), *tasks()]


def nets(context: typer.Context) -> Offers:
    """The nets of the tasks given so far, of all tasks where none is. Those of installed packages are not asked, for
    their import may load anything.
    """
    from icm_bench import registry
    from icm_bench.errors import UserError
    from icm_bench.spec import parse_spec

    found: dict[str, str] = {}
    for spec in context.params.get("task") or registry.names("task"):
        try:
            plugin = registry.plugin("task", parse_spec(spec)[0])
            task: Any = registry.load("task", plugin.name) if plugin.entry is None else None
        except UserError:
            continue  # told when the command is called
        for where, names in (("mini set", task.mini_nets), ("real data", task.default_nets)) if task else ():
            found |= dict.fromkeys(names, f"{plugin.name}, {where}")
    return list(found.items())


def configs() -> Offers:
    """Shipped training configs."""
    from icm_bench import registry
    from icm_bench.config import opening

    return [(name, "".join(opening(path)[1:2])) for name, path in registry.training_configs().items()]


def _names(kind: str) -> Offers:
    from icm_bench import registry

    return [(name, registry.plugin(kind, name).summary) for name in registry.names(kind)]
