"""Shell completion: the words that a shell asks for, without the libraries that a run needs."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from command import call

from icm_bench import registry, simd


@pytest.fixture
def offered(monkeypatch, capsys):
    """Gives the words that a shell would offer at the end of a line."""

    def ask(line: str, shell: str = "bash") -> list[str]:
        told = {"COMP_WORDS": line, "COMP_CWORD": str(line.count(" ")), "_ICM_BENCH_COMPLETE": f"complete_{shell}"}
        told |= {"_TYPER_COMPLETE_ARGS": line, "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
        for name, value in told.items():
            monkeypatch.setenv(name, value)
        status, out, err = call([], capsys)
        assert (status, err) == (0, "")
        return out.split()

    return ask


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
def test_what_is_offered(offered, line: str, words: list[str]) -> None:
    found = offered(line)
    assert len(found) == len(words)
    assert all(one.startswith(word) for one, word in zip(found, words, strict=True)), found


def test_zsh_and_fish_are_told_what_a_name_is(offered) -> None:
    assert '"jpeg":"JPEG' in " ".join(offered("icm-bench run --method jp", "zsh"))
    assert offered("icm-bench run --method jp", "fish")[:2] == ["jpeg", "JPEG"]


def test_nothing_heavy_is_loaded_for_it() -> None:
    code = (
        "import sys; from icm_bench.cli import main\n"
        "try: main([])\n"
        "except SystemExit as stop: assert not stop.code, stop.code\n"
        "heavy = {'torch', 'pandas', 'matplotlib', 'compressai', 'numpy'} & set(sys.modules); assert not heavy, heavy"
    )
    line = {"COMP_WORDS": "icm-bench run --net mini-f", "COMP_CWORD": "3", "_ICM_BENCH_COMPLETE": "complete_bash"}
    command, environment = [sys.executable, "-c", code], os.environ | simd.import_path() | line
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.stdout.split(), done.stderr) == (["mini-fcn", "mini-fcos"], "")


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
