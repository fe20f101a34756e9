"""The work on one unit: encode once, decode once, blend every beta, measure, predict. No access to the store.

``work(context, unit)`` is a plain function of plain data, so that an engine only has to map it: in this
process, in a pool, on other machines. This is the only place that reads ``perf_counter``, counts bytes, seeds
and checks shapes.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from time import perf_counter
from typing import TYPE_CHECKING, Any, TypeVar

from icm_bench import metrics, registry
from icm_bench.bitstream import Bitstream
from icm_bench.errors import CodecError, PictureError, UserError
from icm_bench.method import Beta, Method
from icm_bench.msssim import ms_ssim
from icm_bench.plan import task_key
from icm_bench.store import pack
from icm_bench.task import ORIG, Net, Task, View
from icm_bench.units import Checked, Coded, Context, Decoded, Failure, Seen, Unit, UnitResult, Want
from icm_bench.verification import Verifier, verify

if TYPE_CHECKING:
    import numpy as np

_T = TypeVar("_T")
_LONGEST_ERROR = 2000
_HAS_CHANGED = "has changed since this run began; give the same command again when it is as it should be"
#: Pictures that go through a net at once where the user does not say: batches save time on accelerators only.
_BATCH = 8
#: How libraries say that they got no memory, where they raise no MemoryError.
_SHORT_OF_MEMORY = (
    "OutOfMemoryError", "out of memory", "not enough memory", "can't allocate memory", "std::bad_alloc",
)  # fmt: skip


def work(context: Context, unit: Unit) -> UnitResult:
    """Everything that is missing of a unit. Never raises for what a codec, a net or a picture does wrong."""
    made = _Made(unit)
    bench = _bench(context)
    _seed(context.seed, unit.key)
    with made.stage("read"):
        view = bench.view(unit)
        with made.stage("encode"):
            method = bench.method(unit.coder)
            data = unit.stream or _encode(context, unit, method, view, made)
            with made.stage("decode"):
                pictures = _decode(unit, method, view, data, made)
                if unit.verify:
                    made.checks = verify(bench.verifier, method, data, (view.shown, pictures), unit.verify)
                if context.profile != ORIG:
                    made.estimate(method, data)
                for want in unit.wants:
                    _predict(bench, want, (view, pictures), made)
    parts = tuple(made.decodes), tuple(made.evidence), tuple(made.failures), tuple(made.checks)
    return UnitResult(unit.key, made.stream, *parts)


@dataclass
class _Made:
    """What has been made of a unit so far."""

    unit: Unit
    stream: Coded | None = None
    decodes: list[Decoded] = field(default_factory=list)
    evidence: list[Seen] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    checks: list[Checked] = field(default_factory=list)

    @contextmanager
    def stage(self, name: str, **where: Any) -> Iterator[None]:
        """Turn any error of this stage into a Failure; an inner stage has then dealt with its own."""
        try:
            yield
        except Exception as error:
            self.failures.append(Failure(name, describe(error), **where))

    def estimate(self, method: Method, data: bytes) -> None:
        """Note what the codec's own likelihoods say of the layers of each decode."""
        bits = method.estimated_bits(Bitstream.from_bytes(data)) if self.decodes else None
        if bits is not None and not all(map(math.isfinite, bits.values())):
            self.decodes = []
            raise CodecError(f"{method.spec} estimates {bits} bits")
        if bits is not None:
            self.decodes = [
                dataclasses.replace(d, bits_estimated=sum(bits[name] for name in d.layer_bytes)) for d in self.decodes
            ]


def describe(error: Exception) -> str:
    """An error as text: its class and what it says, and what to do where memory was short."""
    text = f"{type(error).__name__}: {error}"[:_LONGEST_ERROR]
    is_short = isinstance(error, MemoryError) or any(mark in text for mark in _SHORT_OF_MEMORY)
    return f"{text} (not enough memory: --batch 1, --workers 1)" if is_short else text


class _Bench:
    """The objects one process works with, made when first needed and set up once, off the clock."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self._made: dict[tuple[str, int | str], Any] = {}

    def method(self, index: int) -> Method:
        """The method, set up. A set-up that failed is not tried again for every picture."""
        found: Method = self._once(("method", index), lambda: self._method(index))
        return found

    def net(self, index: int) -> Net:
        """The subject's net, set up."""
        found: Net = self._once(("net", index), lambda: self._net(index))
        return found

    def view(self, unit: Unit) -> View:
        """What the profile makes of the unit's picture."""
        picture = unit.sample.read()
        _unchanged(unit)
        profile = self.context.profile
        return View.whole(picture) if profile == ORIG else self.task(unit.subject).view(picture, profile)

    @property
    def batch(self) -> int:
        """Most pictures that go through a net at once."""
        return self.context.batch or (1 if self.context.device == "cpu" else _BATCH)

    @cached_property
    def verifier(self) -> Verifier:
        """The process that decodes once more."""
        return Verifier(self.context.device)

    def task(self, index: int) -> Task:
        """The subject's task."""
        found: Task = self._once(("task", self.context.subjects[index].task), lambda: self._task(index))
        return found

    def _task(self, index: int) -> Task:
        """The task, if its data set is still what the plan was made of."""
        subject = self.context.subjects[index]
        task = registry.task(subject.task)
        if task_key(task) != subject.key.partition("\n")[0]:
            raise UserError(f"{task.label}: the data set, or the task's file, {_HAS_CHANGED}")
        return task

    def _method(self, index: int) -> Method:
        method = registry.method(self.context.coders[index].spec)
        method.setup(self.context.device)
        return method

    def _net(self, index: int) -> Net:
        subject = self.context.subjects[index]
        assert subject.net is not None  # units want evidence of subjects with a net only
        net = self.task(index).net(subject.net, subject.weights)
        net.setup(self.context.device)
        return net

    def _once(self, key: tuple[str, int | str], make: Callable[[], _T]) -> _T:
        if key not in self._made:
            try:
                self._made[key] = make()
            except Exception as error:
                self._made[key] = error
        if isinstance(self._made[key], Exception):
            raise self._made[key]
        made: _T = self._made[key]
        return made


@lru_cache(maxsize=1)
def _bench(context: Context) -> _Bench:
    return _Bench(context)


def _unchanged(unit: Unit) -> None:
    """Raise PictureError for a picture that is not the one that the unit's key was made from."""
    with unit.sample.path.open("rb") as stream:
        if hashlib.file_digest(stream, "sha256").hexdigest() != unit.picture:
            raise PictureError(f"{unit.sample.path}: the file {_HAS_CHANGED}")


def _seed(seed: int, key: str) -> None:
    """Seed by unit, so that neither order nor worker nor resumption changes a result."""
    number = int.from_bytes(hashlib.sha256(f"{seed}:{key}".encode()).digest()[:4], "little")
    random.seed(number)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(number)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(number)


def _encode(context: Context, unit: Unit, method: Method, view: View, made: _Made) -> bytes:
    """The container's bytes, noted with their seconds."""
    picture = view.coded
    start = perf_counter()
    stream = method.encode(picture, unit.rate)
    seconds = perf_counter() - start
    if (stream.height, stream.width) != picture.shape[:2]:
        raise CodecError(
            f"{method.spec} declares {stream.width}x{stream.height} for a picture of "
            f"{picture.shape[1]}x{picture.shape[0]}"
        )
    data = stream.to_bytes()
    coder = context.coders[unit.coder]
    made.stream = Coded(
        coder.key, coder.checkpoint, unit.rate, unit.picture, context.profile, stream.width, stream.height,
        math.prod(view.original), math.prod(view.size), data, seconds, method.provenance(),
    )  # fmt: skip
    return data


def _decode(unit: Unit, method: Method, view: View, data: bytes, made: _Made) -> dict[Beta, np.ndarray]:
    """One picture per beta, from the bytes alone, without padding; those that came before a failure are kept."""
    stream = Bitstream.from_bytes(data)
    pictures: dict[Beta, np.ndarray] = {}
    spent = 0.0
    try:
        start = perf_counter()
        decoded = iter(method.decode(stream, unit.betas))
        spent += perf_counter() - start
        for beta in unit.betas:
            start = perf_counter()
            shown = next(decoded, None)
            spent += perf_counter() - start
            pictures[beta] = _checked(method, view.coded, shown, beta)[: view.size[0], : view.size[1]]
    except Exception as error:
        made.failures += [Failure("decode", describe(error), beta=b) for b in unit.betas if b not in pictures]
    for beta in pictures:
        if beta in unit.measure:
            made.decodes.append(_measured(method, stream, view.shown, (beta, pictures[beta], spent / len(pictures))))
    return pictures


def _checked(method: Method, picture: np.ndarray, shown: Any, beta: Beta) -> np.ndarray:
    """The decoded picture, if it is one."""
    at = "" if beta is None else f" at beta {beta:g}"
    if shown is None:
        raise CodecError(f"{method.spec} decoded no picture{at}")
    kind = f"{getattr(shown, 'dtype', type(shown).__name__)} {getattr(shown, 'shape', '')}"
    if kind != f"uint8 {picture.shape}":
        raise CodecError(f"{method.spec} decoded {kind}{at}, expected uint8 {picture.shape}")
    if method.lossless and (shown != picture).any():
        raise CodecError(f"{method.spec} calls itself lossless and has changed the picture")
    checked: np.ndarray = shown
    return checked


def _measured(
    method: Method, stream: Bitstream, picture: np.ndarray, shown: tuple[Beta, np.ndarray, float]
) -> Decoded:
    """Bytes and quality of one decoded picture (beta, picture, seconds)."""
    beta, decoded, seconds = shown
    sent = stream.only(method.layers(beta))
    return Decoded(
        beta,
        n_bytes=len(sent.to_bytes()),
        layer_bytes={name: len(data) for name, data in sent.layers},
        squared_error=metrics.squared_error(picture, decoded),
        ms_ssim=ms_ssim(picture, decoded),
        decode_s=seconds,
        pixels=metrics.pixel_digest(decoded),
    )


def _predict(bench: _Bench, want: Want, shown: tuple[View, dict[Beta, np.ndarray]], made: _Made) -> None:
    """Evidence of one net for the pictures of all betas, a batch a call. shown: the view, and them."""
    view, pictures = shown
    betas = [beta for beta in want.betas if beta in pictures]
    for start in range(0, len(betas), bench.batch):
        _predict_batch(bench, want, (view, {b: pictures[b] for b in betas[start : start + bench.batch]}), made)


def _predict_batch(bench: _Bench, want: Want, shown: tuple[View, dict[Beta, np.ndarray]], made: _Made) -> None:
    view, pictures = shown
    subject, betas = bench.context.subjects[want.subject].key, list(pictures)
    try:
        task, net = bench.task(want.subject), bench.net(want.subject)
        start = perf_counter()
        evidence = task.predict(net, [want.sample] * len(betas), list(pictures.values()), view)
        seconds = (perf_counter() - start) / len(betas)
        if len(evidence) != len(betas):
            raise ValueError(f"{net.spec} gave {len(evidence)} records for {len(betas)} pictures")
    except Exception as error:
        made.failures += [Failure("predict", describe(error), subject, beta, want.sample.id) for beta in betas]
        return
    for beta, record in zip(betas, evidence, strict=True):
        try:
            made.evidence.append(Seen(subject, beta, want.sample.id, seconds, pack(record)))
        except (ValueError, TypeError) as error:
            text = f"{type(error).__name__}: evidence of {net.spec} that is not finite plain JSON ({error})"
            made.failures.append(Failure("predict", text, subject, beta, want.sample.id))
