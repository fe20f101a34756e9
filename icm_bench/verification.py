"""Decoding a stream again elsewhere: in a process that has coded nothing, with other threads and another SIMD level.

    Verifier --stream--> python -m icm_bench.verification DESCRIPTOR DEVICE --pictures--> compared, value by value

Nothing reaches the other process but the container's bytes, the codec's spec and the betas.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import weakref
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

from icm_bench import metrics, simd
from icm_bench.errors import CodecError
from icm_bench.method import Beta, Method
from icm_bench.units import Checked

if TYPE_CHECKING:
    import numpy as np

#: How far a value of a picture may be off in another process: its sums of floats are taken in another order.
LEVELS_APART = 1
#: A stored picture counts as what is decoded now when their squared errors are this close; its pixels are gone.
_ROUNDING = 0.01
_PATIENCE_S = 600.0


class Verifier:
    """The other process, started when first needed and again after it has died; it ends with its owner."""

    def __init__(self, device: str = "cpu") -> None:
        self.device = device
        self.level, self.threads = simd.another()
        self._started: tuple[subprocess.Popen, Connection] | None = None

    @property
    def by(self) -> str:
        """How it decodes, for the record."""
        return f"{self.level}, {self.threads} thread{'s' * (self.threads > 1)}"

    def decode(self, spec: str, data: bytes, betas: Sequence[Beta]) -> list[np.ndarray]:
        """What the codec decodes there, a picture for each beta. Raises CodecError when it fails, dies or hangs."""
        if self._started is None:
            self._started = self._start()
        process, connection = self._started
        try:
            connection.send((spec, data, list(betas)))
            if not connection.poll(_PATIENCE_S):
                self._started = None
                process.kill()
                raise CodecError(f"no answer in {_PATIENCE_S:g} s")
            answer = connection.recv()
        except (EOFError, OSError) as error:
            self._started = None
            raise CodecError(f"the decoding process ended with status {process.wait()}") from error
        if isinstance(answer, str):
            raise CodecError(answer)
        if len(answer) != len(betas):
            raise CodecError(f"{len(answer)} pictures for {len(betas)} betas")
        return list(answer)

    def _start(self) -> tuple[subprocess.Popen, Connection]:
        ours, theirs = Pipe()
        command = [sys.executable, "-m", "icm_bench.verification", str(theirs.fileno()), self.device]
        quiet = subprocess.DEVNULL
        process = subprocess.Popen(
            command, env=simd.environment(self.level, self.threads), pass_fds=(theirs.fileno(),),
            stdin=quiet, stdout=quiet, stderr=quiet,
        )  # fmt: skip
        theirs.close()
        weakref.finalize(self, _end, process, ours)
        return process, ours


def verify(
    verifier: Verifier,
    method: Method,
    data: bytes,
    shown: tuple[np.ndarray, Mapping[Beta, np.ndarray]],
    wanted: Mapping[Beta, int | None],
) -> list[Checked]:
    """Compare a stream's pictures with what the other process decodes.

    shown: the original and the pictures decoded here, without padding; wanted: the betas to verify, each with the
    squared error in the store where its picture was measured by an earlier run.
    """
    original, pictures = shown
    betas = [beta for beta in wanted if beta in pictures]
    if not betas:
        return []
    try:
        others = verifier.decode(method.spec, data, betas)
    except CodecError as failure:
        return [Checked(beta, None, 0, verifier.by, str(failure)) for beta in betas]
    made = []
    for beta, other in zip(betas, others, strict=True):
        here, kept = pictures[beta], wanted[beta]
        now = None if kept is None else metrics.squared_error(original, here)
        levels, n_off, error = _compared(here, other, 0 if method.lossless else LEVELS_APART)
        if kept is not None and now is not None and abs(now - kept) > _ROUNDING * kept:
            error = error or f"the picture measured was another one (squared error {kept}, now {now})"
        made.append(Checked(beta, levels, n_off, verifier.by, error))
    return made


def _compared(here: np.ndarray, other: Any, allowed: int) -> tuple[int | None, int, str]:
    """The largest difference, how many values differ, and what is wrong with that."""
    import numpy as np

    if getattr(other, "dtype", None) != np.uint8 or other.ndim != 3 or other.shape[2] != 3:
        return None, 0, f"no picture, but {getattr(other, 'dtype', type(other).__name__)}"
    if other.shape[0] < here.shape[0] or other.shape[1] < here.shape[1]:
        return None, 0, f"a picture of {other.shape[1]}x{other.shape[0]}"
    apart = np.abs(here.astype(np.int16) - other[: here.shape[0], : here.shape[1]])
    levels, n_off = int(apart.max()), int((apart > 0).sum())
    return levels, n_off, "" if levels <= allowed else f"{n_off} of {apart.size} values differ, by up to {levels}"


def warning(rows: Iterable[Mapping[str, Any]]) -> str | None:
    """One line about rows with streams that failed their verification; None where there are none."""
    failed = [row for row in rows if row.get("verified") == "no"]
    if not failed:
        return None
    first = failed[0]
    beta = first.get("beta")
    at = "" if beta is None or beta != beta else f", beta {beta:g}"
    more = f", and {len(failed) - 1} more rows" if len(failed) > 1 else ""
    return (
        f"not verified: {first['n_verify_failed']:.0f} of {first['n_pictures']:.0f} streams of {first['method']} at "
        f"{first['rate_name']} {first['rate']:g}{at} decode to other pictures in another process{more}"
    )


def _end(process: subprocess.Popen, connection: Connection) -> None:
    connection.close()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _serve(connection: Connection, device: str) -> None:
    """The other process: streams in, pictures or an error's text out, until the other end closes."""
    from icm_bench import registry
    from icm_bench.bitstream import Bitstream

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the whole group; our owner decides
    methods: dict[str, Method] = {}
    while True:
        spec, data, betas = connection.recv()
        answer: Any
        try:
            if spec not in methods:
                method = registry.method(spec)
                method.setup(device)
                methods[spec] = method
            answer = list(methods[spec].decode(Bitstream.from_bytes(data), betas))
        except Exception as error:
            answer = f"{type(error).__name__}: {error}"
        connection.send(answer)


if __name__ == "__main__":
    with suppress(EOFError, OSError):
        _serve(Connection(int(sys.argv[1])), sys.argv[2])
