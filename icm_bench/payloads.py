"""Picture files as payloads of streams: PNG and JPEG exactly as the codecs here write them, and nothing else.

A file that holds more than its one picture, or cannot hold the picture that the stream declares, is refused by its
headers, before a decoder sees it. Sources: PNG (ISO/IEC 15948), DEFLATE (RFC 1951), JPEG (ITU-T T.81).
"""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING

from icm_bench.errors import BitstreamError
from icm_bench.images import pixels_allowed

if TYPE_CHECKING:
    import numpy as np

_PNG_START = b"\x89PNG\r\n\x1a\n"
#: DEFLATE's shortest code for its longest match: 258 bytes in 2 bits.
_MOST_INFLATION = 1032
#: JPEG: start of frame (baseline), Huffman tables, start of scan, quantisation tables, JFIF header.
_SOF0, _DHT, _SOS, _DQT, _APP0 = 0xC0, 0xC4, 0xDA, 0xDB, 0xE0
#: A block of 8x8 takes a code for its mean and one for its end, of one bit each at least.
_LEAST_BLOCK_BITS = 2
_STRAY_MARKER = re.compile(rb"\xff[^\x00]")


def decode_payload(data: bytes, kind: str, size: tuple[int, int]) -> np.ndarray:
    """Decode an 8-bit RGB picture file of a known kind ("PNG", "JPEG") of size = (height, width).

    PNG: not interlaced, without further chunks; JPEG: baseline, three components, one scan. Raises BitstreamError
    for anything else.
    """
    import numpy as np
    from PIL import Image

    try:
        _KINDS[kind](data, size)
        with pixels_allowed(size[0] * size[1]), Image.open(io.BytesIO(data), formats=[kind]) as opened:
            return np.array(opened)
    except BitstreamError:
        raise
    except (struct.error, IndexError) as error:
        raise BitstreamError(f"the stream's {kind} is cut, or holds more than a picture") from error
    except Exception as error:  # on damaged data Pillow raises almost every kind there is
        raise BitstreamError(f"the {kind} data of the stream cannot be decoded ({error})") from error


def _check_png(data: bytes, size: tuple[int, int]) -> None:
    """Signature, IHDR, one or more IDAT, IEND."""
    if not data.startswith(_PNG_START):
        raise BitstreamError("the stream holds no PNG")
    at, kinds, n_packed = len(_PNG_START), [], 0
    while at < len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        if kind == b"IHDR":
            width, height, *form = struct.unpack_from(">IIBBBBB", data, at + 8)
            _check_frame("PNG", size, (height, width), form == [8, 2, 0, 0, 0])
        n_packed += length * (kind == b"IDAT")
        kinds.append(kind)
        at += 12 + length
    if at != len(data) or kinds != [b"IHDR", *[b"IDAT"] * (len(kinds) - 2), b"IEND"]:
        raise BitstreamError("the stream's PNG is cut, or holds more than a picture")
    _check_room("PNG", size, size[0] * (3 * size[1] + 1), _MOST_INFLATION * n_packed)


def _check_jpeg(data: bytes, size: tuple[int, int]) -> None:
    """SOI, tables and one frame in any order, one scan to the end, EOI."""
    if data[:2] != b"\xff\xd8":
        raise BitstreamError("the stream holds no JPEG")
    at, blocks = 2, 0
    while True:
        prefix, marker, length = struct.unpack_from(">BBH", data, at)
        body = data[at + 4 : at + 2 + length]
        if prefix != 0xFF or marker not in (_SOF0, _DHT, _SOS, _DQT, _APP0) or length < 2:
            raise BitstreamError("the stream's JPEG is damaged, or not baseline, or holds more than a picture")
        if marker == _SOF0:
            if blocks:
                raise BitstreamError("the stream's JPEG holds two frames")
            blocks = _check_jpeg_frame(body, size)
        at += 2 + length
        if marker == _SOS:
            break
    scan = data[at:-2]
    if not blocks or body[:1] != b"\3" or data[-2:] != b"\xff\xd9" or _STRAY_MARKER.search(scan):
        raise BitstreamError("the stream's JPEG is not one scan of three components")
    _check_room("JPEG", size, _LEAST_BLOCK_BITS * blocks, 8 * len(scan))


def _check_jpeg_frame(body: bytes, size: tuple[int, int]) -> int:
    """The number of blocks in a frame of three components, chroma halved at most."""
    depth, height, width, n = struct.unpack_from(">BHHB", body)
    _check_frame("JPEG", size, (height, width), (depth, n) == (8, 3))
    factors = [body[7 + 3 * i] for i in range(3)]
    if factors[0] not in (0x11, 0x21, 0x22, 0x12) or factors[1:] != [0x11, 0x11]:
        raise BitstreamError("the stream's JPEG has sampling factors that its codec never writes")
    across, down = factors[0] >> 4, factors[0] & 15
    return -(-width // (8 * across)) * -(-height // (8 * down)) * (across * down + 2)


def _check_frame(kind: str, declared: tuple[int, int], found: tuple[int, int], plain: bool) -> None:
    if declared != found or not plain:
        form = f"{found[1]}x{found[0]} {'RGB' if plain else 'of another form'}"
        raise BitstreamError(f"the stream declares {declared[1]}x{declared[0]} RGB, its {kind} is {form}")


def _check_room(kind: str, size: tuple[int, int], least: int, room: int) -> None:
    if least > room:
        raise BitstreamError(f"the stream's {kind} is too short for {size[1]}x{size[0]} pixels")


_KINDS: dict[str, Callable[[bytes, tuple[int, int]], None]] = {"PNG": _check_png, "JPEG": _check_jpeg}
