"""WebP by Pillow (libwebp): lossy, quality 0 to 100."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from icm_bench.method import RateAxis
from icm_bench.methods._pillow import PillowCodec


@dataclass(frozen=True)
class Webp(PillowCodec):
    """picture -> 8-bit Y'CbCr 4:2:0 (BT.601, limited range, libwebp's own) -> VP8 key frame in RIFF -> picture.

    effort: libwebp's method, 0 (fast) to 6 (small files). The file is charged as it is, its 20 bytes of RIFF
    included. Sources: RFC 6386 (VP8), RFC 9649 (WebP).
    """

    effort: int = 6

    kind: ClassVar[str] = "WEBP"
    max_side: ClassVar[int] = 16383
    rate: ClassVar[RateAxis] = RateAxis("quality", (0, 5, 20, 40, 60, 80), more_bits="up", low=0, high=100)

    def __post_init__(self) -> None:
        if self.effort not in range(7) or isinstance(self.effort, bool):
            raise ValueError(f"effort {self.effort!r} is not one of 0 to 6")

    def options(self, rate: float) -> dict[str, Any]:
        return {"quality": int(rate), "method": self.effort, "lossless": False}

    def library(self) -> str:
        from PIL import features

        return f"libwebp {features.version('webp')}"
