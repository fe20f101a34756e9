"""Training of the built-in mini nets: nine tenths of the train split are learned, the last tenth is scored.

The val split is never looked at. ``_trainer.py`` makes a job of it and releases weights and a model card.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from icm_bench.errors import UserError
from icm_bench.registry import suggest
from icm_bench.tasks import _train_sets as data
from icm_bench.tasks._mini_models import build
from icm_bench.tasks._mini_nets import NAMES, MiniNet, make, normalise, read_weights
from icm_bench.training.loop import Recipe

TASKS = {"classification": "imagenet", "detection": "coco", "segmentation": "cityscapes"}


@dataclass(frozen=True)
class Config:
    """One training, as the TOML file gives it.

    init: a net of the same family whose backbone is the start (its weights file in the output folder), or "";
    bf16: half precision outside the loss; the last four: see ``_train_sets.Augmentation``.
    """

    net: str
    steps: int
    batch: int
    lr: float
    init: str = ""
    seed: int = 1
    bf16: bool = True
    window: int = 128
    brightness: float = 25.0
    contrast: float = 0.25
    noise: float = 0.0

    def __post_init__(self) -> None:
        nets = [name for names in NAMES.values() for name in names]
        for key, known in (("net", nets), ("init", ["", *nets])):
            if getattr(self, key) not in known:
                raise ValueError(f"{key}: unknown net {getattr(self, key)!r}{suggest(getattr(self, key), nets)}")

    @property
    def kind(self) -> str:
        return next(kind for kind, names in NAMES.items() if self.net in names)


class MiniRecipe(Recipe):
    """One mini net on the train split of its task."""

    def __init__(self, config: Config, found: data.TrainSet, device: str = "cpu") -> None:
        self.config, self.data, self.device = config, found, device
        self.learned, self.held_out = found.split()
        self.augmentation = data.Augmentation(config.window, config.brightness, config.contrast, config.noise)
        torch.manual_seed(config.seed)
        self.model = build(config.net, len(found.labels))
        self.model.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def start_from(self, weights: Path) -> None:
        """Take over the stages of another net's backbone. Raises UserError for a file that does not fit."""
        state, _ = read_weights(weights, self.config.init)
        own = self.model.state_dict()
        taken = {}
        for key, value in state.items():
            name = next((name for name in own if name == key or name.endswith(f".{key}")), None)
            if name and own[name].shape == value.shape:
                taken[name] = value
            elif key.partition(".")[0] not in ("s32", "head"):  # segmenters have no s32
                raise UserError(f"{weights}: its backbone is not that of {self.config.net} ({key} differs)")
        self.model.load_state_dict(taken, strict=False)

    def trainable(self) -> list[dict[str, Any]]:
        return [{"params": list(self.model.parameters())}]

    def batch(self, step: int) -> tuple[Tensor, list[Any]]:
        """uint8-ranged float pictures (N, 3, window, window) and their truths."""
        indices = data.stream(self.learned, self.config.seed, step * self.config.batch)
        rng = np.random.default_rng([self.config.seed, 7, step])
        pairs = []
        for index, _ in zip(indices, range(self.config.batch), strict=False):
            pairs.append(self.augmentation(rng, self.data.pictures[index], self.data.truths[index]))
        pictures = torch.from_numpy(np.stack([picture for picture, _ in pairs])).permute(0, 3, 1, 2)
        return pictures, [truth for _, truth in pairs]

    def loss(self, batch: tuple[Tensor, list[Any]]) -> tuple[Tensor, dict[str, float]]:
        pictures, truths = batch[0].to(self.device), batch[1]
        with torch.autocast(torch.device(self.device).type, torch.bfloat16, enabled=self.config.bf16):
            if self.config.kind == "detection":
                parts = self.model(list(pictures), self._targets(truths))
                return sum(parts.values()), {key: value.item() for key, value in parts.items()}  # type: ignore[return-value]
            logits = self.model(normalise(pictures)).float()
        target = torch.from_numpy(np.array(truths, np.int64)).to(self.device)
        smoothing = 0.05 if self.config.kind == "classification" else 0.0
        return functional.cross_entropy(logits, target, ignore_index=data.VOID, label_smoothing=smoothing), {}

    def _targets(self, truths: list[Any]) -> list[dict[str, Tensor]]:
        first = make(self.config.net).first_label
        return [
            {
                "boxes": torch.from_numpy(np.ascontiguousarray(boxes)).to(self.device),
                "labels": torch.from_numpy(labels + first).to(self.device),
            }
            for boxes, labels in truths
        ]

    def evaluate(self) -> dict[str, float]:
        """top-1, box AP or mIoU, in percent, of the held-out tenth."""
        net = make(self.config.net)
        net.use(self.model, self.data.labels, self.device)
        outputs = net.predict([self.data.pictures[index] for index in self.held_out])
        return held_out_score(net, self.data, self.held_out, outputs)


def held_out_score(net: MiniNet, found: data.TrainSet, indices: list[int], outputs: list[Any]) -> dict[str, float]:
    """The score of a net's outputs for these pictures of the train split, in percent."""
    truths = [found.truths[index] for index in indices]
    if net.kind == "classification":
        hits = [output[0] == found.labels[truth] for output, truth in zip(outputs, truths, strict=True)]
        return {"top1": 100 * float(np.mean(hits))}
    if net.kind == "segmentation":
        return {"mIoU": _mean_iou(found.labels, truths, outputs)}
    from icm_bench.tasks._cocoeval import box_metrics

    truth = {str(index): found.annotations[index] for index in indices}
    rows = {str(index): _rows(output) for index, output in zip(indices, outputs, strict=True)}
    metrics = box_metrics(truth, rows, found.labels)
    return {key: metrics[key] for key in ("AP", "AP50") if key in metrics}


def _rows(output: dict[str, Any]) -> list[list[float]]:
    """[x, y, width, height, score, category] for each box."""
    x1, y1, x2, y2 = output["boxes"].T
    columns = [x1, y1, x2 - x1, y2 - y1, output["scores"], output["labels"]]
    rows: list[list[float]] = np.stack(columns, 1).tolist()
    return rows


def _mean_iou(labels: list[int], truths: list[Any], outputs: list[Any]) -> float:
    """Mean over the labels that occur, from one confusion matrix without void."""
    n = len(labels)
    place = np.full(256, 0)
    place[labels] = np.arange(n)
    confusion = np.zeros((n, n))
    for truth, output in zip(truths, outputs, strict=True):
        seen = truth != data.VOID
        pairs = truth[seen].astype(np.int64) * n + place[output[seen]]
        confusion += np.bincount(pairs, minlength=n * n).reshape(n, n)
    hit, occurs = np.diag(confusion), confusion.sum(1) > 0
    union = confusion.sum(0) + confusion.sum(1) - hit
    return 100 * float((hit[occurs] / union[occurs]).mean())
