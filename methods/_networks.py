"""The networks of the learned codecs: sizes, transforms, hyper-synthesis, gain units.

Mean-scale hyperprior (Minnen, Balle, Toderici, NeurIPS 2018) with channel gain units (Cui et al., CVPR 2021):

    x -> g_a -> y -> * gain -> Q -> y_hat -> * inverse gain -> g_s -> x_hat
                     |          ^ mean, scale
                     +-> h_a -> Q -> z_hat -> h_s

The auxiliary branch codes what the primary branch left over, conditioned on its picture x1 in the transforms
and on its exact latent in the entropy model:

    [x - x1, x1] -> g_a -> y2 -> ... -> y2_hat -> g_s(. , x1) -> r;    h_s2(z2_hat, y1_hat) -> mean, scale

All tensors are (B, C, H, W); pictures are RGB in 0 .. 1; sides are multiples of 16. ``_trainable.py`` puts the parts
together for training, ``_codec.py`` for coding.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

#: Makes a divisive normalisation of so many channels, inverse or not.
MakeGdn = Callable[[int, bool], nn.Module]

#: Sides of the latent relative to the picture and of the hyper-latent relative to the latent.
LATENT_STRIDE, HYPER_STRIDE = 16, 4
#: The table of scales: SCALE_LEVELS standard deviations, geometric from SCALE_MIN to SCALE_MAX.
SCALE_MIN, SCALE_MAX, SCALE_LEVELS = 0.11, 256.0, 64
SCALE_STEP = math.log(SCALE_MAX / SCALE_MIN) / (SCALE_LEVELS - 1)
#: h_s gives a raw number r; the index into the table is INDEX_SLOPE r + INDEX_OFFSET.
INDEX_SLOPE, INDEX_OFFSET = 8.0, 20.0
#: Latents enter the auxiliary entropy model clipped to this, so that its sums stay exact in integers.
CONTEXT_LIMIT = 127.0


@dataclass(frozen=True)
class CodecConfig:
    """Sizes and choices of a codec. All that the paper leaves open is a field here.

    n, m: channels of the transforms and of the latent; levels: gain levels, 1 for a codec of one fixed rate;
    gain_hyper: gain units scale the hyper-latent too; auxiliary: with a second branch; conditional: the auxiliary
    transforms see x1, otherwise plain residual coding; context: the auxiliary entropy model sees the primary latent.
    """

    n: int = 64
    m: int = 96
    levels: int = 6
    gain_hyper: bool = False
    auxiliary: bool = False
    conditional: bool = True
    context: bool = True


def conv(c_in: int, c_out: int, kernel: int = 5, stride: int = 2) -> nn.Conv2d:
    """A convolution that divides the sides by the stride."""
    return nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2)


def deconv(c_in: int, c_out: int) -> nn.ConvTranspose2d:
    """A transposed convolution that doubles the sides."""
    return nn.ConvTranspose2d(c_in, c_out, 5, 2, 2, output_padding=1)


def subpixel(layer: nn.ConvTranspose2d) -> nn.Sequential:
    """What ``deconv`` made, as a 3x3 convolution to four times the channels that are then spread over 2x2 pixels.

    For few output channels: the transposed convolution to a picture's three ran at a fifth of the speed of others.
    """
    c_in, c_out = layer.weight.shape[:2]
    made = nn.Conv2d(c_in, 4 * c_out, 3, padding=1)
    weight = made.weight.data.zero_().view(c_out, 2, 2, c_in, 3, 3)
    for row, column in ((0, 0), (0, 1), (1, 0), (1, 1)):
        # Pixel 2 q + row sees input q + d through tap row + 2 - 2 d, for d in -1, 0, 1.
        taps = layer.weight.data[:, :, row::2, column::2].flip(2, 3).transpose(0, 1)
        weight[:, row, column, :, row:, column:] = taps
    assert layer.bias is not None
    made.bias = nn.Parameter(layer.bias.data.repeat_interleave(4))
    return nn.Sequential(made, nn.PixelShuffle(2))


def pad_to(x: Tensor, multiple: int) -> Tensor:
    """Repeat the last row and column until both sides are multiples."""
    height, width = x.shape[-2:]
    return F.pad(x, (0, -width % multiple, 0, -height % multiple), mode="replicate")


class Analysis(nn.Sequential):
    """g_a: picture (B, c_in, 16h, 16w) to latent (B, m, h, w)."""

    def __init__(self, c_in: int, n: int, m: int, gdn: MakeGdn) -> None:
        steps = [conv(c_in, n), gdn(n, False), conv(n, n), gdn(n, False), conv(n, n), gdn(n, False), conv(n, m)]
        super().__init__(*steps)


class Synthesis(nn.Module):
    """g_s: latent (B, m, h, w) to picture (B, 3, 16h, 16w), optionally conditioned on a picture of that size."""

    def __init__(self, n: int, m: int, gdn: MakeGdn, conditional: bool = False) -> None:
        super().__init__()
        extra = (n // 2, n // 2, n) if conditional else (0, 0, 0)  # at 1/2, 1/4, 1/8
        self.up = nn.ModuleList(
            [deconv(m, n), deconv(n + extra[2], n), deconv(n + extra[1], n), deconv(n + extra[0], 3)]
        )
        self.norm = nn.ModuleList([gdn(n, True) for _ in range(3)])
        self.condition = nn.ModuleList(
            [conv(c_in, c_out) for c_in, c_out in zip((3, *extra[:2]), extra, strict=True)]
            if conditional
            else []
        )

    def forward(self, y: Tensor, x1: Tensor | None = None) -> Tensor:
        features: list[Tensor] = []
        for layer in self.condition:
            x1 = F.relu(layer(features[-1] if features else x1))
            features.append(x1)
        for up, norm in zip(self.up, self.norm, strict=False):
            y = norm(up(y))
            y = torch.cat([y, features.pop()], 1) if features else y
        return self.up[-1](y)


class HyperSynthesis(nn.Module):
    """h_s: exact hyper-latent (and, for the auxiliary branch, the exact primary latent) to mean and scale index.

    Only convolutions and ReLU, so that it can be computed in integers.
    """

    def __init__(self, n: int, m: int, context: bool) -> None:
        super().__init__()
        self.up = nn.ModuleList([deconv(n, n), deconv(n, m)])
        self.mix = nn.ModuleList([conv(2 * m, m, 3, 1)] if context else [])
        self.head = conv(m, 2 * m, 3, 1)

    def forward(self, z: Tensor, context: Tensor | None, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """Mean (B, m, *size) and real-valued index (B, m, *size) into the table of scales."""
        for layer in self.up:
            z = F.relu(layer(z))
        z = z[..., : size[0], : size[1]]
        if context is not None:
            for layer in self.mix:
                z = F.relu(layer(torch.cat([z, context.clamp(-CONTEXT_LIMIT, CONTEXT_LIMIT)], 1)))
        mean, raw = self.head(z).chunk(2, 1)
        return mean, INDEX_SLOPE * raw + INDEX_OFFSET


class Gains(nn.Module):
    """Gain vectors per level and their inverses, both interpolated exponentially between levels."""

    def __init__(self, levels: int, channels: int, ratio: float = 2**0.5) -> None:
        super().__init__()
        # Levels start a ratio apart, by default about what a doubled lambda asks for.
        start = (torch.arange(levels) - (levels - 1) / 2)[:, None] * math.log(ratio)
        self.log_gain = nn.Parameter(start.repeat(1, channels))
        self.log_inverse = nn.Parameter(-start.repeat(1, channels))

    def forward(self, rate: Tensor) -> tuple[Tensor, Tensor]:
        """Gain and inverse gain (B, channels, 1, 1) for real-valued levels (B,) in [0, levels - 1]."""
        top = len(self.log_gain) - 1
        low = rate.floor().clamp(0, max(top - 1, 0)).long()
        high, part = (low + 1).clamp(max=top), (rate - low)[:, None]

        def mix(logs: Tensor) -> Tensor:
            return ((1 - part) * logs[low] + part * logs[high]).exp()[:, :, None, None]

        return mix(self.log_gain), mix(self.log_inverse)


class HyperAnalysis(nn.Sequential):
    """h_a: scaled latent (B, m, 4h, 4w) to hyper-latent (B, n, h, w)."""

    def __init__(self, n: int, m: int) -> None:
        super().__init__(conv(m, n, 3, 1), nn.ReLU(), conv(n, n), nn.ReLU(), conv(n, n))


class Transforms(nn.Module):
    """The floating-point parts of a branch: what a released codec runs outside of the entropy path."""

    def __init__(self, config: CodecConfig, auxiliary: bool, gdn: MakeGdn) -> None:
        super().__init__()
        n, m = config.n, config.m
        self.context = auxiliary and config.context
        self.conditional = auxiliary and config.conditional
        self.g_a = Analysis(6 if self.conditional else 3, n, m, gdn)
        self.g_s = Synthesis(n, m, gdn, self.conditional)
        self.h_a = HyperAnalysis(n, m)
        self.gains = Gains(config.levels, m)
        self.hyper_gains = Gains(config.levels, n, ratio=1.0) if config.gain_hyper else None
