"""WebP by Pillow."""

import numpy as np
import pytest
from pillow_tests import PillowTests

from icm_bench import metrics, registry
from icm_bench.errors import UserError
from icm_bench.method import Method
from icm_bench.testing import textured_picture


@pytest.fixture(scope="module")
def method() -> Method:
    return registry.method("webp")


class TestWebp(PillowTests):
    longest = 16383


@pytest.mark.parametrize("spec", ["webp(effort=7)", "webp(effort=2.5)", "webp(quality=3)"])
def test_wrong_parameters_are_named(spec: str) -> None:
    with pytest.raises(UserError, match=r"effort (7|2\.5)|'quality'"):
        registry.method(spec)


def test_effort_reaches_the_encoder_and_the_row(method: Method) -> None:
    picture = textured_picture(128, 128)
    fast = registry.method("webp(effort=0)")
    assert len(method.encode(picture, 50).to_bytes()) < len(fast.encode(picture, 50).to_bytes())
    assert fast.spec == "webp(effort=0)"
    said = method.provenance()
    assert said["program"] == "Pillow WEBP" and "libwebp 1." in said["version"]


def test_high_quality_is_near_the_picture(method: Method) -> None:
    grey = np.repeat(textured_picture(64, 64).mean(axis=2, keepdims=True).astype(np.uint8), 3, axis=2)
    (decoded,) = method.decode(method.encode(grey, 100), [None])
    assert (metrics.psnr(metrics.squared_error(grey, decoded), grey.size) or 99) > 38
