"""Plug-ins that are single files: which of them the user has called here.

A row names its codec and task, and a name may be the path of a file of code. Results come from anywhere, so reading
them runs such a file only where the user has given its path to ``icm-bench run`` or ``test`` before.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from icm_bench.datasets import config_file
from icm_bench.errors import UserError
from icm_bench.spec import parse_spec
from icm_bench.temporary import part_of


def remember(specs: Iterable[str]) -> None:
    """Keep the paths of the specs that are files. Where nothing can be written, nothing is kept."""
    files = {path for spec in specs if (path := _path(spec))}
    known = _known()
    if files <= known:
        return
    place = _place()
    with suppress(OSError):
        place.parent.mkdir(parents=True, exist_ok=True)
        with part_of(place) as part:
            part.write_text("".join(f"{path}\n" for path in sorted(known | files)), encoding="utf-8")


def check(spec: str) -> None:
    """Raise UserError for a spec, named by results, that is a file which the user has not called here."""
    path = _path(spec)
    if path and path not in _known():
        raise UserError(
            f"{path}: results name this file, and they may not run it; where it is your own, "
            f"icm-bench test {path} makes it known"
        )


def _path(spec: str) -> str:
    name, _ = parse_spec(spec)
    return str(Path(name).expanduser().absolute()) if name.endswith(".py") else ""


def _known() -> set[str]:
    try:
        return set(_place().read_text(encoding="utf-8").splitlines())
    except (OSError, UnicodeDecodeError):
        return set()


def _place() -> Path:
    return config_file().with_name("files.txt")
