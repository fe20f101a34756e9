"""The views of the profile "transtic": pictures resized before they are coded, as one family of papers does it.

Chen et al., "TransTIC: Transferring Transformer-based Image Compression from Human Perception to Machine Perception",
ICCV 2023, and its repository: ImageNet pictures are resized to a shorter side of 256 and cropped to 256x256; COCO
pictures become the detector's own input (shorter side 800, longer at most 1333, Pillow's bilinear filter, 8 bits),
padded with zeros to multiples of 256. Rates of that family are means over pictures of bits per pixel of this input.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from icm_bench.task import View

if TYPE_CHECKING:
    import numpy as np

    from icm_bench.task import Image

PROFILE = "transtic"
CROP = 256
SHORTER, LONGER, MULTIPLE = 800, 1333, 256


def square(picture: Image) -> View:
    """Shorter side to 256, then the 256x256 in the middle; as torchvision resizes and crops."""
    import numpy as np
    from PIL import Image as Pillow
    from torchvision.transforms import functional

    image: Any = functional.resize(Pillow.fromarray(picture), [CROP])
    coded = np.asarray(functional.center_crop(image, [CROP, CROP]))
    return View(coded, (CROP, CROP), (picture.shape[0], picture.shape[1]))


def detector_input(picture: Image) -> View:
    """Shorter side to 800, longer at most 1333; zeros on the right and below up to multiples of 256."""
    import numpy as np
    from PIL import Image as Pillow

    height, width = detector_size(picture.shape[0], picture.shape[1])
    resized = np.asarray(Pillow.fromarray(picture).resize((width, height), Pillow.Resampling.BILINEAR))
    coded = np.pad(resized, ((0, -height % MULTIPLE), (0, -width % MULTIPLE), (0, 0)))
    return View(coded, (height, width), (picture.shape[0], picture.shape[1]))


def detector_size(height: int, width: int) -> tuple[int, int]:
    """(height, width) of the detector's input, rounded as detectron2 rounds it."""
    scale = SHORTER / min(height, width)
    sides: tuple[float, float] = (SHORTER, scale * width) if height < width else (scale * height, SHORTER)
    if max(sides) > LONGER:
        again = LONGER / max(sides)
        sides = (sides[0] * again, sides[1] * again)
    return int(sides[0] + 0.5), int(sides[1] + 0.5)


def boxes_restored(output: Any, view: View) -> dict[str, Any]:
    """A detector's output in pixels of the original picture; masks by the nearest pixel."""
    import numpy as np

    across = np.array([view.original[1] / view.size[1], view.original[0] / view.size[0]] * 2)
    restored = dict(output) | {"boxes": np.asarray(output["boxes"], np.float64).reshape(-1, 4) * across}
    if "masks" in output:
        restored["masks"] = [_nearest(mask, view.original) for mask in output["masks"]]
    return restored


def _nearest(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    import numpy as np

    rows, columns = (
        np.minimum((np.arange(new) + 0.5) * old / new, old - 1).astype(int)
        for new, old in zip(size, mask.shape, strict=True)
    )
    return mask[rows][:, columns]
