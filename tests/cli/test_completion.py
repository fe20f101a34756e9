"""Shell completion: the words that a shell asks for, without the libraries that a run needs."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from icm_bench import registry, simd

ASK = """
import sys
from icm_bench.cli import main
try: main([])
except SystemExit as stop: assert not stop.code, stop.code
heavy = {"torch", "pandas", "matplotlib", "compressai", "numpy"} & set(sys.modules)
assert not heavy, heavy
"""


def offered(line: str, **environment: str) -> list[str]:
    """The words that bash would offer at the end of this line."""
    words = line.split(" ")
    told = {"COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1), "_ICM_BENCH_COMPLETE": "complete_bash"}
    done = subprocess.run(
        [sys.executable, "-c", ASK], env=os.environ | simd.import_path() | told | environment,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("icm-bench da", ["data"]),
        ("icm-bench run --method ", registry.names("method")),
        ("icm-bench run --method jpeg --task im", ["imagenet", "images"]),
        ("icm-bench run --task coco --task nowhere --net ", ["mini-fcos", "mini-ssdlite", "torchvision:"]),
        ("icm-bench run --net mini-res", ["mini-resnet"]),
        ("icm-bench run --task images --net m", []),
        ("icm-bench train mini-res", ["mini-resnet"]),
        ("icm-bench test ", [*registry.names("method"), *registry.names("task")]),
        ("icm-bench data add city", ["cityscapes"]),
        ("icm-bench table --method r", ["rdc"]),
        ("icm-bench encode a.png --method hyp", ["hyperprior"]),
        ("icm-bench new ", ["method", "task"]),
        ("icm-bench run --coded", ["--coded-scale"]),
    ],
)
def test_what_is_offered(line: str, words: list[str]) -> None:
    found = offered(line)
    assert len(found) == len(words)
    assert all(one.startswith(word) for one, word in zip(found, words, strict=True)), found


def test_zsh_and_fish_are_told_what_a_name_is() -> None:
    line = {"_TYPER_COMPLETE_ARGS": "icm-bench run --method jp"}
    zsh = offered("", _ICM_BENCH_COMPLETE="complete_zsh", **line)
    assert '"jpeg":"JPEG' in " ".join(zsh)
    fish = offered("", _ICM_BENCH_COMPLETE="complete_fish", _TYPER_COMPLETE_FISH_ACTION="get-args", **line)
    assert fish[:2] == ["jpeg", "JPEG"]


def test_bash_completes_once_it_is_installed(tmp_path: Path) -> None:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("there is no bash")
    program = tmp_path / "icm-bench"
    program.write_text(f"#!{sys.executable}\nfrom icm_bench.cli import main\nmain()\n")
    program.chmod(0o755)
    script = """
        icm-bench --install-completion > /dev/null && source ~/.bashrc
        COMP_WORDS=(icm-bench run --task city) COMP_CWORD=3
        eval "$(complete -p icm-bench | sed 's/.*-F \\([^ ]*\\).*/\\1/') icm-bench"
        echo "${COMPREPLY[@]}"
    """
    path = os.pathsep.join((str(tmp_path), os.environ["PATH"]))
    environment = os.environ | simd.import_path() | {"HOME": str(tmp_path), "PATH": path}
    done = subprocess.run([bash, "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert done.stdout == "cityscapes\n", done.stderr
