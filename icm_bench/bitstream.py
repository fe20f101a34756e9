"""The container: everything a decoder needs, in at most 16 bytes beyond the payload of a one-layer stream.

Layout, version 1 (varint = little-endian base 128, seven bits a byte, at most four bytes):

    2 bytes  magic C9 4D
    1 byte   version (high four bits), layer layout (low four bits)
    2 bytes  method id: first bytes of sha256(method name)
    2 bytes  checkpoint id: first bytes of the checkpoint's sha256, zero for a codec without weights
    varint   width - 1
    varint   height - 1
    varint   rate: 2 r when r is a whole number, else 2 round(256 r) + 1
    ...      only for layout 15: varint count, then per layer one byte length and the ASCII name
    varint   length of each layer but the last
    ...      the layers
    2 bytes  CRC-16/CCITT over all of the above

Everything that is declared is bounded before anything is allocated: pixels, sides, the number of layers, their names
(words of a-z, 0-9, - and _) and all their bytes (BYTES_PER_PIXEL a pixel and SPARE_BYTES). Rates are kept to 1/256.
"""

from __future__ import annotations

import binascii
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass

from icm_bench.errors import BitstreamError, CodecError

MAGIC = b"\xc9M"
VERSION = 1
MAX_PIXELS = 2**28
MAX_SIDE = 2**16
#: The most that layers may hold: far more than a raw picture, so that more is no picture.
BYTES_PER_PIXEL, SPARE_BYTES = 16, 2**16
_CUSTOM = 15
_LAYOUTS: dict[int, tuple[str, ...]] = {
    0: ("main",),
    1: ("primary",),
    2: ("primary", "auxiliary"),
}
_MAX_LAYERS = 16
_NAME = re.compile(rb"[a-z][a-z0-9_-]{0,31}")


def method_id(name: str) -> int:
    """16-bit id of a method name."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:2], "little")


def short_checkpoint(digest: str) -> int:
    """16-bit id of a checkpoint's hex sha256; 0 for the empty digest of a codec without weights."""
    return int.from_bytes(bytes.fromhex(digest[:4]), "little") if digest else 0


def quantise_rate(rate: float) -> float:
    """The rate as the container keeps it: to 1/256."""
    return round(rate * 256) / 256


@dataclass(frozen=True)
class Bitstream:
    """A coded picture: who coded it, its size, its rate, and named layers of bytes, the base layer first.

    method, checkpoint: 16-bit ids (see ``method_id``, ``short_checkpoint``); width, height in pixels.
    """

    method: int
    checkpoint: int
    width: int
    height: int
    rate: float
    layers: tuple[tuple[str, bytes], ...]

    @classmethod
    def of(cls, method: object, size: tuple[int, int], rate: float, layers: dict[str, bytes]) -> Bitstream:
        """A stream made by a method for a picture of (height, width). Raises CodecError for one that is too long."""
        if max(size) > MAX_SIDE:
            raise CodecError(f"a picture has at most {MAX_SIDE} pixels a side, this one is {size[1]}x{size[0]}")
        return cls(
            method_id(method.name),  # type: ignore[attr-defined]
            short_checkpoint(method.checkpoint_id),  # type: ignore[attr-defined]
            size[1],
            size[0],
            quantise_rate(rate),
            tuple(layers.items()),
        )

    def layer(self, name: str) -> bytes:
        """The bytes of a layer. Raises BitstreamError when the stream does not carry it."""
        for key, data in self.layers:
            if key == name:
                return data
        raise BitstreamError(f"the stream has no {name!r} layer, only {', '.join(key for key, _ in self.layers)}")

    def has(self, name: str) -> bool:
        """Whether the stream carries the layer."""
        return any(key == name for key, _ in self.layers)

    def only(self, names: Iterable[str]) -> Bitstream:
        """The same stream with only these layers: what is sent to a receiver that needs no more."""
        wanted = set(names)
        kept = tuple((key, data) for key, data in self.layers if key in wanted)
        return Bitstream(self.method, self.checkpoint, self.width, self.height, self.rate, kept)

    def to_bytes(self) -> bytes:
        """The container's bytes."""
        names = tuple(name for name, _ in self.layers)
        layout = next((key for key, known in _LAYOUTS.items() if known == names), _CUSTOM)
        out = bytearray(MAGIC)
        out.append(VERSION << 4 | layout)
        out += self.method.to_bytes(2, "little") + self.checkpoint.to_bytes(2, "little")
        out += varint(self.width - 1) + varint(self.height - 1) + varint(_rate_code(self.rate))
        if layout == _CUSTOM:
            out += varint(len(names))
            for name in names:
                out += bytes([len(name)]) + name.encode("ascii")
        for _, data in self.layers[:-1]:
            out += varint(len(data))
        for _, data in self.layers:
            out += data
        return bytes(out) + _checksum(bytes(out))

    @classmethod
    def from_bytes(cls, data: bytes, max_pixels: int = MAX_PIXELS) -> Bitstream:
        """Read a container. Raises BitstreamError for foreign, truncated, damaged or oversized ones."""
        if len(data) < 3 or data[:2] != MAGIC:
            raise BitstreamError("not an icm-bench stream (the first bytes are not its magic)")
        version, layout = data[2] >> 4, data[2] & 15
        if version != VERSION:
            raise BitstreamError(f"stream version {version}, this program reads version {VERSION}")
        if len(data) < 12 or _checksum(data[:-2]) != data[-2:]:
            raise BitstreamError("the stream is truncated or damaged (its checksum does not fit)")
        reader = Reader(data[3:-2])
        method = int.from_bytes(reader.take(2), "little")
        checkpoint = int.from_bytes(reader.take(2), "little")
        width, height = reader.varint() + 1, reader.varint() + 1
        _check_size(width, height, max_pixels, len(data))
        rate = _rate_value(reader.varint())
        names = _LAYOUTS.get(layout) or reader.names(layout)
        lengths = [reader.varint() for _ in names[:-1]]
        layers = [(name, reader.take(n)) for name, n in zip(names, lengths, strict=False)]
        layers.append((names[-1], reader.rest()))
        return cls(method, checkpoint, width, height, rate, tuple(layers))


class Reader:
    """Bounded reads; running out of bytes is a BitstreamError."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, n: int) -> bytes:
        """The next n bytes."""
        if self.at + n > len(self.data):
            raise BitstreamError("the stream ends before its declared layers do")
        self.at += n
        return self.data[self.at - n : self.at]

    def rest(self) -> bytes:
        """All that is left."""
        return self.take(len(self.data) - self.at)

    def varint(self) -> int:
        """The number that ``varint`` wrote."""
        value = 0
        for shift in range(0, 28, 7):
            byte = self.take(1)[0]
            value |= (byte & 127) << shift
            if byte < 128:
                return value
        raise BitstreamError("the stream holds a number of more than 28 bits")

    def names(self, layout: int) -> tuple[str, ...]:
        if layout != _CUSTOM:
            raise BitstreamError(f"the stream has layer layout {layout}, which this program does not know")
        count = self.varint()
        if not 1 <= count <= _MAX_LAYERS:
            raise BitstreamError(f"the stream declares {count} layers, 1 to {_MAX_LAYERS} are allowed")
        names = [self.take(self.take(1)[0]) for _ in range(count)]
        if not all(_NAME.fullmatch(name) for name in names):
            raise BitstreamError("the stream names a layer by something else than a word of at most 32 letters")
        if len(set(names)) != count:
            raise BitstreamError("the stream names one layer twice")
        return tuple(name.decode("ascii") for name in names)


def varint(value: int) -> bytes:
    """A whole number below 2^28 as little-endian base 128, seven bits a byte."""
    if not 0 <= value < 1 << 28:
        raise ValueError(f"{value} does not fit the container's 28 bits")
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def _check_size(width: int, height: int, max_pixels: int, n_bytes: int) -> None:
    if width * height > max_pixels:
        raise BitstreamError(f"the stream declares {width}x{height} pixels, more than {max_pixels} are refused")
    if max(width, height) > MAX_SIDE:
        raise BitstreamError(f"the stream declares {width}x{height} pixels, a side has at most {MAX_SIDE}")
    if n_bytes > BYTES_PER_PIXEL * width * height + SPARE_BYTES:
        raise BitstreamError(f"the stream holds {n_bytes} bytes for {width}x{height} pixels, more than any picture")


def _rate_code(rate: float) -> int:
    steps = round(rate * 256)
    return 2 * (steps // 256) if steps % 256 == 0 else 2 * steps + 1


def _rate_value(code: int) -> float:
    return (code >> 1) / 256 if code & 1 else float(code >> 1)


def _checksum(data: bytes) -> bytes:
    return binascii.crc_hqx(data, 0xFFFF).to_bytes(2, "little")
