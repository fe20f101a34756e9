"""Temporary files that only this user can read and that go away, however the process ends.

What a process leaves when it is killed outright is locked by nobody any more; ``sweep`` in a later one removes it.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # not on Windows, where leftovers of a killed process stay until the user removes them
    fcntl = None  # type: ignore[assignment]

_PREFIX = "icm-bench-"
_LOCK = ".lock"
_PART = ".icm-bench-"


@contextmanager
def private_folder() -> Iterator[Path]:
    """A new temporary folder that only this user can read; removed in the end."""
    folder = Path(tempfile.mkdtemp(prefix=f".{_PREFIX}"))
    lock = os.open(folder / _LOCK, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        _hold(lock)
        # Only now does the folder get the name that ``sweep`` looks for: it never meets one without its lock.
        folder = folder.rename(folder.with_name(folder.name[1:]))
        yield folder
    finally:
        os.close(lock)
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def part_of(path: Path) -> Iterator[Path]:
    """A private file beside ``path`` that takes its place in one step when the block ends well, and else goes away.

    Parts that killed processes left in the folder are removed. Raises OSError.
    """
    _sweep_parts(path.parent)
    while True:
        handle, name = tempfile.mkstemp(prefix=_PART, dir=path.parent)
        _hold(handle)
        if os.fstat(handle).st_nlink:  # else somebody swept it before it was locked
            break
        os.close(handle)
    part = Path(name)
    try:
        yield part
        umask = os.umask(0)
        os.umask(umask)
        part.chmod(0o666 & ~umask)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
        os.close(handle)


def sweep() -> None:
    """Remove private folders that killed processes of this user left; those in use are locked and stay."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with suppress(OSError), _unused(folder / _LOCK, folder):
            shutil.rmtree(folder, ignore_errors=True)


def _sweep_parts(folder: Path) -> None:
    for part in folder.glob(f"{_PART}*"):
        with suppress(OSError), _unused(part, part):
            part.unlink(missing_ok=True)


@contextmanager
def _unused(lock: Path, what: Path) -> Iterator[None]:
    """Holds the lock of something that is this user's. Raises OSError where it is not, or somebody holds it."""
    if fcntl is None or what.is_symlink() or what.stat().st_uid != os.getuid():
        raise PermissionError(what)
    handle = os.open(lock, os.O_RDWR | os.O_NOFOLLOW)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(handle)


def _hold(handle: int) -> None:
    if fcntl is not None:
        fcntl.flock(handle, fcntl.LOCK_EX)
