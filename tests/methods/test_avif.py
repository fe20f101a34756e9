"""AVIF by Pillow."""

import pytest
from pillow_tests import PillowTests

from icm_bench import metrics, registry
from icm_bench.errors import UserError
from icm_bench.method import Method
from icm_bench.testing import textured_picture


@pytest.fixture(scope="module")
def method() -> Method:
    return registry.method("avif")


class TestAvif(PillowTests):
    longest = 65535


@pytest.mark.parametrize("spec", ['avif(subsampling="4:0:0")', "avif(speed=11)", "avif(speed=True)", "avif(qp=3)"])
def test_wrong_parameters_are_named(spec: str) -> None:
    with pytest.raises(UserError, match=r"4:0:0|speed (11|True)|'qp'"):
        registry.method(spec)


def test_speed_and_subsampling_reach_the_encoder(method: Method) -> None:
    picture = textured_picture(128, 128)
    whole, slow = registry.method('avif(subsampling="4:4:4")'), registry.method("avif(speed=3)")
    streams = [one.encode(picture, 90) for one in (method, whole, slow)]
    assert len({one.to_bytes() for one in streams}) == 3
    errors = [metrics.squared_error(picture, next(method.decode(one, [None]))) for one in streams]
    assert errors[1] < errors[0]


def test_the_row_names_the_encoder(method: Method) -> None:
    said = method.provenance()
    assert said["program"] == "Pillow AVIF"
    assert "libavif 1." in said["version"] and "aom [enc]" in said["version"]


def test_a_pillow_without_avif_comes_with_the_fix(method: Method, monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import Image

    Image.init()
    monkeypatch.delitem(Image.SAVE, "AVIF")
    with pytest.raises(UserError, match="no AVIF: pip install"):
        method.setup()
