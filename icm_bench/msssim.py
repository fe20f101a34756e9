"""MS-SSIM in numpy, by block-banded matrix products: on a CPU several times faster than torch."""

from __future__ import annotations

from functools import cache

import numpy as np

_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
_TAPS, _SIGMA = 11, 1.5
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
_BLOCK = 48
#: Four halvings and then a window of 11 pixels: 10 * 2**4 + 1.
SMALLEST_SIDE = 161


def ms_ssim(first: np.ndarray, second: np.ndarray) -> float | None:
    """MS-SSIM of two uint8 (H, W, 3) pictures, mean over channels, 6 digits; None under 161 a side.

    Wang, Simoncelli, Bovik, "Multiscale structural similarity for image quality assessment", Asilomar 2003;
    Gaussian window of 11 taps, sigma 1.5, valid positions only, odd sides padded by a zero row before halving,
    as the reference implementations in torch do. Six digits are what every machine agrees on in float32.
    """
    if min(first.shape[:2]) < SMALLEST_SIDE:
        return None
    x = np.ascontiguousarray(first.transpose(2, 0, 1), dtype=np.float32)
    y = np.ascontiguousarray(second.transpose(2, 0, 1), dtype=np.float32)
    value = np.ones(3)
    for scale, weight in enumerate(_WEIGHTS):
        if scale:
            x, y = _halved(x), _halved(y)
        similarity, contrast = _ssim(x, y)
        last = scale == len(_WEIGHTS) - 1
        value *= np.maximum(similarity if last else contrast, 0) ** weight
    return round(float(value.mean()), 6)


def _ssim(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean SSIM and mean contrast-structure term per channel of float (C, H, W)."""
    mean_x, mean_y, square, product = _blurred(np.stack((x, y, x * x + y * y, x * y)))
    mean_product, mean_square = mean_x * mean_y, mean_x * mean_x + mean_y * mean_y
    contrast = (2 * (product - mean_product) + _C2) / (square - mean_square + _C2)
    similarity = contrast * (2 * mean_product + _C1) / (mean_square + _C1)
    return similarity.mean(axis=(1, 2), dtype=np.float64), contrast.mean(axis=(1, 2), dtype=np.float64)


@cache
def _band() -> np.ndarray:
    """(_BLOCK + 10, _BLOCK): column j holds the window's taps from row j on."""
    taps = np.exp(-((np.arange(_TAPS) - _TAPS // 2) ** 2) / (2 * _SIGMA**2))
    band = np.zeros((_BLOCK + _TAPS - 1, _BLOCK), np.float32)
    for j in range(_BLOCK):
        band[j : j + _TAPS, j] = taps / taps.sum()
    return band


def _blurred(fields: np.ndarray) -> np.ndarray:
    """The window over (..., H, W), valid positions only."""
    height, width = fields.shape[-2] - _TAPS + 1, fields.shape[-1] - _TAPS + 1
    band = _band()
    wide = np.empty((*fields.shape[:-1], width), np.float32)
    for at in range(0, width, _BLOCK):
        n = min(_BLOCK, width - at)
        wide[..., at : at + n] = fields[..., at : at + n + _TAPS - 1] @ band[: n + _TAPS - 1, :n]
    out = np.empty((*fields.shape[:-2], height, width), np.float32)
    for at in range(0, height, _BLOCK):
        n = min(_BLOCK, height - at)
        out[..., at : at + n, :] = band[: n + _TAPS - 1, :n].T @ wide[..., at : at + n + _TAPS - 1, :]
    return out


def _halved(planes: np.ndarray) -> np.ndarray:
    """Means of 2x2 blocks of (C, H, W); an odd side gets a zero row or column in front."""
    _, height, width = planes.shape
    if height % 2 or width % 2:
        planes = np.pad(planes, ((0, 0), (height % 2, 0), (width % 2, 0)))
    return (planes[:, ::2, ::2] + planes[:, 1::2, ::2] + planes[:, ::2, 1::2] + planes[:, 1::2, 1::2]) / 4
