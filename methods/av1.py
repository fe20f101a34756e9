"""AV1 still pictures by ffmpeg with libaom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from icm_bench.method import RateAxis
from icm_bench.methods._intra import IntraCodec, one_of

if TYPE_CHECKING:
    from icm_bench.methods._external import Program

SPEEDS = tuple(range(9))


@dataclass(frozen=True)
class Av1(IntraCodec):
    """picture -> [scale] -> pad -> 10-bit Y'CbCr 4:2:0 -> AV1 still picture -> planes -> RGB -> crop -> [scale].

    speed: libaom's cpu-used, 0 (small files) to 8 (fast); tuned for PSNR. scale: 100, 75, 50 or 25, per cent of the
    side that is coded, as ``vvc`` has it. encoder, decoder: names or paths of an ffmpeg, by default imageio-ffmpeg's.
    timeout_s: seconds one call may take.

    The colour conversion is that of ``vvc``. The charged layer is the low-overhead stream (OBUs) with the reduced
    header of a still picture, about 20 bytes; ``avif`` is the same kind of stream in a file. dav1d decodes it.
    Source: AV1 Bitstream and Decoding Process Specification (2019).
    """

    speed: int = 4

    rate: ClassVar[RateAxis] = RateAxis("crf", (22, 30, 37, 44, 51, 58), more_bits="down", low=0, high=63)

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of(self.speed, SPEEDS)

    def locate(self) -> Program:
        from icm_bench.methods._external import RATE, Ffmpeg, Library, ffmpeg_paths

        aom = Library("libaom-av1", "libdav1d", "obu", "obu", says=r"libaom-av1 @ \w+\] v(\d\S*)")
        speed = ("-cpu-used", str(self.speed), "-usage", "allintra", "-row-mt", "0", "-tune", "psnr")
        options = ("-still-picture", "1", "-crf", RATE, "-b:v", "0", *speed)
        return Ffmpeg(self.name, *ffmpeg_paths(self.name, self.encoder, self.decoder), self.timeout_s, aom, options)
