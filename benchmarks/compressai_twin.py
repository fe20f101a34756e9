"""CompressAI's mean-scale hyperprior on the transforms of the shipped hyperprior: the contrast of portability.py.

    python benchmarks/compressai_twin.py OUT.pth --photos FOLDER [--quality 3] [--steps 2000]

The architecture is CompressAI's own (mbt2018-mean, N = 64, M = 96), whose entropy parameters are computed in floating
point. Analysis and synthesis are those of hyperprior-mini-q3, gains folded in, and stay as they are; hyper-analysis,
hyper-synthesis and the prior of the hyper-latent are trained on its latents of crops of photographs and of the mini
world's train splits, for rate alone. Prints held-out bits per pixel beside those of the shipped codec's real bytes.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from compressai.models import MeanScaleHyperprior
from torch import Tensor

from icm_bench.methods._checkpoints import WEIGHTS
from icm_bench.methods._codec import Codec
from icm_bench.methods._released import read
from icm_bench.training.data import PicturePool, folder_pictures, mini_pictures, random_crop

_SIDE, _CROPS, _HELD_OUT, _BATCH = 256, 480, 24, 16


def twin(checkpoint: Path) -> MeanScaleHyperprior:
    """CompressAI's network with the transforms of a released checkpoint of one rate."""
    config, held = read(checkpoint)
    net = MeanScaleHyperprior(config.n, config.m)
    state = net.state_dict()
    gain, inverse = (held[f"primary.gains.{name}"][0].exp() for name in ("log_gain", "log_inverse"))
    parts = {"g_s.up.": lambda i: f"g_s.{2 * i}.", "g_s.norm.": lambda i: f"g_s.{2 * i + 1}."}
    for key, value in held.items():
        name = key.removeprefix("primary.")
        for prefix, place in parts.items():
            if name.startswith(prefix):
                index, _, rest = name.removeprefix(prefix).partition(".")
                name = place(int(index)) + rest
        if name.startswith(("g_a.", "g_s.", "h_a.")):
            assert state[name].shape == value.shape, name
            state[name] = value.float()
    state["g_a.6.weight"] *= gain[:, None, None, None]
    state["g_a.6.bias"] *= gain
    state["g_s.0.weight"] *= inverse[:, None, None, None]
    net.load_state_dict(state)
    return net


def crops(photos: Path, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Crops to learn from and held-out ones, uint8 (k, 256, 256, 3), half of them of the mini world."""
    rng = np.random.default_rng(seed)
    pools = [PicturePool(folder_pictures(photos)), PicturePool(mini_pictures())]

    def draw(name: str, count: int) -> np.ndarray:
        sources = [getattr(pool, name) for pool in pools]
        chosen = [sources[i % 2][int(rng.integers(len(sources[i % 2])))] for i in range(count)]
        return np.stack([random_crop(picture, _SIDE, rng) for picture in chosen])

    return draw("train", _CROPS), draw("held_out", _HELD_OUT)


@torch.no_grad()
def latents(net: MeanScaleHyperprior, pictures: np.ndarray) -> Tensor:
    """y of each picture: (k, 96, 16, 16)."""
    made = [net.g_a(torch.from_numpy(one).permute(2, 0, 1)[None].float() / 255) for one in pictures]
    return torch.cat(made)


def bits(net: MeanScaleHyperprior, y: Tensor) -> Tensor:
    """Estimated bits of latents, all together."""
    z_hat, z_likelihoods = net.entropy_bottleneck(net.h_a(y))
    scales, means = net.h_s(z_hat).chunk(2, 1)
    _, y_likelihoods = net.gaussian_conditional(y, scales, means=means)
    return -(y_likelihoods.log2().sum() + z_likelihoods.log2().sum())


def train(net: MeanScaleHyperprior, y: Tensor, steps: int) -> None:
    """Learn h_a, h_s and the prior for the rate of these latents."""
    learned = [*net.h_a.parameters(), *net.h_s.parameters(), *net.entropy_bottleneck.parameters()]
    quantiles = net.entropy_bottleneck.quantiles
    optimiser = torch.optim.Adam([p for p in learned if p is not quantiles], 1e-3)
    auxiliary = torch.optim.Adam([quantiles], 1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    n_pixels = _BATCH * _SIDE * _SIDE
    net.train()
    for step in range(steps):
        batch = y[torch.randint(len(y), (_BATCH,))]
        rate = bits(net, batch) / n_pixels
        optimiser.zero_grad()
        rate.backward()
        torch.nn.utils.clip_grad_norm_(learned, 1.0)
        optimiser.step()
        schedule.step()
        auxiliary.zero_grad()
        net.aux_loss().backward()
        auxiliary.step()
        if step % 200 == 0 or step == steps - 1:
            print(f"step {step}: {float(rate.detach()):.4f} bpp", flush=True)
    net.eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--quality", type=int, default=3)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    checkpoint = WEIGHTS / f"hyperprior-mini-q{options.quality}.safetensors"
    net = twin(checkpoint)
    learn, held_out = crops(options.photos, options.seed)
    train(net, latents(net, learn), options.steps)
    net.update(force=True)
    codec = Codec(checkpoint)
    ours = sum(8 * len(codec.encode(one, 0.0)["primary"]) for one in held_out) / held_out[0].size * 3 / len(held_out)
    with torch.no_grad():
        x = [torch.from_numpy(one).permute(2, 0, 1)[None].float() / 255 for one in held_out]
        made = [sum(len(strings[0]) for strings in net.compress(one)["strings"]) for one in x]
    theirs = 8 * sum(made) / len(made) / _SIDE**2
    print(f"held out: {theirs:.4f} bpp, real bytes; {checkpoint.stem} itself {ours:.4f}")
    torch.save({"state_dict": net.state_dict(), "steps": options.steps}, options.out)


if __name__ == "__main__":
    main()
