"""What layers hold beside a coder's bytes: several strings and a shape, or a gain level of their own."""

from __future__ import annotations

from collections.abc import Sequence

from icm_bench.bitstream import Reader, varint
from icm_bench.errors import BitstreamError

_MOST = 16
#: Gain levels are kept to 1 / RATE_STEPS, as the container does.
RATE_STEPS = 256


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


def rate_prefix(aux_rate: float | None) -> bytes:
    """First bytes of an auxiliary layer: a 0 for the primary's gain level, else 256 (1 + level) in two bytes."""
    return b"\0" if aux_rate is None else (RATE_STEPS + round(aux_rate * RATE_STEPS)).to_bytes(2, "big")


def split_prefix(data: bytes) -> tuple[float | None, bytes]:
    """The auxiliary layer's own gain level (None: the primary's) and its payload."""
    if not data:
        raise BitstreamError("the stream has an empty layer")
    if data[0] == 0:
        return None, data[1:]
    return (int.from_bytes(data[:2], "big") - RATE_STEPS) / RATE_STEPS, data[2:]
