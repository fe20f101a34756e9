"""JPEG by Pillow (libjpeg-turbo): baseline, quality 1 to 100."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from icm_bench.method import RateAxis
from icm_bench.methods._pillow import PillowCodec

_SUBSAMPLINGS = ("4:4:4", "4:2:2", "4:2:0")


@dataclass(frozen=True)
class Jpeg(PillowCodec):
    """picture -> YCbCr, DCT, quantisation tables scaled by quality, Huffman codes -> picture.

    subsampling: "4:2:0" (default), "4:2:2" or "4:4:4"; optimize: Huffman tables made for each picture instead
    of the standard's (the same picture for fewer bits; off by default). Source: ITU-T T.81 (1992).
    """

    subsampling: str = "4:2:0"
    optimize: bool = False

    kind: ClassVar[str] = "JPEG"
    max_side: ClassVar[int] = 65535
    rate: ClassVar[RateAxis] = RateAxis("quality", (5, 10, 20, 40, 60, 80), more_bits="up", low=1, high=100)

    def __post_init__(self) -> None:
        if self.subsampling not in _SUBSAMPLINGS:
            raise ValueError(f"subsampling {self.subsampling!r} is not one of {', '.join(_SUBSAMPLINGS)}")
        if not isinstance(self.optimize, bool):
            raise ValueError(f"optimize {self.optimize!r} is neither True nor False")

    def options(self, rate: float) -> dict[str, Any]:
        return {"quality": int(rate), "subsampling": self.subsampling, "optimize": self.optimize}

    def library(self) -> str:
        from PIL import features

        turbo = features.check_feature("libjpeg_turbo")
        return f"libjpeg-turbo {features.version_feature('libjpeg_turbo')}" if turbo else "libjpeg"
