"""Reading pictures of every kind."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from icm_bench.errors import PictureError
from icm_bench.images import read_picture, to_png, write_png
from icm_bench.testing import textured_picture


def _png16(path: Path, samples: np.ndarray, colour_type: int, extra: bytes = b"") -> Path:
    """A 16-bit PNG written by hand: Pillow writes none in colour. samples: (H, W, channels) uint16."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width = samples.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    header = struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0)
    parts = (chunk(b"IHDR", header), extra, chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b""))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
    return path


def _rounded(wide: np.ndarray) -> np.ndarray:
    return np.floor(wide / 257 + 0.5).astype(np.uint8)


def test_rgb_is_read_as_it_is(tmp_path: Path) -> None:
    picture = textured_picture(17, 33)
    write_png(tmp_path / "ä b.png", picture)
    assert np.array_equal(read_picture(tmp_path / "ä b.png"), picture)
    assert (tmp_path / "ä b.png").read_bytes() == to_png(picture)


@pytest.mark.parametrize("size", [(1, 1), (1, 2000), (2000, 1)])
def test_extreme_sizes(tmp_path: Path, size: tuple[int, int]) -> None:
    picture = textured_picture(*size)
    write_png(tmp_path / "a.png", picture)
    assert np.array_equal(read_picture(tmp_path / "a.png"), picture)


@pytest.mark.parametrize("mode", ["L", "1", "P", "CMYK", "YCbCr"])
def test_other_modes_become_rgb(tmp_path: Path, mode: str) -> None:
    picture = textured_picture(20, 30)
    made = Image.fromarray(picture).convert(mode)
    path = tmp_path / ("a.tif" if mode in ("CMYK", "YCbCr") else "a.png")
    made.save(path)
    read = read_picture(path)
    assert read.dtype == np.uint8
    assert np.array_equal(read, np.asarray(made.convert("RGB")))
    if mode == "L":
        assert np.array_equal(read[:, :, 0], read[:, :, 2])


def test_cmyk_jpeg_looks_like_its_rgb_original(tmp_path: Path) -> None:
    picture = textured_picture(40, 40)
    Image.fromarray(picture).convert("CMYK").save(tmp_path / "a.jpg", quality=100, subsampling=0)
    difference = np.abs(read_picture(tmp_path / "a.jpg").astype(int) - picture)
    assert difference.mean() < 3


def test_16_bit_grey_is_rounded(tmp_path: Path) -> None:
    wide = np.random.default_rng(0).integers(0, 65536, (9, 14), dtype=np.uint16)
    wide[0, :4] = 0, 65535, 128, 129
    Image.fromarray(wide).save(tmp_path / "a.png")
    Image.fromarray(wide).save(tmp_path / "a.tif")
    for name in ("a.png", "a.tif"):
        assert np.array_equal(read_picture(tmp_path / name), np.repeat(_rounded(wide)[:, :, None], 3, axis=2))


def test_16_bit_rgb_png_is_rounded(tmp_path: Path) -> None:
    wide = np.random.default_rng(0).integers(0, 65536, (9, 14, 3), dtype=np.uint16)
    assert np.array_equal(read_picture(_png16(tmp_path / "a.png", wide, 2)), _rounded(wide))


def test_16_bit_rgba_png_lies_on_white(tmp_path: Path) -> None:
    wide = np.random.default_rng(0).integers(0, 65536, (9, 14, 4), dtype=np.uint16)
    wide[:, :7, 3], wide[:, 7:, 3] = 65535, 0
    read = read_picture(_png16(tmp_path / "a.png", wide, 6))
    assert np.array_equal(read[:, :7], _rounded(wide[:, :7, :3]))
    assert (read[:, 7:] == 255).all()


def test_exif_rotation_of_8_and_16_bit_pictures(tmp_path: Path) -> None:
    picture = textured_picture(20, 30)
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to view
    Image.fromarray(picture).save(tmp_path / "a.png", exif=exif)
    assert np.array_equal(read_picture(tmp_path / "a.png"), np.rot90(picture, -1))
    data = exif.tobytes().removeprefix(b"Exif\0\0")
    chunk = struct.pack(">I", len(data)) + b"eXIf" + data + struct.pack(">I", zlib.crc32(b"eXIf" + data))
    wide = _png16(tmp_path / "wide.png", picture.astype(np.uint16) * 257, 2, chunk)
    assert np.array_equal(read_picture(wide), np.rot90(picture, -1))


def test_transparency_is_laid_on_white(tmp_path: Path) -> None:
    rgba = np.zeros((2, 3, 4), np.uint8)
    rgba[0] = (10, 20, 30, 255)
    rgba[1] = (0, 0, 0, 128)
    Image.fromarray(rgba).save(tmp_path / "a.png")
    read = read_picture(tmp_path / "a.png")
    assert (read[0] == (10, 20, 30)).all()
    assert (read[1] == 127).all()
    palette = Image.new("P", (4, 4), 0)
    palette.putpalette([200, 0, 0, 0, 200, 0])
    palette.save(tmp_path / "p.png", transparency=0)
    assert (read_picture(tmp_path / "p.png") == 255).all()


@pytest.mark.parametrize("kind", ["jpg", "png"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.95])
def test_truncated_files_are_named(tmp_path: Path, kind: str, share: float) -> None:
    path = tmp_path / f"holiday.{kind}"
    Image.fromarray(textured_picture(80, 90)).save(path)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(PictureError, match="holiday"):
        read_picture(path)


def test_files_that_are_no_pictures_are_named(tmp_path: Path) -> None:
    (tmp_path / "notes.png").write_text("not a picture")
    for name, why in (("notes.png", "cannot be read"), ("gone.png", "no such file"), ("", "cannot be read")):
        with pytest.raises(PictureError, match=why):
            read_picture(tmp_path / name)


def test_float_pictures_and_wide_integers_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.full((3, 3), 0.5, np.float32)).save(tmp_path / "f.tif")
    Image.fromarray(np.full((3, 3), 70000, np.int32)).save(tmp_path / "i.tif")
    with pytest.raises(PictureError, match="floating-point"):
        read_picture(tmp_path / "f.tif")
    with pytest.raises(PictureError, match=r"outside 0 \.\. 65535"):
        read_picture(tmp_path / "i.tif")


def test_a_decompression_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    write_png(tmp_path / "bomb.png", textured_picture(40, 40))
    with pytest.raises(PictureError, match="bomb"):
        read_picture(tmp_path / "bomb.png")
