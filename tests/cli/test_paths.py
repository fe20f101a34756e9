"""Blanks, quotes, dashes, brackets, signs of a shell and letters of other scripts in every path that a user gives."""

import ast
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from command import call

from icm_bench import registry
from icm_bench.bitstream import Bitstream
from icm_bench.images import read_picture, write_png
from icm_bench.testing import textured_picture

ROOT = Path(__file__).parents[2]
NAMES = [
    *("two words", "it's \"said\"", "-dash", "--out", "ünï 目 é", "back\\slash\\", "[x]*?{1}#%41)"),
    "a;b $(touch run) `touch run` & c|d",
]


@pytest.fixture(params=NAMES)
def name(request, tmp_path, monkeypatch):
    """A name to be used, relative to the working folder, which holds a folder of two pictures of that name."""
    (tmp_path / request.param).mkdir()
    monkeypatch.chdir(tmp_path)
    for picture in (f"{request.param}.png", f" {request.param}.png"):
        write_png(tmp_path / request.param / picture, textured_picture(24, 40))
    yield request.param
    assert not list(tmp_path.rglob("run"))  # no shell has seen it


def test_data_and_results_folders(name, tmp_path, capsys):
    words = ["run", "--method", "jpeg", "--task", "images", "--rates", "30,60"]
    status, out, err = call([*words, "--data", name, "--out", f"{name} out"], capsys)
    assert status == 0, err
    assert f"results: {name} out/store.sqlite" in out.replace("\n", "")
    status, out, err = call(["table", "--out", f"{name} out", "--format", "csv"], capsys)
    assert status == 0 and out.count("jpeg") >= 2, err
    status, _, err = call(["export", "--out", f"{name} out", "rows", "--", f"{name} rows"], capsys)
    assert status == 0 and Path(f"{name} rows/rows.csv").is_file(), err


def test_pictures_streams_and_checkpoints(name, tmp_path, capsys):
    shutil.copy(ROOT / "methods" / "weights" / "hyperprior-mini.safetensors", f"{name}.safetensors")
    spec = f"hyperprior(checkpoint={f'{name}.safetensors'!r}, variable=True)"
    words = ["encode", "--method", spec, "--rate", "2", f"--output={name}.icm", "--", f"{name}/{name}.png"]
    status, _, err = call(words, capsys)
    assert status == 0, err
    status, _, err = call(["decode", "--method", spec, "-o", f"{name}.png", "--", f"{name}.icm"], capsys)
    assert status == 0, err
    method = registry.method(spec)
    (expected,) = method.decode(Bitstream.from_bytes(Path(f"{name}.icm").read_bytes()), [None])
    assert np.array_equal(read_picture(f"{name}.png"), expected)


def test_external_programs_and_temporary_folders(name, tmp_path, monkeypatch):
    """The real ffmpeg under that name, in a temporary folder of that name."""
    from imageio_ffmpeg import get_ffmpeg_exe

    program = tmp_path / name / f"{name} program"
    program.symlink_to(get_ffmpeg_exe())
    (tmp_path / "temporary" / name).mkdir(parents=True)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary" / name))
    method = registry.method(f'vvc(preset="faster", encoder={f"./{name}/{name} program"!r})')
    picture = textured_picture(24, 40)
    (decoded,) = method.decode(method.encode(picture, 22), [None])
    assert np.abs(decoded.astype(int) - picture).mean() < 8
    assert list((tmp_path / "temporary" / name).iterdir()) == []


_SHELLS = re.compile(r"\b(os\.(system|popen|spawn\w*)|getoutput|getstatusoutput|pty\.spawn)$")


def calls(tree: ast.AST):
    """Names of what is called, as written, and the keywords."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), {one.arg: one.value for one in node.keywords}, node


def test_no_program_is_started_through_a_shell():
    """In all of the source: no shell=True, no os.system or popen, and every command is a list."""
    n_started = 0
    for folder in ("icm_bench", "methods", "tasks", "benchmarks"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            for function, keywords, node in calls(tree):
                assert not _SHELLS.search(function), f"{path}: {function}"
                assert "shell" not in keywords, f"{path}: {function}"
                if re.fullmatch(r"subprocess\.(run|Popen|call|check_call|check_output)", function):
                    n_started += 1
                    assert not isinstance(node.args[0], ast.Constant | ast.JoinedStr), path
    assert n_started >= 4
