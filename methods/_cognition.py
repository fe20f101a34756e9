"""Stage I of RDC: the primary branch learns under the eyes of frozen judges (``_judges.py``).

    loss = bits per pixel + scale(level) * (matching + contrastive + 100 (local + pixel MSE))
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from icm_bench.methods._codec_training import MseRecipe, RateRange, draw_levels, to_tensor
from icm_bench.methods._judges import Judge, JudgeConfig
from icm_bench.methods._moco import Negatives
from icm_bench.methods._trainable import CodecNet
from icm_bench.training.data import CropSampler

INSIDE = ("local", "clip", "off")
LOCAL_TARGETS = ("clipped", "original")
NORMALISATIONS = ("map", "channel", "position")


@dataclass(frozen=True)
class CognitionLoss:
    """Weights of stage I; all that the paper leaves open is a field.

    matching: squared distance of feature maps, relative to the spread of the original's (normalise: see
    ``feature_distance``); contrastive: InfoNCE of the embeddings at the depths
    ``contrast_depths`` of every judge (-1: the deepest), with ``queue`` negatives at ``temperature``; pixel: plain
    MSE. inside: how x1 is kept in 0 .. 1: by the local MSE ("local", weight ``local``, against the clipped value or,
    where x1 is outside, the original), by clipping it while training ("clip"), or not at all ("off"). low, high: the
    weight of it all against bits per pixel at the lowest and the highest gain level.
    """

    matching: float = 1.0
    normalise: str = "position"
    contrastive: float = 0.02
    contrast_depths: tuple[int, ...] = (-1,)
    temperature: float = 0.2
    queue: int = 4096
    inside: str = "local"
    local: float = 1.0
    local_target: str = "clipped"
    pixel: float = 0.0
    low: float = 0.3
    high: float = 6.0

    def __post_init__(self) -> None:
        choices = {"inside": INSIDE, "local_target": LOCAL_TARGETS, "normalise": NORMALISATIONS}
        for name, known in choices.items():
            if getattr(self, name) not in known:
                raise ValueError(f"{name} = {getattr(self, name)!r}: known are {', '.join(known)}")


class CognitionRecipe(MseRecipe):
    """Stage I: rate, and what the judges see of x1."""

    def __init__(
        self,
        net: CodecNet,
        crops: CropSampler,
        judges: list[tuple[JudgeConfig, Judge]],
        weights: CognitionLoss,
        device: str = "cpu",
    ) -> None:
        super().__init__(net, crops, RateRange(weights.low, weights.high), device)
        self.weights = weights
        self.judges = [(config, judge.to(device, memory_format=torch.channels_last)) for config, judge in judges]
        self.queues = [self._queues(judge) for _, judge in judges]

    def _queues(self, judge: Judge) -> list[Negatives]:
        """A queue of negatives per contrasted depth."""
        with torch.no_grad():
            maps = judge.features(torch.zeros(1, 3, 64, 64, device=self.device))
        sizes = [judge.embed(maps, depth).shape[1] for depth in self.weights.contrast_depths]
        return [Negatives(size, self.weights.queue).to(self.device) for size in sizes]

    def companions(self) -> dict[str, nn.Module]:
        return {"negatives": nn.ModuleList(queue for queues in self.queues for queue in queues)}

    def loss(self, batch: np.ndarray) -> tuple[Tensor, dict[str, float]]:
        x = to_tensor(batch, self.device)
        rate = draw_levels(len(x), self.model.config.levels, self.device)
        x1, bpp = self.coded(x, rate)
        weights = self.weights
        local = local_mse(x1, x, weights.local_target)
        if weights.inside == "clip":
            x1 = x1.clamp(0, 1)
        matching, contrast, accuracy = self._judged(x1, x)
        mse = (x1 - x).square().mean((1, 2, 3))
        cognition = weights.matching * matching + weights.contrastive * contrast + 100 * weights.pixel * mse
        if weights.inside == "local":
            cognition = cognition + 100 * weights.local * local
        scale = self.rates.at(rate, self.model.config.levels)
        numbers = {
            "bpp": bpp.mean().item(),
            "psnr": (-10 * mse.detach().log10()).mean().item(),
            "matching": matching.mean().item(),
            "contrast": contrast.mean().item(),
            "accuracy": accuracy,
            "local": local.mean().item(),
        }
        return self.balanced(bpp + scale * cognition, scale), numbers

    def _judged(self, x1: Tensor, x: Tensor) -> tuple[Tensor, Tensor, float]:
        """Matching (B,), contrastive loss (B,), and how often a query finds its key, over all judges."""
        matching, contrast = torch.zeros(len(x), device=x.device), torch.zeros(len(x), device=x.device)
        accuracies, share = [], sum(config.share for config, _ in self.judges)
        for (config, judge), queues in zip(self.judges, self.queues, strict=True):
            seen, original = self._maps(config, judge, x1, x)
            chosen = config.depths or range(len(seen))
            distance = feature_distance(
                [seen[i] for i in chosen], [original[i] for i in chosen], self.weights.normalise
            )
            matching = matching + config.share / share * distance
            if not self.weights.contrastive:
                continue
            for depth, queue in zip(self.weights.contrast_depths, queues, strict=True):
                with torch.no_grad():
                    key = judge.embed(original, depth)
                loss, accuracy = queue.contrast(judge.embed(seen, depth), key, self.weights.temperature)
                queue.push(key)
                contrast = contrast + config.share / share * loss
                accuracies.append(accuracy)
        return matching, contrast, sum(accuracies) / max(1, len(accuracies))

    def _maps(
        self, config: JudgeConfig, judge: Judge, x1: Tensor, x: Tensor
    ) -> tuple[list[Tensor], list[Tensor]]:
        if config.half and torch.rand(()).item() < config.half:
            x1, x = F.avg_pool2d(x1, 2), F.avg_pool2d(x, 2)
        with torch.autocast(x.device.type, torch.bfloat16):
            seen = judge.features(x1)
            with torch.no_grad():
                original = judge.features(x)
        return seen, original

    def measure(self, x: Tensor, rate: Tensor) -> dict[str, Tensor]:
        numbers = super().measure(x, rate)
        x1 = self.model.primary(x, rate)["x_hat"].clamp(0, 1)
        for config, judge in self.judges:
            distance = feature_distance(judge.features(x1), judge.features(x), self.weights.normalise)
            numbers[f"matching_{config.net}"] = distance
        return numbers


def local_mse(x1: Tensor, x: Tensor, target: str) -> Tensor:
    """What x1 (B, 3, H, W) has outside of 0 .. 1, squared and averaged: (B,).

    target "clipped": its distance to 0 or 1; "original": its distance to x, at the places where it is outside.
    """
    clipped = x1.clamp(0, 1)
    if target == "clipped":
        return (x1 - clipped).square().mean((1, 2, 3))
    return ((x1 - x) * (x1 != clipped)).square().mean((1, 2, 3))


def feature_distance(seen: list[Tensor], original: list[Tensor], normalise: str = "map") -> Tensor:
    """Squared distance of feature maps relative to the original's variance, summed over depths: (B,).

    The variance is about each channel's mean: what all pictures share tells a machine nothing. normalise: "map":
    one variance for a map; "channel": one per channel (with a floor of a tenth of their mean); "position": the
    features of each place are first scaled to unit length, so that faint structure counts as much as strong, as in
    "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric", Zhang et al., CVPR 2018.
    """
    total = torch.zeros(len(seen[0]), device=seen[0].device)
    for a, b in zip(seen, original, strict=True):
        a, b = a.float(), b.float()
        if normalise == "position":
            floor = 1e-4 * b.square().sum(1).mean()
            a, b = (one / (one.square().sum(1, keepdim=True) + floor).sqrt() for one in (a, b))
        spread = (b - b.mean((0, 2, 3), keepdim=True)).square()
        variance = spread.mean((0, 2, 3), keepdim=True) if normalise == "channel" else spread.mean()
        if normalise == "channel":
            variance = variance + 0.1 * variance.mean()
        total = total + ((a - b).square() / variance.clamp(min=1e-6)).mean((1, 2, 3))
    return total
