"""What a decoded picture is worth in numbers: squared error, PSNR, and bits per pixel.

Raw counts first: rows keep the exact squared error and the bytes, and everything here derives from them.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

_PEAK = 255
_ROWS = 512


def squared_error(original: np.ndarray, decoded: np.ndarray) -> int:
    """Sum of squared differences over all samples of two uint8 (H, W, 3) pictures, exact.

    Raises ValueError when the shapes differ or the pictures are not uint8.
    """
    import numpy as np

    _check(original, decoded)
    total = 0
    for top in range(0, original.shape[0], _ROWS):  # strips keep the memory small
        strip = original[top : top + _ROWS].astype(np.int32) - decoded[top : top + _ROWS]
        total += int(np.sum(strip * strip, dtype=np.int64))
    return total


def pixel_digest(picture: np.ndarray) -> str:
    """32 hex digits of the sha256 over shape and values of a uint8 (H, W, 3) picture, whatever its memory layout."""
    import numpy as np

    seen = hashlib.sha256(str(picture.shape).encode())
    seen.update(np.ascontiguousarray(picture).data)
    return seen.hexdigest()[:32]


def psnr(error: int, n_samples: int) -> float | None:
    """PSNR in dB, peak 255, from a squared error summed over n_samples (3 per RGB pixel).

    None for a zero error: an infinite PSNR has no place in a table or a mean. The same function gives the
    PSNR of one picture and, from pooled sums, ``psnr_global``. Raises ValueError when there are no samples.
    """
    if n_samples <= 0:
        raise ValueError(f"PSNR needs at least one sample, got {n_samples}")
    if error == 0:
        return None
    return 10 * math.log10(_PEAK * _PEAK * n_samples / error)


def mean(values: Iterable[float | None]) -> float | None:
    """Mean of the values that are there; None when none is. ``psnr_mean`` and the mean MS-SSIM are made so.

    A lossless picture has no PSNR and takes no part, so a row should say how many pictures its mean is over.
    """
    present = [value for value in values if value is not None]
    return math.fsum(present) / len(present) if present else None


def bpp(n_bytes: int, n_pixels: int) -> float:
    """Bits per pixel: total bytes over total pixels. For a data set both are sums, never a mean of ratios."""
    if n_pixels <= 0:
        raise ValueError(f"bits per pixel need at least one pixel, got {n_pixels}")
    return 8 * n_bytes / n_pixels


def bpp_mean(n_bytes: Sequence[int], n_pixels: Sequence[int]) -> float | None:
    """Mean of the per-picture ratios, which is another quantity than ``bpp``; None without pictures."""
    return mean([bpp(size, pixels) for size, pixels in zip(n_bytes, n_pixels, strict=True)])


def _check(original: np.ndarray, decoded: np.ndarray) -> None:
    if original.shape != decoded.shape or original.ndim != 3 or original.shape[2] != 3:
        raise ValueError(f"two (H, W, 3) pictures of one size are needed: {original.shape}, {decoded.shape}")
    if original.dtype != "uint8" or decoded.dtype != "uint8":
        raise ValueError(f"two uint8 pictures are needed, got {original.dtype} and {decoded.dtype}")
