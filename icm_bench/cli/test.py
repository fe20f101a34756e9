"""Test a codec or a task of your own: a line per check, exit status 0 all pass, 1 a check fails, 2 cannot be run."""

from __future__ import annotations

from typing import Annotated

import typer

from icm_bench.cli import _complete


def test(
    plugin: Annotated[
        str,
        typer.Argument(
            help="Name, spec or file, such as rdc(checkpoint='x') or ./my_codec.py.", autocompletion=_complete.plugins
        ),
    ],
    seconds: Annotated[float, typer.Option(help="Time that each check may take.", min=0.1)] = 300,
) -> None:
    """Run the conformance kit on an installed plug-in or a single file, and say what is wrong in plain English.

    A check that takes too long is the last; native code that does not come back then ends the kit, which shows where.
    """
    from icm_bench import own_files, registry
    from icm_bench.errors import MissingPackage

    try:
        from icm_bench.testing import verdict
    except ModuleNotFoundError as error:
        if error.name != "pytest":
            raise
        raise MissingPackage("pytest", registry.EXTRAS["pytest"]) from error

    own_files.remember([plugin])
    print(f"{plugin}: a {verdict.kind_of(plugin)}")
    faults = total = 0
    for check in verdict.checks(plugin, seconds):
        print(check, flush=True)
        total, faults = total + 1, faults + bool(check.fault)
    print(f"{faults} of {total} checks fail" if faults else f"all {total} checks pass")
    if faults:
        raise typer.Exit(1)
