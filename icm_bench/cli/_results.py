"""Options that commands on results share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from icm_bench.errors import UserError

if TYPE_CHECKING:
    from icm_bench.selection import Filter

Out = Annotated[Path, typer.Option("--out", help="Results folder of the run, its store, or a CSV or JSON table.")]
Tasks = Annotated[list[str] | None, typer.Option("--task", help="Only this task (may be repeated).")]
Nets = Annotated[list[str] | None, typer.Option("--net", help="Only this net (may be repeated).")]
Methods = Annotated[
    list[str] | None,
    typer.Option("--method", help="Only this method: a spec, its name, or a pattern with *."),
]
Profile = Annotated[str | None, typer.Option("--profile", help="Only rows measured under this profile.")]
RateKind = Annotated[str | None, typer.Option("--rate-kind", help="Only rows with real or estimated bits.")]


def chosen(
    tasks: list[str] | None,
    nets: list[str] | None,
    methods: list[str] | None,
    profile: str | None,
    kind: str | None,
) -> Filter:
    """The filter that these options make."""
    from icm_bench.selection import Filter

    return Filter(tuple(tasks or ()), tuple(nets or ()), tuple(methods or ()), profile, kind)


def one_of(value: str, known: tuple[str, ...], what: str) -> str:
    """The value, if it is a known one. Raises UserError naming the others."""
    if value not in known:
        raise UserError(f"unknown {what} {value!r}: known are {', '.join(known)}")
    return value
