"""Labelled training pictures: a task's train split, its held-out tenth, light augmentation."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icm_bench.errors import UserError
from icm_bench.images import read_picture
from icm_bench.training.data import Pictures

Picture = NDArray[np.uint8]  # (H, W, 3) sRGB
VOID = 255
GREY = 118


@dataclass
class TrainSet:
    """Pictures with their truths; ``labels`` are the data set's ids, truths speak of positions in that list.

    A truth is a position (classification), a pair of boxes (n, 4) x1 y1 x2 y2 and positions (n,)
    (detection), or (H, W) uint8 positions with 255 for void (segmentation). ``annotations`` are COCO's, with
    crowds.
    """

    labels: list[int]
    pictures: Sequence[Picture]
    truths: list[Any]
    annotations: list[list[dict[str, Any]]]

    def split(self) -> tuple[list[int], list[int]]:
        """Indices to train on and the held-out tenth, the same for every net and seed."""
        order = np.random.default_rng(0).permutation(len(self.pictures)).tolist()
        tenth = len(order) // 10
        return sorted(order[tenth:]), sorted(order[:tenth])


def root_of(task: str, root: Path | None) -> tuple[Path, str]:
    """The folder of a task's train split, None taking the built-in mini set's, and its fingerprint."""
    if root is not None:
        return root, f"{root.name}, not the built-in mini set"
    from icm_bench.mini import ensure, fingerprint

    return ensure(task, "train"), fingerprint(task, "train")


def read_train(task: str, root: Path) -> TrainSet:
    """The train split of "imagenet", "coco" or "cityscapes" in its public layout.

    Raises UserError if it is not there.
    """
    readers = {"imagenet": _imagenet, "coco": _coco, "cityscapes": _cityscapes}
    if task not in readers:
        raise UserError(f"cannot train for task {task!r}: choose from {', '.join(readers)}")
    try:
        found = readers[task](root)
    except (OSError, KeyError, ValueError) as error:
        raise UserError(f"{root}: no {task} train split in its usual layout there ({error})") from error
    if len(found.pictures) < 10:
        raise UserError(f"{root}: {len(found.pictures)} {task} train pictures, at least 10 are needed")
    return found


def _imagenet(root: Path) -> TrainSet:
    index = json.loads((root / "imagenet_class_index.json").read_text("utf-8"))
    folders = {entry[0]: int(number) for number, entry in index.items()}
    paths = [path for path in sorted((root / "train").glob("*/*")) if path.parent.name in folders]
    labels = sorted({folders[path.parent.name] for path in paths})
    truths = [labels.index(folders[path.parent.name]) for path in paths]
    return TrainSet(labels, Pictures(paths), truths, [])


def _coco(root: Path) -> TrainSet:
    content = json.loads((root / "annotations" / "instances_train2017.json").read_text("utf-8"))
    labels = sorted(category["id"] for category in content["categories"])
    of_image: dict[int, list[dict[str, Any]]] = {image["id"]: [] for image in content["images"]}
    for annotation in content["annotations"]:
        of_image[annotation["image_id"]].append(annotation)
    pictures = Pictures([root / "train2017" / image["file_name"] for image in content["images"]])
    truths = []
    for listed in of_image.values():
        single = [a for a in listed if not a["iscrowd"] and min(a["bbox"][2:]) > 0]
        boxes = np.array([a["bbox"] for a in single], np.float32).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        truths.append((boxes, np.array([labels.index(a["category_id"]) for a in single], np.int64)))
    return TrainSet(labels, pictures, truths, list(of_image.values()))


def _cityscapes(root: Path) -> TrainSet:
    paths = sorted((root / "leftImg8bit" / "train").glob("*/*_leftImg8bit.png"))
    masks = []
    for path in paths:
        stem = path.name.removesuffix("_leftImg8bit.png")
        truth = root / "gtFine" / "train" / path.parent.name / f"{stem}_gtFine_labelTrainIds.png"
        masks.append(read_picture(truth)[..., 0])
    labels = sorted(set(np.concatenate([np.unique(mask) for mask in masks]).tolist()) - {VOID})
    table = np.full(256, VOID, np.uint8)
    table[labels] = np.arange(len(labels))
    return TrainSet(labels, Pictures(paths), [table[mask] for mask in masks], [])


def stream(indices: Sequence[int], seed: int, start: int) -> Iterator[int]:
    """The pictures from place ``start`` of an endless sequence of shuffled passes, the same in every call."""
    at = start
    while True:
        order = np.random.default_rng([seed, at // len(indices)]).permutation(len(indices))
        for place in order[at % len(indices) :]:
            yield indices[place]
            at += 1


@dataclass(frozen=True)
class Augmentation:
    """A random square window, flips, light and noise.

    window: side in pixels; brightness: largest shift in grey levels; contrast: largest relative change;
    noise: largest standard deviation in grey levels.
    """

    window: int
    brightness: float = 0.0
    contrast: float = 0.0
    noise: float = 0.0

    def __call__(self, rng: np.random.Generator, picture: Picture, truth: Any) -> tuple[NDArray[np.float32], Any]:
        """A float32 (window, window, 3) picture in 0 .. 255 and its truth."""
        spare = [side - self.window for side in picture.shape[:2]]
        top, left = (int(rng.integers(min(s, 0), max(s, 0) + 1)) for s in spare)
        cut = _cut(picture, (top, left), self.window, GREY)
        truth = self._cut_truth(truth, top, left)
        if rng.random() < 0.5:
            cut, truth = cut[:, ::-1], self._flip_truth(truth)
        out = cut.astype(np.float32)
        gain = 1 + self.contrast * rng.uniform(-1, 1)
        out = (out - GREY) * np.float32(gain) + np.float32(GREY + self.brightness * rng.uniform(-1, 1))
        if self.noise:
            out += np.float32(self.noise * rng.random()) * rng.standard_normal(out.shape, np.float32)
        return np.clip(out, 0, 255), truth

    def _cut_truth(self, truth: Any, top: int, left: int) -> Any:
        if isinstance(truth, np.ndarray):
            return _cut(truth, (top, left), self.window, VOID)
        if not isinstance(truth, tuple):
            return truth
        boxes, labels = truth
        moved = boxes - np.array([left, top, left, top], np.float32)
        inside = moved.clip(0, self.window)
        kept = _area(inside) >= 0.4 * _area(moved)
        kept &= (inside[:, 2:] - inside[:, :2]).min(1, initial=9e9) >= 4
        return inside[kept], labels[kept]

    def _flip_truth(self, truth: Any) -> Any:
        if isinstance(truth, np.ndarray):
            return truth[:, ::-1]
        if not isinstance(truth, tuple):
            return truth
        boxes, labels = truth
        x1, y1, x2, y2 = boxes.T
        return np.stack([self.window - x2, y1, self.window - x1, y2], 1), labels


def _area(boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    sides = boxes[:, 2:] - boxes[:, :2]
    area: NDArray[np.float32] = sides[:, 0] * sides[:, 1]
    return area


def _cut(array: NDArray[np.uint8], corner: tuple[int, int], side: int, fill: int) -> NDArray[np.uint8]:
    """The square window at ``corner`` (may be negative) with ``fill`` outside the array."""
    out = np.full((side, side, *array.shape[2:]), fill, np.uint8)
    top, left = corner
    part = array[max(top, 0) : max(top + side, 0), max(left, 0) : max(left + side, 0)]
    y, x = max(-top, 0), max(-left, 0)
    out[y : y + part.shape[0], x : x + part.shape[1]] = part
    return out
