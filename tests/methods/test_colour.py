"""The conversion between RGB and 10-bit Y'CbCr."""

import os
from pathlib import Path

import numpy as np
import pytest

from icm_bench.images import read_picture
from icm_bench.methods import _colour
from icm_bench.testing import textured_picture

REALDATA = os.environ.get("ICM_BENCH_REALDATA")


def _solid(red: int, green: int, blue: int) -> np.ndarray:
    return np.broadcast_to(np.array([red, green, blue], np.uint8), (16, 16, 3))


@pytest.mark.parametrize(
    ("rgb", "codes"),
    [  # worked out by hand from H.273
        ((0, 0, 0), (0, 512, 512)),
        ((255, 255, 255), (1023, 512, 512)),
        ((255, 0, 0), (217, 395, 1023)),
        ((0, 255, 0), (732, 118, 47)),
        ((0, 0, 255), (74, 1023, 465)),
        ((128, 128, 128), (514, 512, 512)),
    ],
)
@pytest.mark.parametrize("chroma", ["420", "444"])
def test_known_colours(rgb: tuple[int, int, int], codes: tuple[int, int, int], chroma: str) -> None:
    planes = _colour.to_planes(_solid(*rgb), chroma)
    for plane, code in zip(planes, codes, strict=True):
        assert plane.dtype == np.uint16
        assert (plane == code).all(), f"{plane[0, 0]}, not {code}"


@pytest.mark.parametrize("chroma", ["420", "444"])
def test_every_grey_survives(chroma: str) -> None:
    ramp = np.repeat(np.arange(256, dtype=np.uint8).reshape(1, 256, 1).repeat(16, axis=0), 3, axis=2)
    assert np.array_equal(_colour.to_uint8(_colour.to_rgb(_colour.to_planes(ramp, chroma))), ramp)


def test_without_subsampling_every_kind_of_colour_survives() -> None:
    """10 bits hold 8-bit RGB: also where the chroma codes are clipped, at pure red and blue."""
    steps = np.arange(0, 256, 5, dtype=np.uint8)
    cube = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(52, -1, 3)
    assert _colour.ceiling(cube, "444") is None


def test_chroma_sits_on_even_columns_and_between_rows() -> None:
    """A linear ramp comes out at the chroma positions: x = 2 i across, y = 2 j + 0.5 down, away from the edges."""
    x, y = np.meshgrid(np.arange(64.0), np.arange(64.0))
    blue = 0.5 * x + 1.5 * y + 30
    rgb = np.stack([np.full_like(blue, 60), np.full_like(blue, 60), blue], axis=2)
    chroma = _colour.to_planes(rgb)[1][8:-8, 8:-8].astype(float)
    j, i = np.meshgrid(np.arange(8, 24), np.arange(8, 24), indexing="ij")
    there = 0.5 * (2 * i) + 1.5 * (2 * j + 0.5) + 30
    expected = 1023 * (there - 60) / 255 * (1 - 0.0722) / 1.8556 + 512
    assert np.abs(chroma - expected).max() <= 0.51


def test_up_filter_matches_the_down_filter() -> None:
    """Smooth chroma survives halving and doubling: a wrong phase on either side would shift it visibly."""
    x, y = np.meshgrid(np.arange(128.0), np.arange(128.0))
    wave = 128 + 60 * np.sin(2 * np.pi * x / 32) * np.cos(2 * np.pi * y / 25)
    rgb = _colour.to_uint8(np.stack([wave, np.full_like(wave, 128), 255 - wave], axis=2))
    back = _colour.to_uint8(_colour.to_rgb(_colour.to_planes(rgb))).astype(int)
    assert np.abs(back - rgb)[12:-12, 12:-12].max() <= 2


def test_raw_samples_survive_and_foreign_ones_are_clipped() -> None:
    planes = _colour.to_planes(textured_picture(32, 48))
    again = _colour.from_bytes(_colour.to_bytes(planes), (32, 48))
    assert all(np.array_equal(a, b) for a, b in zip(planes, again, strict=True))
    assert max(int(p.max()) for p in _colour.from_bytes(b"\xff" * 768, (16, 16))) == 1023


def test_odd_sides_are_refused_with_subsampling() -> None:
    with pytest.raises(ValueError, match="even"):
        _colour.to_planes(textured_picture(17, 33))


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (7, 3), (33, 17)])
def test_ceiling_takes_any_size(size: tuple[int, int]) -> None:
    assert _colour.ceiling(textured_picture(*size), "444") is None
    value = _colour.ceiling(textured_picture(*size))
    assert value is None or value > 20


def test_resize_neither_shifts_nor_rounds() -> None:
    ramp = np.repeat(np.linspace(0, 255, 64, dtype=np.float32).reshape(1, 64, 1).repeat(64, axis=0), 3, axis=2)
    small = _colour.resize(ramp, (32, 32))
    assert small.dtype == np.float32
    assert np.abs(small[:, 4:-4] - ramp.reshape(32, 2, 32, 2, 3).mean(axis=(1, 3))[:, 4:-4]).max() < 0.01
    assert np.abs(_colour.resize(small, (64, 64)) - ramp)[:, 8:-8].max() < 0.02


@pytest.mark.skipif(not REALDATA, reason="ICM_BENCH_REALDATA is not set: the Kodak pictures are needed")
def test_kodak_ceilings() -> None:
    pictures = [read_picture(path) for path in sorted(Path(str(REALDATA), "kodak").glob("*.png"))]
    assert len(pictures) == 12
    assert all(_colour.ceiling(picture, "444") is None for picture in pictures)
    values = [_colour.ceiling(picture) for picture in pictures]
    assert all(value is not None and value > 45.2 for value in values)
    assert sum(value for value in values if value) / 12 == pytest.approx(48.41, abs=0.01)


def test_rows_at_a_time_give_the_same_picture():
    planes = _colour.to_planes(textured_picture(402, 38))
    whole = _colour.to_uint8(_colour.to_rgb(planes))
    assert np.array_equal(_colour.to_picture(planes), whole)
