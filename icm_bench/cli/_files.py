"""Files that commands read and write."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from icm_bench.errors import BitstreamError, PictureError, UserError
from icm_bench.temporary import part_of


def must_be_new(path: Path) -> None:
    """Raise UserError for a file that is there, where nothing is ever replaced."""
    if path.exists():
        raise UserError(f"{path}: is already there; remove it, or choose another name")


def write_once(path: Path, force: bool, write: Callable[[Path], object]) -> None:
    """Write a file as a whole or not at all; an existing one only with force. Raises UserError."""
    if path.exists() and not force:
        raise UserError(f"{path}: is already there; --force replaces it")
    try:
        with part_of(path) as part:
            write(part)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror or error})") from error


def read_stream(path: Path, magic: bytes) -> bytes:
    """The bytes of a stream file; a foreign one is refused by its first bytes. Raises UserError."""
    try:
        with path.open("rb") as file:
            start = file.read(len(magic))
            if start != magic:
                raise BitstreamError(f"{path}: is not an icm-bench stream (it begins with other bytes)")
            return start + file.read()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from error


def check_pixels(path: Path, max_pixels: int) -> None:
    """Refuse a file that is no picture, or too large, before its pixels are read. Raises PictureError."""
    from PIL import Image

    if not path.is_file():
        raise PictureError(f"{path}: there is no such file")
    try:
        with Image.open(path) as opened:
            width, height = opened.size
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise PictureError(f"{path}: cannot be read as a picture ({error})") from error
    if width * height > max_pixels:
        raise PictureError(f"{path}: {width}x{height} pixels are more than --max-pixels {max_pixels} allows")
