"""Running external programs: argument lists, a time limit, private temporary folders.

A failure is a CodecError that shows the command and the last lines of the program's output.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from icm_bench.errors import CodecError, UserError

try:
    import fcntl
except ImportError:  # not on Windows, where leftovers of a killed run stay until the user empties the folder
    fcntl = None  # type: ignore[assignment]

_PREFIX = "icm-bench-"
_LOCK = ".lock"
_TAIL_LINES = 8
_TAIL_BYTES = 4096


def run(command: Sequence[str], *, timeout_s: float, data: bytes | None = None, asking: bool = False) -> bytes:
    """Run a program to its end and return what it wrote to standard output.

    command: program and arguments, never a shell line; data: bytes for its standard input; asking: standard error
    is returned too, and any exit status will do, for programs that are asked what they are. Raises CodecError when
    the program cannot be started, ends with another status than 0, or is not done after timeout_s seconds; then,
    as on any interruption, it is killed with all the processes it started.
    """
    with tempfile.TemporaryFile() as errors:
        try:
            process = subprocess.Popen(
                list(command),
                stdin=subprocess.PIPE if data is not None else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT if asking else errors,
                env={**os.environ, "LC_ALL": "C", "AV_LOG_FORCE_NOCOLOR": "1"},
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            raise CodecError(f"{command[0]} cannot be started: {error}\n{shlex.join(command)}") from error
        try:
            output, _ = process.communicate(data, timeout=timeout_s)
        except subprocess.TimeoutExpired as error:
            _kill(process)
            what = f"was not done after {timeout_s:g} s and was stopped"
            raise CodecError(_message(command, what, errors, error.output or b"")) from error
        except BaseException:
            _kill(process)
            raise
        if process.returncode != 0 and not asking:
            raise CodecError(_message(command, _ending(process.returncode), errors, output))
        return output


def find(program: str, what: str, fix: str) -> str:
    """The absolute path of a program given by name or path. Raises UserError: what it is, and the fix."""
    found = shutil.which(str(Path(program).expanduser()))
    if found is None:
        raise UserError(f"{what}: there is no program {program!r} that can be run; {fix}")
    return str(Path(found).absolute())


@contextmanager
def private_folder() -> Iterator[Path]:
    """A new temporary folder that only this user can read; removed in the end, however it comes.

    A process killed outright cannot remove its folder; ``sweep`` in a later one does.
    """
    folder = Path(tempfile.mkdtemp(prefix=f".{_PREFIX}"))
    lock = os.open(folder / _LOCK, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        if fcntl is not None:
            fcntl.flock(lock, fcntl.LOCK_EX)
        # Only now does the folder get the name that ``sweep`` looks for: it never meets one without its lock.
        folder = folder.rename(folder.with_name(folder.name[1:]))
        yield folder
    finally:
        os.close(lock)
        shutil.rmtree(folder, ignore_errors=True)


def sweep() -> None:
    """Remove private folders that killed processes of this user left; those in use are locked and stay."""
    if fcntl is None:
        return
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with suppress(OSError):
            if folder.is_symlink() or folder.stat().st_uid != os.getuid():
                continue
            lock = os.open(folder / _LOCK, os.O_RDWR | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)


def _kill(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(OSError):
                pipe.close()
    process.wait()


def _ending(status: int) -> str:
    if status >= 0:
        return f"ended with status {status}"
    with suppress(ValueError):
        return f"was killed by {signal.Signals(-status).name}"
    return f"was killed by signal {-status}"


def _message(command: Sequence[str], what: str, errors: IO[bytes], output: bytes = b"") -> str:
    size = errors.seek(0, os.SEEK_END)
    errors.seek(max(0, size - _TAIL_BYTES))
    tail = errors.read() or output[-_TAIL_BYTES:]
    lines = [line.rstrip() for line in tail.decode("utf-8", "replace").splitlines() if line.strip()]
    told = lines[-_TAIL_LINES:] or ["(it printed nothing)"]
    # The first line stands alone in a progress log; the command and the rest are for the row.
    return "\n".join([f"{Path(command[0]).name} {what}: {told[-1]}", shlex.join(command), *told])
