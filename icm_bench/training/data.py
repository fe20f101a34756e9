"""Training pictures: folders of photographs and the mini world's train splits, split into train and held-out.

Every tenth picture (in the order of their names) is held out for evaluation. Val splits are never touched.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from icm_bench.errors import UserError
from icm_bench.images import read_picture

PICTURE_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp"}
HELD_OUT_EVERY = 10
#: Decoded pictures kept in memory, for each list of them.
KEEP_BYTES = 2 * 2**30


class Pictures(Sequence[np.ndarray]):
    """Pictures as uint8 (H, W, 3), decoded when asked for and kept while they fit into ``keep_bytes``.

    max_side: larger ones are shrunk to it.
    """

    def __init__(self, paths: Sequence[Path], max_side: int | None = None, keep_bytes: int = KEEP_BYTES) -> None:
        self.paths, self.max_side = list(paths), max_side
        self.kept: dict[int, np.ndarray] = {}
        self.left = keep_bytes

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: Any) -> Any:
        if index in self.kept:
            return self.kept[index]
        picture = _shrunk(read_picture(self.paths[index]), self.max_side)
        if picture.nbytes <= self.left:
            self.left -= picture.nbytes
            self.kept[index] = picture
        return picture


class PicturePool:
    """Pictures of one source, split into ``train`` and ``held_out``; see ``Pictures``.

    Raises UserError for an empty folder.
    """

    def __init__(self, paths: Sequence[Path], max_side: int = 640) -> None:
        if not paths:
            raise UserError("no training pictures were found")
        self.paths = list(paths)
        self.train = Pictures([p for i, p in enumerate(self.paths) if i % HELD_OUT_EVERY], max_side)
        self.held_out = Pictures(self.paths[::HELD_OUT_EVERY], max_side)

    @property
    def fingerprint(self) -> str:
        """Short digest over names and sizes of the files."""
        parts = (f"{path.name}:{path.stat().st_size}" for path in self.paths)
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def folder_pictures(folder: Path | str) -> list[Path]:
    """All pictures below a folder, sorted by path. Raises UserError when it is not there or holds none."""
    folder = Path(folder).expanduser()
    found = sorted(p for p in folder.rglob("*") if p.suffix.lower() in PICTURE_SUFFIXES)
    if not found:
        raise UserError(f"{folder}: no pictures here to train on (jpg, png, webp or bmp expected)")
    return found


def mini_pictures() -> list[Path]:
    """The train splits of the three mini sets (made when they are not there yet)."""
    from icm_bench.mini import ensure

    roots = {name: ensure(name, "train") for name in ("imagenet", "coco", "cityscapes")}
    return [
        *sorted((roots["imagenet"] / "train").rglob("*.png")),
        *sorted((roots["coco"] / "train2017").glob("*.png")),
        *sorted((roots["cityscapes"] / "leftImg8bit" / "train").rglob("*.png")),
    ]


def random_crop(picture: np.ndarray, side: int, rng: np.random.Generator) -> np.ndarray:
    """A square crop of side pixels, uint8 (side, side, 3): flipped half the time, shrunk half the time.

    A picture that is too small is continued by mirroring.
    """
    limit = min(picture.shape[:2])
    size = side if rng.random() < 0.5 else int(rng.integers(side, max(side, min(limit, 2 * side)) + 1))
    if limit < size:
        missing = [max(0, size - n) for n in picture.shape[:2]]
        picture = np.pad(picture, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="symmetric")
    top = int(rng.integers(0, picture.shape[0] - size + 1))
    left = int(rng.integers(0, picture.shape[1] - size + 1))
    crop = picture[top : top + size, left : left + size]
    if size != side:
        crop = np.asarray(Image.fromarray(crop).resize((side, side), Image.Resampling.BILINEAR))
    return crop[:, ::-1] if rng.random() < 0.5 else crop


def resized_crop(picture: np.ndarray, side: int, rng: np.random.Generator, smallest: float = 0.4) -> np.ndarray:
    """A square crop of ``smallest`` to all of the shorter side, resized to (side, side, 3), flipped half the time."""
    size = max(1, int(min(picture.shape[:2]) * rng.uniform(smallest, 1)))
    top, left = (int(rng.integers(0, n - size + 1)) for n in picture.shape[:2])
    crop = Image.fromarray(picture[top : top + size, left : left + size])
    resized = np.asarray(crop.resize((side, side), Image.Resampling.BILINEAR))
    return resized[:, ::-1] if rng.random() < 0.5 else resized


class CropSampler:
    """Batches of crops, uint8 (B, side, side, 3), from weighted pools; the same step always gives the same batch."""

    def __init__(self, pools: dict[str, tuple[PicturePool, float]], batch: int, side: int, seed: int) -> None:
        self.pools = [pool for pool, _ in pools.values()]
        weights = np.array([weight for _, weight in pools.values()], dtype=np.float64)
        self.weights = weights / weights.sum()
        self.batch, self.side, self.seed = batch, side, seed
        self.fingerprints = {name: pool.fingerprint for name, (pool, _) in pools.items()}

    def __call__(self, step: int) -> np.ndarray:
        rng = np.random.default_rng((self.seed, step))
        crops = []
        for choice in rng.choice(len(self.pools), self.batch, p=self.weights):
            train = self.pools[choice].train
            crops.append(random_crop(train[int(rng.integers(len(train)))], self.side, rng))
        return np.stack(crops)

    def held_out(self, count: int, side: int) -> np.ndarray:
        """Centre crops of held-out pictures, the same number from each pool, uint8 (n, side, side, 3)."""
        crops = []
        for pool in self.pools:
            step = max(1, len(pool.held_out) // count)
            for index in range(0, len(pool.held_out), step)[:count]:
                picture = pool.held_out[index]
                missing = [max(0, side - n) for n in picture.shape[:2]]
                padded = np.pad(picture, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="symmetric")
                top, left = ((n - side) // 2 for n in padded.shape[:2])
                crops.append(padded[top : top + side, left : left + side])
        return np.stack(crops)


def _shrunk(picture: np.ndarray, max_side: int | None) -> np.ndarray:
    scale = 1.0 if max_side is None else max_side / max(picture.shape[:2])
    if scale >= 1:
        return picture
    size = (max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale)))
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS))
