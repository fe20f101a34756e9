"""A few small pictures for nets: cut from real ones where they are, from noise and shapes where they are not."""

import os
from pathlib import Path

import numpy as np
from PIL import Image

from icm_bench.testing import textured_picture


def small_pictures(sizes=((90, 120), (90, 120), (120, 77))):
    """uint8 (H, W, 3) pictures of these sizes."""
    folder = os.environ.get("ICM_BENCH_REALDATA")
    if folder is None:
        return [textured_picture(height, width, seed=n) for n, (height, width) in enumerate(sizes)]
    paths = sorted((Path(folder) / "coco" / "val2017").glob("*.jpg"))[: len(sizes)]
    whole = [Image.open(path).convert("RGB") for path in paths]
    return [np.asarray(one.resize((w, h))) for one, (h, w) in zip(whole, sizes, strict=True)]
