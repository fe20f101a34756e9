"""What is installed: the wheel holds all that the checkout does, and works where no checkout is."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SHIPPED = {".html", ".css", ".js", ".py", ".safetensors", ".json", ".toml", ".txt", ".typed"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    flags = ["--quiet", "--no-deps", "--no-build-isolation", "-w", str(folder)]
    command = [sys.executable, "-m", "pip", "wheel", *flags, str(ROOT)]
    subprocess.run(command, check=True, capture_output=True, cwd=folder)
    return next(folder.glob("icm_bench-*.whl"))


def checkout_files() -> set[str]:
    """Files of the packages, under their installed names."""
    found = set()
    places = {"icm_bench": "icm_bench", "methods": "icm_bench/methods", "tasks": "icm_bench/tasks"}
    for folder, name in places.items():
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in SHIPPED and path.is_file() and "__pycache__" not in path.parts:
                found.add(f"{name}/{path.relative_to(ROOT / folder).as_posix()}")
    return found


def test_the_wheel_holds_what_the_checkout_holds(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert packed == checkout_files()
    assert not any(name.startswith(("tasks/", "methods/")) for name in packed)


def test_the_wheel_works_without_the_checkout(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site"), "PYTHONSAFEPATH": "1"}
    code = (
        "import icm_bench, icm_bench.methods, icm_bench.tasks as t;"
        "from icm_bench import registry;"
        "assert 'site/icm_bench' in icm_bench.__file__.replace(chr(92), '/'), icm_bench.__file__;"
        "assert 'site' in t.__path__[0];"
        "registry.method('rdc').setup(); print(*registry.names('method'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "rdc" in done.stdout.split()


def test_the_checkout_is_importable_as_installed() -> None:
    import icm_bench.methods
    import icm_bench.tasks

    assert Path(next(iter(icm_bench.methods.__path__))).name == "methods"
    assert Path(next(iter(icm_bench.tasks.__path__))).name == "tasks"


def test_help_and_list_import_no_torch() -> None:
    for arguments in (["--help"], ["list"]):
        code = (
            "import sys; from icm_bench.cli import main\n"
            f"try: main({arguments!r})\n"
            "except SystemExit as stop: assert not stop.code, stop.code\n"
            "heavy = {'torch', 'pandas', 'matplotlib', 'compressai'} & set(sys.modules); assert not heavy, heavy"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
