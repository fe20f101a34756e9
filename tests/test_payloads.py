"""Picture files inside of streams: only what the codecs write, and only where it can hold the declared picture."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from icm_bench.errors import BitstreamError
from icm_bench.payloads import decode_payload
from icm_bench.testing import textured_picture

PICTURE = textured_picture(40, 56)


def saved(kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    Image.fromarray(PICTURE).save(out, kind, **options)
    return out.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "AVIF"])
def test_plain_files_are_decoded(kind: str) -> None:
    data = saved(kind)
    with Image.open(io.BytesIO(data)) as opened:
        assert np.array_equal(decode_payload(data, kind, (40, 56)), np.asarray(opened))


def png_with_text() -> bytes:
    info = PngImagePlugin.PngInfo()
    info.add_text("comment", "x" * 100_000, zip=True)
    return saved("PNG", pnginfo=info)


def test_files_with_more_than_a_picture_are_refused() -> None:
    scan = saved("JPEG")
    cases = {
        "PNG is cut, or holds more": [png_with_text(), saved("PNG") + b"more", saved("PNG")[:-12]],
        "baseline": [saved("JPEG", progressive=True), saved("JPEG", comment=b"hello"), saved("JPEG", exif=b"Exif")],
        "one scan": [scan[:-2] + scan[scan.index(b"\xff\xda") :], scan + b"more", scan[:-2]],
        "of another form": [grey("PNG"), grey("JPEG")],
    }
    for reason, files in cases.items():
        for data in files:
            with pytest.raises(BitstreamError, match=reason):
                decode_payload(data, "PNG" if data[:2] == b"\x89P" else "JPEG", (40, 56))


def transparent(kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    Image.fromarray(PICTURE).convert("RGBA").rotate(9).save(out, kind, **options)
    return out.getvalue()


def animated(kind: str) -> bytes:
    frames = [Image.fromarray(picture) for picture in (PICTURE, 255 - PICTURE)]
    out = io.BytesIO()
    frames[0].save(out, kind, save_all=True, append_images=frames[1:])
    return out.getvalue()


@pytest.mark.parametrize("kind", ["WEBP", "AVIF"])
def test_modern_files_with_more_than_a_picture_are_refused(kind: str) -> None:
    plain, exif = saved(kind), Image.Exif()
    exif[270] = "hello"
    for data in (transparent(kind), animated(kind), saved(kind, exif=exif.tobytes()), plain + b"more"):
        with pytest.raises(BitstreamError, match=r"is cut, or (not lossy, or )?holds more than a picture"):
            decode_payload(data, kind, (40, 56))
    with pytest.raises(BitstreamError, match="not lossy"):
        decode_payload(saved("WEBP", lossless=True), "WEBP", (40, 56))


def test_sizes_inside_of_modern_files_are_those_declared() -> None:
    webp, avif = bytearray(saved("WEBP")), bytearray(saved("AVIF"))
    webp[26:30] = struct.pack("<HH", 56, 41)
    with pytest.raises(BitstreamError, match="declares 56x40 RGB, its WEBP is 56x41"):
        decode_payload(bytes(webp), "WEBP", (40, 56))
    at = avif.index(b"ispe") + 8
    avif[at : at + 8] = struct.pack(">II", 57, 40)
    with pytest.raises(BitstreamError, match="its AVIF is 57x40"):
        decode_payload(bytes(avif), "AVIF", (40, 56))
    with pytest.raises(BitstreamError, match="declares 57x40 RGB, its AV1 is 56x40"):
        decode_payload(bytes(avif), "AVIF", (40, 57))


def test_an_avif_whose_item_lies_elsewhere_is_refused() -> None:
    """Pieces of an item may overlap, so that a small file could stand for a large one."""
    avif = bytearray(saved("AVIF"))
    at = avif.index(b"iloc") + 18
    for place, n_bytes in ((0, len(avif)), (len(avif) - 8, 8)):
        avif[at : at + 8] = struct.pack(">II", place, n_bytes)
        with pytest.raises(BitstreamError, match="holds more than a picture"):
            decode_payload(bytes(avif), "AVIF", (40, 56))


def test_an_av1_length_without_end_is_refused() -> None:
    avif = saved("AVIF")
    at = avif.index(b"mdat") + 4
    with pytest.raises(BitstreamError, match="more than eight bytes"):
        decode_payload(avif[: at + 1] + b"\xff" * (len(avif) - at - 1), "AVIF", (40, 56))


def grey(kind: str) -> bytes:
    out = io.BytesIO()
    Image.fromarray(PICTURE).convert("L").save(out, kind)
    return out.getvalue()


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def test_files_too_short_for_their_picture_are_refused_by_their_headers() -> None:
    """A header alone can declare any size: nothing may be allocated for it."""
    side = 2**14
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    png = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    jpeg = bytearray(saved("JPEG"))
    at = jpeg.index(b"\xff\xc0") + 5
    jpeg[at : at + 4] = struct.pack(">HH", side, side)
    for kind, data in (("PNG", png), ("JPEG", bytes(jpeg))):
        with pytest.raises(BitstreamError, match=f"{kind} is too short for {side}x{side} pixels"):
            decode_payload(data, kind, (side, side))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "AVIF"])
def test_every_cut_is_a_bitstream_error(kind: str) -> None:
    data = saved(kind)
    for end in range(0, len(data), 7):
        with pytest.raises(BitstreamError):
            decode_payload(data[:end], kind, (40, 56))


def test_large_pictures_are_bounded_by_the_stream_and_not_by_pillow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert decode_payload(saved("PNG"), "PNG", (40, 56)).shape == (40, 56, 3)
    assert Image.MAX_IMAGE_PIXELS == 100
