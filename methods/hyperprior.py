"""Mean-scale hyperprior trained for MSE, with gain units: one checkpoint for all rates.

"Joint autoregressive and hierarchical priors for learned image compression", Minnen, Balle, Toderici, NeurIPS 2018
(without the autoregressive part), gain units after "Asymmetric gained deep image compression", Cui et al., CVPR 2021.
"""

from __future__ import annotations

from dataclasses import dataclass

from icm_bench.methods._learned import LearnedCodec


@dataclass(frozen=True)
class Hyperprior(LearnedCodec):
    """checkpoint: a built-in name or the path of a released checkpoint (.safetensors)."""

    checkpoint: str = "hyperprior-mini"
