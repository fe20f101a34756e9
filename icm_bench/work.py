"""The work on one unit: encode once, decode once, blend every beta, measure, predict. No access to the store.

``work(context, unit)`` is a plain function of plain data, so that an engine only has to map it: in this
process, in a pool, on other machines. This is the only place that reads ``perf_counter``, counts bytes, seeds
and checks shapes.
"""

from __future__ import annotations

import hashlib
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from time import perf_counter
from typing import TYPE_CHECKING, Any, TypeVar

from icm_bench import metrics, registry
from icm_bench.bitstream import Bitstream
from icm_bench.errors import CodecError
from icm_bench.method import Beta, Method
from icm_bench.msssim import ms_ssim
from icm_bench.store import pack
from icm_bench.task import Net, Task
from icm_bench.units import Coded, Context, Decoded, Failure, Seen, Unit, UnitResult, Want

if TYPE_CHECKING:
    import numpy as np

_T = TypeVar("_T")
_LONGEST_ERROR = 2000


def work(context: Context, unit: Unit) -> UnitResult:
    """Everything that is missing of a unit. Never raises for what a codec, a net or a picture does wrong."""
    made = _Made(unit)
    bench = _bench(context)
    _seed(context.seed, unit.key)
    with made.stage("read"):
        picture = unit.sample.read()
        with made.stage("encode"):
            method = bench.method(unit.coder)
            data = unit.stream or _encode(context, unit, method, picture, made)
            with made.stage("decode"):
                pictures = _decode(unit, method, picture, data, made)
                for want in unit.wants:
                    _predict(bench, want, pictures, made)
    return UnitResult(unit.key, made.stream, tuple(made.decodes), tuple(made.evidence), tuple(made.failures))


@dataclass
class _Made:
    """What has been made of a unit so far."""

    unit: Unit
    stream: Coded | None = None
    decodes: list[Decoded] = field(default_factory=list)
    evidence: list[Seen] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)

    @contextmanager
    def stage(self, name: str, **where: Any) -> Iterator[None]:
        """Turn any error of this stage into a Failure; an inner stage has then dealt with its own."""
        try:
            yield
        except Exception as error:
            self.failures.append(Failure(name, describe(error), **where))


def describe(error: Exception) -> str:
    """An error as text: its class and what it says."""
    return f"{type(error).__name__}: {error}"[:_LONGEST_ERROR]


class _Bench:
    """The objects one process works with, made when first needed and set up once, off the clock."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self._made: dict[tuple[str, int], Any] = {}
        self._tasks: dict[str, Task] = {}

    def method(self, index: int) -> Method:
        """The method, set up. A set-up that failed is not tried again for every picture."""
        found: Method = self._once(("method", index), lambda: self._method(index))
        return found

    def net(self, index: int) -> Net:
        """The subject's net, set up."""
        found: Net = self._once(("net", index), lambda: self._net(index))
        return found

    def task(self, index: int) -> Task:
        """The subject's task."""
        spec = self.context.subjects[index].task
        if spec not in self._tasks:
            self._tasks[spec] = registry.task(spec)
        return self._tasks[spec]

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

    def _once(self, key: tuple[str, int], make: Callable[[], _T]) -> _T:
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


def _seed(seed: int, key: str) -> None:
    """Seed by unit, so that neither order nor worker nor resumption changes a result."""
    number = int.from_bytes(hashlib.sha256(f"{seed}:{key}".encode()).digest()[:4], "little")
    random.seed(number)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(number)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(number)


def _encode(context: Context, unit: Unit, method: Method, picture: np.ndarray, made: _Made) -> bytes:
    """The container's bytes, noted with their seconds."""
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
        data, seconds, method.provenance(),
    )  # fmt: skip
    return data


def _decode(unit: Unit, method: Method, picture: np.ndarray, data: bytes, made: _Made) -> dict[Beta, np.ndarray]:
    """One picture per beta, from the bytes alone; those that came before a failure are kept."""
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
            pictures[beta] = _checked(method, picture, shown, beta)
    except Exception as error:
        made.failures += [Failure("decode", describe(error), beta=b) for b in unit.betas if b not in pictures]
    for beta in pictures:
        if beta in unit.measure:
            made.decodes.append(_measured(method, stream, picture, (beta, pictures[beta], spent / len(pictures))))
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
    )


def _predict(bench: _Bench, want: Want, pictures: dict[Beta, np.ndarray], made: _Made) -> None:
    """Evidence of one net for the pictures of all betas, in one call."""
    subject = bench.context.subjects[want.subject].key
    betas: Sequence[Beta] = [beta for beta in want.betas if beta in pictures]
    if not betas:
        return
    try:
        task, net = bench.task(want.subject), bench.net(want.subject)
        start = perf_counter()
        evidence = task.predict(net, [want.sample] * len(betas), [pictures[beta] for beta in betas])
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
