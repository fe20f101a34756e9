"""Running external programs. The programs here are real processes: small Python scripts."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from icm_bench.errors import CodecError, UserError
from icm_bench.methods import _process


def _python(code: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", code, *arguments]


def _gone(pid: int) -> bool:
    """Whether a process ends (or is a zombie) soon."""
    for _ in range(200):
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.05)
    return False


def test_bytes_go_in_and_out() -> None:
    data = bytes(range(256)) * 4000
    code = "import sys; sys.stdout.buffer.write(sys.stdin.buffer.read()[::-1])"
    assert _process.run(_python(code), timeout_s=60, data=data) == data[::-1]


def test_arguments_are_never_seen_by_a_shell() -> None:
    odd = ["a b", "it's", '"', "$(id)", "; ls", "-dash", "ünï", "*"]
    said = _process.run(_python("import sys; print(sys.argv[1:])", *odd), timeout_s=60)
    assert said.decode().strip() == repr(odd)


def test_failure_shows_command_status_and_last_lines() -> None:
    code = "import sys; [print('line', i, file=sys.stderr) for i in range(500)]; sys.exit(7)"
    with pytest.raises(CodecError) as caught:
        _process.run(_python(code, "it's here"), timeout_s=60)
    text = str(caught.value)
    assert sys.executable in text and "'it'\"'\"'s here'" in text
    assert "status 7" in text
    assert "line 499" in text and "line 480" not in text


def test_a_crash_is_named_and_silence_too() -> None:
    with pytest.raises(CodecError, match=r"^\S+ was killed by SIGSEGV: \(it printed nothing\)\n"):
        _process.run(_python("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"), timeout_s=60)


def test_what_goes_to_standard_output_is_shown_where_nothing_else_is() -> None:
    with pytest.raises(CodecError, match="only here"):
        _process.run(_python("print('only here'); raise SystemExit(1)"), timeout_s=60)


def test_a_program_that_cannot_start(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("not a program")
    (tmp_path / "text").chmod(0o755)
    for program in (tmp_path / "text", tmp_path / "missing"):
        with pytest.raises(CodecError, match="cannot be started"):
            _process.run([str(program)], timeout_s=60)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_time_limit_kills_children_too(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys, time, pathlib\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "pathlib.Path(sys.argv[1]).write_text(str(child.pid))\n"
        "print('started', file=sys.stderr, flush=True)\n"
        "time.sleep(600)\n"
    )
    with pytest.raises(CodecError, match=r"not done after 3 s(.|\n)*started"):
        _process.run(_python(code, str(tmp_path / "pid")), timeout_s=3)
    assert _gone(int((tmp_path / "pid").read_text()))


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_an_interruption_kills_the_program_and_removes_the_folder(tmp_path: Path) -> None:
    """Ctrl-C in a process that waits for a program: neither program nor temporary folder stays."""
    outer = (
        "import signal, sys\n"
        # A job that a shell starts in the background inherits an ignored SIGINT.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from icm_bench.methods import _process\n"
        "inner = 'import os, sys, time; open(sys.argv[1], \"w\").write(str(os.getpid())); time.sleep(600)'\n"
        "with _process.private_folder() as folder:\n"
        "    _process.run([sys.executable, '-c', inner, str(folder / 'pid')], timeout_s=500)\n"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    waiting = subprocess.Popen(_python(outer), env=environment, stderr=subprocess.DEVNULL)
    try:
        pid = _written_pid(tmp_path)
        waiting.send_signal(signal.SIGINT)
        waiting.wait(60)
    finally:
        waiting.kill()
    assert _gone(pid)
    assert list(tmp_path.iterdir()) == []


def _written_pid(folder: Path) -> int:
    for _ in range(600):
        for path in folder.glob("icm-bench-*/pid"):
            if text := path.read_text():
                return int(text)
        time.sleep(0.05)
    raise AssertionError("the program did not start")


def test_private_folder_is_private_and_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(RuntimeError), _process.private_folder() as folder:
        assert folder.stat().st_mode & 0o777 == 0o700
        (folder / "file").write_bytes(b"x")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(_process.fcntl is None, reason="needs file locks")
def test_sweep_removes_what_a_killed_process_left_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = (
        "import os, signal\n"
        "from icm_bench.methods import _process\n"
        "with _process.private_folder() as folder:\n"
        "    (folder / 'file').write_bytes(b'x')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run(_python(code), env=environment, check=False)
    assert len(list(tmp_path.glob("icm-bench-*"))) == 1
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / "icm-bench-notes").mkdir()
    with _process.private_folder() as folder:
        _process.sweep()
        assert sorted(tmp_path.iterdir()) == sorted([folder, tmp_path / "icm-bench-notes"])


def test_find_gives_an_absolute_path_or_the_fix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "-a b'ü"
    program.write_text("#!/bin/sh\necho hello\n")
    program.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    found = _process.find("-a b'ü", "x", "fix")
    assert found == str(program)
    assert _process.run([found], timeout_s=60) == b"hello\n"
    with pytest.raises(UserError, match=r"x: there is no program 'nosuch'.*do this"):
        _process.find("nosuch", "x", "do this")
