"""Seeded mutations of streams, for the conformance kit and for benchmarks/fuzz.py."""

from __future__ import annotations

import binascii
from collections.abc import Callable, Sequence

import numpy as np

from icm_bench.bitstream import Bitstream, varint
from icm_bench.errors import BitstreamError

#: Whole numbers at the edges of what fields hold.
EXTREMES = (0, 1, 2, 127, 128, 255, 256, 4095, 2**14 - 1, 2**14, 2**16 - 1, 2**16, 2**21 - 1, 2**27, 2**28 - 1)


def mutate(pool: Sequence[bytes], rng: np.random.Generator) -> bytes:
    """A mutant of one of the streams, or of two; its checksum is sealed again in three of four."""
    data = pool[rng.integers(len(pool))]
    for _ in range(int(rng.geometric(0.5))):
        kind = _KINDS[rng.integers(len(_KINDS))]
        data = kind(data, pool, rng)
    return sealed(data) if rng.random() < 0.75 else data


def sealed(data: bytes) -> bytes:
    """With the checksum that its other bytes have."""
    return data[:-2] + binascii.crc_hqx(data[:-2], 0xFFFF).to_bytes(2, "little")


def _place(data: bytes, rng: np.random.Generator) -> int:
    """A position: anywhere, or (half of the time) in the first 24 bytes, where headers are."""
    most = len(data) if rng.random() < 0.5 else min(24, len(data))
    return int(rng.integers(max(1, most)))


def _flip(data: bytes, pool: Sequence[bytes], rng: np.random.Generator) -> bytes:
    made = bytearray(data)
    for _ in range(int(rng.integers(1, 9))):
        if made:
            made[_place(data, rng)] ^= 1 << int(rng.integers(8))
    return bytes(made)


def _overwrite(data: bytes, pool: Sequence[bytes], rng: np.random.Generator) -> bytes:
    at, n = _place(data, rng), int(rng.integers(1, 9))
    new = rng.bytes(n) if rng.random() < 0.5 else bytes([(0, 0xFF)[rng.integers(2)]]) * n
    return data[:at] + new + data[at + n :]


def _cut(data: bytes, pool: Sequence[bytes], rng: np.random.Generator) -> bytes:
    return data[: int(rng.integers(len(data) + 1))]


def _insert(data: bytes, pool: Sequence[bytes], rng: np.random.Generator) -> bytes:
    at = _place(data, rng)
    new = rng.bytes(int(rng.integers(1, 64))) if rng.random() < 0.7 else b"\xff" * int(rng.integers(1, 4096))
    return data[:at] + new + data[at:]


def _repeat(data: bytes, pool: Sequence[bytes], rng: np.random.Generator) -> bytes:
    first, last = sorted(int(rng.integers(len(data) + 1)) for _ in range(2))
    return data[:last] + data[first:last] * int(rng.integers(1, 4)) + data[last:]


def _splice(data: bytes, pool: Sequence[bytes], rng: np.random.Generator) -> bytes:
    other = pool[rng.integers(len(pool))]
    return data[: int(rng.integers(len(data) + 1))] + other[int(rng.integers(len(other) + 1)) :]


def _number(data: bytes, pool: Sequence[bytes], rng: np.random.Generator) -> bytes:
    """An extreme number where the container's numbers are, or in two or four bytes anywhere."""
    value = EXTREMES[rng.integers(len(EXTREMES))]
    if rng.random() < 0.5:
        at = int(rng.integers(7, min(24, max(8, len(data)))))
        return data[:at] + varint(value) + data[at + 1 :]
    at, n = _place(data, rng), (2, 4)[rng.integers(2)]
    order = ("little", "big")[rng.integers(2)]
    return data[:at] + (value % 256**n).to_bytes(n, order) + data[at + n :]  # type: ignore[arg-type]


def _fields(data: bytes, pool: Sequence[bytes], rng: np.random.Generator) -> bytes:
    """A well-formed stream with other fields: size, rate, layers swapped, renamed, cut or taken from another."""
    try:
        one, other = Bitstream.from_bytes(data), Bitstream.from_bytes(pool[rng.integers(len(pool))])
    except BitstreamError:  # what was mutated before is no stream any more
        return data
    width, height = one.width, one.height
    if rng.random() < 0.6:
        near = [max(1, side + int(rng.integers(-20, 300))) for side in (width, height)]
        far = [EXTREMES[rng.integers(1, 12)] for _ in range(2)]
        width, height = (near, far)[rng.integers(2)]
    rate = float(rng.choice([one.rate, one.rate + 0.5, 0, 5, 63, 1000])) if rng.random() < 0.3 else one.rate
    layers = list(one.layers)
    at = int(rng.integers(len(layers)))
    choice = int(rng.integers(5))
    if choice == 0:
        layers[at] = (layers[at][0], layers[at][1][: int(rng.integers(len(layers[at][1]) + 1))])
    elif choice == 1:
        layers[at] = (layers[at][0], other.layers[-1][1])
    elif choice == 2:
        layers = layers[::-1]
    elif choice == 3:
        layers.append((("more", "main", "<b>", "auxiliary")[rng.integers(4)], rng.bytes(5)))
    return Bitstream(one.method, one.checkpoint, width, height, rate, tuple(layers)).to_bytes()


def _resized(data: bytes, pool: Sequence[bytes], rng: np.random.Generator) -> bytes:
    """Another size that container and PNG or JPEG agree about."""
    try:
        one = Bitstream.from_bytes(data)
    except BitstreamError:
        return data
    width, height = (max(1, int(side * 2.0 ** rng.uniform(-2, 4))) for side in (one.width, one.height))
    name, layer = one.layers[0]
    if layer.startswith(b"\x89PNG") and len(layer) > 33:
        body = b"IHDR" + width.to_bytes(4, "big") + height.to_bytes(4, "big") + layer[24:29]
        layer = layer[:12] + body + binascii.crc32(body).to_bytes(4, "big") + layer[33:]
    elif (at := layer.find(b"\xff\xc0")) >= 0:
        layer = layer[: at + 5] + (height % 2**16 << 16 | width % 2**16).to_bytes(4, "big") + layer[at + 9 :]
    layers = ((name, layer), *one.layers[1:])
    return Bitstream(one.method, one.checkpoint, width, height, one.rate, layers).to_bytes()


#: What one step of a mutation may be; what is named more than once happens more often.
_KINDS: tuple[Callable[[bytes, Sequence[bytes], np.random.Generator], bytes], ...] = (
    *(_flip, _flip, _overwrite, _cut, _insert, _repeat, _splice, _number, _fields, _fields, _resized, _resized),
)
