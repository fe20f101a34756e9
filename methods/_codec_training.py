"""Training for rate and distortion: the hyperprior, and the auxiliary branch of RDC (stage II)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from icm_bench.methods._trainable import CodecNet
from icm_bench.training.data import CropSampler
from icm_bench.training.loop import Recipe

EVALUATION_SIDE, EVALUATION_COUNT = 192, 12


@dataclass(frozen=True)
class RateRange:
    """Lambda per gain level, geometric from low to high; loss = bits per pixel + lambda 255^2 MSE.

    A codec with one level has the lambda ``low``.
    """

    low: float = 0.0009
    high: float = 0.025

    def at(self, rate: Tensor, levels: int) -> Tensor:
        """Lambda (B,) for real-valued levels (B,)."""
        return self.low * (self.high / self.low) ** (rate / max(1, levels - 1))


def to_tensor(pictures: np.ndarray, device: str = "cpu") -> Tensor:
    """uint8 (B, H, W, 3) to float (B, 3, H, W) in 0 .. 1, channels last in memory."""
    return torch.from_numpy(np.ascontiguousarray(pictures)).to(device).permute(0, 3, 1, 2).float().div_(255)


class MseRecipe(Recipe):
    """Variable-rate hyperprior for MSE: every picture of a batch draws its level, with that level's lambda."""

    model: CodecNet

    def __init__(self, net: CodecNet, crops: CropSampler, rates: RateRange, device: str = "cpu") -> None:
        self.model = net.to(device, memory_format=torch.channels_last)
        self.crops, self.rates, self.device = crops, rates, device

    def batch(self, step: int) -> np.ndarray:
        return self.crops(step)

    def loss(self, batch: np.ndarray) -> tuple[Tensor, dict[str, float]]:
        x = to_tensor(batch, self.device)
        rate = draw_levels(len(x), self.model.config.levels, self.device)
        x_hat, bpp = self.coded(x, rate)
        mse = (x_hat - x).square().mean((1, 2, 3))
        weight = self.rates.at(rate, self.model.config.levels)
        loss = self.balanced(bpp + weight * 255**2 * mse, weight)
        numbers = {"bpp": bpp.mean().item(), "psnr": (-10 * mse.detach().log10()).mean().item()}
        return loss, numbers

    def coded(self, x: Tensor, rate: Tensor) -> tuple[Tensor, Tensor]:
        """The primary branch's picture and its estimated bits per pixel (B,), transforms in half precision."""
        with torch.autocast(x.device.type, torch.bfloat16):
            out = self.model.primary(x, rate)
        return out["x_hat"], out["bits"] / (x.shape[-1] * x.shape[-2])

    def balanced(self, cost: Tensor, weight: Tensor) -> Tensor:
        """Mean of costs (B,), each divided by its weight's root, so that high rates do not drown low ones."""
        return (cost / (weight / self.rates.low).sqrt()).mean()

    def evaluate(self) -> dict[str, float]:
        numbers = {}
        pictures = self.crops.held_out(EVALUATION_COUNT, EVALUATION_SIDE)
        groups = np.array_split(pictures, len(self.crops.pools))
        for name, group in zip(self.crops.fingerprints, groups, strict=True):
            x = to_tensor(group, self.device)
            for level in range(self.model.config.levels):
                rate = torch.full((len(x),), float(level), device=self.device)
                for key, values in self.measure(x, rate).items():
                    numbers[f"{name}_{key}{level}"] = values.mean().item()
        return numbers

    def measure(self, x: Tensor, rate: Tensor) -> dict[str, Tensor]:
        """Numbers (B,) for pictures (B, 3, H, W) in 0 .. 1 at gain levels (B,), bits estimated."""
        out = self.model.primary(x, rate)
        mse = (out["x_hat"].clamp(0, 1) - x).square().mean((1, 2, 3))
        return {"bpp": out["bits"] / (x.shape[-1] * x.shape[-2]), "psnr": -10 * mse.log10()}


class AuxiliaryRecipe(MseRecipe):
    """Stage II: the primary branch is frozen, the auxiliary branch learns what is left over.

    Half of the pictures draw one gain level for both layers, the others one for each, so that any pair works.
    """

    def __init__(self, net: CodecNet, crops: CropSampler, rates: RateRange, device: str = "cpu") -> None:
        super().__init__(net, crops, rates, device)
        net.primary.requires_grad_(False)

    def loss(self, batch: np.ndarray) -> tuple[Tensor, dict[str, float]]:
        x = to_tensor(batch, self.device)
        levels = self.model.config.levels
        first_rate, rate = (draw_levels(len(x), levels, self.device) for _ in range(2))
        tied = torch.rand(len(x), device=self.device) < 0.5
        rate = torch.where(tied, first_rate, rate)
        self.model.primary.eval()
        with torch.autocast(x.device.type, torch.bfloat16):
            x_hat, bits, first = self._both(x, first_rate, rate)
        mse = (x_hat - x).square().mean((1, 2, 3))
        pixels = x.shape[-1] * x.shape[-2]
        bpp = bits / pixels
        weight = self.rates.at(rate, levels)
        loss = self.balanced(bpp + weight * 255**2 * mse, weight)
        numbers = {
            "bpp": bpp.mean().item(),
            "bpp_primary": (first / pixels).mean().item(),
            "psnr": (-10 * mse.detach().log10()).mean().item(),
        }
        return loss, numbers

    def _both(self, x: Tensor, first_rate: Tensor, rate: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The picture at beta = 0, the auxiliary layer's bits and the primary layer's bits.

        first_rate, rate: gain levels (B,) of the primary and of the auxiliary layer.
        """
        assert self.model.auxiliary is not None
        with torch.no_grad():
            first = self.model.primary(x, first_rate)
        x1 = first["x_hat"]
        seen = torch.cat([x - x1, x1], 1) if self.model.config.conditional else x - x1
        second = self.model.auxiliary(seen, rate, x1, first["y"])
        return x1 + second["x_hat"], second["bits"], first["bits"]

    def measure(self, x: Tensor, rate: Tensor) -> dict[str, Tensor]:
        x_hat, bits, first = self._both(x, rate, rate)
        pixels = x.shape[-1] * x.shape[-2]
        mse = (x_hat.clamp(0, 1) - x).square().mean((1, 2, 3))
        return {"bpp": (bits + first) / pixels, "bpp_primary": first / pixels, "psnr": -10 * mse.log10()}


def draw_levels(n: int, levels: int, device: str) -> Tensor:
    """Real-valued gain levels (n,); half of them whole, so that the levels themselves are trained too."""
    rate = torch.rand(n, device=device) * (levels - 1)
    return torch.where(torch.rand(n, device=device) < 0.5, rate.round(), rate)


@torch.no_grad()
def start_auxiliary(net: CodecNet, trained: CodecNet) -> None:
    """Start the auxiliary branch from a codec trained for MSE, wherever the shapes agree.

    The first layer's filters for the residual are the trained ones, those for x1 begin at zero.
    """
    assert net.auxiliary is not None
    source = trained.primary.state_dict()
    for key, value in net.auxiliary.state_dict().items():
        if key == "g_a.0.weight":
            value.zero_()
            value[:, :3] = source[key]
        elif key in source and source[key].shape == value.shape:
            value.copy_(source[key])
        elif key.startswith("g_s.up.") and key in source:
            # Rows for the features of x1 begin at zero: at first the synthesis is the trained one.
            value.zero_()
            value[: source[key].shape[0]] = source[key]
