"""What ``icm-bench check`` works with: its store, its engine, the files it writes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from icm_bench.cli._files import write_once
from icm_bench.temporary import private_folder

if TYPE_CHECKING:
    from icm_bench.store import Store


@contextmanager
def opened(folder: Path | None) -> Iterator[Store]:
    """The store of a folder, or one that goes away with the check."""
    from icm_bench.store import Store

    with ExitStack() as stack:
        home = stack.enter_context(private_folder()) if folder is None else folder
        yield stack.enter_context(Store(home / "store.sqlite"))


def write(path: Path | None, text: str) -> None:
    """Write a report whole or not at all, if it is asked for."""
    if path is not None:
        write_once(path, True, lambda part: part.write_text(text, encoding="utf-8"))
