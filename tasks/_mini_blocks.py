"""Parts that the built-in mini nets share: the stem and the two families of backbone.

Imported only when a network is built, because it imports torch.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from functools import partial
from itertools import product

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torchvision.models.mobilenetv3 import InvertedResidual, InvertedResidualConfig
from torchvision.models.resnet import BasicBlock
from torchvision.ops import Conv2dNormActivation

#: uint8 pictures enter as (x - MEAN) / STD per channel.
MEAN, STD = 118.0, 60.0

#: Channels of the stem.
STEM = 32
#: Widths of the stages at strides 4, 8, 16, 32: BasicBlocks of ResNet, inverted residuals of MobileNetV3.
BASIC = (32, 48, 80, 112)
INVERTED = (24, 48, 88, 128)

batch_norm = partial(nn.BatchNorm2d, momentum=0.05)


def fold_norms(module: nn.Module) -> None:
    """Fold each BatchNorm into the convolution before it; in all blocks here they are neighbours."""
    before, before_name = None, ""
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d) and isinstance(before, nn.Conv2d):
            setattr(module, before_name, fuse_conv_bn_eval(before, child))
            setattr(module, name, nn.Identity())
        else:
            fold_norms(child)
        before, before_name = child, name


def _basic(n_in: int, n_out: int, stride: int, depth: int) -> nn.Sequential:
    """``depth`` BasicBlocks of ResNet, the first with the stride."""
    blocks = []
    for index in range(depth):
        stride_here, width = (stride, n_in) if index == 0 else (1, n_out)
        shortcut = None
        if stride_here != 1 or width != n_out:
            shortcut = nn.Sequential(nn.Conv2d(width, n_out, 1, stride_here, bias=False), batch_norm(n_out))
        blocks.append(BasicBlock(width, n_out, stride_here, shortcut, norm_layer=batch_norm))
    return nn.Sequential(*blocks)


def _inverted(n_in: int, n_out: int, stride: int, depth: int) -> nn.Sequential:
    """``depth`` inverted residuals of MobileNetV3, the first with the stride; attention in the wider ones.

    Without a stride there is no expansion, as in MobileNetV3's first block.
    """
    blocks = []
    for index in range(depth):
        width = n_in if index == 0 else n_out
        attention, act = n_out > 64, "HS" if n_out > 64 else "RE"
        expanded = width * (1 if stride == 1 else 3)
        step = stride if index == 0 else 1
        config = InvertedResidualConfig(width, 3, expanded, n_out, attention, act, step, 1, 1.0)
        blocks.append(InvertedResidual(config, batch_norm))
    return nn.Sequential(*blocks)


def _stem(activation: type[nn.Module]) -> nn.Module:
    """Stride 4, (N, 3, H, W) -> (N, 32, H / 4, W / 4), with filters that start as a Gabor bank and eight at random.

    From a random start a net of this size needs many more pictures to see fine textures at all.
    """
    stem = Conv2dNormActivation(3, STEM, 7, 4, norm_layer=batch_norm, activation_layer=activation)
    bank = _gabor_bank(7)
    stem[0].weight.data[: len(bank)] = bank[:, None]
    return stem


def _gabor_bank(side: int) -> Tensor:
    """Even and odd Gabor functions of three periods (3.3 to 6.4 pixels) and four directions, (24, side, side)."""
    places = torch.arange(side) - (side - 1) / 2
    y, x = torch.meshgrid(places, places, indexing="ij")
    window = torch.exp(-(x * x + y * y) / (2 * (side / 3.2) ** 2))
    bank = []
    for period, turn, phase in product((3.3, 4.6, 6.4), range(4), (0.0, math.pi / 2)):
        along = x * math.cos(turn * math.pi / 4) + y * math.sin(turn * math.pi / 4)
        wave = window * torch.cos(2 * math.pi * along / period + phase)
        wave = wave - wave.mean()
        bank.append(3 * wave / wave.abs().sum())
    return torch.stack(bank)


def basic_stack(n_stages: int) -> OrderedDict[str, nn.Module]:
    """Stem of stride 4, then stages of BasicBlocks at strides 4, 8, 16, 32 named s4, s8, s16, s32."""
    stages: OrderedDict[str, nn.Module] = OrderedDict()
    n_in = STEM
    stages["stem"] = _stem(nn.ReLU)
    for index, width in enumerate(BASIC[:n_stages]):
        stages[f"s{4 << index}"] = _basic(n_in, width, 1 if index == 0 else 2, (1, 2, 2, 1)[index])
        n_in = width
    return stages


def inverted_stack(n_stages: int) -> OrderedDict[str, nn.Module]:
    """Stem of stride 4, then stages of inverted residuals at strides 4, 8, 16, 32 named s4, s8, s16, s32."""
    stages: OrderedDict[str, nn.Module] = OrderedDict()
    n_in = STEM
    stages["stem"] = _stem(nn.Hardswish)
    for index, width in enumerate(INVERTED[:n_stages]):
        stride, depth = (1 if index == 0 else 2), (1, 2, 3, 2)[index]
        stages[f"s{4 << index}"] = _inverted(n_in, width, stride, depth)
        n_in = width
    return stages
