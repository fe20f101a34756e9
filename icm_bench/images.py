"""Reading pictures of any kind into uint8 sRGB, and writing PNG."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from icm_bench.errors import PictureError

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image as PilImage
    from PIL.ImageFile import ImageFile


def read_picture(path: Path | str) -> np.ndarray:
    """Read a picture as uint8 (H, W, 3) sRGB; of an animation or a multi-page file the first frame.

    EXIF rotation is applied; greyscale, palette and CMYK are converted; 16-bit grey and 16-bit PNG are scaled
    to 8 bits with rounding; transparency is laid on white. Colour profiles are not applied. Raises
    PictureError naming the file when it cannot be read in full.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as opened:
            wide = _wide_png(opened, path)
            opened.load()
            return _to_rgb(ImageOps.exif_transpose(opened if wide is None else wide))
    except FileNotFoundError as error:
        raise PictureError(f"{path}: there is no such file") from error
    except Exception as error:  # on damaged files Pillow raises almost every kind there is
        reason = " ".join(str(error).split()) or type(error).__name__
        raise PictureError(f"{path}: cannot be read as a picture ({reason})") from error


def write_png(path: Path | str, picture: np.ndarray) -> None:
    """Write uint8 (H, W, 3) as PNG."""
    Path(path).write_bytes(to_png(picture))


def to_png(picture: np.ndarray) -> bytes:
    """The PNG file of a uint8 (H, W, 3) picture: zlib level 6, the same bytes each time."""
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(picture).save(out, format="PNG", optimize=False, compress_level=6)
    return out.getvalue()


@contextmanager
def pixels_allowed(n_pixels: int) -> Iterator[None]:
    """Let Pillow open pictures of up to so many pixels, which the caller has bounded; its own bound is lower."""
    from PIL import Image

    before = Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = None if before is None else max(before, n_pixels)
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = before


def _to_rgb(picture: PilImage.Image) -> np.ndarray:
    import numpy as np
    from PIL import Image

    if picture.mode == "F":
        raise ValueError("a floating-point picture, whose range is not defined")
    if picture.mode.startswith("I"):
        grey = _to_8_bits(np.asarray(picture))
        return np.repeat(grey[:, :, None], 3, axis=2)
    if picture.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in picture.info:
        rgba = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
    return np.asarray(picture.convert("RGB")).copy()


def _to_8_bits(wide: np.ndarray) -> np.ndarray:
    """0 .. 65535 to 0 .. 255, rounded to the nearest."""
    import numpy as np

    if wide.min() < 0 or wide.max() > 65535:
        raise ValueError("a 32-bit integer picture with values outside 0 .. 65535")
    return ((wide.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)


def _wide_png(opened: ImageFile, path: Path | str) -> PilImage.Image | None:
    """A 16-bit RGB or RGBA PNG in 8 bits, rounded; None for every other picture.

    Pillow keeps only the high byte of such samples. Its little-endian unpacker takes the second byte of each
    pair, which in a PNG is the low one, so that a second reading gives the rest.
    """
    import numpy as np
    from PIL import Image

    if opened.format != "PNG" or not opened.tile or opened.tile[0][3] not in ("RGB;16B", "RGBA;16B"):
        return None
    with Image.open(path) as again:
        again.tile = [_with_low_bytes(tile) for tile in again.tile]
        again.load()
        low = np.asarray(again).astype(np.uint16)
    opened.load()
    made = Image.fromarray(_to_8_bits(np.asarray(opened).astype(np.uint16) << 8 | low))
    made.info = {"exif": opened.info["exif"]} if "exif" in opened.info else {}
    return made


def _with_low_bytes(tile: Any) -> Any:
    codec, box, offset, mode = tile
    parts = (codec, box, offset, mode.replace("16B", "16L"))
    return type(tile)(*parts) if hasattr(tile, "_fields") else parts
