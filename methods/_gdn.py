"""The divisive normalisation of released codecs, folded for inference."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class FoldedGdn(nn.Module):
    """Generalised divisive normalisation, x / sqrt(beta + gamma x^2) or its inverse, for inference.

    Balle, Laparra, Simoncelli, "Density modeling of images using a generalized normalization transformation", ICLR
    2016. One matrix product over channels-last pixels, in place: at full resolution GDN took a third of the time.
    """

    #: CompressAI keeps square roots of beta and gamma, raised by this offset.
    PEDESTAL, BETA_MIN = 2.0**-36, 1e-6

    def __init__(self, channels: int, inverse: bool) -> None:
        super().__init__()
        self.inverse = inverse
        self.beta = nn.Parameter(torch.ones(channels), requires_grad=False)
        self.gamma = nn.Parameter(torch.eye(channels), requires_grad=False)

    def fold(self) -> None:
        """Turn the parameters as trained into beta and the transposed gamma."""
        self.beta.data = self.beta.clamp(min=(self.BETA_MIN + self.PEDESTAL) ** 0.5).square() - self.PEDESTAL
        gamma = self.gamma.clamp(min=self.PEDESTAL**0.5).square() - self.PEDESTAL
        self.gamma.data = gamma.T.contiguous()

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape, channels last in memory."""
        last = x.permute(0, 2, 3, 1).contiguous()
        flat = last.view(-1, last.shape[-1])
        norm = torch.addmm(self.beta, flat * flat, self.gamma)
        norm = norm.sqrt_() if self.inverse else norm.rsqrt_()
        return norm.mul_(flat).view(last.shape).permute(0, 3, 1, 2)
