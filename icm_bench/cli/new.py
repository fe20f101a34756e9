"""Write a starting file for a codec or a task of your own, which the kit passes as it stands."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def new(
    kind: Annotated[str, typer.Argument(help="method or task.", autocompletion=lambda: ["method", "task"])],
    name: Annotated[str, typer.Argument(help="Its name, such as my-codec; the file becomes my_codec.py.")],
) -> None:
    """Write NAME.py here: a whole small codec or task that runs, to be changed into one of your own."""
    from icm_bench.cli import _files
    from icm_bench.starting import file_name, starting_file

    path = Path(file_name(name))
    _files.must_be_new(path)
    text = starting_file(kind, name)
    _files.write_once(path, False, lambda part: part.write_text(text, encoding="utf-8"))
    trial = f"--method ./{path} --task imagenet" if kind == "method" else f"--method jpeg --task ./{path}"
    print(f"{path}: a whole {kind}, to be changed into yours")
    print(f"next: icm-bench test ./{path}")
    print(f"      icm-bench run {trial} --limit 20")
