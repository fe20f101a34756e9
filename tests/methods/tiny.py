"""A very small codec with random weights, released like a trained one: quick, and exact where the real one is."""

from pathlib import Path

import torch

from icm_bench.methods._networks import CodecConfig
from icm_bench.methods._release import release
from icm_bench.methods._trainable import CodecNet


def tiny_net(auxiliary: bool = True, levels: int = 6, gain_hyper: bool = False) -> CodecNet:
    """N = 8, M = 12; the first layer is scaled up so that the latents are not all zero."""
    torch.manual_seed(11)
    net = CodecNet(CodecConfig(n=8, m=12, auxiliary=auxiliary, levels=levels, gain_hyper=gain_hyper)).eval()
    branches = [net.primary] + ([net.auxiliary] if net.auxiliary is not None else [])
    with torch.no_grad():
        for branch in branches:
            branch.g_a[-1].weight *= 60
            branch.h_a[-1].weight *= 20
            if branch.hyper_gains is not None:
                branch.hyper_gains.log_gain.normal_(0, 0.5)
                branch.hyper_gains.log_inverse.normal_(0, 0.5)
    return net


def tiny_checkpoint(folder: Path, auxiliary: bool = True, levels: int = 6, gain_hyper: bool = False) -> Path:
    """A released checkpoint of the tiny codec."""
    path = folder / f"tiny-{auxiliary}.safetensors"
    release(tiny_net(auxiliary, levels, gain_hyper), path, {"training": "none"})
    return path
