"""Lossless pass-through: the uncompressed line, charged with the bits of a PNG."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from icm_bench.bitstream import Bitstream
from icm_bench.images import to_png
from icm_bench.method import Beta, Method, RateAxis
from icm_bench.payloads import decode_payload

if TYPE_CHECKING:
    from icm_bench.method import Image


@dataclass(frozen=True)
class Identity(Method):
    """picture -> PNG (Pillow, zlib level 6, no optimisation) -> the same picture.

    Whatever file the picture came from, its bits are those of this 8-bit RGB PNG.
    """

    rate: ClassVar[RateAxis] = RateAxis("lossless", (0,), more_bits="none", low=0, high=0)
    lossless: ClassVar[bool] = True

    def encode(self, image: Image, rate: float) -> Bitstream:
        return Bitstream.of(self, (image.shape[0], image.shape[1]), rate, {"main": to_png(image)})

    def decode(self, bitstream: Bitstream, betas: Sequence[Beta]) -> Iterator[Image]:
        picture = decode_payload(bitstream.layer("main"), "PNG", (bitstream.height, bitstream.width))
        for _ in betas:
            yield picture.copy()

    def provenance(self) -> dict[str, Any]:
        import PIL
        from PIL import features

        return {"program": "Pillow PNG", "version": f"{PIL.__version__}, zlib {features.version('zlib')}"}
