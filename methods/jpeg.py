"""JPEG by Pillow (libjpeg-turbo): baseline, quality 1 to 100."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from icm_bench.bitstream import Bitstream
from icm_bench.errors import CodecError, UserError
from icm_bench.method import Beta, Method, RateAxis
from icm_bench.payloads import decode_payload

if TYPE_CHECKING:
    from icm_bench.method import Image

MAX_SIDE = 65535
_SUBSAMPLINGS = ("4:4:4", "4:2:2", "4:2:0")


@dataclass(frozen=True)
class Jpeg(Method):
    """picture -> YCbCr, DCT, quantisation tables scaled by quality, Huffman codes -> picture.

    subsampling: "4:2:0" (default), "4:2:2" or "4:4:4"; optimize: Huffman tables made for each picture instead
    of the standard's (the same picture for fewer bits; off by default). Source: ITU-T T.81 (1992).
    """

    subsampling: str = "4:2:0"
    optimize: bool = False

    rate: ClassVar[RateAxis] = RateAxis("quality", (5, 10, 20, 40, 60, 80), more_bits="up", low=1, high=100)

    def __post_init__(self) -> None:
        if self.subsampling not in _SUBSAMPLINGS:
            raise ValueError(f"subsampling {self.subsampling!r} is not one of {', '.join(_SUBSAMPLINGS)}")
        if not isinstance(self.optimize, bool):
            raise ValueError(f"optimize {self.optimize!r} is neither True nor False")

    def encode(self, image: Image, rate: float) -> Bitstream:
        from PIL import Image as Pil

        height, width = image.shape[:2]
        if reason := self.rate.reason_against(rate):
            raise UserError(reason)
        if max(height, width) > MAX_SIDE:
            raise CodecError(f"JPEG holds at most {MAX_SIDE} pixels a side, the picture is {width}x{height}")
        out = io.BytesIO()
        try:
            with _room_for(image.size):
                Pil.fromarray(image).save(
                    out, format="JPEG", quality=int(rate), subsampling=self.subsampling, optimize=self.optimize
                )
        except OSError as error:
            raise CodecError(f"Pillow could not code a {width}x{height} picture: {error}") from error
        return Bitstream.of(self, (height, width), rate, {"main": out.getvalue()})

    def decode(self, bitstream: Bitstream, betas: Sequence[Beta]) -> Iterator[Image]:
        picture = decode_payload(bitstream.layer("main"), "JPEG", (bitstream.height, bitstream.width))
        for _ in betas:
            yield picture.copy()

    def provenance(self) -> dict[str, Any]:
        import PIL
        from PIL import features

        turbo = features.check_feature("libjpeg_turbo")
        library = f"libjpeg-turbo {features.version_feature('libjpeg_turbo')}" if turbo else "libjpeg"
        return {"program": "Pillow JPEG", "version": f"{PIL.__version__}, {library}"}


@contextmanager
def _room_for(n_samples: int) -> Iterator[None]:
    """Optimised tables need the whole file in Pillow's buffer, and its guess is too small for noise."""
    from PIL import ImageFile

    before = ImageFile.MAXBLOCK
    ImageFile.MAXBLOCK = max(before, 2 * n_samples)
    try:
        yield
    finally:
        ImageFile.MAXBLOCK = before
