"""Picture files as payloads: PNG, JPEG, WebP and AVIF exactly as the codecs here write them, and nothing else.

A file that holds more than its one picture, or cannot hold the picture that the stream declares, is refused by its
headers, before a decoder sees it. Sources: PNG (ISO/IEC 15948), DEFLATE (RFC 1951), JPEG (ITU-T T.81), WebP (RFC
9649), VP8 (RFC 6386), AVIF 1.1, ISO base media boxes (ISO/IEC 14496-12, 23008-12), AV1 (its specification, 5.5).
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
#: AVIF: its boxes with one AV1 picture, and the properties of that picture: size, depth, configuration, colours.
_BOXES = [b"ftyp", b"meta", b"mdat"]
_META_BOXES = [b"hdlr", b"pitm", b"iloc", b"iinf", b"iprp"]
_PROPERTIES = {b"ispe", b"pixi", b"av1C", b"colr"}
#: What its place in the file follows: version, sizes of fields, one item, its number, source, one extent.
_ONE_ITEM = bytes.fromhex("00000000 4400 0001 0001 0000 0001")
#: AV1: temporal delimiter, sequence header and frame, as the headers of units that state their size.
_UNITS = [2 << 3 | 2, 1 << 3 | 2, 6 << 3 | 2]


def decode_payload(data: bytes, kind: str, size: tuple[int, int]) -> np.ndarray:
    """Decode an 8-bit RGB picture file of a known kind ("PNG", "JPEG", "WEBP", "AVIF") of size = (height, width).

    PNG: not interlaced, without further chunks; JPEG: baseline, three components, one scan; WebP: one VP8 key frame;
    AVIF: one AV1 still picture with a reduced header. Raises BitstreamError for anything else.
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


def _check_webp(data: bytes, size: tuple[int, int]) -> None:
    """RIFF with one VP8 chunk to the end, padded to an even length, that begins with a key frame's header."""
    riff, n_file, webp, vp8, length = struct.unpack_from("<4sI4s4sI", data)
    if (riff, webp, vp8) != (b"RIFF", b"WEBP", b"VP8 ") or not n_file + 8 == len(data) == 20 + length + length % 2:
        raise BitstreamError("the stream's WEBP is cut, or not lossy, or holds more than a picture")
    tag, start, width, height = struct.unpack_from("<B2x3sHH", data, 20)
    _check_frame("WEBP", size, (height, width), not tag & 1 and start == b"\x9d\x01\x2a")


def _check_avif(data: bytes, size: tuple[int, int]) -> None:
    """The boxes of one picture, whose size is told in them and in the AV1 data: three units that fill mdat."""
    boxes = _boxes(data)
    meta = _boxes(boxes[1][1][4:]) if len(boxes) > 1 else []
    properties = dict(_boxes(_boxes(meta[4][1])[0][1])) if len(meta) > 4 else {}
    kinds = [[kind for kind, _ in boxes], [kind for kind, _ in meta]]
    # One item in one piece: all of mdat, which is the end of the file.
    place = struct.pack(">II", len(data) - len(boxes[-1][1]), len(boxes[-1][1]))
    if kinds != [_BOXES, _META_BOXES] or set(properties) != _PROPERTIES or meta[2][1] != _ONE_ITEM + place:
        raise BitstreamError("the stream's AVIF is cut, or holds more than a picture")
    height, width = struct.unpack_from(">II", properties[b"ispe"], 4)[::-1]
    _check_frame("AVIF", size, (height, width), True)
    units = _units(boxes[2][1])
    if [header for header, _ in units] != _UNITS:
        raise BitstreamError("the stream's AVIF holds more than one AV1 picture")
    _check_frame("AV1", size, *_av1_size(units[1][1]))


def _boxes(data: bytes) -> list[tuple[bytes, bytes]]:
    """Kind and content of ISO boxes that fill the data; boxes of open or 64-bit length are none that we write."""
    at, found = 0, []
    while at < len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        if not 8 <= length <= len(data) - at:
            raise BitstreamError("the stream's AVIF is cut, or holds more than a picture")
        found.append((kind, data[at + 8 : at + length]))
        at += length
    return found


def _units(data: bytes) -> list[tuple[int, bytes]]:
    """Header byte and content of AV1 units (OBUs) that fill the data."""
    at, found = 0, []
    while at < len(data):
        header, length, shift = data[at], 0, 0
        while True:
            at += 1
            length |= (data[at] & 127) << shift
            shift += 7
            if data[at] < 128:
                break
            if shift > 49:
                raise BitstreamError("the stream's AV1 data holds a length of more than eight bytes")
        at += 1
        if length > len(data) - at:
            raise BitstreamError("the stream's AV1 data is cut")
        found.append((header, data[at : at + length]))
        at += length
    return found


def _av1_size(sequence: bytes) -> tuple[tuple[int, int], bool]:
    """(height, width) in a sequence header, and whether it is one of a still picture with a reduced header."""
    bits = f"{int.from_bytes(sequence, 'big'):0{8 * len(sequence)}b}"
    n_wide, n_high = int(bits[10:14], 2) + 1, int(bits[14:18], 2) + 1
    width = int(bits[18 : 18 + n_wide], 2) + 1
    height = int(bits[18 + n_wide : 18 + n_wide + n_high], 2) + 1
    return (height, width), bits[3:5] == "11"


def _check_frame(kind: str, declared: tuple[int, int], found: tuple[int, int], plain: bool) -> None:
    if declared != found or not plain:
        form = f"{found[1]}x{found[0]} {'RGB' if plain else 'of another form'}"
        raise BitstreamError(f"the stream declares {declared[1]}x{declared[0]} RGB, its {kind} is {form}")


def _check_room(kind: str, size: tuple[int, int], least: int, room: int) -> None:
    if least > room:
        raise BitstreamError(f"the stream's {kind} is too short for {size[1]}x{size[0]} pixels")


_KINDS: dict[str, Callable[[bytes, tuple[int, int]], None]] = {
    "PNG": _check_png,
    "JPEG": _check_jpeg,
    "WEBP": _check_webp,
    "AVIF": _check_avif,
}
