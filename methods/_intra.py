"""Intra coding of one picture by an external program: scale, colours, planes, and back."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from icm_bench.bitstream import Bitstream
from icm_bench.errors import BitstreamError, CodecError, UserError
from icm_bench.method import Beta, Method

if TYPE_CHECKING:
    from icm_bench.method import Image
    from icm_bench.methods._external import Program

SCALES = (100, 75, 50, 25)


class DecoderFailed(CodecError, BitstreamError):
    """The external decoder made no picture: whether bytes or program are at fault cannot be told."""


@dataclass(frozen=True)
class ExternalCodec(Method):
    """A codec whose encoder and decoder are external programs. A subclass says which, and what they are handed.

    encoder, decoder: names or paths of the programs where they are called otherwise. timeout_s: seconds one call may
    take. Each call runs on one thread.
    """

    encoder: str | None = None
    decoder: str | None = None
    timeout_s: float = 900.0

    program_parameters: ClassVar[tuple[str, ...]] = ("encoder", "decoder")

    def __post_init__(self) -> None:
        if isinstance(self.timeout_s, bool) or not self.timeout_s > 0:
            raise ValueError(f"timeout_s must be positive, not {self.timeout_s!r}")

    @abstractmethod
    def locate(self) -> Program:
        """The programs. Raises UserError with the fix when one of them is missing."""

    def setup(self, device: str = "cpu") -> None:
        """Find the programs and ask for their version. Raises UserError with the fix."""
        _ = self._programs.version

    @cached_property
    def _programs(self) -> Program:
        from icm_bench.temporary import sweep

        sweep()
        return self.locate()

    def decoded(self, data: bytes, largest: tuple[int, int], cpu_s: float | None = None) -> bytes:
        """Raw planes of a stream, see ``Program.decode``. Raises DecoderFailed."""
        try:
            return self._programs.decode(data, largest, cpu_s)
        except CodecError as error:
            raise DecoderFailed(str(error)) from error

    def provenance(self) -> dict[str, Any]:
        programs = self._programs
        return {"program": programs.name, "version": programs.version, **programs.commands(self.rate.name)}


@dataclass(frozen=True)
class IntraCodec(ExternalCodec):
    """picture -> [scale] -> pad -> 10-bit Y'CbCr 4:2:0 -> stream -> planes -> RGB -> crop -> [scale].

    scale: 100, 75, 50 or 25, per cent of the side that is coded (bicubic in both directions).

    The colour conversion is ours (``_colour.py``), full range. The decoder takes the size of the picture from
    the container, and the scale from the size that was coded.
    """

    scale: int = 100

    #: The smallest side the encoder takes; smaller pictures are padded.
    min_side: ClassVar[int] = 16

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of(self.scale, SCALES)

    def encode(self, image: Image, rate: float) -> Bitstream:
        from icm_bench.methods import _colour

        if reason := self.rate.reason_against(rate):
            raise UserError(reason)
        height, width = image.shape[:2]
        scale = effective_scale((height, width), self.scale, self.min_side)
        rgb = image if scale == 100 else _colour.resize(image, scaled_size((height, width), scale))
        coded = padded_size((height, width), scale, self.min_side)
        planes = _colour.to_bytes(_colour.to_planes(_colour.pad(rgb, coded)))
        stream = self._programs.encode(planes, (coded[1], coded[0]), rate)
        return Bitstream.of(self, (height, width), rate, {"main": stream})

    def decode(self, bitstream: Bitstream, betas: Sequence[Beta]) -> Iterator[Image]:
        import numpy as np

        from icm_bench.methods import _colour

        size = (bitstream.height, bitstream.width)
        largest = padded_size(size, 100, self.min_side)[::-1]
        data = self.decoded(bitstream.layer("main"), largest)
        # 4:2:0 of two bytes a sample is three bytes a pixel; no two scales code equally many pixels.
        areas = {scale: _area(padded_size(size, scale, self.min_side)) for scale in SCALES}
        scale = next((scale for scale in SCALES if areas[scale] * 3 == len(data)), None)
        if scale is None:
            raise BitstreamError(f"the {self.name} data does not decode to the {size[1]}x{size[0]} pixels declared")
        coded, content = padded_size(size, scale, self.min_side), scaled_size(size, scale)
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
        return padded_size(size, effective_scale(size, self.scale, self.min_side), self.min_side)


def one_of(value: object, known: Sequence[object]) -> None:
    """Raise ValueError for a parameter that is none of the known ones; True and False are no numbers."""
    if isinstance(value, bool) or value not in known:
        raise ValueError(f"{value!r} is not one of {', '.join(map(str, known))}")


def scaled_size(size: tuple[int, int], scale: int) -> tuple[int, int]:
    """(height, width) to code at a scale: the picture's own at 100, else even sides by the VCM conditions."""
    if scale == 100:
        return size
    part, whole = {75: (3, 8), 50: (1, 4), 25: (1, 8)}[scale]
    height, width = (-(-side * part // whole) * 2 for side in size)
    return height, width


def padded_size(size: tuple[int, int], scale: int, min_side: int) -> tuple[int, int]:
    """(height, width) that the encoder sees: the scaled size padded to even sides of at least min_side."""
    height, width = (max(min_side, side + side % 2) for side in scaled_size(size, scale))
    return height, width


def effective_scale(size: tuple[int, int], scale: int, min_side: int) -> int:
    """The largest scale with the coded size of the one asked for.

    On tiny pictures several scales pad to the same size: then scaling down saves nothing, and the decoder,
    which knows the coded size only, takes the largest as well.
    """
    return next(s for s in SCALES if padded_size(size, s, min_side) == padded_size(size, scale, min_side))


def _area(size: tuple[int, int]) -> int:
    return size[0] * size[1]
