"""The shipped networks as CompressAI runs them: its own ``compress`` and ``decompress``, with our weights and tables.

Used by ``codec.py``. Gains are folded into the neighbouring convolutions, the hyper-synthesis computes in float32.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from compressai.layers import GDN
from compressai.models import MeanScaleHyperprior
from torch import Tensor, nn

from icm_bench.methods._codec import quantise_picture
from icm_bench.methods._entropy import Tables
from icm_bench.methods._integer import ACTIVATION_BITS
from icm_bench.methods._networks import SCALE_LEVELS, SCALE_MIN, SCALE_STEP, CodecConfig, HyperSynthesis, Transforms
from icm_bench.methods._released import load_floats, load_layers, load_tables, read


class ScaledSynthesis(nn.Module):
    """h_s in the form that CompressAI expects: standard deviations, then means."""

    def __init__(self, h_s: HyperSynthesis) -> None:
        super().__init__()
        self.h_s = h_s
        self.context: Tensor | None = None

    def forward(self, z: Tensor) -> Tensor:
        mean, index = self.h_s(z, self.context, (4 * z.shape[-2], 4 * z.shape[-1]))
        # CompressAI takes the next larger scale of the table, we take the nearest index.
        return torch.cat([SCALE_MIN * torch.exp(SCALE_STEP * (index - 0.5)), mean], 1)


class Conditioned(nn.Module):
    """g_s with the picture that the auxiliary branch is conditioned on."""

    def __init__(self, g_s: nn.Module) -> None:
        super().__init__()
        self.g_s = g_s
        self.x1: Tensor | None = None
        self.latent: Tensor | None = None

    def forward(self, y: Tensor) -> Tensor:
        self.latent = y
        picture: Tensor = self.g_s(y, self.x1)
        return picture


class Twin(MeanScaleHyperprior):  # type: ignore[misc]
    """One branch of a released checkpoint at one rate."""

    def __init__(self, config: CodecConfig, tensors: dict[str, Tensor], name: str, rate: float) -> None:
        super().__init__(config.n, config.m)
        net = Transforms(config, name == "auxiliary", GDN)
        load_floats(net, tensors, f"{name}.")
        gain, inverse = (one.detach()[0, :, 0, 0] for one in net.gains(torch.tensor([rate])))
        with torch.no_grad():
            net.g_a[-1].weight.mul_(gain[:, None, None, None])
            net.g_a[-1].bias.mul_(gain)
            net.g_s.up[0].weight.mul_(inverse[:, None, None, None])
        h_s = HyperSynthesis(config.n, config.m, net.context)
        for key, layer in load_layers(tensors, name, config).items():
            held: Any = h_s.get_submodule(key)
            held.weight.data = (layer.weight * 2.0**-layer.shift).float()
            held.bias.data = (layer.bias * 2.0 ** -(layer.shift + ACTIVATION_BITS)).float()
        self.g_a, self.h_a = net.g_a, net.h_a
        self.h_s, self.g_s = ScaledSynthesis(h_s), Conditioned(net.g_s)
        self.made: dict[nn.Module, Tensor] = {}
        for part in (self.g_a, self.h_s):
            part.register_forward_hook(lambda module, _, out: self.made.__setitem__(module, out))
        self._set(self.entropy_bottleneck, load_tables(tensors, f"{name}.prior", config.n))
        self.entropy_bottleneck.quantiles.data.zero_()  # hyper-latents are rounded to whole numbers
        self._set(self.gaussian_conditional, load_tables(tensors, "scales", SCALE_LEVELS))
        self.gaussian_conditional.scale_table = SCALE_MIN * torch.exp(SCALE_STEP * torch.arange(SCALE_LEVELS))
        self.eval()

    def quantised(self) -> Tensor:
        """The latent that was compressed last, as a decoder has it."""
        means = self.made[self.h_s].chunk(2, 1)[1]
        y_hat: Tensor = self.gaussian_conditional.quantize(self.made[self.g_a], "dequantize", means)
        return y_hat

    def open(self, coded: dict[str, Any]) -> Tensor:
        """CompressAI's decompress without its clip to 0 .. 1, which RDC applies after its sum."""
        z_hat = self.entropy_bottleneck.decompress(coded["strings"][1], coded["shape"])
        scales, means = self.h_s(z_hat).chunk(2, 1)
        indexes = self.gaussian_conditional.build_indexes(scales)
        y_hat = self.gaussian_conditional.decompress(coded["strings"][0], indexes, means=means)
        picture: Tensor = self.g_s(y_hat)
        return picture

    @staticmethod
    def _set(model: nn.Module, tables: Tables) -> None:
        model._quantized_cdf = torch.from_numpy(tables.cdfs)
        model._cdf_length = torch.from_numpy(tables.lengths)
        model._offset = torch.from_numpy(tables.offsets)


class TwinCodec:
    """A released checkpoint at one rate: one branch, or two as RDC has them. Sides must be multiples of 64."""

    def __init__(self, checkpoint: Path, rate: float) -> None:
        config, tensors = read(checkpoint)
        self.conditional = config.conditional
        self.primary = Twin(config, tensors, "primary", rate)
        self.auxiliary = Twin(config, tensors, "auxiliary", rate) if config.auxiliary else None

    @torch.inference_mode()
    def encode(self, picture: np.ndarray) -> list[dict[str, Any]]:
        """What CompressAI's compress gives, a dictionary a branch."""
        x = torch.from_numpy(picture.copy()).permute(2, 0, 1)[None].float() / 255
        coded = [self.primary.compress(x)]
        if self.auxiliary is not None:
            x1 = self.primary.g_s(self.primary.quantised())
            self._tell(x1)
            coded.append(self.auxiliary.compress(torch.cat([x - x1, x1], 1) if self.conditional else x - x1))
        return coded

    @torch.inference_mode()
    def decode(self, coded: list[dict[str, Any]]) -> np.ndarray:
        """The picture, with all of the residual where there is one: uint8 (H, W, 3)."""
        x = self.primary.open(coded[0])
        if self.auxiliary is not None:
            self._tell(x)
            x = x + self.auxiliary.open(coded[1])
        return _picture(x)

    @torch.inference_mode()
    def synthesis(self, latent: Tensor, second: Tensor | None) -> np.ndarray:
        """The picture that these latents stand for."""
        x = self.primary.g_s(latent)
        if self.auxiliary is not None:
            self._tell(x)
            x = x + self.auxiliary.g_s(second)
        return _picture(x)

    def _tell(self, x1: Tensor) -> None:
        """Condition the auxiliary branch."""
        assert self.auxiliary is not None
        self.auxiliary.h_s.context = self.primary.g_s.latent if self.auxiliary.h_s.h_s.mix else None
        self.auxiliary.g_s.x1 = x1 if self.conditional else None


def n_bytes(coded: list[dict[str, Any]]) -> int:
    """Bytes of all strings."""
    return sum(len(string) for one in coded for strings in one["strings"] for string in strings)


def _picture(x: Tensor) -> np.ndarray:
    return quantise_picture((255 * x[0]).permute(1, 2, 0).numpy())
