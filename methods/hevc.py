"""HEVC / H.265 intra by ffmpeg with libx265."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from icm_bench.method import RateAxis
from icm_bench.methods._intra import IntraCodec, one_of

if TYPE_CHECKING:
    from icm_bench.methods._external import Program

PRESETS = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow", "placebo")
#: The QP as it is given (x265 lowers that of intra pictures), no message about x265 in the stream, one thread.
_INTRA = "qp={rate}:ipratio=1:keyint=1:info=0:log-level=info:pools=none:frame-threads=1:wpp=0"


@dataclass(frozen=True)
class Hevc(IntraCodec):
    """picture -> [scale] -> pad -> 10-bit Y'CbCr 4:2:0 -> Annex B stream -> planes -> RGB -> crop -> [scale].

    preset: x265's, "ultrafast" to "placebo"; tuned for PSNR (``-tune psnr``: no psychovisual terms, no adaptive QP).
    scale: 100, 75, 50 or 25, per cent of the side that is coded, as ``vvc`` has it. encoder, decoder: names or paths
    of an ffmpeg, by default imageio-ffmpeg's. timeout_s: seconds one call may take.

    The colour conversion is that of ``vvc``. The charged layer is the byte stream with its parameter sets, about 80
    bytes. x265 takes no picture smaller than its largest block, so that smaller ones are padded to 64. Source: ITU-T
    H.265 (2013).
    """

    preset: str = "slow"

    min_side: ClassVar[int] = 64
    rate: ClassVar[RateAxis] = RateAxis("qp", (22, 27, 32, 37, 42, 47), more_bits="down", low=0, high=51)

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of(self.preset, PRESETS)

    def locate(self) -> Program:
        from icm_bench.methods._external import Ffmpeg, Library, ffmpeg_paths

        x265 = Library("libx265", "hevc", "hevc", "hevc", says=r"HEVC encoder version (\S+)")
        options = ("-preset", self.preset, "-tune", "psnr", "-x265-params", _INTRA)
        return Ffmpeg(self.name, *ffmpeg_paths(self.name, self.encoder, self.decoder), self.timeout_s, x265, options)
