"""Teachers for task-specific codecs: a net of a task, and crops of the task's train split with their truths."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from icm_bench.task import Net, Teacher
from icm_bench.tasks import _train_sets

SEED = 1


class TrainSplit(Teacher):
    """The train split of "imagenet", "coco" or "cityscapes" below a root; None takes the built-in mini set."""

    def __init__(self, task: str, data: str | None, net: Net, side: int) -> None:
        self.net = net
        root, self._fingerprint = _train_sets.root_of(task, None if data is None else Path(data))
        self.data = _train_sets.read_train(task, root)
        self.learned, _ = self.data.split()
        self.augmentation = _train_sets.Augmentation(side)

    @property
    def fingerprint(self) -> str:
        return self._fingerprint

    def batch(self, step: int, size: int) -> tuple[np.ndarray, list[Any]]:
        indices = _train_sets.stream(self.learned, SEED, step * size)
        rng = np.random.default_rng([SEED, 7, step])
        pictures, truths = [], []
        for index, _ in zip(indices, range(size), strict=False):
            picture, truth = self.augmentation(rng, self.data.pictures[index], self.data.truths[index])
            pictures.append(np.rint(picture).astype(np.uint8))
            truths.append(self._as_ids(truth))
        return np.stack(pictures), truths

    def _as_ids(self, truth: Any) -> Any:
        """Positions in the list of labels to the data set's ids."""
        labels = np.asarray(self.data.labels)
        if isinstance(truth, tuple):
            return truth[0], labels[truth[1]]
        if isinstance(truth, np.ndarray):
            table = np.full(256, _train_sets.VOID, np.uint8)
            table[: len(labels)] = labels
            return table[truth]
        return int(labels[truth])
