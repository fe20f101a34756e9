"""The divisive normalisation of released codecs, folded for inference."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class FoldedGdn(nn.Module):
    """Generalised divisive normalisation, x / sqrt(beta + gamma x^2) or its inverse, for inference.

    Balle, Laparra, Simoncelli, "Density modeling of images using a generalized normalization transformation", ICLR
    2016. Matrix products over channels-last pixels, CHUNK at a time so that all stays in the processor's cache, in
    place: at full resolution GDN took a third of the time.
    """

    #: CompressAI keeps square roots of beta and gamma, raised by this offset.
    PEDESTAL, BETA_MIN = 2.0**-36, 1e-6
    #: Pixels at a time on a CPU.
    CHUNK = 2048

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
        """(B, C, H, W) to the same shape, channels last in memory; overwrites x where it has that layout already."""
        last = x.permute(0, 2, 3, 1).contiguous()
        flat = last.view(-1, last.shape[-1])
        chunk = self.CHUNK if x.device.type == "cpu" else len(flat)
        squares, norms = (torch.empty_like(flat[:chunk]) for _ in range(2))
        for part in flat.split(chunk):
            square = torch.mul(part, part, out=squares[: len(part)])
            norm = torch.addmm(self.beta, square, self.gamma, out=norms[: len(part)])
            part.mul_(norm.sqrt_() if self.inverse else norm.rsqrt_())
        return last.permute(0, 3, 1, 2)
