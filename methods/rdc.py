"""RDC, re-implemented from the paper's abstract and captions: one codec for every rate, task and trade-off.

"Rate-Distortion-Cognition Controllable Versatile Neural Image Compression", Liu, Feng, Qi, Chen, Chen, Zeng, Jin,
ECCV 2024. A primary branch codes x1 for machines, an auxiliary branch codes a residual r for people:

    x -> primary -> x1;   [x - x1, x1] -> auxiliary -> r;   x_bar = x1 + (1 - beta) r

beta = 1 needs the primary layer only, every beta below 1 needs both. No number of the paper is claimed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from icm_bench.method import Beta
from icm_bench.methods._learned import LearnedCodec


@dataclass(frozen=True)
class Rdc(LearnedCodec):
    """checkpoint: a built-in name or the path of a released checkpoint (.safetensors)."""

    checkpoint: str = "rdc-mini"

    betas: ClassVar[tuple[Beta, ...]] = (0.0, 0.25, 0.5, 0.75, 1.0)
    layer_names: ClassVar[tuple[str, ...]] = ("primary", "auxiliary")

    def layers(self, beta: Beta) -> tuple[str, ...]:
        return ("primary",) if beta == 1 else ("primary", "auxiliary")
