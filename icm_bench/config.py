"""Configs: TOML files read into frozen dataclasses, with every wrong key and type named.

The comment that opens a training config is for people: the command, the time it takes, the number to expect.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from pathlib import Path
from typing import Any, TypeVar

from icm_bench.errors import UserError
from icm_bench.registry import suggest
from icm_bench.toml_lines import TomlFile

C = TypeVar("C")
#: How types are told to people.
_KINDS: dict[Any, str] = {
    int: "a whole number", float: "a number", str: "a text in quotes", bool: "true or false", tuple: "a list",
}  # fmt: skip


def read_config(cls: type[C], path: Path) -> C:
    """A config of a dataclass from a TOML file; tables fill nested dataclasses, arrays of tables tuples of them.

    Raises UserError for a file that is missing or not TOML, for keys that the dataclass does not have, and for
    values of another type.
    """
    return _filled(cls, read_toml(path), str(path))


def read_toml(path: Path) -> dict[str, Any]:
    """The file's content without its key "trainer"; "base" names a config beside it whose values it changes.

    Tables are merged, everything else is replaced. Raises UserError.
    """
    values = TomlFile.read(path).values
    values.pop("trainer", None)
    base = values.pop("base", None)
    if base is None:
        return values
    beside = path.with_name(f"{base}.toml")
    if beside == path or not beside.is_file():
        raise UserError(f"{path}: base = {base!r}, but there is no other config {beside}")
    return _merged(read_toml(beside), values)


def _merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    both = {key for key, value in above.items() if isinstance(value, dict) and isinstance(below.get(key), dict)}
    return {**below, **above, **{key: _merged(below[key], above[key]) for key in both}}


def _filled(cls: Any, values: dict[str, Any], where: str) -> Any:
    known = {item.name: item for item in dataclasses.fields(cls)}
    hints = typing.get_type_hints(cls)
    made = {}
    for key, value in values.items():
        if key not in known:
            raise UserError(f"{where}: unknown key {key!r}{suggest(key, known)}")
        made[key] = _value(hints[key], value, f"{where} [{key}]" if isinstance(value, dict) else f"{where}: {key}")
    missing = [
        name
        for name, item in known.items()
        if name not in made
        and item.default is dataclasses.MISSING
        and item.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise UserError(f"{where}: {', '.join(missing)} must be given")
    try:
        return cls(**made)
    except (TypeError, ValueError) as error:
        raise UserError(f"{where}: {error}") from error


def _value(hint: Any, value: Any, where: str) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if dataclasses.is_dataclass(hint) and isinstance(value, dict):
        return _filled(hint, value, where)
    if origin is tuple and isinstance(value, list):
        return tuple(_value(arguments[0], one, where) for one in value)
    if origin in (types.UnionType, typing.Union):
        return _value(next(one for one in arguments if one is not type(None)), value, where)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    plain = origin or hint
    if type(value) is not plain:
        raise UserError(f"{where} is {value!r}, expected {_KINDS.get(plain, 'a table')}")
    return value


def opening(path: Path) -> list[str]:
    """The comment lines that open a config, without their marks."""
    lines = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.lstrip("# ").rstrip())
    return lines
