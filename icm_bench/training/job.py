"""What ``icm-bench train`` runs: a job made by a trainer from its config and the places that the user names.

A trainer is the module ``_trainer.py`` beside the codecs or the tasks (or the value of an entry point in the group
``icm_bench.trainers``), with ``job(path, places) -> Job``. Shipped configs lie in ``configs/`` beside it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from icm_bench.errors import UserError
from icm_bench.training.loop import Options, Progress, Recipe, Schedule


@dataclass(frozen=True)
class Places:
    """Where things are: photographs, a data set, weights of named networks, runs of other configs, the output.

    name: under which the result is released; "" for the config's own choice. None for photos or data: not given.
    """

    photos: Path | None = None
    data: Path | None = None
    weights: dict[str, Path] = field(default_factory=dict)
    runs: Path = Path("runs")
    out: Path | None = None
    name: str = ""
    device: str = "cpu"


@dataclass
class Job:
    """One training, ready to run. release: writes what is shipped, given the last event; the files written."""

    name: str
    recipe: Recipe
    schedule: Schedule
    options: Options
    release: Callable[[Progress], list[Path]]


class Trainer(Protocol):
    """The module that turns a config into a job."""

    def job(self, path: Path, places: Places) -> Job:
        """Raises UserError for a config that does not fit and for anything it needs that is not there."""
        ...


def parse_weights(given: list[str]) -> dict[str, Path]:
    """NAME=FILE pairs. Raises UserError for another form or a file that is not there."""
    made = {}
    for text in given:
        name, equals, file = text.partition("=")
        if not (name and equals and file):
            raise UserError(f"--weights {text!r}: expected NAME=FILE")
        made[name] = Path(file).expanduser()
        if not made[name].is_file():
            raise UserError(f"--weights {text}: there is no such file")
    return made
