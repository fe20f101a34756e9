"""Running external programs. The programs here are real processes: small Python scripts."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from icm_bench.errors import CodecError, UserError
from icm_bench.methods import _process
from icm_bench.methods._process import Limits

_SOON_S = 10.0


def _python(code: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", code, *arguments]


def test_bytes_go_in_and_out() -> None:
    data = bytes(range(256)) * 4000
    code = "import sys; sys.stdout.buffer.write(sys.stdin.buffer.read()[::-1])"
    assert _process.run(_python(code), Limits(60), data=data) == data[::-1]


def test_arguments_are_never_seen_by_a_shell() -> None:
    odd = ["a b", "it's", '"', "$(id)", "; ls", "-dash", "ünï", "*"]
    said = _process.run(_python("import sys; print(sys.argv[1:])", *odd), Limits(60))
    assert said.decode().strip() == repr(odd)


def test_failure_shows_command_status_and_last_lines() -> None:
    code = "import sys; [print('line', i, file=sys.stderr) for i in range(500)]; sys.exit(7)"
    with pytest.raises(CodecError) as caught:
        _process.run(_python(code, "it's here"), Limits(60))
    text = str(caught.value)
    assert sys.executable in text and "'it'\"'\"'s here'" in text
    assert "status 7" in text
    assert "line 499" in text and "line 480" not in text


def test_a_crash_is_named_and_silence_too() -> None:
    with pytest.raises(CodecError, match=r"^\S+ was killed by SIGSEGV: \(it printed nothing\)\n"):
        _process.run(_python("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"), Limits(60))


def test_what_goes_to_standard_output_is_shown_where_nothing_else_is() -> None:
    with pytest.raises(CodecError, match="only here"):
        _process.run(_python("print('only here'); raise SystemExit(1)"), Limits(60))


def test_a_program_that_cannot_start(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("not a program")
    (tmp_path / "text").chmod(0o755)
    for program in (tmp_path / "text", tmp_path / "missing"):
        with pytest.raises(CodecError, match="cannot be started"):
            _process.run([str(program)], Limits(60))


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_time_limit_kills_children_too(tmp_path: Path, kills) -> None:
    code = (
        "import subprocess, sys, time, pathlib\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "pathlib.Path(sys.argv[1]).write_text(str(child.pid))\n"
        "print('started', file=sys.stderr, flush=True)\n"
        "time.sleep(600)\n"
    )
    with pytest.raises(CodecError, match=r"not done after 3 s(.|\n)*started"):
        _process.run(_python(code, str(tmp_path / "pid")), Limits(3))
    assert kills.gone(int((tmp_path / "pid").read_text()), _SOON_S)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_an_interruption_kills_the_program_and_removes_the_folder(tmp_path: Path, kills) -> None:
    """Ctrl-C in a process that waits for a program: neither program nor temporary folder stays."""
    outer = (
        "import signal, sys\n"
        # A job that a shell starts in the background inherits an ignored SIGINT.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from icm_bench.methods._process import Limits, run\n"
        "from icm_bench.temporary import private_folder\n"
        "inner = 'import os, sys, time; open(sys.argv[1], \"w\").write(str(os.getpid())); time.sleep(600)'\n"
        "with private_folder() as folder:\n"
        "    run([sys.executable, '-c', inner, str(folder / 'pid')], Limits(500))\n"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    waiting = subprocess.Popen(_python(outer), env=environment, stderr=subprocess.DEVNULL)
    try:
        pid = _written_pid(tmp_path)
        waiting.send_signal(signal.SIGINT)
        waiting.wait(60)
    finally:
        waiting.kill()
    assert kills.gone(pid, _SOON_S)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux: no other system ties a process to its parent")
def test_a_program_dies_with_a_parent_that_is_killed(tmp_path: Path, kills) -> None:
    code = (
        "import sys\n"
        "from icm_bench.methods._process import Limits, run\n"
        "inner = 'import os, sys, time; open(sys.argv[1], \"w\").write(str(os.getpid())); time.sleep(600)'\n"
        "run([sys.executable, '-c', inner, sys.argv[1]], Limits(500))\n"
    )
    (tmp_path / "icm-bench-x").mkdir()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    parent = subprocess.Popen(_python(code, str(tmp_path / "icm-bench-x" / "pid")), env=environment)
    try:
        pid = _written_pid(tmp_path)
    finally:
        parent.kill()
        parent.wait(60)
    assert kills.gone(pid, _SOON_S)


@pytest.mark.skipif(_process.resource is None, reason="this system has no limits")
def test_limits_on_seconds_files_and_memory_hold(tmp_path: Path) -> None:
    cases = (
        ("while True: pass", Limits(0.5), "was not done|SIGXCPU|SIGKILL"),
        ("open(sys.argv[1], 'wb').write(bytes(10**6))", Limits(60, file_bytes=10**5), "SIGXFSZ|File too large"),
        ("bytearray(2**30)", Limits(60, memory_bytes=2**29), "MemoryError"),
    )
    for code, limits, why in cases:
        with pytest.raises(CodecError, match=why):
            _process.run(_python(f"import sys\n{code}", str(tmp_path / "file")), limits)
    assert (tmp_path / "file").stat().st_size <= 10**5


def _written_pid(folder: Path) -> int:
    for _ in range(600):
        for path in folder.glob("icm-bench-*/pid"):
            if text := path.read_text():
                return int(text)
        time.sleep(0.05)
    raise AssertionError("the program did not start")


def test_find_gives_an_absolute_path_or_the_fix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "-a b'ü"
    program.write_text("#!/bin/sh\necho hello\n")
    program.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    found = _process.find("-a b'ü", "x", "fix")
    assert found == str(program)
    assert _process.run([found], Limits(60)) == b"hello\n"
    with pytest.raises(UserError, match=r"x: there is no program 'nosuch'.*do this"):
        _process.find("nosuch", "x", "do this")
