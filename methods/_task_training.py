"""Task-specific coding: the codec learns through one frozen network of one task.

    loss = bits per pixel + scale(level) * (task loss + 100 pixel MSE)

"Image Coding for Machines: an End-to-End Learned Approach", Le et al., ICASSP 2021; "End-to-End Optimized Image
Compression for Machines, a Study", Chamain et al., DCC 2021.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from icm_bench.methods._codec_training import MseRecipe, RateRange, draw_levels, to_tensor
from icm_bench.methods._trainable import CodecNet
from icm_bench.task import Teacher
from icm_bench.training.data import CropSampler


@dataclass(frozen=True)
class TaskLoss:
    """task, net: the frozen network and the task whose labels it is trained for; photos: the share of steps that
    show unlabelled pictures, where only bits and pixels count; weight, pixel: of the task's loss and of plain MSE;
    low, high: the weight of it all against bits per pixel at the lowest and the highest gain level.
    """

    task: str = ""
    net: str = ""
    photos: float = 0.25
    weight: float = 1.0
    pixel: float = 0.2
    low: float = 0.3
    high: float = 6.0


class TaskRecipe(MseRecipe):
    """One gain level a batch: a detection loss is one number for a batch, not one per picture."""

    def __init__(
        self, net: CodecNet, crops: CropSampler, teacher: Teacher, weights: TaskLoss, device: str = "cpu"
    ) -> None:
        super().__init__(net, crops, RateRange(weights.low, weights.high), device)
        self.teacher, self.weights = teacher, weights

    def batch(self, step: int) -> tuple[np.ndarray, Any]:
        """Crops without truths (None), or the teacher's pictures with theirs."""
        if np.random.default_rng((self.crops.seed, 11, step)).random() < self.weights.photos:
            return self.crops(step), None
        return self.teacher.batch(step, self.crops.batch)

    def loss(self, batch: tuple[np.ndarray, Any]) -> tuple[Tensor, dict[str, float]]:  # type: ignore[override]
        pictures, truths = batch
        x = to_tensor(pictures, self.device)
        rate = draw_levels(1, self.model.config.levels, self.device).repeat(len(x))
        x_hat, bpp = self.coded(x, rate)
        mse = (x_hat - x).square().mean((1, 2, 3))
        scale = self.rates.at(rate, self.model.config.levels)
        loss = bpp + scale * 100 * self.weights.pixel * mse
        numbers = {"bpp": bpp.mean().item(), "psnr": (-10 * mse.detach().log10()).mean().item()}
        if truths is not None:
            task_loss = self.teacher.loss(x_hat, truths)
            loss = loss + scale * self.weights.weight * task_loss
            numbers["task_loss"] = task_loss.item()
        return self.balanced(loss, scale), numbers
