"""Large pictures are decoded tile by tile: nothing that the coder needs changes, and pixels by a rounding at most."""

import numpy as np
import pytest
from tiny import tiny_checkpoint

from icm_bench.methods import _tiles
from icm_bench.methods._codec import Codec
from icm_bench.testing import textured_picture


@pytest.mark.parametrize("size", [(65, 64), (1, 4097), (130, 200), (64, 65)])
def test_tiles_cover_each_latent_once(size):
    seen = np.zeros(size, int)
    for rows, columns in _tiles.tiles(size, 8):
        seen[rows.own(), columns.own()] += 1
        for span in (rows, columns):
            assert span.low % 4 == 0 and span.last - span.first <= _tiles.SIDE
    assert (seen == 1).all()
    assert len(list(_tiles.tiles((64, 64), 8))) == 1


def test_tiles_give_the_same_symbols_and_picture(tmp_path, monkeypatch):
    codec = Codec(tiny_checkpoint(tmp_path))
    picture = textured_picture(300, 410)
    layers = codec.encode(picture, 3.0)
    whole = codec.decode(layers, (300, 410), 3.0)
    exact = codec._latents(layers, (300, 410), 3.0)
    monkeypatch.setattr(_tiles, "WHOLE", 16)
    monkeypatch.setattr(_tiles, "SIDE", 8)
    assert codec.encode(picture, 3.0) == layers
    tiled = codec._latents(layers, (300, 410), 3.0)
    for one, other in zip(exact[:2], tiled[:2], strict=True):
        assert np.array_equal(one.exact, other.exact)
    for one, other in zip(whole, codec.decode(layers, (300, 410), 3.0), strict=True):
        assert np.abs(one - other).max() < 0.01  # of 255
    (shown,) = codec.pictures(layers, (300, 410), 3.0, [1.0])
    assert np.abs(shown - (whole[0] + whole[1]).clip(0, 255)).max() < 0.51
