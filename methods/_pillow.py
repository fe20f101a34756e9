"""Codecs whose layer is the picture file that Pillow writes; hostile files are refused by ``payloads``."""

from __future__ import annotations

import io
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from icm_bench.bitstream import Bitstream
from icm_bench.errors import CodecError, UserError
from icm_bench.method import Beta, Method
from icm_bench.payloads import decode_payload

if TYPE_CHECKING:
    from icm_bench.method import Image


@dataclass(frozen=True)
class PillowCodec(Method):
    """picture -> file in one of Pillow's formats -> picture. A subclass says what is saved how."""

    #: Pillow's name of the format, and the most pixels that it holds on a side.
    kind: ClassVar[str]
    max_side: ClassVar[int]

    @abstractmethod
    def options(self, rate: float) -> dict[str, Any]:
        """What Pillow's ``save`` is given at a rate."""

    @abstractmethod
    def library(self) -> str:
        """The library behind Pillow's format, with its version."""

    def setup(self, device: str = "cpu") -> None:
        """Raises UserError with the fix when this Pillow does not write the format."""
        from PIL import Image as Pil

        Pil.init()
        if self.kind not in Pil.SAVE:
            raise UserError(f"{self.name}: this Pillow has no {self.kind}: pip install -U 'pillow>=11.3'")

    def encode(self, image: Image, rate: float) -> Bitstream:
        from PIL import Image as Pil

        height, width = image.shape[:2]
        if reason := self.rate.reason_against(rate):
            raise UserError(reason)
        if max(height, width) > self.max_side:
            raise CodecError(
                f"{self.kind} holds at most {self.max_side} pixels a side, the picture is {width}x{height}"
            )
        self.setup()
        out = io.BytesIO()
        try:
            with _room_for(image.size):
                Pil.fromarray(image).save(out, format=self.kind, **self.options(rate))
        except (OSError, ValueError, MemoryError) as error:
            raise CodecError(f"Pillow could not code a {width}x{height} picture: {error}") from error
        return Bitstream.of(self, (height, width), rate, {"main": out.getvalue()})

    def decode(self, bitstream: Bitstream, betas: Sequence[Beta]) -> Iterator[Image]:
        picture = decode_payload(bitstream.layer("main"), self.kind, (bitstream.height, bitstream.width))
        for _ in betas:
            yield picture.copy()

    def provenance(self) -> dict[str, Any]:
        import PIL

        return {"program": f"Pillow {self.kind}", "version": f"{PIL.__version__}, {self.library()}"}


@contextmanager
def _room_for(n_samples: int) -> Iterator[None]:
    """A JPEG's optimised tables need the whole file in Pillow's buffer, and its guess is too small for noise."""
    from PIL import ImageFile

    before = ImageFile.MAXBLOCK
    ImageFile.MAXBLOCK = max(before, 2 * n_samples)
    try:
        yield
    finally:
        ImageFile.MAXBLOCK = before
