"""Temporary files are private and go away: in the end, on a signal, and after a kill when the next process begins."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from icm_bench import temporary

needs_locks = pytest.mark.skipif(temporary.fcntl is None, reason="needs file locks")


def test_private_folder_is_private_and_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(RuntimeError), temporary.private_folder() as folder:
        assert folder.stat().st_mode & 0o777 == 0o700
        (folder / "file").write_bytes(b"x")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


@needs_locks
def test_sweep_removes_what_a_killed_process_left_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = (
        "import os, signal\n"
        "from icm_bench import temporary\n"
        "with temporary.private_folder() as folder:\n"
        "    (folder / 'file').write_bytes(b'x')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", code], env=environment, check=False)
    assert len(list(tmp_path.glob("icm-bench-*"))) == 1
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / "icm-bench-notes").mkdir()
    with temporary.private_folder() as folder:
        temporary.sweep()
        assert sorted(tmp_path.iterdir()) == sorted([folder, tmp_path / "icm-bench-notes"])


def test_a_part_is_private_and_takes_its_place_in_one_step(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with temporary.part_of(path) as part:
        assert part.parent == tmp_path and part.stat().st_mode & 0o777 == 0o600
        part.write_bytes(b"new")
        assert not path.exists()
    umask = os.umask(0)
    os.umask(umask)
    assert path.read_bytes() == b"new" and path.stat().st_mode & 0o777 == 0o666 & ~umask
    with pytest.raises(RuntimeError), temporary.part_of(path) as part:
        part.write_bytes(b"half")
        raise RuntimeError
    assert path.read_bytes() == b"new" and list(tmp_path.iterdir()) == [path]


@needs_locks
def test_parts_of_killed_processes_go_with_the_next_and_those_in_use_stay(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from icm_bench import temporary\n"
        "with temporary.part_of(Path(sys.argv[1])) as part:\n"
        "    part.write_bytes(b'half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    path = tmp_path / "file"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", code, str(path)], env=environment, check=False)
    assert len(list(tmp_path.iterdir())) == 1
    with temporary.part_of(path) as one, temporary.part_of(path) as other:
        assert sorted(tmp_path.iterdir()) == sorted([one, other])
        other.write_bytes(b"other")
    assert list(tmp_path.iterdir()) == [path]


_ENCODING = """
import sys, time
from icm_bench.methods import jpeg
from icm_bench import temporary
from icm_bench.cli import main
from pathlib import Path
def encode(self, image, rate):
    with temporary.private_folder() as folder:
        (folder / "planes").write_bytes(bytes(1000))
        time.sleep(600)
jpeg.Jpeg.encode = encode
main(["encode", sys.argv[1], "-o", sys.argv[2], "--method", "jpeg"])
"""


@needs_locks
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_stopped_command_leaves_nothing_behind(tmp_path: Path, how: signal.Signals) -> None:
    """At once, or for SIGKILL when the next command starts."""
    from icm_bench.images import write_png
    from icm_bench.testing import textured_picture

    write_png(tmp_path / "a.png", textured_picture(16, 16))
    own = tmp_path / "temporary"
    own.mkdir()
    environment = {**os.environ, "TMPDIR": str(own), "PYTHONPATH": os.pathsep.join(sys.path)}
    words = [sys.executable, "-c", _ENCODING, str(tmp_path / "a.png"), str(tmp_path / "a.icm")]
    process = subprocess.Popen(words, env=environment)
    try:
        for _ in range(600):
            if list(own.glob("icm-bench-*/planes")):
                break
            time.sleep(0.05)
        process.send_signal(how)
        process.wait(60)
    finally:
        process.kill()
    if how == signal.SIGKILL:
        assert len(list(own.iterdir())) == 1
        subprocess.run([sys.executable, "-m", "icm_bench", "--version"], env=environment, check=True)
    else:
        assert process.returncode == 130
    assert list(own.iterdir()) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "temporary"]
