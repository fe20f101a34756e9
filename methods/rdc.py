"""RDC, re-implemented from the paper's abstract and captions: one codec for every rate, task and trade-off.

"Rate-Distortion-Cognition Controllable Versatile Neural Image Compression", Liu, Feng, Qi, Chen, Chen, Zeng, Jin,
ECCV 2024. A primary branch codes x1 for machines, an auxiliary branch codes a residual r for people:

    x -> primary -> x1;   [x - x1, x1] -> auxiliary -> r;   x_bar = x1 + (1 - beta) r

beta = 1 needs the primary layer only, every beta below 1 needs both. No number of the paper is claimed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from icm_bench.bitstream import quantise_rate
from icm_bench.method import Beta
from icm_bench.methods._learned import GAIN, LearnedCodec

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Rdc(LearnedCodec):
    """checkpoint: a built-in name or the path of a released checkpoint (.safetensors).

    aux_rate: gain level of the auxiliary layer, 0 to 5; None ties it to the primary layer's.
    """

    checkpoint: str = "rdc-mini"
    aux_rate: float | None = None

    betas: ClassVar[tuple[Beta, ...]] = (0.0, 0.25, 0.5, 0.75, 1.0)
    layer_names: ClassVar[tuple[str, ...]] = ("primary", "auxiliary")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.aux_rate is not None and (problem := GAIN.reason_against(self.aux_rate)):
            raise ValueError(f"aux_rate: {problem}")

    def layers_of(self, image: np.ndarray, rate: float) -> dict[str, bytes]:
        aux_rate = None if self.aux_rate is None else quantise_rate(self.aux_rate)
        return self.codecs[0].encode(image, rate, aux_rate)

    def layers(self, beta: Beta) -> tuple[str, ...]:
        return ("primary",) if beta == 1 else ("primary", "auxiliary")
