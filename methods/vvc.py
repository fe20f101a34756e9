"""VVC / H.266 intra by an external encoder and decoder: ffmpeg with libvvenc, VVenC's own, or VTM."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from icm_bench.bitstream import Bitstream
from icm_bench.errors import BitstreamError, CodecError, UserError
from icm_bench.method import Beta, Method, RateAxis

if TYPE_CHECKING:
    from icm_bench.method import Image
    from icm_bench.methods._vvc_programs import Program

PRESETS = ("faster", "fast", "medium", "slow", "slower")
SCALES = (100, 75, 50, 25)
PROGRAMS = ("ffmpeg", "vvenc", "vtm")
#: The smallest side the encoders take; smaller pictures are padded.
MIN_SIDE = 16


class DecoderFailed(CodecError, BitstreamError):
    """The external decoder made no picture: whether bytes or program are at fault cannot be told."""


@dataclass(frozen=True)
class Vvc(Method):
    """picture -> [scale] -> pad -> 10-bit Y'CbCr 4:2:0 -> stream -> planes -> RGB -> crop -> [scale].

    preset: VVenC's, "faster" to "slower" (VTM has none). scale: 100, 75, 50 or 25, per cent of the side that
    is coded (bicubic in both directions). program: "ffmpeg" (default, from imageio-ffmpeg), "vvenc"
    (vvencapp, vvdecapp) or "vtm" (EncoderAppStatic, DecoderAppStatic). encoder, decoder: names or paths of the
    programs where they are called otherwise. cfg: VTM's encoder_intra_vtm.cfg. timeout_s: seconds one call may take.

    The colour conversion is ours (``_colour.py``), full range. The decoder takes the size of the picture from
    the container, and the scale from the size that was coded. Each call runs on one thread. Source: ITU-T
    H.266 (2020); QPs and scales of the MPEG VCM common test conditions.
    """

    preset: str = "medium"
    scale: int = 100
    program: str = "ffmpeg"
    encoder: str | None = None
    decoder: str | None = None
    cfg: str | None = None
    timeout_s: float = 900.0

    program_parameters: ClassVar[tuple[str, ...]] = ("encoder", "decoder", "cfg")
    rate: ClassVar[RateAxis] = RateAxis("qp", (22, 27, 32, 37, 42, 47), more_bits="down", low=0, high=63)

    def __post_init__(self) -> None:
        for value, known in ((self.preset, PRESETS), (self.scale, SCALES), (self.program, PROGRAMS)):
            if value not in known:
                raise ValueError(f"{value!r} is not one of {', '.join(map(str, known))}")
        if self.program == "vtm" and self.preset != type(self).preset:
            raise ValueError("VTM has no presets")
        if not self.timeout_s > 0:
            raise ValueError(f"timeout_s must be positive, not {self.timeout_s!r}")

    def setup(self, device: str = "cpu") -> None:
        """Find the programs and ask for their version. Raises UserError with the fix."""
        _ = self._programs.version

    @cached_property
    def _programs(self) -> Program:
        from icm_bench.methods import _vvc_programs

        return _vvc_programs.locate(self)

    def encode(self, image: Image, rate: float) -> Bitstream:
        from icm_bench.methods import _colour

        if reason := self.rate.reason_against(rate):
            raise UserError(reason)
        height, width = image.shape[:2]
        scale = effective_scale((height, width), self.scale)
        rgb = image if scale == 100 else _colour.resize(image, scaled_size((height, width), scale))
        coded = coded_size((height, width), scale)
        planes = _colour.to_bytes(_colour.to_planes(_colour.pad(rgb, coded)))
        stream = self._programs.encode(planes, (coded[1], coded[0]), int(rate))
        return Bitstream.of(self, (height, width), rate, {"main": stream})

    def decode(self, bitstream: Bitstream, betas: Sequence[Beta]) -> Iterator[Image]:
        import numpy as np

        from icm_bench.methods import _colour

        size = (bitstream.height, bitstream.width)
        largest = coded_size(size, 100)[::-1]
        try:
            data = self._programs.decode(bitstream.layer("main"), largest)
        except CodecError as error:
            raise DecoderFailed(str(error)) from error
        # 4:2:0 of two bytes a sample is three bytes a pixel; no two scales code equally many pixels.
        scale = next((s for s in SCALES if _area(coded_size(size, s)) * 3 == len(data)), None)
        if scale is None:
            raise BitstreamError(f"the VVC data does not decode to the {size[1]}x{size[0]} pixels declared")
        coded, content = coded_size(size, scale), scaled_size(size, scale)
        planes = _colour.from_bytes(data, coded)
        if scale == 100:
            picture = _colour.to_picture(planes)[: content[0], : content[1]]
        else:
            rgb = _colour.to_rgb(planes)[: content[0], : content[1]]
            channels = (_colour.resize(rgb[:, :, i : i + 1], size) for i in range(3))
            picture = np.concatenate([_colour.to_uint8(channel) for channel in channels], axis=2)
        for _ in betas:
            yield picture.copy()

    def coded_size(self, size: tuple[int, int]) -> tuple[int, int]:
        return coded_size(size, effective_scale(size, self.scale))

    def provenance(self) -> dict[str, Any]:
        programs = self._programs
        return {"program": programs.name, "version": programs.version, **programs.commands()}


def scaled_size(size: tuple[int, int], scale: int) -> tuple[int, int]:
    """(height, width) to code at a scale: the picture's own at 100, else even sides by the VCM conditions."""
    if scale == 100:
        return size
    part, whole = {75: (3, 8), 50: (1, 4), 25: (1, 8)}[scale]
    height, width = (-(-side * part // whole) * 2 for side in size)
    return height, width


def coded_size(size: tuple[int, int], scale: int) -> tuple[int, int]:
    """(height, width) that the encoder sees: the scaled size padded to even sides of at least MIN_SIDE."""
    height, width = (max(MIN_SIDE, side + side % 2) for side in scaled_size(size, scale))
    return height, width


def effective_scale(size: tuple[int, int], scale: int) -> int:
    """The largest scale with the coded size of the one asked for.

    On tiny pictures several scales pad to the same size: then scaling down saves nothing, and the decoder,
    which knows the coded size only, takes the largest as well.
    """
    return next(s for s in SCALES if coded_size(size, s) == coded_size(size, scale))


def _area(size: tuple[int, int]) -> int:
    return size[0] * size[1]
