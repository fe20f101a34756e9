"""What a sweep file may say: its keys, what they take and mean, and the JSON schema that this makes for editors."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from typing import Any

from icm_bench.errors import UserError
from icm_bench.grid import parse_grid


@dataclass(frozen=True)
class Key:
    """One key. kind: see ``_KINDS``; option: the flag of ``icm-bench run``; whole: said once for the whole file."""

    name: str
    kind: str
    text: str
    option: str = ""
    whole: bool = False

    @property
    def flag(self) -> str:
        """The flag's name on the command line, without its dashes."""
        return (self.option or self.name).replace("_", "-")

    def value(self, held: Any) -> Any:
        """A value as TOML holds it, checked; grids as tuples of numbers. Raises UserError without a place."""
        is_right, told, _ = _KINDS[self.kind]
        if not is_right(held):
            raise UserError(f"{self.name} is {json.dumps(held, default=str)}, expected {told}")
        if self.kind == "grid":
            return parse_grid(held, self.name) if isinstance(held, str) else tuple(map(float, held))
        return held

    @property
    def schema(self) -> dict[str, Any]:
        """The key's part of the JSON schema."""
        return {"description": self.text} | _KINDS[self.kind][2]


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _is_range(value: Any) -> bool:
    return isinstance(value, str) and value.count(":") == 2 and all(value.split(":"))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300


def _is_whole(value: Any, least: float = 0) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _is_list(value: Any, of: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(map(of, value))


_TEXT = {"type": "string", "minLength": 1}
_NUMBERS = {"type": "array", "items": {"type": "number"}, "minItems": 1}
#: What a kind of key takes: a check of the value, how it is told to people, and its JSON schema.
_KINDS: dict[str, tuple[Any, str, dict[str, Any]]] = {
    "specs": (
        partial(_is_list, of=_is_text), 'a list of texts, such as ["jpeg", "rdc"]',
        {"type": "array", "items": _TEXT, "minItems": 1},
    ),
    "grid": (
        lambda value: _is_range(value) or _is_list(value, _is_number), 'numbers, such as [0, 1, 2] or "0:5:0.5"',
        {"anyOf": [_NUMBERS, {"type": "string", "pattern": "^[^:]+:[^:]+:[^:]+$"}]},
    ),
    "paths": (partial(_is_list, of=_is_text), "a list of paths", {"type": "array", "items": _TEXT, "minItems": 1}),
    "path": (_is_text, "a path in quotes", _TEXT),
    "text": (_is_text, "a text in quotes", _TEXT),
    "count": (_is_whole, "a whole number from 0", {"type": "integer", "minimum": 0}),
    "whole": (partial(_is_whole, least=float("-inf")), "a whole number", {"type": "integer"}),
    "flag": (lambda value: isinstance(value, bool), "true or false", {"type": "boolean"}),
}  # fmt: skip

KEYS = (
    Key("methods", "specs", 'Codecs: names, specs such as vvc(preset="fast"), or files such as ./mine.py.', "method"),
    Key("tasks", "specs", "Tasks: names, specs or files.", "task"),
    Key("nets", "specs", "Nets that look at the pictures. Default: the task's own.", "net"),
    Key("weights", "paths", "A weights file for each of the nets, in their order."),
    Key("rates", "grid", 'Rates on the codec\'s own axis: numbers, or "start:stop:step". Default: the codec\'s.'),
    Key("betas", "grid", "Trade-offs in 0 .. 1: 1 is for machines, 0 for the eye. Default: the codec's."),
    Key("aux_rates", "grid", "Rates of the second layer. Default: tied to the first."),
    Key("coded_scales", "grid", "Per cent of the side that is coded (VCM: 100, 75, 50, 25).", "coded_scale"),
    Key("data", "path", 'The data set\'s folder, or "mini". Default: as icm-bench data says.'),
    Key("limit", "count", "Take the first so many pictures only; 0 takes all."),
    Key("profile", "text", "orig: pictures as they are; transtic: resized first. Default: orig."),
    Key("reference", "flag", "Measure the uncompressed line too. Default: true."),
    Key("verify", "flag", "Decode each stream again in another process. Default: false."),
    Key("device", "text", "Where networks run: cpu, cuda, ... Default: cpu.", whole=True),
    Key("batch", "count", "Most pictures through a net at once; 0: the device's default."),
    Key("seed", "whole", "Seed of everything random. Default: 0."),
    Key("out", "path", "Folder of the store. Default: results, where the command is called.", whole=True),
    Key("engine", "text", "local, or ray: on the machines of a Ray cluster. Default: local.", whole=True),
    Key("address", "text", "The Ray cluster: HOST:PORT, or auto. Default: this machine.", whole=True),
    Key("workers", "count", "Processes of one thread; 0: one per core if it pays.", whole=True),
    Key("shard", "text", "I/N: part I of N, for job arrays.", whole=True),
)
BY_NAME = {key.name: key for key in KEYS}


def schema() -> dict[str, Any]:
    """The JSON schema of sweep files (draft 7, which editors of TOML understand)."""
    of_runs = {key.name: key.schema for key in KEYS if not key.whole}
    runs = {
        "description": "Runs one after the other into one store; each takes over what is said above the first.",
        "type": "array",
        "items": {"type": "object", "additionalProperties": False, "properties": of_runs},
        "minItems": 1,
    }
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "icm-bench sweep",
        "description": "What icm-bench run FILE measures. Relative paths are relative to the file.",
        "type": "object",
        "additionalProperties": False,
        "properties": {**{key.name: key.schema for key in KEYS}, "run": runs},
    }


def schema_text() -> str:
    """The schema as the file ``sweep.schema.json`` holds it."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"
