"""What doctor looks for: found, or how to mend it."""

import json
import struct
import sys

import pytest

from icm_bench import programs
from icm_bench.cli import main
from icm_bench.programs import Check


def by_name(checks):
    return {check.name: check for check in checks}


def test_what_this_package_requires_is_found_with_its_version():
    found = by_name(programs.packages())
    from importlib.metadata import version

    assert found["numpy"].found == version("numpy")
    assert {"torch", "typer", "bjontegaard"} <= set(found)
    assert "ray" not in found


def test_too_old_and_missing_packages_come_with_a_command(monkeypatch):
    wanted = ["numpy>=99", "no-such-package>=1", "ray>=2; extra == 'ray'"]
    monkeypatch.setattr(programs, "requires", lambda name: wanted)
    found = by_name(programs.packages())
    assert set(found) == {"numpy", "no-such-package"}
    assert found["numpy"].found is None and found["numpy"].fix.startswith("pip install 'numpy>=99'")
    assert found["no-such-package"].fix == "pip install 'no-such-package>=1'"
    assert not found["no-such-package"].is_well


def test_ffmpeg_can_code_and_decode_vvc():
    found = by_name(programs.ffmpeg())
    assert found["ffmpeg"].found.startswith("ffmpeg version")
    assert found["ffmpeg encoder libvvenc"].found and found["ffmpeg decoder vvc"].found


def test_a_broken_ffmpeg_is_missing(monkeypatch, tmp_path):
    import imageio_ffmpeg

    script = tmp_path / "ffmpeg"
    script.write_text("#!/bin/sh\nexit 1\n")
    script.chmod(0o755)
    monkeypatch.setattr(imageio_ffmpeg, "get_ffmpeg_exe", lambda: str(script))
    assert all(check.found is None and check.needed and check.fix for check in programs.ffmpeg())


def test_weights_must_be_as_long_as_they_say(tmp_path):
    header = json.dumps({"a": {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]}}).encode()
    whole = struct.pack("<Q", len(header)) + header + b"1234"
    path = tmp_path / "w.safetensors"
    path.write_bytes(whole)
    assert programs._is_whole(path)
    for broken in (whole[:-1], whole + b"5", whole[:20], b"", b"\xff" * 8, whole[:8] + b"[1]" + whole[11:]):
        path.write_bytes(broken)
        assert not programs._is_whole(path)


def test_shipped_weights_are_whole():
    assert [check.name for check in programs.weights() if check.found is None] == []


def test_nothing_is_generated_by_looking(monkeypatch, tmp_path):
    monkeypatch.setenv("ICM_BENCH_CACHE", str(tmp_path / "cache"))
    found = list(programs.mini_data())
    assert found and all(check.found is None and check.is_well for check in found)
    assert not (tmp_path / "cache").exists()


def test_python_itself(monkeypatch):
    (python,) = [check for check in programs.checks() if check.name == "python"]
    assert python.found == ".".join(map(str, sys.version_info[:3]))


def test_the_command_shows_every_check_and_fails_on_a_needed_one(monkeypatch, capsys):
    checks = [
        Check("a", "one", "1.0", True),
        Check("b", "two", None, True, "pip install two"),
        Check("b", "three", None, False, "build three"),
    ]
    monkeypatch.setattr(programs, "checks", lambda: iter(checks))
    with pytest.raises(SystemExit) as stopped:
        main(["doctor"])
    out = capsys.readouterr().out
    assert stopped.value.code == 1
    assert "MISSING  two" in out and "pip install two" in out and "build three" in out
    monkeypatch.setattr(programs, "checks", lambda: iter(checks[:1]))
    with pytest.raises(SystemExit) as stopped:
        main(["doctor"])
    assert stopped.value.code == 0
