"""Starting files that icm-bench new writes, and plug-ins that are single files: they work, and tell what is wrong."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from command import call

from icm_bench import simd
from icm_bench.starting import KINDS
from icm_bench.testing.verdict import kind_of


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("kind", KINDS)
def test_the_kit_passes_on_a_starting_file_as_it_stands(folder: Path, kind: str, capsys) -> None:
    status, out, _ = call(["new", kind, f"my-{kind}"], capsys)
    assert status == 0
    assert f"next: icm-bench test ./my_{kind}.py" in out
    assert kind_of(f"./my_{kind}.py") == kind
    status, out, _ = call(["test", f"./my_{kind}.py"], capsys)
    assert (status, "checks pass" in out) == (0, True)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["mine", "a_1-b", "method", "net"])
def test_starting_files_are_tidy(folder: Path, kind: str, name: str, capsys) -> None:
    call(["new", kind, name], capsys)
    (path,) = folder.iterdir()
    rules = ["--isolated", "--no-cache", "--line-length", "118", "--select", "E,F,W,I,B,UP,SIM,C4,RUF,PTH"]
    subprocess.run([sys.executable, "-m", "ruff", "check", *rules, str(path)], check=True)
    assert kind_of(str(path)) == kind


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["methods", "mine"], "unknown kind 'methods': did you mean 'method'?"),
        (["method", "jpeg"], "there is a method 'jpeg' already"),
        (["method", "coco"], "there is a task 'coco' already"),
        (["method", "class"], "'class' cannot name a method"),
        (["task", "2nd"], "'2nd' cannot name a task"),
        (["task", "a/b"], "'a/b' cannot name a task"),
        (["task", "_mine"], "'_mine' cannot name a task"),
        (["method", "numpy"], "'numpy': a Python package of this name is installed"),
        (["method", "there"], "there.py: is already there"),
    ],
)
def test_names_that_cannot_be_are_refused(folder: Path, words: list[str], told: str, capsys) -> None:
    Path("there.py").write_text("kept")
    status, _, err = call(["new", *words], capsys)
    assert (status, told in err, len(err.splitlines())) == (2, True, 1), err
    assert [path.name for path in folder.iterdir()] == ["there.py"]
    assert Path("there.py").read_text() == "kept"


def test_files_run_in_several_workers(folder: Path, capsys) -> None:
    for kind in KINDS:
        call(["new", kind, f"my-{kind}"], capsys)
    words = ["run", "--method", "./my_method.py", "--task", "./my_task.py", "--limit", "3", "--rates", "1,5"]
    found = []
    for workers in ("1", "2"):
        status, out, err = call([*words, "--json", "--workers", workers, "--out", workers], capsys)
        assert status == 0, err
        found.append([(row["rate"], row["bpp"], row["agreement"]) for row in json.loads(out)])
    assert found[0] == found[1]
    assert len(found[0]) == 3


def test_an_edited_file_is_another_codec(folder: Path, capsys) -> None:
    for kind in KINDS:
        call(["new", kind, {"method": "mine", "task": "seen"}[kind]], capsys)
    words = [sys.executable, "-m", "icm_bench", "run", "--method", "./mine.py", "--task", "./seen.py", "--json"]
    found = []
    text = Path("mine.py").read_text()
    assert text.count("self.level)") == 1
    for level in ("self.level", "self.level", "0"):
        Path("mine.py").write_text(text.replace("self.level)", f"{level})"))
        done = subprocess.run(
            [*words, "--limit", "1", "--rates", "4", "--no-reference"], env=os.environ | simd.import_path(),
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        found.append(json.loads(done.stdout)[0])
    assert found[0] == found[1]
    assert found[0]["n_bytes"] < found[2]["n_bytes"]


def test_results_of_a_file_are_found_by_its_name(folder: Path, capsys) -> None:
    call(["new", "method", "mine"], capsys)
    call(["new", "task", "seen"], capsys)
    status, out, _ = call(["run", "--method", "./mine.py", "--task", "./seen.py", "--limit", "1"], capsys)
    assert (status, "│ mine " in out) == (0, True)
    for name in ("mine", "mine.py", "./mine.py", str(folder / "mine.py")):
        status, out, err = call(["table", "--method", name, "--resamples", "0"], capsys)
        assert (status, " mine " in out) == (0, True), err
    assert call(["table", "--method", "other/mine.py"], capsys)[0] == 2


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("import nowhere_at_all\n", "mine.py:1: ModuleNotFoundError: No module named 'nowhere_at_all'"),
        ("a = 1\nb = a +\n", "mine.py:2: SyntaxError: invalid syntax"),
        ("def f():\n    return 1 / 0\n\n\nf()\n", "mine.py:2: ZeroDivisionError: division by zero"),
        ("import sys\n\nsys.exit('no')\n", "mine.py:3: SystemExit: no"),
        ("a = 1\n", "mine.py: exactly one public class of Method is expected, it holds 0"),
    ],
)
@pytest.mark.parametrize("command", ["test", "run"])
def test_a_file_that_breaks_is_told_in_a_line(folder: Path, command: str, text: str, told: str, capsys) -> None:
    Path("mine.py").write_text(text)
    words = ["test", "./mine.py"] if command == "test" else ["run", "--method", "./mine.py", "--task", "coco"]
    status, out, err = call(words, capsys)
    assert (status, out, len(err.splitlines())) == (2, "", 1), err
    assert told in err


def test_a_codec_that_raises_is_named_and_the_others_go_on(folder: Path, capsys) -> None:
    for kind in KINDS:
        call(["new", kind, {"method": "mine", "task": "seen"}[kind]], capsys)
    text = Path("mine.py").read_text()
    assert text.count("        steps = image") == 1
    Path("mine.py").write_text(text.replace("        steps = image", "        1 / (rate - 5)\n        steps = image"))
    words = ["run", "--method", "./mine.py", "--task", "./seen.py", "--rates", "3,5", "--limit", "2"]
    status, out, err = call([*words, "--workers", "2", "--no-reference"], capsys)
    assert status == 1
    assert "error: " in err
    assert "ZeroDivisionError: float division by zero" in err
    assert "bits 3" in out
