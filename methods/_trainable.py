"""The codecs in training: branches with CompressAI's GDN and factorised prior, noise, and estimated bits.

``_release.py`` turns them into what is shipped.
"""

from __future__ import annotations

import torch
from compressai.entropy_models import EntropyBottleneck
from compressai.layers import GDN
from compressai.ops import LowerBound
from torch import Tensor, nn

from icm_bench.methods._networks import (
    HYPER_STRIDE,
    SCALE_LEVELS,
    SCALE_MIN,
    SCALE_STEP,
    CodecConfig,
    HyperSynthesis,
    Transforms,
    pad_to,
)


class Branch(Transforms):
    """One hyperprior with gain units: analysis, entropy model and synthesis of one layer of the stream."""

    def __init__(self, config: CodecConfig, auxiliary: bool = False) -> None:
        super().__init__(config, auxiliary, GDN)
        self.h_s = HyperSynthesis(config.n, config.m, self.context)
        # Hyper-latents are rounded to whole numbers, so the medians of CompressAI's prior are not used.
        self.prior = EntropyBottleneck(config.n)
        self.prior.quantiles.requires_grad_(False)
        self.index_floor = LowerBound(0.0)
        self.likelihood_floor = LowerBound(1e-9)

    def forward(
        self, x: Tensor, rate: Tensor, x1: Tensor | None = None, context: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Training pass. Returns "x_hat", "y" (the scaled quantised latent) and "bits" (B,) estimated per picture."""
        gain, inverse = self.gains(rate.float())
        y = self.g_a(x).float() * gain
        with torch.autocast(x.device.type, enabled=False):
            z = self.h_a(pad_to(y, HYPER_STRIDE))
            z_gain, z_inverse = self.hyper_gains(rate.float()) if self.hyper_gains else (1.0, 1.0)
            z = z * z_gain
            z_hat = straight_round(z)
            z_likelihood = self.prior_likelihood(z + torch.rand_like(z) - 0.5 if self.training else z_hat)
            mean, index = self.h_s(z_hat * z_inverse, context if self.context else None, y.shape[-2:])
            scale = self.scale(index)
            residual = straight_round(y - mean)
            noisy = y - mean + torch.rand_like(y) - 0.5 if self.training else residual
            likelihood = self.likelihood_floor(gaussian_likelihood(noisy, scale))
            y_hat = residual + mean
            bits = -(likelihood.log2().sum((1, 2, 3)) + z_likelihood.log2().sum((1, 2, 3)))
        x_hat = self.g_s(y_hat * inverse, x1 if self.conditional else None)
        return {"x_hat": x_hat.float(), "y": y_hat, "bits": bits}

    def prior_likelihood(self, z: Tensor) -> Tensor:
        """Mass of the factorised prior on the unit interval around each element of z (B, n, h, w)."""
        flat = z.transpose(0, 1).reshape(z.shape[1], 1, -1)
        likelihood = self.likelihood_floor(self.prior._likelihood(flat)[0])
        return likelihood.reshape(z.shape[1], z.shape[0], *z.shape[2:]).transpose(0, 1)

    def scale(self, index: Tensor) -> Tensor:
        """Standard deviation for a real-valued table index; the gradient may pull an index back into the table."""
        index = self.index_floor(index)
        top = float(SCALE_LEVELS - 1)
        index = top - self.index_floor(top - index)
        return SCALE_MIN * torch.exp(SCALE_STEP * index)


def straight_round(x: Tensor) -> Tensor:
    """Round; the gradient passes as if nothing had happened."""
    return x + (x.round() - x).detach()


def gaussian_likelihood(residual: Tensor, scale: Tensor) -> Tensor:
    """Mass of a zero-mean Gaussian on the unit interval around each residual."""
    distance = residual.abs()
    root = -(2**-0.5)
    upper = torch.erfc(root * (0.5 - distance) / scale)
    lower = torch.erfc(root * (-0.5 - distance) / scale)
    return 0.5 * (upper - lower)


class CodecNet(nn.Module):
    """The whole codec: a primary branch, and for RDC an auxiliary one."""

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        self.config = config
        self.primary = Branch(config)
        self.auxiliary = Branch(config, auxiliary=True) if config.auxiliary else None
