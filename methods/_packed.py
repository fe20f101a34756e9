"""Several byte strings and a shape in one layer: little-endian base 128 numbers, then the strings."""

from __future__ import annotations

from collections.abc import Sequence

from icm_bench.errors import BitstreamError

_MOST = 16


def pack(shape: Sequence[int], strings: Sequence[bytes]) -> bytes:
    """Two counts, the shape's sides, the length of each string but the last, and the strings."""
    numbers = [len(shape), len(strings), *shape, *(len(one) for one in strings[:-1])]
    return b"".join(map(_number, numbers)) + b"".join(strings)


def unpack(data: bytes) -> tuple[list[int], list[bytes]]:
    """What ``pack`` was given. Raises BitstreamError for bytes that end too early or hold absurd counts."""
    at = 0

    def number() -> int:
        nonlocal at
        value = 0
        for shift in range(0, 28, 7):
            if at >= len(data):
                raise BitstreamError("the layer ends before its numbers do")
            byte, at = data[at], at + 1
            value |= (byte & 127) << shift
            if byte < 128:
                return value
        raise BitstreamError("the layer holds a number of more than 28 bits")

    n_sides, n_strings = number(), number()
    if not (1 <= n_sides <= _MOST and 1 <= n_strings <= _MOST):
        raise BitstreamError(f"the layer declares {n_sides} sides and {n_strings} strings")
    shape = [number() for _ in range(n_sides)]
    lengths = [number() for _ in range(n_strings - 1)]
    if at + sum(lengths) > len(data):
        raise BitstreamError("the layer ends before its strings do")
    strings = []
    for length in lengths:
        strings.append(data[at : at + length])
        at += length
    return shape, [*strings, data[at:]]


def _number(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)
