"""A TOML file and the lines on which its values stand, for messages such as ``sweep.toml:12: unknown key 'beta'``.

tomllib tells no positions. But a file's first lines are TOML of their own exactly where a statement ends, so what is
new in a longer beginning stands between its end and that of the one before.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from icm_bench.errors import UserError

#: The way to a value: keys of tables and indices of arrays.
Place = tuple[str | int, ...]


@dataclass(frozen=True)
class TomlFile:
    """A file that has been read. values: its content as tomllib gives it."""

    path: Path
    text: str
    values: dict[str, Any]

    @classmethod
    def read(cls, path: Path) -> TomlFile:
        """Raises UserError for a file that cannot be read or is not TOML, with the line where it stops to be."""
        try:
            text = path.read_text(encoding="utf-8")
            return cls(path, text, tomllib.loads(text))
        except OSError as error:
            raise UserError(f"{path}: cannot be read ({error.strerror or error})") from error
        except UnicodeDecodeError as error:
            raise UserError(f"{path}: is not text in UTF-8") from error
        except tomllib.TOMLDecodeError as error:
            told, line = str(error), text.count("\n") + 1
            if found := re.search(r" \(at line (\d+), column (\d+)\)$", told):
                told, line = f"{told[: found.start()]} (column {found[2]})", int(found[1])
            raise UserError(f"{path}:{line}: not TOML: {told}") from error

    def error(self, place: Place, message: str) -> UserError:
        """A message about a value, with its line; about one that is not there, with that of the table around it."""
        while place not in self._spans and place:
            place = place[:-1]
        return UserError(f"{self.path}:{self._line(place)}: {message}" if place else f"{self.path}: {message}")

    def _line(self, place: Place) -> int:
        """The value's own line where it is a text in an array over several lines, else that of its key."""
        first, last = self._spans[place]
        value: Any = self.values
        for step in place:
            value = value[step]
        lines = self.text.split("\n")[first - 1 : last]
        return next((first + n for n, line in enumerate(lines) if isinstance(value, str) and value in line), first)

    @cached_property
    def _spans(self) -> dict[Place, tuple[int, int]]:
        """First and last line, from 1, of the statement that made each value."""
        spans: dict[Place, tuple[int, int]] = {}
        lines, first = self.text.split("\n"), 1
        for last in range(1, len(lines) + 1):
            try:
                values = tomllib.loads("\n".join(lines[:last]) + "\n")
            except tomllib.TOMLDecodeError:
                continue
            for place in _places(values):
                spans.setdefault(place, (first, last))
            first = last + 1
        return spans


def _places(value: Any, above: Place = ()) -> Iterator[Place]:
    """The way to everything in a value."""
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, inner in steps:
        yield (*above, step)
        yield from _places(inner, (*above, step))
