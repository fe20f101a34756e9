"""What doctor looks for: found, or how to mend it."""

import json
import struct
import sys

import pytest

from icm_bench import datasets, programs
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


def test_the_five_back_ends_say_what_is_there_or_the_command_that_brings_it(monkeypatch):
    found = by_name(programs.backends())
    assert list(found) == ["torchvision:...", "onnx:...", "timm:...", "mmseg:...", "detectron2:..."]
    assert found["torchvision:..."].found.startswith("torchvision ")
    monkeypatch.setattr(programs, "find_spec", lambda name: None)
    fixes = {name: check.fix for name, check in by_name(programs.backends()).items()}
    assert all(check.found is None and check.is_well for check in programs.backends())
    for name in ("onnx", "timm", "mmseg"):
        assert fixes[f"{name}:..."] == f"pip install 'icm-bench[{name}]'"
    assert fixes["detectron2:..."].startswith("pip install --no-build-isolation ")


def test_the_three_data_sets_say_what_was_found_or_the_command_that_adds_them(tmp_path, monkeypatch):
    monkeypatch.setenv("ICM_BENCH_CONFIG", str(tmp_path / "config"))
    found = by_name(programs.real_data())
    assert list(found) == ["cityscapes", "coco", "imagenet"]
    assert {name: check.fix for name, check in found.items()} == {
        name: f"icm-bench data add {name} PATH" for name in found
    }
    (tmp_path / "val2017").mkdir()
    datasets.remember("coco", tmp_path)
    (check,) = [check for check in programs.real_data() if check.name == "coco"]
    assert check.found is None and "expected val2017/" in check.fix
    for wnid in ("n01000000", "n02000000"):
        (tmp_path / "set" / wnid).mkdir(parents=True)
        for name in "ab":
            (tmp_path / "set" / wnid / f"{name}.png").write_bytes(b"")
    index = {"1": ["n01000000", "a"], "2": ["n02000000", "b"]}
    (tmp_path / "set" / "imagenet_class_index.json").write_text(json.dumps(index))
    datasets.remember("imagenet", tmp_path / "set")
    (check,) = [check for check in programs.real_data() if check.name == "imagenet"]
    assert check.found == f"4 of 50000 pictures in {tmp_path / 'set'}"


def test_ffmpeg_can_code_and_decode_vvc():
    found = by_name(programs.ffmpeg())
    assert found["ffmpeg"].found.startswith("ffmpeg version")
    assert found["ffmpeg encoder libvvenc"].found and found["ffmpeg decoder vvc"].found


def test_what_the_other_anchors_need_is_looked_for():
    found = by_name([*programs.ffmpeg(), *programs.pillow_formats()])
    for name in ("libx265", "libaom-av1", "libjxl"):
        assert found[f"ffmpeg encoder {name}"].found and not found[f"ffmpeg encoder {name}"].needed
    assert {"ffmpeg decoder hevc", "ffmpeg decoder libdav1d", "ffmpeg decoder libjxl"} <= set(found)
    assert found["Pillow webp"].found and found["Pillow avif"].found


def test_a_pillow_without_a_format_comes_with_the_fix(monkeypatch):
    from PIL import features

    monkeypatch.setattr(features, "check", lambda name: False)
    found = list(programs.pillow_formats())
    assert all(check.found is None and check.is_well and check.fix.startswith("pip install") for check in found)


def test_a_broken_ffmpeg_is_missing(monkeypatch, tmp_path):
    import imageio_ffmpeg

    script = tmp_path / "ffmpeg"
    script.write_text("#!/bin/sh\nexit 1\n")
    script.chmod(0o755)
    monkeypatch.setattr(imageio_ffmpeg, "get_ffmpeg_exe", lambda: str(script))
    found = list(programs.ffmpeg())
    assert all(check.found is None and check.fix for check in found)
    assert {"ffmpeg", "ffmpeg encoder libvvenc", "ffmpeg decoder vvc"} == {one.name for one in found if one.needed}


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
