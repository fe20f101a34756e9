"""VVC / H.266 intra by an external encoder and decoder: ffmpeg with libvvenc, VVenC's own, or VTM."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from icm_bench.method import RateAxis
from icm_bench.methods._intra import IntraCodec, one_of

if TYPE_CHECKING:
    from icm_bench.methods._external import Program

PRESETS = ("faster", "fast", "medium", "slow", "slower")
PROGRAMS = ("ffmpeg", "vvenc", "vtm")


@dataclass(frozen=True)
class Vvc(IntraCodec):
    """picture -> [scale] -> pad -> 10-bit Y'CbCr 4:2:0 -> stream -> planes -> RGB -> crop -> [scale].

    preset: VVenC's, "faster" to "slower" (VTM has none). scale: 100, 75, 50 or 25, per cent of the side that
    is coded (bicubic in both directions). program: "ffmpeg" (default, from imageio-ffmpeg), "vvenc"
    (vvencapp, vvdecapp) or "vtm" (EncoderAppStatic, DecoderAppStatic; the method ``vtm`` is the same). encoder,
    decoder: names or paths of the programs where they are called otherwise. cfg: VTM's encoder_intra_vtm.cfg.
    timeout_s: seconds one call may take.

    The colour conversion is ours (``_colour.py``), full range. The decoder takes the size of the picture from
    the container, and the scale from the size that was coded. Each call runs on one thread. Source: ITU-T
    H.266 (2020); QPs and scales of the MPEG VCM common test conditions.
    """

    preset: str = "medium"
    program: str = "ffmpeg"
    cfg: str | None = None

    program_parameters: ClassVar[tuple[str, ...]] = ("encoder", "decoder", "cfg")
    rate: ClassVar[RateAxis] = RateAxis("qp", (22, 27, 32, 37, 42, 47), more_bits="down", low=0, high=63)

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of(self.preset, PRESETS)
        one_of(self.program, PROGRAMS)
        if self.program == "vtm" and self.preset != type(self).preset:
            raise ValueError("VTM has no presets")

    def locate(self) -> Program:
        from icm_bench.methods._external import Ffmpeg, ffmpeg_paths
        from icm_bench.methods._vvc_programs import LIBVVENC, libvvenc_options, locate_vtm, locate_vvenc

        paths = (self.encoder, self.decoder)
        if self.program == "vtm":
            return locate_vtm(self.name, paths, self.cfg, self.timeout_s)
        if self.program == "vvenc":
            return locate_vvenc(self.name, paths, self.preset, self.timeout_s)
        found = ffmpeg_paths(self.name, *paths)
        return Ffmpeg(self.name, *found, self.timeout_s, LIBVVENC, libvvenc_options(self.preset))
