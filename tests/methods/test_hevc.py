"""HEVC by ffmpeg with libx265."""

import pytest

from icm_bench import metrics, registry
from icm_bench.errors import BitstreamError, UserError
from icm_bench.method import Method
from icm_bench.methods import _colour
from icm_bench.testing import MethodTests, textured_picture


@pytest.fixture(scope="module")
def method() -> Method:
    return registry.method("hevc")


class TestHevc(MethodTests):
    n_mutants = 60


def test_planes_reach_the_decoder_unscaled(method: Method) -> None:
    """No hidden range conversion and no lowered QP: at QP 0 the conversion of colours is nearly all that is lost."""
    picture = textured_picture(64, 64).copy()
    picture[:16], picture[16:32] = 0, 255
    (decoded,) = method.decode(method.encode(picture, 0), [None])
    reached = metrics.psnr(metrics.squared_error(picture, decoded), picture.size) or 99
    assert reached > (_colour.ceiling(picture) or 0) - 2


@pytest.mark.parametrize("size", [(1, 500), (2, 2), (63, 65)])
def test_odd_and_tiny_sizes(method: Method, size: tuple[int, int]) -> None:
    picture = textured_picture(*size)
    (decoded,) = method.decode(method.encode(picture, 12), [None])
    reached = metrics.psnr(metrics.squared_error(picture, decoded), picture.size) or 99
    assert decoded.shape == picture.shape and reached > min(30, (_colour.ceiling(picture) or 99) - 4)


def test_the_stream_is_parameter_sets_and_one_slice(method: Method) -> None:
    """x265 would write a message of 2,000 bytes about itself into each stream."""
    payload = method.encode(textured_picture(64, 64), 47).layer("main")
    start, *units = payload.split(b"\0\0\1")
    assert start == b"\0"
    assert [unit[0] >> 1 & 63 for unit in units] == [32, 33, 34, 20], "VPS, SPS, PPS, IDR"
    assert len(payload) < 200


def test_scaled_pictures_decode_without_being_told(method: Method) -> None:
    picture = textured_picture(300, 200)
    sizes = []
    for scale in (100, 75, 50):
        stream = registry.method(f"hevc(scale={scale})").encode(picture, 32)
        sizes.append(len(stream.to_bytes()))
        assert next(method.decode(stream, [None])).shape == picture.shape
    assert sizes == sorted(sizes, reverse=True)


def test_presets_reach_the_encoder_and_the_row(method: Method) -> None:
    picture = textured_picture(128, 128)
    fast = registry.method('hevc(preset="ultrafast")')
    assert fast.encode(picture, 32).to_bytes() != method.encode(picture, 32).to_bytes()
    said = fast.provenance()
    assert said["program"] == "ffmpeg with libx265" and said["version"].startswith("libx265 ")
    assert "-preset ultrafast" in said["encoder_command"] and "qp=QP:" in said["encoder_command"]
    assert "-c:v hevc" in said["decoder_command"]


@pytest.mark.parametrize("spec", ['hevc(preset="fastest")', "hevc(scale=60)", "hevc(timeout_s=0)", "hevc(crf=3)"])
def test_wrong_parameters_are_named(spec: str) -> None:
    with pytest.raises(UserError, match=r"fastest|60|timeout_s|'crf'"):
        registry.method(spec)


@pytest.mark.parametrize("qp", [-1, 52, 22.5])
def test_qp_off_the_axis_is_refused(method: Method, qp: float) -> None:
    with pytest.raises(UserError, match="qp"):
        method.encode(textured_picture(16, 16), qp)


@pytest.mark.parametrize("name", ["hevc", "av1", "jpegxl"])
def test_a_missing_ffmpeg_comes_with_the_fix(name: str) -> None:
    with pytest.raises(UserError, match=f"{name}: there is no program '/nowhere/ffmpeg'.*pip install"):
        registry.method(f'{name}(encoder="/nowhere/ffmpeg")').setup()


def test_a_stream_of_a_larger_picture_is_refused(method: Method) -> None:
    stream = method.encode(textured_picture(600, 800), 47)
    other = type(stream).of(method, (300, 400), 47, {"main": stream.layer("main")})
    with pytest.raises(BitstreamError):
        next(method.decode(other, [None]))
