"""Large latents in tiles, so that a network's working space does not grow with the picture.

Each tile is computed with a border of its neighbours, wide enough that what lies inside of it does not change.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

#: Latents that are computed in one go, 2^20 pixels, and the longest side of a tile of larger ones.
WHOLE, SIDE = 64 * 64, 64
#: Latents around a tile: an output pixel of the transforms sees at most 62 pixels, of the integer networks 8 latents.
BORDER = 4
INTEGER_BORDER = 8


@dataclass(frozen=True)
class Span:
    """Latents along one axis: first, last are the tile's own; low, high with its border. Ends are exclusive."""

    first: int
    last: int
    low: int
    high: int

    def outer(self, scale: int = 1, divide: int = 1) -> slice:
        """The tile with its border, in units of which there are scale / divide for each latent."""
        return slice(self.low * scale // divide, -(-self.high * scale // divide))

    def own(self, scale: int = 1) -> slice:
        """The tile itself."""
        return slice(self.first * scale, self.last * scale)

    def inside(self, scale: int = 1) -> slice:
        """The tile itself, counted from the beginning of its border."""
        return slice((self.first - self.low) * scale, (self.last - self.low) * scale)


def tiles(size: tuple[int, int], border: int) -> Iterator[tuple[Span, Span]]:
    """Spans of rows and columns that cover (height, width) latents; one tile where they are few enough.

    Tiles and borders that are no clipped ones begin at multiples of 4, where a hyper-latent begins.
    """
    if size[0] * size[1] <= WHOLE:
        yield Span(0, size[0], 0, size[0]), Span(0, size[1], 0, size[1])
        return
    for rows in _spans(size[0], border):
        for columns in _spans(size[1], border):
            yield rows, columns


def _spans(length: int, border: int) -> Iterator[Span]:
    n = -(-length // SIDE)
    step = -(-length // n // 4) * 4
    for first in range(0, length, step):
        last = min(length, first + step)
        yield Span(first, last, max(0, first - border), min(length, last + border))
