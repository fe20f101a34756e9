"""AVIF by Pillow (libavif with libaom): quality 0 to 100."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from icm_bench.method import RateAxis
from icm_bench.methods._pillow import PillowCodec

_SUBSAMPLINGS = ("4:2:0", "4:2:2", "4:4:4")


@dataclass(frozen=True)
class Avif(PillowCodec):
    """picture -> 8-bit Y'CbCr (BT.601, full range, libavif's own) -> AV1 still picture in boxes -> picture.

    subsampling: "4:2:0" (default), "4:2:2" or "4:4:4". speed: libaom's, 0 (small files) to 10 (fast). One thread, one
    tile, so that the bytes do not depend on the machine. The file is charged as it is, its 300 bytes of boxes
    included; ``av1`` is the same kind of stream without them, in 10 bits and with our colour conversion. Sources:
    AV1 Bitstream and Decoding Process Specification (2019); AV1 Image File Format (AVIF) 1.1.
    """

    subsampling: str = "4:2:0"
    speed: int = 6

    kind: ClassVar[str] = "AVIF"
    max_side: ClassVar[int] = 65535
    rate: ClassVar[RateAxis] = RateAxis("quality", (10, 25, 40, 50, 60, 70), more_bits="up", low=0, high=100)

    def __post_init__(self) -> None:
        if self.subsampling not in _SUBSAMPLINGS:
            raise ValueError(f"subsampling {self.subsampling!r} is not one of {', '.join(_SUBSAMPLINGS)}")
        if self.speed not in range(11) or isinstance(self.speed, bool):
            raise ValueError(f"speed {self.speed!r} is not one of 0 to 10")

    def options(self, rate: float) -> dict[str, Any]:
        one = {"codec": "aom", "max_threads": 1, "autotiling": False}
        return {"quality": int(rate), "subsampling": self.subsampling, "speed": self.speed, **one}

    def library(self) -> str:
        from PIL import _avif, features

        return f"libavif {features.version('avif')}, {_avif.codec_versions()}"
