"""The sum of a torchvision-style detector's losses, with its weights and norms frozen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


def detection_loss(module: nn.Module, x: Tensor, truths: Sequence[tuple[Any, Any]]) -> Tensor:
    """Summed losses for pictures (B, 3, H, W) as the detector takes them; truths: boxes (n, 4), labels (n,)."""
    targets = [
        {
            "boxes": torch.from_numpy(np.array(boxes, np.float32).reshape(-1, 4)).to(x.device),
            "labels": torch.as_tensor(np.array(labels, np.int64)).to(x.device),
        }
        for boxes, labels in truths
    ]
    # Detectors give losses in training mode only; what depends on the mode otherwise is set back.
    module.train()
    for part in module.modules():
        if isinstance(part, nn.modules.batchnorm._BatchNorm | nn.Dropout):
            part.eval()
    try:
        parts: dict[str, Tensor] = module(list(x), targets)
    finally:
        module.eval()
    return torch.stack(list(parts.values())).sum()
