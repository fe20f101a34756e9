"""Convolution networks computed exactly: integers held in float64, so that no machine can round differently.

Activations are whole numbers in units of 2^-12, clipped to +-2^19; weights are 16-bit whole numbers in units of
2^-shift. A sum of 2^11 such products stays below 2^45, far inside the 2^53 up to which float64 is exact: neither
thread count nor SIMD level nor the order of summation can change a result. ``reach`` is the bound for the weights as
they are, and a layer whose sums could leave the exact range is refused on loading. After Balle, Johnston, Minnen,
"Integer networks for data compression with latent-variable models", ICLR 2019; here weights are quantised after
training.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ACTIVATION_BITS = 12
ACTIVATION_LIMIT = 2**19 - 1
WEIGHT_LIMIT = 2**15 - 1
BIAS_LIMIT = 2**44
SHIFT_LIMIT = 20
#: Below this every whole number, and so every sum of whole numbers that stays below it, is exact in float64.
EXACT_LIMIT = 2**53


@dataclass(frozen=True)
class IntegerLayer:
    """A convolution on whole numbers.

    weight: (c_out, c_in, k, k), transposed (c_in, c_out, k, k), float64 whole numbers in units of 2^-shift; bias:
    (c_out,), in units of 2^-(12 + shift); up: True for a transposed convolution that doubles the sides.
    """

    weight: Tensor
    bias: Tensor
    shift: int
    up: bool

    @classmethod
    def quantise(cls, layer: nn.Conv2d | nn.ConvTranspose2d) -> IntegerLayer:
        """Round a trained layer: the finest power of two at which all its weights fit 16 bits."""
        weight = layer.weight.detach().double()
        finest = int((WEIGHT_LIMIT / weight.abs().max().clamp(min=2**-6)).log2().floor())
        shift = max(0, min(SHIFT_LIMIT, finest))
        assert layer.bias is not None
        bias = layer.bias.detach().double() * 2.0 ** (ACTIVATION_BITS + shift)
        return cls(
            (weight * 2.0**shift).round().clamp(-WEIGHT_LIMIT, WEIGHT_LIMIT),
            bias.round().clamp(-BIAS_LIMIT, BIAS_LIMIT),
            shift,
            isinstance(layer, nn.ConvTranspose2d),
        )

    def tensors(self) -> dict[str, Tensor]:
        """What a checkpoint keeps: int16 weight, int64 bias, shift."""
        return {
            "weight": self.weight.to(torch.int16).contiguous(),
            "bias": self.bias.to(torch.int64),
            "shift": torch.tensor([self.shift, int(self.up)], dtype=torch.int64),
        }

    @classmethod
    def from_tensors(cls, tensors: dict[str, Tensor]) -> IntegerLayer:
        """The layer from what ``tensors`` gave. Raises ValueError for what they cannot have been."""
        weight, bias, place = (tensors[part] for part in ("weight", "bias", "shift"))
        if (weight.dtype, bias.dtype, place.dtype) != (torch.int16, torch.int64, torch.int64):
            raise ValueError("weights, biases and shifts must be whole numbers of 16, 64 and 64 bits")
        if weight.dim() != 4 or place.shape != (2,) or bias.shape != (weight.shape[int(place[1] != 0)],):
            raise ValueError("weights, biases and shifts do not belong together")
        shift, up = place.tolist()
        layer = cls(weight.double(), bias.double(), int(shift), bool(up))
        if not 0 <= shift <= SHIFT_LIMIT:
            raise ValueError(f"a shift of {shift} is outside 0 .. {SHIFT_LIMIT}")
        if int(bias.abs().max()) > BIAS_LIMIT or int(bias.min()) < -BIAS_LIMIT or layer.reach >= EXACT_LIMIT:
            raise ValueError("its sums could leave the whole numbers that float64 holds exactly")
        return layer

    @property
    def reach(self) -> int:
        """No partial sum, in whatever order, is larger: all activations at their limit, the half for rounding too."""
        incoming = self.weight.abs().sum((0, 2, 3) if self.up else (1, 2, 3))
        return int((incoming * ACTIVATION_LIMIT + self.bias.abs()).max()) + 2**self.shift

    def __call__(self, x: Tensor) -> Tensor:
        """(B, c_in, h, w) whole numbers in units of 2^-12 to (B, c_out, h', w') in the same units, rounded."""
        if self.up:
            total = F.conv_transpose2d(x, self.weight, self.bias, stride=2, padding=2, output_padding=1)
        else:
            total = F.conv2d(x, self.weight, self.bias, padding=self.weight.shape[-1] // 2)
        return torch.floor(total * 2.0**-self.shift + 0.5)


def rectify(x: Tensor) -> Tensor:
    """ReLU, and the clip that keeps every later sum exact."""
    return x.clamp(0, ACTIVATION_LIMIT)


def to_fixed(symbols: Tensor) -> Tensor:
    """Whole symbols to float64 activations in units of 2^-12."""
    return symbols.double() * 2**ACTIVATION_BITS


class IntegerHyperSynthesis:
    """h_s in whole numbers: exact hyper-latent (and exact context) to exact means and scale indexes."""

    def __init__(self, layers: dict[str, IntegerLayer], slope: int, offset: int, top: int) -> None:
        self.layers = layers
        self.slope, self.offset, self.top = slope, offset, top

    def __call__(
        self, z: Tensor, context: Tensor | None, size: tuple[int, int], gain: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Means (B, m, *size) in units of 2^-12 and indexes (B, m, *size) into the table of scales, as int64.

        z: (B, n, h, w) whole symbols; context: (B, m, *size) in units of 2^-12, or None; gain: inverse gains (n,) of
        the hyper-latent in units of 2^-12, whole numbers, or None.
        """
        fixed = to_fixed(z) if gain is None else z.double() * gain.double()[:, None, None]
        x = fixed.clamp(-ACTIVATION_LIMIT, ACTIVATION_LIMIT)
        x = rectify(self.layers["up.0"](x))
        x = rectify(self.layers["up.1"](x))[..., : size[0], : size[1]]
        if "mix.0" in self.layers:
            assert context is not None
            x = torch.cat([x, context.double().clamp(-ACTIVATION_LIMIT, ACTIVATION_LIMIT)], 1)
            x = rectify(self.layers["mix.0"](x))
        mean, raw = self.layers["head"](x).clamp(-ACTIVATION_LIMIT, ACTIVATION_LIMIT).chunk(2, 1)
        index = torch.floor((raw * self.slope) * 2.0**-ACTIVATION_BITS + (self.offset + 0.5))
        return mean.long(), index.clamp(0, self.top).long()
