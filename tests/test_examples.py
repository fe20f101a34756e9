"""The example packages: installed as their readers install them, tested by the kit, and run together to a score."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from icm_bench import simd

ROOT = Path(__file__).parents[1]
MARK = "<!-- file: icm_bench_dct8.py -->"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with copies of both packages, installed into its sub-folder ``site``."""
    folder = tmp_path_factory.mktemp("examples")
    for name in ("codec", "task"):
        shutil.copytree(ROOT / "examples" / name, folder / name, ignore=shutil.ignore_patterns("build", "*.egg-info"))
    flags = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--target", "site"]
    _python(folder, "pip", "install", *flags, "./codec", "./task")
    return folder


def _python(home: Path, module: str, *words: str) -> str:
    """What ``python -m module words`` prints there, in a process that can import what is installed."""
    path = os.pathsep.join((str(home / "site"), simd.import_path()["PYTHONPATH"]))
    command, environment = [sys.executable, "-m", module, *words], {**os.environ, "PYTHONPATH": path}
    done = subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_they_are_listed(home: Path) -> None:
    told = _python(home, "icm_bench", "list")
    assert re.search(r"^  dct8 +A codec for icm-bench in one file", told, re.MULTILINE)
    assert re.search(r"^  corners +A task for icm-bench in one file", told, re.MULTILINE)


def test_the_kit_passes_on_the_codec(home: Path) -> None:
    assert "checks pass" in _python(home, "icm_bench", "test", "dct8")


def test_their_own_tests_pass(home: Path) -> None:
    """The kit's 13 checks of a codec and 7 of a task, each a test."""
    told = _python(home, "pytest", "-q", "codec/test_dct8.py", "task/test_corners.py")
    assert int(re.search(r"(\d+) passed", told)[1]) >= 20


def test_codec_and_task_give_a_score_together(home: Path) -> None:
    words = ["run", "--method", "dct8", "--rates", "27,47", "--task", "corners", "--data", "mini", "--limit", "3"]
    found = json.loads(_python(home, "icm_bench", *words, "--json", "--out", "out"))
    identity, fine, coarse = found
    assert (identity["method"], fine["rate"], coarse["rate"]) == ("identity", 27, 47)
    assert identity["repeatability"] == 100 > fine["repeatability"] > coarse["repeatability"] > 0
    assert identity["bpp"] > fine["bpp"] > coarse["bpp"] > 0
    assert fine["psnr_mean"] > 35 > coarse["psnr_mean"]


def test_the_readme_shows_the_codec_as_it_is() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    _, mark, rest = text.partition(f"{MARK}\n```python\n")
    assert mark, f"README.md has no Python block below {MARK}"
    assert rest.partition("```\n")[0] == (ROOT / "examples/codec/icm_bench_dct8.py").read_text(encoding="utf-8")
