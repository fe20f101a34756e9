"""The unit of work and its result: one picture at one rate of one method. Plain data that travels between
processes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from icm_bench.method import Beta
from icm_bench.task import ORIG, Sample


@dataclass(frozen=True)
class Subject:
    """One net of one task. key: "task key, newline, net fingerprint", what its evidence is kept under."""

    key: str
    task: str
    net: str | None
    weights: str | None = None


@dataclass(frozen=True)
class Coder:
    """A method as its streams are kept: its spec, every parameter that matters in ``key``, its weights'
    digest; of a file without weights the file's.
    """

    key: str
    spec: str
    checkpoint: str


@dataclass(frozen=True)
class Context:
    """What units refer to by index, and how the run was asked to work. Specs only: each process makes its
    own objects.
    """

    coders: tuple[Coder, ...]
    subjects: tuple[Subject, ...]
    device: str = "cpu"
    seed: int = 0
    profile: str = ORIG
    #: Most pictures that go through a net at once; 0 leaves it to the device: one on a CPU, eight elsewhere.
    batch: int = 0
    #: Whether every stream is decoded once more by another process.
    verify: bool = False


@dataclass(frozen=True)
class Want:
    """Evidence that is missing: of this subject (index), for this sample, at these betas."""

    subject: int
    sample: Sample
    betas: tuple[Beta, ...]


@dataclass(frozen=True)
class Unit:
    """What is missing of one stream. key: the stream's key; picture: sha256 of the file; coder, subject: indices.

    subject is any of those that see the stream: they share the view of the picture.

    betas: every beta to decode, in order; measure: those whose quality is missing too; stream: the
    container's bytes when they are stored already; cells: the plan's cells that wait for this unit; verify: betas to
    decode in another process too, each with the squared error in the store, None where it is not measured yet.
    """

    key: str
    coder: int
    subject: int
    rate: float
    picture: str
    sample: Sample
    betas: tuple[Beta, ...]
    measure: frozenset[Beta]
    wants: tuple[Want, ...] = ()
    stream: bytes | None = None
    cells: tuple[int, ...] = ()
    verify: dict[Beta, int | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Coded:
    """A stream, as made: ``data`` is the whole container.

    width, height: what was coded; pixels_orig, pixels_seen: of the picture's file, and of what nets are shown.
    """

    method: str
    checkpoint: str
    rate: float
    picture: str
    profile: str
    width: int
    height: int
    pixels_orig: int
    pixels_seen: int
    data: bytes
    encode_s: float
    provenance: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Decoded:
    """Quality at one beta. n_bytes, layer_bytes: what a receiver at that beta needs, header included, and by
    layer.

    squared_error: exact sum over all pixels and channels, 8-bit levels squared; bits_estimated: of the same layers by
    the codec's likelihoods, under profiles that ask for it; decode_s: the one decode's
    seconds, shared equally among the betas that were blended from it; pixels: the decoded picture's ``pixel_digest``.
    """

    beta: Beta
    n_bytes: int
    layer_bytes: dict[str, int]
    squared_error: int
    ms_ssim: float | None
    decode_s: float
    bits_estimated: float | None = None
    pixels: str = ""


@dataclass(frozen=True)
class Checked:
    """A stream decoded again in another process, at one beta.

    levels: the largest difference of a value of the two pictures, None where there was none to compare; n_off: values
    that differ; by: SIMD level and threads of that process; error: why it failed, "" where it passed.
    """

    beta: Beta
    levels: int | None
    n_off: int
    by: str
    error: str = ""


@dataclass(frozen=True)
class Seen:
    """Evidence of one subject for one sample at one beta: deflated JSON. predict_s: its share of the
    net's call.
    """

    subject: str
    beta: Beta
    sample: str
    predict_s: float
    data: bytes


@dataclass(frozen=True)
class Failure:
    """What went wrong: stage "read", "encode", "decode", "predict" or "worker"; subject "" when it hits all
    nets.

    A failure with beta None and an empty subject hits the whole unit.
    """

    stage: str
    error: str
    subject: str = ""
    beta: Beta = None
    sample: str = ""


@dataclass(frozen=True)
class UnitResult:
    """All that was made of a unit; what succeeded before a failure is kept."""

    key: str
    stream: Coded | None = None
    decodes: tuple[Decoded, ...] = ()
    evidence: tuple[Seen, ...] = ()
    failures: tuple[Failure, ...] = ()
    checks: tuple[Checked, ...] = ()
