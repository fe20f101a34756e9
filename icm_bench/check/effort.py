"""Work of a codec that does not depend on the machine: floating-point operations of its networks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from icm_bench.bitstream import Bitstream

if TYPE_CHECKING:
    import numpy as np

    from icm_bench.method import Method


def flop_per_pixel(method: Method, picture: np.ndarray, rate: float) -> tuple[int, int]:
    """Multiplications and additions of torch operators per pixel, of encoding and of decoding at all betas.

    0 where no torch operator runs, as in an external program. picture: uint8 (H, W, 3).
    """
    from torch.utils.flop_counter import FlopCounterMode

    method.setup()
    with FlopCounterMode(display=False) as encoding:
        data = method.encode(picture, rate).to_bytes()
    with FlopCounterMode(display=False) as decoding:
        for _ in method.decode(Bitstream.from_bytes(data), method.betas):
            pass
    n_pixels = picture.shape[0] * picture.shape[1]
    return round(encoding.get_total_flops() / n_pixels), round(decoding.get_total_flops() / n_pixels)
