"""Mutated streams through every decoder: BitstreamError or a picture of the declared size, in bounded room.

    python benchmarks/fuzz.py [--streams 200000] [--only NAME] [--first SEED]
    python benchmarks/fuzz.py --large 2048 [--only NAME]

Each stream is a real one, mutated by a generator whose seed is its number, and decoded as ``icm-bench decode`` does
(one beta, the default bound on pixels). A fault is any other exception, a picture of another size, more than 2 s, or
more memory than 8 times the declared picture (8 x 3 bytes a pixel) and an allowance: 16 MiB; for networks 64 MiB
(kernels compiled for each new shape are kept) and, as working space, 400 bytes for each pixel of at most 2^20.3.

Memory is the process's peak resident size (VmHWM) above what it held before the decoder's first stream, so that what
is kept counts too. It is all that Python, NumPy, torch, Pillow and the coder touch; what is asked for and never
touched is bounded by RLIMIT_AS, 512 MiB above the beginning. External programs are measured apart (RUSAGE_CHILDREN).
A crash ends the script with a traceback. Needs Linux. --large decodes one honest square picture in a fresh process.

Prints a line for each decoder and exits with 1 when there was a fault.
"""

from __future__ import annotations

import argparse
import faulthandler
import itertools
import resource
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from icm_bench import registry
from icm_bench.bitstream import Bitstream, method_id, short_checkpoint
from icm_bench.errors import BitstreamError
from icm_bench.method import Method
from icm_bench.methods._learned import LearnedCodec
from icm_bench.mutations import mutate
from icm_bench.testing import textured_picture

MOST_SECONDS = 2.0
MOST_TIMES = 8
#: Bytes beside the 8 pictures, of plain decoders and of networks; those for each pixel of a tile; its pixels.
PLAIN, NETWORK, TILE_BYTES, TILE_PIXELS = 16 * 2**20, 64 * 2**20, 400, int(2**20.3)
SIZES = ((1, 1), (17, 33), (32, 48), (64, 64))
#: Decoders that are external programs, which take 50 ms and more for a picture.
EXTERNAL = ("vvc", "hevc", "av1", "jpegxl")
#: Decoders with their share of the streams.
SHARES = {
    **dict.fromkeys(EXTERNAL, 0.002),
    "identity": 0.18,
    "jpeg": 0.18,
    "webp": 0.09,
    "avif": 0.09,
    "hyperprior": 0.12,
    "hyperprior(variable=true)": 0.11,
    "rdc": 0.11,
    "task-specific(task='coco')": 0.11,
}


@dataclass
class Tally:
    """What happened to one decoder's streams. rise: bytes; ratio: bytes of memory for each byte of the picture."""

    name: str
    counts: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    slowest: float = 0.0
    rise: int = 0
    largest: int = 0

    def line(self) -> str:
        """As the table shows it."""
        kinds = [self.counts.total(), *(self.counts[kind] for kind in ("refused", "decoded"))]
        cells = [f"{n:9d}" for n in (*kinds, len(self.faults))]
        figures = f"{self.slowest:9.3f} {self.rise / 2**20:9.1f} {self.largest / 1e6:9.3f}"
        return f"{self.name:28} {' '.join(cells)} {figures}"


HEAD = f"{'decoder':28} " + " ".join(
    f"{word:>9}" for word in ("streams", "refused", "decoded", "faults", "slowest s", "MiB", "largest Mpx")
)


LARGE_HEAD = f"{'decoder':28} {'side':>9} {'MiB':>9} {'times':>9} {'s':>9}"


class Memory:
    """The peak of this process's resident size above what it held when this was made, in bytes."""

    def __init__(self) -> None:
        self.begin()
        self._before = self._peak()

    @staticmethod
    def begin() -> None:
        """Set the peak back to what is held now."""
        Path("/proc/self/clear_refs").write_text("5")

    def rise(self) -> int:
        """Bytes of the peak since ``begin`` above what was held in the beginning."""
        return self._peak() - self._before

    @staticmethod
    def _peak() -> int:
        with Path("/proc/self/status").open("rb") as status:
            return next(int(line.split()[1]) for line in status if line.startswith(b"VmHWM")) * 1024


def allowed(method: Method, held: tuple[int, int]) -> int:
    """Bytes that decoding a picture of (height, width) may take."""
    padded = (-(-held[0] // 64) * 64) * (-(-held[1] // 64) * 64)
    more = NETWORK + TILE_BYTES * min(padded, TILE_PIXELS) if isinstance(method, LearnedCodec) else PLAIN
    return MOST_TIMES * 3 * held[0] * held[1] + more


def originals(method: Method) -> list[bytes]:
    """Real streams of small pictures at the ends and the middle of the rate axis."""
    points = method.rate.points
    chosen = sorted({points[0], points[len(points) // 2], points[-1]})
    sizes = SIZES if method.name not in EXTERNAL else SIZES[1:3]
    return [
        method.encode(textured_picture(*size), rate).to_bytes() for size, rate in itertools.product(sizes, chosen)
    ]


def decode(method: Method, data: bytes) -> None:
    """Decode as the command line does. Raises BitstreamError, or something else, which is a fault."""
    held = Bitstream.from_bytes(data)
    if held.method != method_id(method.name) or held.checkpoint != short_checkpoint(method.checkpoint_id):
        raise BitstreamError("of another method or checkpoint")
    beta = method.betas[0] if all(held.has(name) for name in method.layers(method.betas[0])) else method.betas[-1]
    (picture,) = method.decode(held.only(method.layers(beta)), [beta])
    if picture.shape != (held.height, held.width, 3) or picture.dtype != np.uint8:
        raise AssertionError(f"{picture.dtype} {picture.shape} for {held.width}x{held.height}")


def declared(data: bytes) -> tuple[int, int]:
    """(height, width) that a stream declares; none where its container is refused."""
    try:
        held = Bitstream.from_bytes(data)
    except BitstreamError:
        return 0, 0
    return held.height, held.width


def run(method: Method, numbers: range, tally: Tally) -> None:
    """Decode the streams of these numbers."""
    pool = originals(method)
    memory = Memory()
    for number in numbers:
        one(method, mutate(pool, np.random.default_rng([number, *method.spec.encode()])), number, (memory, tally))


def one(method: Method, data: bytes, number: int, into: tuple[Memory, Tally]) -> None:
    """Decode one stream and count what happened."""
    memory, tally = into
    memory.begin()
    outcome, fault, start = "decoded", "", time.perf_counter()
    try:
        decode(method, data)
    except BitstreamError:
        outcome = "refused"
    except Exception as error:  # whatever it is, it is a fault
        outcome, fault = "failed", f"{type(error).__name__}: {error}"
    seconds, rise, size = time.perf_counter() - start, memory.rise(), declared(data)
    what = f"for {size[1]}x{size[0]} pixels"
    if seconds > MOST_SECONDS:
        fault = fault or f"took {seconds:.1f} s {what}"
    if rise > allowed(method, size):
        fault = fault or f"took {rise / 2**20:.1f} MiB {what}"
    tally.counts[outcome] += 1
    tally.slowest, tally.rise = max(tally.slowest, seconds), max(tally.rise, rise)
    tally.largest = max(tally.largest, size[0] * size[1] if outcome == "decoded" else 0)
    if fault:
        tally.faults.append(f"{tally.name}, stream {number}: {fault}")
        print(tally.faults[-1], file=sys.stderr, flush=True)


def large(name: str, side: int) -> str:
    """Memory and seconds of decoding one honest picture."""
    with ProcessPoolExecutor(1, get_context("spawn")) as elsewhere:
        data = elsewhere.submit(_coded, name, side).result()
    method = registry.method(name)
    method.setup()
    decode(method, _coded(name, 64))
    memory, start = Memory(), time.perf_counter()
    decode(method, data)
    seconds, rise = time.perf_counter() - start, memory.rise()
    return f"{name:28} {side:9d} {rise / 2**20:9.1f} {rise / (3 * side * side):9.2f} {seconds:9.2f}\n"


def _coded(name: str, side: int) -> bytes:
    method = registry.method(name)
    method.setup()
    tile = textured_picture(min(side, 256), min(side, 256))
    picture = np.tile(tile, (-(-side // 256), -(-side // 256), 1))[:side, :side]
    points = method.rate.points
    return method.encode(picture, points[len(points) // 2]).to_bytes()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", type=int, default=200_000)
    parser.add_argument("--only", default="", help="one decoder of: " + ", ".join(SHARES))
    parser.add_argument("--first", type=int, default=0, help="number of the first stream")
    parser.add_argument("--large", type=int, help="decode one honest picture with sides of so many pixels instead")
    options = parser.parse_args()
    if options.only:
        faulthandler.enable()
        print(large(options.only, options.large) if options.large else "", end="")
        return 0 if options.large else fuzzed(options.only, options.first, options.streams)
    print(LARGE_HEAD if options.large else HEAD, flush=True)
    total, status = sum(SHARES.values()), 0
    for name, share in SHARES.items():  # in a process of its own: memory that is kept hides what is taken
        words = ["--streams", -int(-options.streams * share // total), "--first", options.first, "--only", name]
        words += ["--large", options.large] if options.large else []
        status |= subprocess.run([sys.executable, __file__, *map(str, words)], check=False).returncode != 0
    print("no faults" if not status else "FAULTS", flush=True)
    return int(status)


def fuzzed(name: str, first: int, n_streams: int) -> int:
    """Print the line of one decoder; 1 when there was a fault."""
    method = registry.method(name)
    method.setup()
    tally = Tally(name)
    _bound_address_space()
    run(method, range(first, first + n_streams), tally)
    print(tally.line())
    if method.name in EXTERNAL:
        program = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        print(f"{'  its largest program':28} {'':49} {program:9.1f}")
    return int(bool(tally.faults))


def _bound_address_space() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + 2**29
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))


if __name__ == "__main__":
    sys.exit(main())
