"""A self-supervised backbone that judges pictures for the primary branch: MoCo v2 on a narrow ResNet.

"Improved Baselines with Momentum Contrastive Learning", Chen, Fan, Girshick, He, 2020. Group normalisation in place
of batch normalisation, which would leak between query and key on a single machine.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock

from icm_bench.training.data import PicturePool, resized_crop
from icm_bench.training.loop import Recipe

WIDTHS = (32, 64, 128, 192)  # at 1/2, 1/4, 1/8, 1/16


@dataclass(frozen=True)
class MocoConfig:
    """dim: size of the embedding; queue: number of negatives; temperature, momentum as in MoCo.

    A queue that reaches far back invites a shortcut: embeddings that all pictures share and that drift with time tell
    a fresh key from an old one. Hence a short queue, and the other keys of the batch as negatives too.
    """

    dim: int = 128
    queue: int = 1024
    temperature: float = 0.2
    momentum: float = 0.99


class Backbone(nn.Module):
    """Features at four depths and an embedding of unit length."""

    def __init__(self, dim: int = 128) -> None:
        super().__init__()
        self.dim = dim
        self.stem = nn.Sequential(nn.Conv2d(3, WIDTHS[0], 3, 2, 1, bias=False), _norm(WIDTHS[0]), nn.ReLU())
        self.stages = nn.ModuleList([_stage(a, b) for a, b in zip(WIDTHS, WIDTHS[1:], strict=False)])
        self.head = nn.Sequential(nn.Linear(WIDTHS[-1], WIDTHS[-1]), nn.ReLU(), nn.Linear(WIDTHS[-1], dim))

    def features(self, x: Tensor) -> list[Tensor]:
        """Maps at 1/2, 1/4, 1/8 and 1/16 of a picture (B, 3, H, W) in 0 .. 1."""
        maps = [self.stem((x - 0.45) / 0.25)]
        for stage in self.stages:
            maps.append(stage(maps[-1]))
        return maps

    def embed(self, maps: list[Tensor]) -> Tensor:
        """Embedding (B, dim) of unit length from the deepest map."""
        return F.normalize(self.head(maps[-1].float().mean((2, 3))), dim=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.embed(self.features(x))


class Negatives(nn.Module):
    """The queue of keys seen before, (dim, size)."""

    keys: Tensor
    at: Tensor

    def __init__(self, dim: int, size: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.register_buffer("keys", F.normalize(torch.randn(dim, size, generator=generator), dim=0))
        self.register_buffer("at", torch.zeros((), dtype=torch.long))

    def contrast(self, query: Tensor, key: Tensor, temperature: float) -> tuple[Tensor, float]:
        """InfoNCE loss (B,) of queries (B, dim) against keys and queue, and how often a query finds its key."""
        logits = torch.cat([query @ key.T, query @ self.keys.clone()], 1) / temperature
        target = torch.arange(len(logits), device=logits.device)
        loss = F.cross_entropy(logits, target, reduction="none")
        return loss, (logits.argmax(1) == target).float().mean().item()

    @torch.no_grad()
    def push(self, key: Tensor) -> None:
        """Replace the oldest keys."""
        places = (self.at + torch.arange(len(key), device=key.device)) % self.keys.shape[1]
        self.keys[:, places] = key.T.to(self.keys.dtype)
        self.at.copy_((self.at + len(key)) % self.keys.shape[1])


class _Moco(nn.Module):
    def __init__(self, config: MocoConfig) -> None:
        super().__init__()
        self.query = Backbone(config.dim)
        self.key = copy.deepcopy(self.query).requires_grad_(False)
        self.negatives = Negatives(config.dim, config.queue)


class MocoRecipe(Recipe):
    """Two views of one picture are alike, all others differ."""

    model: _Moco

    def __init__(
        self, pools: list[tuple[PicturePool, float]], config: MocoConfig, batch: int, seed: int, device: str = "cpu"
    ) -> None:
        self.device = device
        self.model = _Moco(config).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.pools = [pool for pool, _ in pools]
        weights = np.array([weight for _, weight in pools])
        self.weights = weights / weights.sum()
        self.config, self.size, self.seed, self.side = config, batch, seed, 96

    def batch(self, step: int) -> np.ndarray:
        return self._views("train", np.random.default_rng((self.seed, step)))

    def _views(self, split: str, rng: np.random.Generator) -> np.ndarray:
        """(2, B, side, side, 3) uint8: two crops of each of B pictures."""
        views: list[list[np.ndarray]] = [[], []]
        for choice in rng.choice(len(self.pools), self.size, p=self.weights):
            pictures = getattr(self.pools[choice], split)
            picture = pictures[int(rng.integers(len(pictures)))]
            for view in views:
                view.append(resized_crop(picture, self.side, rng))
        return np.stack([np.stack(view) for view in views])

    def loss(self, batch: np.ndarray) -> tuple[Tensor, dict[str, float]]:
        first, second = (jitter(self._tensor(view)) for view in batch)
        with torch.autocast(first.device.type, torch.bfloat16):
            query = self.model.query(first)
            with torch.no_grad():
                self._follow()
                key = self.model.key(second)
        loss, accuracy = self.model.negatives.contrast(query.float(), key.float(), self.config.temperature)
        self.model.negatives.push(key.float())
        return loss.mean(), {"accuracy": accuracy}

    def _tensor(self, view: np.ndarray) -> Tensor:
        return torch.from_numpy(view).to(self.device).permute(0, 3, 1, 2).float() / 255

    def _follow(self) -> None:
        for key, query in zip(self.model.key.parameters(), self.model.query.parameters(), strict=True):
            key.lerp_(query, 1 - self.config.momentum)

    def evaluate(self) -> dict[str, float]:
        torch.manual_seed(0)
        first, second = (jitter(self._tensor(v)) for v in self._views("held_out", np.random.default_rng(0)))
        query, key = self.model.query(first), self.model.key(second)
        loss, accuracy = self.model.negatives.contrast(query, key, self.config.temperature)
        return {"loss": loss.mean().item(), "accuracy": accuracy}


def jitter(x: Tensor) -> Tensor:
    """Random brightness, contrast, colour, greyness and blur for each picture of a batch in 0 .. 1."""
    n = len(x)

    def draw(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(n, 1, 1, 1, device=x.device)

    grey = x.mean(1, keepdim=True)
    x = grey + (x - grey) * torch.where(draw(0, 1) < 0.2, 0.0, draw(0.6, 1.4))
    mean = x.mean((1, 2, 3), keepdim=True)
    x = (mean + (x - mean) * draw(0.6, 1.4)) * draw(0.6, 1.4)
    x = x * (1 + 0.2 * (torch.rand(n, 3, 1, 1, device=x.device) - 0.5))
    blurred = F.avg_pool2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), 3, 1)
    x = torch.where(draw(0, 1) < 0.3, blurred, x)
    return x.clamp(0, 1).contiguous(memory_format=torch.channels_last)


def _norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(8, channels)


def _stage(c_in: int, c_out: int) -> BasicBlock:
    shortcut = nn.Sequential(nn.Conv2d(c_in, c_out, 1, 2, bias=False), _norm(c_out))
    return BasicBlock(c_in, c_out, 2, shortcut, norm_layer=_norm)
