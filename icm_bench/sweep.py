"""Sweeps as files: what ``icm-bench run`` is to measure, in TOML, read with the line of every mistake.

    methods = ["jpeg", 'vvc(preset="fast")']
    tasks = ["coco"]
    out = "figure-3"

    [[run]]                 # takes over what stands above, and says more
    rates = [22, 27]

Relative paths are relative to the file. ``sweep_keys`` holds the keys; ``sweep.schema.json`` is for editors.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from icm_bench import registry
from icm_bench.errors import UserError
from icm_bench.request import Request
from icm_bench.sweep_keys import BY_NAME, KEYS
from icm_bench.sweep_paths import moved
from icm_bench.toml_lines import Place, TomlFile

#: Keys of specs that the registry can make, to see whether it does.
_MADE_BY: dict[str, Callable[[str], object]] = {"methods": registry.method, "tasks": registry.task}
#: Keys that are no part of a request.
_HOW = ("out", "engine", "address", "workers", "shard")


@dataclass(frozen=True)
class Sweep:
    """Requests in their order, all into one store, and how they are worked off.

    held: the values of each request as they were said; file: where, None for a command line without a file; flags:
    the keys that the command line said.
    """

    requests: tuple[Request, ...]
    out: str = "results"
    engine: str = "local"
    address: str = ""
    workers: int = 0
    shard: str = ""
    held: tuple[Mapping[str, Any], ...] = field(default=(), compare=False)
    file: TomlFile | None = field(default=None, compare=False)
    flags: frozenset[str] = field(default=frozenset(), compare=False)

    @property
    def how(self) -> dict[str, Any]:
        """Where the results go and how the requests are worked off."""
        return {name: getattr(self, name) for name in _HOW}

    def blame(self, index: int, error: UserError) -> UserError:
        """An error that a request made, at the line of what it is about. index: the request's."""
        if self.file is None:
            return error
        told = str(error)
        option = re.match(r"--([a-z-]+)", told)
        key = next((key for key in KEYS if option and key.flag == option[1]), None)
        name, within = self._named(index, told)
        if option is not None and key is not None:
            name, within, told = key.name, (), key.name + told.removeprefix(option[0])
        if name in self.flags:
            return error
        return self.file.error((*self._place(index, name), *within), told)

    def _named(self, index: int, told: str) -> tuple[str, Place]:
        """The key with the text that a message quotes, and its position in the list; "" where it quotes none."""
        for name, values in self.held[index].items():
            for at, value in enumerate(values if isinstance(values, list) else ()):
                if repr(value) in told:
                    return name, (at,)
        return "", ()

    def _place(self, index: int, name: str) -> Place:
        """Where a request's key stands, or is missing: in its run, unless only what is above the runs has it."""
        assert self.file is not None
        runs = self.file.values.get("run")
        return ("run", index, name) if runs and (name in runs[index] or name not in self.file.values) else (name,)


def of_flags(flags: Mapping[str, Any]) -> Sweep:
    """The sweep that a command line without a file says. flags: value by key, those given only."""
    return _sweep([{}], None, flags)


def read(path: Path, flags: Mapping[str, Any]) -> Sweep:
    """The sweep of a file. flags: value by key of what the command line says, which replaces the file's everywhere.

    Raises UserError, with the line, for a file that is not TOML, and for keys, values and names that do not fit.
    """
    file = TomlFile.read(path)
    runs = file.values.get("run", [{}])
    if not isinstance(runs, list) or not runs or not all(isinstance(run, dict) for run in runs):
        raise file.error(("run",), "run is not a list of tables: begin each with [[run]]")
    above = _checked(file, {name: value for name, value in file.values.items() if name != "run"}, ())
    return _sweep([above | _checked(file, run, ("run", at)) for at, run in enumerate(runs)], file, flags)


def _sweep(held: list[dict[str, Any]], file: TomlFile | None, flags: Mapping[str, Any]) -> Sweep:
    said = tuple({**one, **flags} for one in held)
    how = {name: value for name, value in said[0].items() if name in _HOW}
    requests = tuple(_request({name: value for name, value in one.items() if name not in how}) for one in said)
    return Sweep(requests, **how, held=said, file=file, flags=frozenset(flags))


def _request(said: dict[str, Any]) -> Request:
    reference = "identity" if said.get("reference", True) else None
    some = {name: said.get(name) or None for name in ("data", "limit")}
    return Request.of({"methods": [], "tasks": []} | said | some | {"reference": reference})


def _checked(file: TomlFile, values: Mapping[str, Any], above: Place) -> dict[str, Any]:
    """The values of one table, each of its kind, paths as seen from here. above: the table's place."""
    made = {}
    for name, value in values.items():
        place = (*above, name)
        key = BY_NAME.get(name)
        if key is None:
            known = [key.name for key in KEYS if not (above and key.whole)] + ([] if above else ["run"])
            raise file.error(place, f"unknown key {name!r}{registry.suggest(name, known)}")
        if above and key.whole:
            raise file.error(place, f"{name} is said once for all runs: put it above the first [[run]]")
        try:
            made[name] = moved(key.kind, key.value(value), file.path.parent, Path())
        except UserError as error:
            raise file.error(place, str(error)) from error
        for at, spec in enumerate(made[name] if name in _MADE_BY else ()):
            try:
                _MADE_BY[name](spec)
            except UserError as error:
                raise file.error((*place, at), str(error)) from error
    return made


def text_of(sweep: Sweep, folder: Path) -> str:
    """A file that says the same, to lie in this folder: what differs from the defaults, paths as seen from there."""
    held = [_told(request) for request in sweep.requests]
    shared = {name: value for name, value in held[0].items() if all(one.get(name) == value for one in held)}
    plain = Sweep(()).how
    above = shared | {name: value for name, value in sweep.how.items() if value != plain[name]}
    runs = [{name: value for name, value in one.items() if name not in shared} for one in held]
    lines = []
    for number, table in enumerate([above] if len(held) == 1 else [above, *runs]):
        lines += ["", "[[run]]"] if number else []
        for key in KEYS:
            if key.name in table:
                lines.append(f"{key.name} = {_toml(moved(key.kind, table[key.name], Path(), folder))}")
    return "\n".join(lines) + "\n"


def _told(request: Request) -> dict[str, Any]:
    """A request's values as a file says them, without its defaults."""
    plain = Request((), ())
    held = {one.name: getattr(request, one.name) for one in dataclasses.fields(request)}
    said = {name: value for name, value in held.items() if value != getattr(plain, name)}
    if "reference" in said:
        said["reference"] = False
    return {name: list(value) if isinstance(value, tuple) else value for name, value in said.items()}


def _toml(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.0f}" if value == int(value) else repr(value)
    if isinstance(value, str) and '"' in value and "'" not in value and value.isprintable():
        return f"'{value}'"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
