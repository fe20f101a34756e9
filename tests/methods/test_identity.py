"""The lossless pass-through."""

import io

import numpy as np
import pytest
from PIL import Image

from icm_bench import registry
from icm_bench.bitstream import Bitstream
from icm_bench.errors import BitstreamError
from icm_bench.method import Method
from icm_bench.testing import MethodTests, textured_picture


@pytest.fixture(scope="module")
def method() -> Method:
    return registry.method("identity")


class TestIdentity(MethodTests):
    pass


def test_bits_are_those_of_a_png_file(method: Method) -> None:
    picture = textured_picture(40, 31)
    with Image.open(io.BytesIO(method.encode(picture, 0).layer("main"))) as opened:
        assert opened.format == "PNG"
        assert np.array_equal(np.asarray(opened), picture)


@pytest.mark.parametrize(("size", "mode"), [((30, 40), "RGB"), ((4000, 4000), "RGB"), ((40, 30), "L")])
def test_png_of_another_size_or_kind_is_refused(method: Method, size: tuple[int, int], mode: str) -> None:
    out = io.BytesIO()
    Image.new(mode, size).save(out, format="PNG")
    stream = Bitstream.of(method, (30, 40), 0, {"main": out.getvalue()})
    with pytest.raises(BitstreamError, match="declares 40x30 RGB"):
        list(method.decode(stream, [None]))


def test_other_picture_formats_are_refused(method: Method) -> None:
    out = io.BytesIO()
    Image.new("RGB", (8, 8)).save(out, format="BMP")
    with pytest.raises(BitstreamError):
        list(method.decode(Bitstream.of(method, (8, 8), 0, {"main": out.getvalue()}), [None]))
