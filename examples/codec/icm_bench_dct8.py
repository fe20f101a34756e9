"""dct8: a DCT over blocks of 8x8 pixels and their 3 colours, one step size for all, zlib."""

import zlib
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from icm_bench.bitstream import Bitstream
from icm_bench.errors import BitstreamError
from icm_bench.method import Method, RateAxis


def cosines(n):
    """The orthonormal DCT-II of n samples, (n, n): a row for each frequency."""
    waves = np.cos(np.pi / n * np.outer(np.arange(n), np.arange(n) + 0.5)) * np.sqrt(2 / n)
    waves[0] /= np.sqrt(2)
    return waves


@dataclass(frozen=True)
class Dct8(Method):
    """picture -> 8x8x3 DCT -> multiples of 2^((qp - 4) / 6) -> zlib. effort: zlib's, 0 to 9."""

    effort: int = 9

    rate: ClassVar[RateAxis] = RateAxis("qp", (27, 32, 37, 42, 47), more_bits="down", low=0, high=51)

    def encode(self, image, rate):
        height, width = image.shape[:2]
        padded = np.pad(image, ((0, -height % 8), (0, -width % 8), (0, 0)), "edge") - 128.0
        blocks = padded.reshape(padded.shape[0] // 8, 8, padded.shape[1] // 8, 8, 3)
        waves = np.einsum("ui,vj,wc,yixjc->wuvyx", cosines(8), cosines(8), cosines(3), blocks, optimize=True)
        levels = np.rint(waves / 2 ** ((rate - 4) / 6)).astype("<i2")
        return Bitstream.of(self, (height, width), rate, {"main": zlib.compress(levels.tobytes(), self.effort)})

    def decode(self, bitstream, betas):
        rows, columns = -(-bitstream.height // 8), -(-bitstream.width // 8)
        if reason := self.rate.reason_against(bitstream.rate):
            raise BitstreamError(reason)
        try:
            data = zlib.decompressobj().decompress(bitstream.layer("main"), 384 * rows * columns + 1)
            levels = np.frombuffer(data, "<i2").reshape(3, 8, 8, rows, columns)
        except (zlib.error, ValueError) as error:
            raise BitstreamError(f"not a dct8 stream: {error}") from error
        waves = levels * 2 ** ((bitstream.rate - 4) / 6)
        blocks = np.einsum("ui,vj,wc,wuvyx->yixjc", cosines(8), cosines(8), cosines(3), waves, optimize=True)
        padded = np.clip(np.rint(blocks.reshape(8 * rows, 8 * columns, 3) + 128), 0, 255).astype(np.uint8)
        for _ in betas:
            yield padded[: bitstream.height, : bitstream.width].copy()
