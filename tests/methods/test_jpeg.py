"""JPEG by Pillow."""

import os
from pathlib import Path

import numpy as np
import pytest
from pillow_tests import PillowTests

from icm_bench import metrics, registry
from icm_bench.errors import UserError
from icm_bench.images import read_picture
from icm_bench.method import Method
from icm_bench.testing import MAX_HEADER_BYTES, textured_picture

REALDATA = os.environ.get("ICM_BENCH_REALDATA")


@pytest.fixture(scope="module")
def method() -> Method:
    return registry.method("jpeg")


class TestJpeg(PillowTests):
    off_axis = (0, 101, 50.5)
    longest = 65535


@pytest.mark.parametrize("spec", ['jpeg(subsampling="4:1:0")', "jpeg(optimize=2)", "jpeg(quality=3)"])
def test_wrong_parameters_are_named(spec: str) -> None:
    with pytest.raises(UserError, match=r"4:1:0|optimize 2|'quality'"):
        registry.method(spec)


def test_optimised_tables_cost_fewer_bits_for_the_same_picture(method: Method) -> None:
    picture, better = textured_picture(128, 128), registry.method("jpeg(optimize=True)")
    plain, optimised = method.encode(picture, 40), better.encode(picture, 40)
    assert len(optimised.to_bytes()) < len(plain.to_bytes())
    assert np.array_equal(next(better.decode(optimised, [None])), next(method.decode(plain, [None])))


@pytest.mark.parametrize("quality", [90, 94, 100])
def test_noise_without_subsampling_fits_the_encoder(quality: int) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (400, 400, 3), dtype=np.uint8)
    method = registry.method('jpeg(optimize=True, subsampling="4:4:4")')
    assert next(method.decode(method.encode(noise, quality), [None])).shape == noise.shape


@pytest.mark.skipif(not REALDATA, reason="ICM_BENCH_REALDATA is not set: the Kodak pictures are needed")
@pytest.mark.parametrize(
    ("quality", "bpp", "psnr"),
    [(10, 0.334, 26.69), (30, 0.665, 30.58), (50, 0.907, 32.29), (75, 1.364, 34.68), (95, 3.375, 40.84)],
)
def test_kodak_figures(method: Method, quality: int, bpp: float, psnr: float) -> None:
    """The figures are of the JPEG files alone: the payload must land on them, the container adds its few bytes."""
    paths = sorted(Path(str(REALDATA), "kodak").glob("*.png"))
    payload = charged = pixels = 0
    values = []
    for path in paths:
        picture = read_picture(path)
        stream = method.encode(picture, quality)
        values.append(metrics.psnr(metrics.squared_error(picture, next(method.decode(stream, [None]))), picture.size))
        payload += len(stream.layer("main"))
        charged += len(stream.to_bytes())
        pixels += picture.shape[0] * picture.shape[1]
    assert len(paths) == 12
    assert metrics.bpp(payload, pixels) == pytest.approx(bpp, abs=0.0011)
    assert metrics.mean(values) == pytest.approx(psnr, abs=0.011)
    assert 0 < charged - payload <= MAX_HEADER_BYTES * len(paths)
