"""The kit run on one plug-in without a test runner: a line per check, and what is wrong in plain English."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from icm_bench import registry
from icm_bench.errors import UserError
from icm_bench.spec import parse_spec
from icm_bench.temporary import private_folder
from icm_bench.testing.limits import CHECK_S, TooLong, limited
from icm_bench.testing.methods import MethodTests
from icm_bench.testing.tasks import TaskTests, first_net


@dataclass(frozen=True)
class Check:
    """One check: what it looks at, and what is wrong ("" where nothing is)."""

    name: str
    fault: str

    def __str__(self) -> str:
        return f"{'FAIL' if self.fault else 'pass'}  {self.name}" + (f": {self.fault}" if self.fault else "")


def kind_of(spec: str) -> str:
    """ "method" or "task": what a spec or a file holds. Raises UserError for an unknown one."""
    name, _ = parse_spec(spec)
    if name.endswith(".py"):
        try:
            registry.load("task", name)
        except UserError:
            registry.load("method", name)  # a file that holds neither, or cannot be imported, is told here
            return "method"
        return "task"
    known = {kind: registry.names(kind) for kind in ("method", "task")}
    for kind, names in known.items():
        if name in names:
            return kind
    everything = [*known["method"], *known["task"]]
    raise UserError(f"unknown method or task {name!r}{registry.suggest(name, everything)}")


def checks(spec: str, seconds: float = CHECK_S) -> Iterator[Check]:
    """Run the kit on a plug-in; the first check that takes more seconds is the last. Raises UserError when the
    plug-in cannot be loaded or set up.
    """
    tests: Any
    fixtures: dict[str, Any]
    try:
        with limited(seconds, ends_process=True):
            tests, fixtures = _made(spec)
    except TooLong as late:
        raise UserError(f"{spec} cannot be set up: {late}") from late
    for name in [name for name in vars(type(tests)) if name.startswith("test_")]:
        told = name.removeprefix("test_").replace("_", " ")
        try:
            with limited(seconds, ends_process=True):
                fault = _fault(getattr(tests, name), fixtures)
        except TooLong as late:
            yield Check(told, f"{late}; the checks after it are left out")
            return
        yield Check(told, fault)


def _made(spec: str) -> tuple[Any, dict[str, Any]]:
    """The kit for a plug-in, and the fixtures that it needs."""
    if kind_of(spec) == "method":
        method = registry.method(spec)
        method.setup()
        return MethodTests(), {"ready": method}
    task = registry.task(spec)
    task.samples()  # a task without its data cannot be tested
    return TaskTests(), {"task": task, "net": first_net(task)}


def _fault(test: Any, fixtures: dict[str, Any]) -> str:
    with private_folder() as folder:
        given = {**fixtures, "tmp_path": folder}
        try:
            test(**{name: given[name] for name in inspect.signature(test).parameters})
        except AssertionError as error:
            return _line(error) or "the check does not hold"
        except Exception as error:  # whatever a plug-in raises is its fault, and is named
            return f"it raised {type(error).__name__}: {_line(error)}"
    return ""


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
