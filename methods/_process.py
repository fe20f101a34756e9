"""Running external programs: argument lists, limits on time, files and memory, no life without their parent.

A failure is a CodecError that shows the command and the last lines of the program's output.
"""

from __future__ import annotations

import ctypes
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import IO

from icm_bench.errors import CodecError, UserError

try:
    import resource
except ImportError:  # not on Windows
    resource = None  # type: ignore[assignment]

#: Linux, <sys/prctl.h>: the signal that a process gets when its parent dies.
_DEATH_SIGNAL = 1
_TAIL_LINES = 8
_TAIL_BYTES = 4096


@dataclass(frozen=True)
class Limits:
    """What one call of a program may take: seconds, bytes of any one file, bytes of address space; None: no limit.

    cpu_s: seconds of processor time, rounded up, which do not pass faster on a busy machine; None: a little more than
    timeout_s. Where the platform has no such limits only the seconds hold.
    """

    timeout_s: float
    file_bytes: int | None = None
    memory_bytes: int | None = None
    cpu_s: float | None = None


def run(command: Sequence[str], limits: Limits, *, data: bytes | None = None, asking: bool = False) -> bytes:
    """Run a program to its end and return what it wrote to standard output.

    command: program and arguments, never a shell line; data: bytes for its standard input; asking: standard error
    is returned too, and any exit status will do, for programs that are asked what they are. Raises CodecError when
    the program cannot be started, ends with another status than 0, or meets a limit. When its time is over, as on
    any interruption, it is killed with all the processes it started; on Linux it dies with this process too.
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
                preexec_fn=_before(limits),
            )
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            raise CodecError(f"{command[0]} cannot be started: {error}\n{shlex.join(command)}") from error
        try:
            output, _ = process.communicate(data, timeout=limits.timeout_s)
        except subprocess.TimeoutExpired as error:
            _kill(process)
            what = f"was not done after {limits.timeout_s:g} s and was stopped"
            raise CodecError(_message(command, what, errors, error.output or b"")) from error
        except BaseException:
            _kill(process)
            raise
        if process.returncode != 0 and not asking:
            raise CodecError(_message(command, _ending(process.returncode, limits), errors, output))
        return output


def find(program: str, what: str, fix: str) -> str:
    """The absolute path of a program given by name or path. Raises UserError: what it is, and the fix."""
    found = shutil.which(str(Path(program).expanduser()))
    if found is None:
        raise UserError(f"{what}: there is no program {program!r} that can be run; {fix}")
    return str(Path(found).absolute())


def _before(limits: Limits) -> Callable[[], None] | None:
    """What the new process does before it becomes the program; nothing that takes a lock."""
    if resource is None:
        return None
    cpu_s = ceil(limits.timeout_s) + 1 if limits.cpu_s is None else ceil(limits.cpu_s)
    bounds = [(resource.RLIMIT_CORE, 0), (resource.RLIMIT_CPU, cpu_s)]
    wanted = ((resource.RLIMIT_FSIZE, limits.file_bytes), (resource.RLIMIT_AS, limits.memory_bytes))
    bounds += [(kind, value) for kind, value in wanted if value is not None]
    tie = ctypes.CDLL(None).prctl if sys.platform == "linux" else None
    parent, bound = os.getpid(), resource.setrlimit

    def prepare() -> None:
        for kind, value in bounds:
            bound(kind, (value, value))
        if tie is not None:
            tie(_DEATH_SIGNAL, signal.SIGKILL)
            if os.getppid() != parent:  # it had died before
                os._exit(1)

    return prepare


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


def _ending(status: int, limits: Limits) -> str:
    if status >= 0:
        return f"ended with status {status}"
    # What reaches its bound of processor time is killed by either; so is what the system has no memory for.
    if limits.cpu_s is not None and -status in (signal.SIGKILL, signal.SIGXCPU):
        return f"was stopped, by its bound of {ceil(limits.cpu_s)} s of processor time if by nobody else"
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
