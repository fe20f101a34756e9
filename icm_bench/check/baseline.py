"""The baseline file: grids, what they ran on, and per picture what they gave. Sorted JSON that git diffs well.

Bytes and squared errors are kept for each picture, so that their differences are paired exactly. A metric over
pictures (AP, mIoU) cannot be split by picture and its evidence would be large; kept instead are its values on seeded
resamples of the pictures. A later run draws the same resamples, and the two are paired draw by draw.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from icm_bench.errors import UserError
from icm_bench.method import Beta
from icm_bench.request import Request
from icm_bench.temporary import part_of

FORMAT = "icm-bench baseline"
VERSION = 1
#: Resamples behind a tolerance; they give a standard error, not the ends of an interval, so that few are enough.
N_RESAMPLES = 100
#: Digits of the kept scores: draws are whole hundredths.
DRAW_UNIT = 0.01


@dataclass(frozen=True)
class Scores:
    """What a net made of a coding. metrics: over all pictures; draws: by how many of the first pictures were taken,
    the main metric of the resamples in hundredths, the first being of the pictures themselves; None where undefined.
    """

    metrics: dict[str, float]
    draws: dict[int, list[int | None]]


@dataclass
class Coding:
    """One method at one rate and beta over one data set. Lists run over the pictures in the data set's order.

    streams, pixels: 8 hex digits each of the container's bytes and of the decoded picture; n_bytes: what a receiver
    at this beta needs; squared_error: over all values of the picture. failed: errors by picture; nets: by net spec.
    """

    method: str
    rate: float
    beta: Beta
    task: str
    streams: list[str] = field(default_factory=list)
    pixels: list[str] = field(default_factory=list)
    n_bytes: list[int] = field(default_factory=list)
    squared_error: list[int] = field(default_factory=list)
    nets: dict[str, Scores] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    @property
    def place(self) -> tuple[str, str, float, float]:
        """What identifies it within a grid."""
        return self.task, self.method, self.rate, -1.0 if self.beta is None else self.beta

    def only(self, n: int) -> Coding:
        """The same of the first n pictures."""
        lists = {name: getattr(self, name)[:n] for name in ("streams", "pixels", "n_bytes", "squared_error")}
        return dataclasses.replace(self, **lists)


@dataclass(frozen=True)
class DataSet:
    """A task's pictures. samples: digest of ids and files by how many of the first are taken; pixels: of each."""

    label: str
    fingerprint: str
    samples: dict[int, str]
    pixels: list[int]
    main_metric: str | None
    higher_is_better: bool


@dataclass(frozen=True)
class Work:
    """What coding costs. flop: multiplications and additions of networks per pixel, the same on every machine and 0
    for a codec without networks; ms: seconds of this machine per picture, by a thousand.
    """

    encode_flop: int
    decode_flop: int
    encode_ms: float
    decode_ms: float


@dataclass
class Grid:
    """One request and all that it gave. methods: digests of their weights; nets: fingerprints."""

    request: Request
    rate_names: dict[str, str] = field(default_factory=dict)
    data: dict[str, DataSet] = field(default_factory=dict)
    methods: dict[str, str] = field(default_factory=dict)
    nets: dict[str, str] = field(default_factory=dict)
    work: dict[str, Work] = field(default_factory=dict)
    codings: list[Coding] = field(default_factory=list)


@dataclass
class Baseline:
    """A file's content. made: version, machine, time of the last update; draws: digest of the resamples' counts."""

    grids: list[Grid]
    made: dict[str, Any]
    draws: str


def load(path: Path) -> Baseline:
    """Read a baseline. Raises UserError, one line, for anything else and for one of a newer program."""
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}; icm-bench check --update makes a baseline") from error
    except ValueError as error:
        raise UserError(f"{path}: is no baseline ({error})") from error
    if not isinstance(held, dict) or held.get("format") != FORMAT:
        raise UserError(f"{path}: is no baseline (its format is not {FORMAT!r})")
    if held.get("version") != VERSION:
        raise UserError(f"{path}: baseline version {held.get('version')}, this program reads version {VERSION}")
    try:
        grids = [_grid(one) for one in held["grids"]]
        return Baseline(grids, held["made"], held["draws"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{path}: is a damaged baseline ({type(error).__name__}: {error})") from error


def _grid(held: dict[str, Any]) -> Grid:
    return Grid(
        Request.of(held["request"]),
        held["rate_names"],
        {
            name: DataSet(**{**one, "samples": {int(n): digest for n, digest in one["samples"].items()}})
            for name, one in held["data"].items()
        },
        held["methods"],
        held["nets"],
        {name: Work(**one) for name, one in held["work"].items()},
        [Coding(**{**one, "nets": {net: _scores(of) for net, of in one["nets"].items()}}) for one in held["codings"]],
    )


def _scores(held: dict[str, Any]) -> Scores:
    return Scores(held["metrics"], {int(n): draws for n, draws in held["draws"].items()})


def dump(baseline: Baseline) -> str:
    """The file's text: sorted, a list of numbers on one line."""
    held: dict[str, Any] = {"format": FORMAT, "version": VERSION, **dataclasses.asdict(baseline)}
    for grid, one in zip(held["grids"], baseline.grids, strict=True):
        defaults = dataclasses.asdict(Request((), ()))
        grid["request"] = {key: value for key, value in grid["request"].items() if value != defaults[key]}
        grid["codings"] = [dataclasses.asdict(coding) for coding in sorted(one.codings, key=lambda c: c.place)]
    return _lines(held, "") + "\n"


def _lines(value: Any, margin: str) -> str:
    """JSON with sorted keys and one space of margin a level; lists of plain values stay on one line."""
    inner = margin + " "
    if isinstance(value, dict) and value:
        parts = [f"{inner}{json.dumps(str(key))}: {_lines(value[key], inner)}" for key in sorted(value, key=str)]
        return "{\n" + ",\n".join(parts) + f"\n{margin}}}"
    if isinstance(value, list | tuple) and any(isinstance(one, dict) for one in value):
        return "[\n" + ",\n".join(inner + _lines(one, inner) for one in value) + f"\n{margin}]"
    return json.dumps(value, allow_nan=False, separators=(",", ":") if isinstance(value, list | tuple) else None)


def save(baseline: Baseline, path: Path) -> None:
    """Write the file whole or not at all. Raises UserError where it cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part_of(path) as part:
            part.write_text(dump(baseline), encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror or error})") from error
