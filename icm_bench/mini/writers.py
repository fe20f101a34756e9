"""Scenes to files in the public layouts of ImageNet, COCO and Cityscapes, and the files' fingerprint."""

import hashlib
import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from icm_bench.mini.noise import Mask
from icm_bench.mini.scenes import scene
from icm_bench.mini.shapes import OBJECTS

Progress = Callable[[int, int], None]

SIZES = {("imagenet", "val"): 200, ("imagenet", "train"): 2400, ("coco", "val"): 100, ("coco", "train"): 1200,
         ("cityscapes", "val"): 60, ("cityscapes", "train"): 500}
CLASS_INDICES = (17, 23, 104, 151, 287, 404, 555, 610, 733, 921)  # of the 1000 of ImageNet
CATEGORY_IDS = (1, 2, 5, 13, 18, 27, 44, 62, 73, 90)  # of the 90 of COCO
# Cityscapes label id to train id; all others are void, 255
TRAIN_IDS = {7: 0, 8: 1, 11: 2, 12: 3, 13: 4, 17: 5, 19: 6, 20: 7, 21: 8, 22: 9, 23: 10, 24: 11, 25: 12,
             26: 13, 27: 14, 28: 15, 31: 16, 32: 17, 33: 18}


def write(dataset: str, split: str, root: Path, progress: Progress | None = None) -> list[Path]:
    """Write a split under `root` and return its files and folders, relative to `root`, ready to be moved.

    `progress(done, total)` is called after each picture.
    """
    return {"imagenet": _imagenet, "coco": _coco, "cityscapes": _cityscapes}[dataset](split, root, progress)


def folders(dataset: str, split: str) -> list[Path]:
    """The files and folders, relative to the root, which belong to one split."""
    if dataset == "coco":
        return [Path(f"{split}2017"), Path(f"annotations/instances_{split}2017.json")]
    if dataset == "cityscapes":
        return [Path("leftImg8bit") / split, Path("gtFine") / split]
    return [Path(split), Path("imagenet_class_index.json")]


def digest(dataset: str, split: str, root: Path) -> str:
    """SHA-256 over names, pixels and labels of a split on disk, however the PNG is packed. Raises OSError."""
    total = hashlib.sha256()
    for part in folders(dataset, split):
        files = sorted((root / part).rglob("*.*")) if (root / part).is_dir() else [root / part]
        for path in files:
            total.update(path.relative_to(root).as_posix().encode())
            if path.suffix == ".json":
                content = json.dumps(json.loads(path.read_text("utf-8")), sort_keys=True).encode()
            else:
                with Image.open(path) as picture:
                    content = f"{picture.mode} {picture.size}".encode() + picture.tobytes()
            total.update(hashlib.sha256(content).digest())
    return total.hexdigest()


def _imagenet(split: str, root: Path, progress: Progress | None) -> list[Path]:
    ids = [f"m{index:08d}" for index in CLASS_INDICES]
    for folder in ids:
        (root / split / folder).mkdir(parents=True)
    total = SIZES["imagenet", split]
    for index in range(total):
        item = scene("imagenet", split, index)
        folder = ids[item.objects[0].kind]
        _png(item.pixels, root / split / folder / f"{folder}_{index:05d}.png")
        if progress:
            progress(index + 1, total)
    classes = zip(CLASS_INDICES, OBJECTS, strict=True)
    names = {str(index): [f"m{index:08d}", kind.name] for index, kind in classes}
    _json(names, root / "imagenet_class_index.json")
    return folders("imagenet", split)


def _coco(split: str, root: Path, progress: Progress | None) -> list[Path]:
    (root / f"{split}2017").mkdir()
    (root / "annotations").mkdir()
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    total = SIZES["coco", split]
    for index in range(total):
        item = scene("coco", split, index)
        image_id = 1000 + 7 * index
        height, width = item.label.shape
        name = f"{image_id:012d}.png"
        images.append({"id": image_id, "file_name": name, "height": height, "width": width, "license": 1})
        for truth in item.objects:
            annotation = _annotation(truth.mask, truth.crowd)
            annotation |= {"id": 5001 + 3 * len(annotations), "image_id": image_id}
            annotations.append(annotation | {"category_id": CATEGORY_IDS[truth.kind]})
        _png(item.pixels, root / f"{split}2017" / name)
        if progress:
            progress(index + 1, total)
    categories = [{"id": number, "name": kind.name, "supercategory": kind.outline.__name__}
                  for number, kind in zip(CATEGORY_IDS, OBJECTS, strict=True)]
    info = {"description": "icm-bench mini set, synthetic", "version": "1", "year": 2017}
    licenses = [{"id": 1, "name": "synthetic", "url": ""}]
    _json({"info": info, "licenses": licenses, "images": images, "annotations": annotations,
           "categories": categories}, root / "annotations" / f"instances_{split}2017.json")
    return folders("coco", split)


def _cityscapes(split: str, root: Path, progress: Progress | None) -> list[Path]:
    pictures, labels = (root / kind / split / "mini" for kind in ("leftImg8bit", "gtFine"))
    pictures.mkdir(parents=True)
    labels.mkdir(parents=True)
    table = np.full(256, 255, np.uint8)
    table[list(TRAIN_IDS)] = list(TRAIN_IDS.values())
    total = SIZES["cityscapes", split]
    for index in range(total):
        item = scene("cityscapes", split, index)
        stem = f"mini_{index:06d}_000019"
        _png(item.pixels, pictures / f"{stem}_leftImg8bit.png")
        _png(item.label, labels / f"{stem}_gtFine_labelIds.png")
        _png(table[item.label], labels / f"{stem}_gtFine_labelTrainIds.png")
        if progress:
            progress(index + 1, total)
    return folders("cityscapes", split)


def _annotation(mask: Mask, crowd: bool) -> dict[str, Any]:
    """COCO's bbox, area, segmentation and iscrowd of a visible part (h, w)."""
    rows, columns = np.flatnonzero(mask.any(1)).tolist(), np.flatnonzero(mask.any(0)).tolist()
    box = [columns[0], rows[0], columns[-1] - columns[0] + 1, rows[-1] - rows[0] + 1]
    segmentation = run_lengths(mask) if crowd else outlines(mask)
    area = int(np.count_nonzero(mask))
    return {"bbox": box, "area": area, "segmentation": segmentation, "iscrowd": int(crowd)}


def run_lengths(mask: Mask) -> dict[str, list[int]]:
    """COCO's uncompressed run lengths: column by column, the first run counts zeros."""
    flat = np.concatenate([[False], mask.T.ravel(), [not mask[-1, -1]]])
    ends = np.flatnonzero(flat[1:] != flat[:-1])
    return {"counts": np.diff(ends, prepend=0).tolist(), "size": list(mask.shape)}


def outlines(mask: Mask) -> list[list[int]]:
    """The outlines of a mask (h, w) along pixel edges as COCO polygons [x0, y0, x1, ...].

    COCO's polygons know no holes: a mask with a hole is cut into two at a column through the hole.
    """
    found = []
    step = _edges(mask)
    while step:
        loop = [next(iter(step))]
        while len(loop) == 1 or loop[-1] != loop[0]:
            ends = step[loop[-1]]
            point = ends.pop(_right_turn(loop, ends) if len(ends) > 1 else 0)
            if not ends:
                del step[loop[-1]]
            loop.append(point)
        if sum(a[0] * b[1] - b[0] * a[1] for a, b in pairwise(loop)) < 0:  # anticlockwise: a hole
            columns = [x for x, _ in loop]
            left = np.arange(mask.shape[1]) < (min(columns) + max(columns) + 1) // 2
            return outlines(mask & left) + outlines(mask & ~left)
        corners = [b for a, b, c in zip([loop[-2], *loop], loop[:-1], loop[1:], strict=False)
                   if (b[0] - a[0]) * (c[1] - b[1]) != (b[1] - a[1]) * (c[0] - b[0])]
        found.append([value for corner in corners for value in corner])
    return found


def _edges(mask: Mask) -> dict[tuple[int, int], list[tuple[int, int]]]:
    """The pixel edges around a mask (h, w), clockwise: from each corner (x, y) the corners that follow."""
    solid = np.pad(mask, 1)
    step: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for side, (sx, sy), (ex, ey) in ((solid[:-2, 1:-1], (0, 0), (1, 0)), (solid[1:-1, 2:], (1, 0), (1, 1)),
                                     (solid[2:, 1:-1], (1, 1), (0, 1)), (solid[1:-1, :-2], (0, 1), (0, 0))):
        for y, x in np.argwhere(mask & ~side).tolist():
            step.setdefault((x + sx, y + sy), []).append((x + ex, y + ey))
    return step


def _right_turn(loop: list[tuple[int, int]], ends: list[tuple[int, int]]) -> int:
    """Where two pixels touch at a corner, stay on the same pixel: turn clockwise."""
    if len(loop) < 2:
        return 0
    (ax, ay), (bx, by) = loop[-2:]
    return 0 if (bx - ax) * (ends[0][1] - by) - (by - ay) * (ends[0][0] - bx) > 0 else 1


def _png(pixels: NDArray[np.uint8], path: Path) -> None:
    Image.fromarray(pixels).save(path, compress_level=4)


def _json(content: object, path: Path) -> None:
    path.write_text(json.dumps(content), encoding="utf-8")
