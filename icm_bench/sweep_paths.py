"""Paths in sweep files: the same place, told from another folder."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Any

from icm_bench.datasets import MINI
from icm_bench.errors import UserError
from icm_bench.spec import format_spec, parse_spec


def moved(kind: str, value: Any, old: Path, new: Path) -> Any:
    """A key's value as it stands in folder ``old``, with its relative paths as seen from folder ``new``.

    kind: "path", "paths" or "specs"; others hold no paths. In a spec, a name or parameter is a path that begins with
    ./ or ../, ends in .py, or is that of a file which is there.
    """
    if kind not in ("path", "paths", "specs") or old.resolve() == new.resolve():
        return value
    if kind == "path":
        return value if value == MINI else _path(value, old, new)
    return [partial(_spec if kind == "specs" else _path, old=old, new=new)(one) for one in value]


def _path(text: str, old: Path, new: Path) -> str:
    if Path(text).expanduser().is_absolute():
        return text
    return os.path.relpath(old.resolve() / text, new.resolve())


def _spec(text: str, old: Path, new: Path) -> str:
    """``onnx:y.onnx(kind="yolox")``: the part behind the colon, a name without one, and parameters may be paths."""
    try:
        name, params = parse_spec(text)
    except UserError:
        return text  # told where names are looked up
    head, colon, tail = name.rpartition(":")
    now = head + colon + _part(tail, old, new)
    changed = {key: _part(value, old, new) if isinstance(value, str) else value for key, value in params.items()}
    return text if (now, changed) == (name, params) else format_spec(now, changed)


def _part(text: str, old: Path, new: Path) -> str:
    is_told_as_path = text.startswith(("./", "../")) or text.endswith(".py")
    if not is_told_as_path and not (Path(text).suffix and (old / text).is_file()):
        return text
    told = _path(text, old, new)
    return told if told.startswith("..") or Path(told).expanduser().is_absolute() else f"./{told}"
