"""YOLOX around the network: letterbox before it, grids and non-maximum suppression after it.

Ge et al., "YOLOX: Exceeding YOLO Series in 2021", arXiv 2107.08430; steps and thresholds of its repository.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from icm_bench.errors import UserError

if TYPE_CHECKING:
    import numpy as np

    from icm_bench.task import Image

STRIDES = (8, 16, 32)
SCORE_ABOVE = 0.001
NMS_IOU = 0.65
MAX_BOXES = 100
_GREY = 114
_MAX_LOG_SIZE = 20.0  # keeps a wild output finite; real sizes stay under 10
_NO_SUCH_ID = (12, 26, 29, 30, 45, 66, 68, 69, 71, 83)
#: COCO's category id of each of the 80 contiguous classes: 1 .. 90 with ten gaps.
CATEGORY_IDS = tuple(number for number in range(1, 91) if number not in _NO_SUCH_ID)


def letterbox(picture: Image, height: int, width: int) -> tuple[np.ndarray, float]:
    """The input float32 (1, 3, height, width), BGR 0 .. 255, picture top-left on grey; and the scale used."""
    import numpy as np

    scale = min(height / picture.shape[0], width / picture.shape[1])
    size = (max(1, int(picture.shape[0] * scale)), max(1, int(picture.shape[1] * scale)))
    inputs = np.full((1, 3, height, width), _GREY, np.float32)
    inputs[0, :, : size[0], : size[1]] = resize_linear(picture, size)[:, :, ::-1].transpose(2, 0, 1)
    return inputs, scale


def resize_linear(picture: Image, size: tuple[int, int]) -> Image:
    """Bilinear without antialiasing, half-pixel centres, as cv2.INTER_LINEAR (to at most one grey level).

    size: (height, width). Gives uint8, because the detector's own pipeline rounds here.
    """
    import torch

    if size == picture.shape[:2]:
        return picture
    planes = torch.from_numpy(picture).permute(2, 0, 1)[None].float()
    resized = torch.nn.functional.interpolate(planes, size, mode="bilinear", align_corners=False, antialias=False)
    return resized[0].permute(1, 2, 0).round().clamp(0, 255).to(torch.uint8).numpy()


def decode(raw: np.ndarray, height: int, width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Boxes (n, 4) x1 y1 x2 y2 in input pixels, scores (n,), class numbers (n,); the best 100, best first.

    raw: (N, 5 + classes) centre offsets and log sizes in strides, objectness and class scores after the
    sigmoid. An anchor may stand for several classes, each with its own score (keeping only its best class
    costs about half a point of AP). Raises UserError when N does not fit strides 8, 16 and 32.
    """
    import numpy as np
    import torch
    from torchvision.ops import batched_nms

    corners, strides = _grids(height, width)
    if len(raw) != len(corners):
        raise UserError(f"{len(raw)} anchors do not fit a {width}x{height} input with strides 8, 16, 32")
    every = raw[:, 4:5] * raw[:, 5:]
    anchors, labels = np.nonzero(every > SCORE_ABOVE)
    scores = every[anchors, labels]
    centre = (raw[:, :2] + corners) * strides
    half = np.exp(np.minimum(raw[:, 2:4], _MAX_LOG_SIZE)) * strides / 2
    boxes = np.concatenate([centre - half, centre + half], 1).astype(np.float32)[anchors]
    chosen = batched_nms(torch.from_numpy(boxes), torch.from_numpy(scores), torch.from_numpy(labels), NMS_IOU)
    best = chosen[:MAX_BOXES].numpy()
    return boxes[best], scores[best], labels[best]


def _grids(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Grid corner (N, 2) and stride (N, 1) of each anchor, stride by stride, row by row."""
    import numpy as np

    corners, strides = [], []
    for stride in STRIDES:
        y, x = np.mgrid[: height // stride, : width // stride]
        corners.append(np.stack([x, y], 2).reshape(-1, 2))
        strides.append(np.full((corners[-1].shape[0], 1), stride))
    return np.concatenate(corners).astype(np.float32), np.concatenate(strides).astype(np.float32)
