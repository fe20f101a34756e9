"""AV1 still pictures by ffmpeg with libaom."""

import pytest

from icm_bench import metrics, registry
from icm_bench.errors import UserError
from icm_bench.method import Method
from icm_bench.methods import _colour
from icm_bench.testing import MethodTests, textured_picture


@pytest.fixture(scope="module")
def method() -> Method:
    return registry.method("av1")


class TestAv1(MethodTests):
    n_mutants = 60


def test_planes_reach_the_decoder_unscaled(method: Method) -> None:
    picture = textured_picture(64, 64).copy()
    picture[:16], picture[16:32] = 0, 255
    (decoded,) = method.decode(method.encode(picture, 2), [None])
    reached = metrics.psnr(metrics.squared_error(picture, decoded), picture.size) or 99
    assert reached > (_colour.ceiling(picture) or 0) - 2


def test_the_stream_is_one_still_picture_with_a_reduced_header(method: Method) -> None:
    payload = method.encode(textured_picture(64, 64), 58).layer("main")
    assert payload[:3] == bytes([2 << 3 | 2, 0, 1 << 3 | 2]), "temporal delimiter, sequence header"
    assert payload[4] >> 3 & 3 == 3, "a still picture, and said in the short way"
    assert payload[4 + payload[3]] == 6 << 3 | 2, "one frame"
    assert len(payload) < 200


def test_speed_and_scale_reach_the_encoder_and_the_row(method: Method) -> None:
    picture = textured_picture(128, 160)
    for other in ("av1(speed=8)", "av1(scale=50)"):
        stream = registry.method(other).encode(picture, 40)
        assert stream.to_bytes() != method.encode(picture, 40).to_bytes()
        assert next(method.decode(stream, [None])).shape == picture.shape
    said = registry.method("av1(speed=8)").provenance()
    assert said["program"] == "ffmpeg with libaom-av1" and said["version"].startswith("libaom-av1 3.")
    assert "-crf CRF" in said["encoder_command"] and "-cpu-used 8" in said["encoder_command"]
    assert "libdav1d" in said["decoder_command"]


@pytest.mark.parametrize("spec", ["av1(speed=9)", "av1(speed=True)", "av1(scale=60)", "av1(qp=3)"])
def test_wrong_parameters_are_named(spec: str) -> None:
    with pytest.raises(UserError, match=r"(9|True|60) is not one of|'qp'"):
        registry.method(spec)


@pytest.mark.parametrize("crf", [-1, 64, 22.5])
def test_crf_off_the_axis_is_refused(method: Method, crf: float) -> None:
    with pytest.raises(UserError, match="crf"):
        method.encode(textured_picture(16, 16), crf)
