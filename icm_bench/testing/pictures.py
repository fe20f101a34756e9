"""Pictures to code."""

from __future__ import annotations

from functools import cache

import numpy as np


@cache
def textured_picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    """A uint8 (H, W, 3) picture with a natural 1/f spectrum and coloured edges; the same for the same seed."""
    rng = np.random.default_rng(seed)
    rows, columns = np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None, :]
    fall = 1 / np.maximum(np.hypot(rows, columns), 1 / max(height, width))
    channels = [np.fft.ifft2(np.fft.fft2(rng.normal(size=(height, width))) * fall).real for _ in range(3)]
    grey = channels[0]
    noise = np.stack([grey + 0.4 * channel for channel in channels], axis=2)
    picture = 128 + 48 * noise / max(float(noise.std()), 1e-9)
    picture[height // 4 : height // 2, width // 3 : width // 2] += (60, -30, -60)
    picture = np.clip(np.rint(picture), 0, 255).astype(np.uint8)
    picture.flags.writeable = False
    return picture
