"""RGB to 10-bit Y'CbCr and back for external video codecs, rounded in both directions, and its ceiling.

BT.709 matrix, full range (ITU-T H.273: MatrixCoefficients 1, full-range flag 1):

    E'Y = 0.2126 R + 0.7152 G + 0.0722 B     Y  = round(1023 E'Y)
    E'B = (B - E'Y) / 1.8556                 Cb = round(1023 E'B + 512), clipped to 0 .. 1023
    E'R = (R - E'Y) / 1.5748                 Cr = round(1023 E'R + 512), clipped to 0 .. 1023

4:2:0 chroma is left-sited (H.273 chroma location type 0, what a stream without such a tag means): on the
columns of even luma samples, half-way between two rows. It goes down and up by the three-lobed Lanczos kernel,
with replicated edges.

All sums are element by element in a fixed order, so that every machine computes the same planes.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from icm_bench.metrics import psnr, squared_error

PEAK = 1023
_MID = 512
_KR, _KB = 0.2126, 0.0722
_KG = 1 - _KR - _KB
_CB, _CR = 2 * (1 - _KB), 2 * (1 - _KR)
_LOBES = 3
#: Even numbers of rows that are converted at once, and of their neighbours, which the kernel sees.
_BAND, _BORDER = 128, 16

Planes = tuple[np.ndarray, np.ndarray, np.ndarray]


def to_planes(rgb: np.ndarray, chroma: str = "420") -> Planes:
    """Y, Cb, Cr as uint16 0 .. 1023 from (H, W, 3) RGB in 0 .. 255, uint8 or float.

    chroma "420": H and W are even, Cb and Cr are (H / 2, W / 2); "444": of full size.
    """
    if chroma == "420" and (rgb.shape[0] % 2 or rgb.shape[1] % 2):
        raise ValueError(f"4:2:0 needs even sides, got {rgb.shape[1]}x{rgb.shape[0]}")
    red, green, blue = (rgb[:, :, i].astype(np.float32) / np.float32(255) for i in range(3))
    luma = _KR * red + _KG * green + _KB * blue
    differences = ((blue - luma) / _CB, (red - luma) / _CR)
    if chroma == "420":
        differences = (_halve(differences[0]), _halve(differences[1]))
    return _to_codes(luma, 0), _to_codes(differences[0], _MID), _to_codes(differences[1], _MID)


def to_rgb(planes: Planes) -> np.ndarray:
    """float32 (H, W, 3) RGB around 0 .. 255, neither clipped nor rounded, from such planes."""
    luma = planes[0].astype(np.float32) / np.float32(PEAK)
    blue_diff, red_diff = ((p.astype(np.float32) - np.float32(_MID)) / np.float32(PEAK) for p in planes[1:])
    if blue_diff.shape != luma.shape:
        blue_diff, red_diff = _double(blue_diff), _double(red_diff)
    red = luma + _CR * red_diff
    blue = luma + _CB * blue_diff
    green = (luma - _KR * red - _KB * blue) / _KG
    return np.stack((red, green, blue), axis=2) * np.float32(255)


def to_picture(planes: Planes) -> np.ndarray:
    """uint8 (H, W, 3) of such 4:2:0 planes: ``to_rgb`` and ``to_uint8``, some rows at a time."""
    height, width = planes[0].shape
    made = np.empty((height, width, 3), np.uint8)
    for first in range(0, height, _BAND):
        last = min(height, first + _BAND)
        low, high = max(0, first - _BORDER), min(height, last + _BORDER)
        part = (planes[0][low:high], planes[1][low // 2 : high // 2], planes[2][low // 2 : high // 2])
        made[first:last] = to_uint8(to_rgb(part)[first - low : last - low])
    return made


def to_uint8(rgb: np.ndarray) -> np.ndarray:
    """RGB clipped and rounded to the nearest of 0 .. 255."""
    return np.rint(np.clip(rgb, 0, 255)).astype(np.uint8)


def pad(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The picture grown to (height, width) by repeating its last row and column."""
    below, right = size[0] - picture.shape[0], size[1] - picture.shape[1]
    return np.pad(picture, ((0, below), (0, right), (0, 0)), mode="edge")


def resize(rgb: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """float32 (H, W, C) scaled to (height, width): bicubic, antialiased when it shrinks, unrounded."""
    from PIL import Image

    n = rgb.shape[2]
    channels = (Image.fromarray(np.ascontiguousarray(rgb[:, :, i], dtype=np.float32)) for i in range(n))
    scaled = [np.asarray(c.resize((size[1], size[0]), Image.Resampling.BICUBIC)) for c in channels]
    return np.stack(scaled, axis=2)


def ceiling(picture: np.ndarray, chroma: str = "420") -> float | None:
    """PSNR in dB of converting a uint8 (H, W, 3) picture there and back without coding.

    chroma as in ``to_planes``. None when the conversion loses nothing, as 10 bits without subsampling do.
    """
    height, width = picture.shape[:2]
    even = pad(picture, (height + height % 2, width + width % 2))
    back = to_uint8(to_rgb(to_planes(even, chroma)))[:height, :width]
    return psnr(squared_error(picture, back), picture.size)


def to_bytes(planes: Planes) -> bytes:
    """Raw planar samples, two bytes each, low byte first (yuv420p10le)."""
    return b"".join(plane.astype("<u2").tobytes() for plane in planes)


def from_bytes(data: bytes, size: tuple[int, int]) -> Planes:
    """4:2:0 planes of luma size (height, width) from raw samples, clipped to 0 .. 1023."""
    height, width = size
    samples = np.minimum(np.frombuffer(data, "<u2"), PEAK)
    luma, quarter = height * width, height * width // 4
    half = (height // 2, width // 2)
    return (
        samples[:luma].reshape(height, width),
        samples[luma : luma + quarter].reshape(half),
        samples[luma + quarter :].reshape(half),
    )


def _to_codes(plane: np.ndarray, offset: int) -> np.ndarray:
    return np.clip(np.rint(plane * np.float32(PEAK) + np.float32(offset)), 0, PEAK).astype(np.uint16)


def _halve(plane: np.ndarray) -> np.ndarray:
    rows = _filter(plane, 0.5, 2)[::2]
    return np.ascontiguousarray(_filter(rows.T, 0.0, 2)[::2].T)


def _double(plane: np.ndarray) -> np.ndarray:
    rows = _interleave(_filter(plane, -0.25, 1), _filter(plane, 0.25, 1)).T
    return np.ascontiguousarray(_interleave(rows, _filter(rows, 0.5, 1)).T)


def _interleave(even: np.ndarray, odd: np.ndarray) -> np.ndarray:
    return np.stack((even, odd), axis=1).reshape(2 * even.shape[0], even.shape[1])


def _filter(plane: np.ndarray, shift: float, stretch: int) -> np.ndarray:
    """Lanczos along axis 0 at each row's position plus shift, with the kernel stretched by a factor."""
    first, weights = _taps(shift, stretch)
    before = max(0, -first)
    after = max(0, first + len(weights) - 1)
    padded = np.pad(plane, ((before, after), (0, 0)), mode="edge")
    start = before + first
    out = weights[0] * padded[start : start + plane.shape[0]]
    for index in range(1, len(weights)):
        out += weights[index] * padded[start + index : start + index + plane.shape[0]]
    return out


@cache
def _taps(shift: float, stretch: int) -> tuple[int, tuple[np.float32, ...]]:
    """Offset of the first tap and the weights, which sum to 1."""
    reach = _LOBES * stretch
    offsets = [k for k in range(-reach - 1, reach + 2) if abs(k - shift) < reach]
    raw = [float(np.sinc((k - shift) / stretch) * np.sinc((k - shift) / reach)) for k in offsets]
    return offsets[0], tuple(np.float32(value / sum(raw)) for value in raw)
