"""Several byte strings and a shape in one layer."""

from __future__ import annotations

from collections.abc import Sequence

from icm_bench.bitstream import Reader, varint
from icm_bench.errors import BitstreamError

_MOST = 16


def pack(shape: Sequence[int], strings: Sequence[bytes]) -> bytes:
    """As varints two counts, the shape's sides and the length of each string but the last; then the strings."""
    numbers = [len(shape), len(strings), *shape, *(len(one) for one in strings[:-1])]
    return b"".join(map(varint, numbers)) + b"".join(strings)


def unpack(data: bytes) -> tuple[list[int], list[bytes]]:
    """What ``pack`` was given. Raises BitstreamError for bytes that end too early or hold absurd counts."""
    reader = Reader(data)
    n_sides, n_strings = reader.varint(), reader.varint()
    if not (1 <= n_sides <= _MOST and 1 <= n_strings <= _MOST):
        raise BitstreamError(f"the layer declares {n_sides} sides and {n_strings} strings")
    shape = [reader.varint() for _ in range(n_sides)]
    lengths = [reader.varint() for _ in range(n_strings - 1)]
    return shape, [*(reader.take(length) for length in lengths), reader.rest()]
