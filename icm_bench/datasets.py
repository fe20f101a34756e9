"""Where the real data sets lie: what ``icm-bench data add`` remembers, in one small TOML file.

The file is ``data.toml`` in $ICM_BENCH_CONFIG or the user's configuration folder, one ``task = "folder"`` a line.
"""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

import platformdirs

from icm_bench import registry
from icm_bench.errors import UserError
from icm_bench.task import Task
from icm_bench.temporary import part_of
from icm_bench.toml_lines import TomlFile

#: What stands for the built-in mini set where a folder is asked for.
MINI = "mini"


def config_file() -> Path:
    """The file that remembers. It need not exist."""
    home = os.environ.get("ICM_BENCH_CONFIG")
    return (Path(home) if home else platformdirs.user_config_path("icm-bench")) / "data.toml"


def remembered() -> dict[str, str]:
    """Folder by task name. Raises UserError, naming the file, when it cannot be read."""
    path = config_file()
    if not path.exists():
        return {}
    try:
        held = TomlFile.read(path).values
    except UserError as error:
        raise UserError(f"{error}; mend the file or remove it") from error
    wrong = next((key for key, value in held.items() if not isinstance(value, str)), None)
    if wrong is not None:
        raise UserError(f'{path}: {wrong} must be a folder in quotes, such as {wrong} = "/data/{wrong}"')
    return held


def remember(name: str, folder: Path | None) -> None:
    """Keep the folder of a task's data set; None forgets it. Raises UserError when it cannot be written."""
    held = remembered()
    if folder is None:
        if held.pop(name, None) is None:
            known = registry.suggest(name, held) if held else ""
            raise UserError(f"no data set is remembered for {name!r}{known}")
    else:
        held[name] = str(folder.expanduser().resolve())
    path = config_file()
    text = "".join(f"{key} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in sorted(held.items()))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part_of(path) as part:
            part.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror or error})") from error


def task_of(spec: str, data: str | None = None) -> Task:
    """The task of a spec on the data to use: ``data``, else the spec's own, else what is remembered, else mini.

    data: a folder, "mini" for the built-in set, or None.
    """
    task = registry.task(spec) if data is None else registry.task(spec, data=data)
    if task.data == MINI:
        return dataclasses.replace(task, data=None)
    place = remembered().get(task.name) if task.data is None else None
    return task if place is None else dataclasses.replace(task, data=place)
