"""JPEG XL by ffmpeg with libjxl: lossy, Butteraugli distance 0.1 to 15."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from icm_bench.bitstream import Bitstream
from icm_bench.errors import BitstreamError, UserError
from icm_bench.method import Beta, RateAxis
from icm_bench.methods._intra import ExternalCodec, one_of

if TYPE_CHECKING:
    from icm_bench.method import Image
    from icm_bench.methods._external import Program

EFFORTS = tuple(range(1, 10))
#: Seconds of processor time for decoding any stream, and for each pixel: more than 20 times what libjxl needs.
_LEAST_S, _PIXEL_S = 0.9, 1e-5


@dataclass(frozen=True)
class JpegXl(ExternalCodec):
    """picture -> XYB, variable DCT, ANS codes (a bare codestream) -> picture.

    effort: libjxl's, 1 (fast) to 9 (small files). encoder, decoder: names or paths of an ffmpeg, by default
    imageio-ffmpeg's. timeout_s: seconds one call may take.

    Colours are sRGB on both sides, converted by libjxl in floating point. ffmpeg says no version of libjxl; its own
    stands for it in the row. A cut stream, or bytes behind one, can keep it busy for ever: decoding gets 1 s of
    processor time and 10 us a pixel, then the stream is refused. Source: ISO/IEC 18181-1 (2022).
    """

    effort: int = 7

    rate: ClassVar[RateAxis] = RateAxis("distance", (1, 2, 3, 5, 8, 15), "down", 0.1, 15, continuous=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of(self.effort, EFFORTS)

    def locate(self) -> Program:
        from icm_bench.methods._external import RATE, Ffmpeg, Library, ffmpeg_paths

        jxl = Library("libjxl", "libjxl", "image2pipe", "jpegxl_pipe", "rgb24")
        options = ("-effort", str(self.effort), "-distance", RATE)
        return Ffmpeg(self.name, *ffmpeg_paths(self.name, self.encoder, self.decoder), self.timeout_s, jxl, options)

    def encode(self, image: Image, rate: float) -> Bitstream:
        if reason := self.rate.reason_against(rate):
            raise UserError(reason)
        height, width = image.shape[:2]
        stream = self._programs.encode(image.tobytes(), (width, height), rate)
        return Bitstream.of(self, (height, width), rate, {"main": stream})

    def decode(self, bitstream: Bitstream, betas: Sequence[Beta]) -> Iterator[Image]:
        import numpy as np

        shape = (bitstream.height, bitstream.width, 3)
        data = self.decoded(bitstream.layer("main"), shape[1::-1], _LEAST_S + _PIXEL_S * shape[0] * shape[1])
        if len(data) != shape[0] * shape[1] * 3:
            raise BitstreamError(f"the jpegxl data does not decode to the {shape[1]}x{shape[0]} pixels declared")
        for _ in betas:
            yield np.frombuffer(data, np.uint8).reshape(shape).copy()
