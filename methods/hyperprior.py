"""Mean-scale hyperprior trained for MSE: one checkpoint per lambda, or one with gain units for all rates.

"Joint autoregressive and hierarchical priors for learned image compression", Minnen, Balle, Toderici, NeurIPS 2018
(without the autoregressive part), gain units after "Asymmetric gained deep image compression", Cui et al., CVPR 2021.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from icm_bench.method import RateAxis
from icm_bench.methods._learned import GAIN, LearnedCodec

_QUALITY = RateAxis("quality", (1, 2, 3, 4), "up", 1, 4)


@dataclass(frozen=True)
class Hyperprior(LearnedCodec):
    """variable: False for one checkpoint per lambda, quality 1 to 4; True for one with gain units.

    checkpoint: a built-in name or the path of a released checkpoint (.safetensors). Where there is one per lambda,
    "-q1" to "-q4" are put at the end of the name.
    """

    checkpoint: str = "hyperprior-mini"
    variable: bool = False

    @property
    def rate(self) -> RateAxis:  # type: ignore[override]
        return GAIN if self.variable else _QUALITY

    @property
    def checkpoints(self) -> tuple[str, ...]:
        if self.variable:
            return (self.checkpoint,)
        suffix = Path(self.checkpoint).suffix
        stem = self.checkpoint.removesuffix(suffix) if suffix == ".safetensors" else self.checkpoint
        ending = suffix if suffix == ".safetensors" else ""
        return tuple(f"{stem}-q{quality:g}{ending}" for quality in _QUALITY.points)

    def place(self, rate: float) -> tuple[int, float]:
        return (0, rate) if self.variable else (int(rate) - 1, 0.0)
