"""JPEG XL by ffmpeg with libjxl."""

import sys
from pathlib import Path

import pytest

from icm_bench import metrics, registry
from icm_bench.errors import BitstreamError, UserError
from icm_bench.method import Method
from icm_bench.testing import MethodTests, textured_picture


@pytest.fixture(scope="module")
def method() -> Method:
    return registry.method("jpegxl")


class TestJpegXl(MethodTests):
    n_mutants = 60


def test_colours_come_back(method: Method) -> None:
    picture = textured_picture(64, 64)
    (decoded,) = method.decode(method.encode(picture, 0.1), [None])
    assert (metrics.psnr(metrics.squared_error(picture, decoded), picture.size) or 99) > 35
    assert abs((decoded.astype(int) - picture).mean(axis=(0, 1))).max() < 0.5


def test_the_layer_is_a_bare_codestream(method: Method) -> None:
    assert method.encode(textured_picture(64, 64), 3).layer("main").startswith(b"\xff\x0a")


def test_distances_between_whole_numbers_are_coded(method: Method) -> None:
    picture = textured_picture(64, 64)
    sizes = [len(method.encode(picture, distance).to_bytes()) for distance in (1, 1.5, 2)]
    assert sizes == sorted(set(sizes), reverse=True)


def test_effort_reaches_the_encoder_and_the_row(method: Method) -> None:
    fast = registry.method("jpegxl(effort=3)")
    picture = textured_picture(128, 128)
    assert fast.encode(picture, 2).to_bytes() != method.encode(picture, 2).to_bytes()
    said = fast.provenance()
    assert said["program"] == "ffmpeg with libjxl" and said["version"].startswith("libjxl in ffmpeg ")
    assert "-effort 3 -distance DISTANCE" in said["encoder_command"]


@pytest.mark.parametrize("spec", ["jpegxl(effort=0)", "jpegxl(effort=True)", "jpegxl(scale=50)"])
def test_wrong_parameters_are_named(spec: str) -> None:
    with pytest.raises(UserError, match=r"(0|True) is not one of|'scale'"):
        registry.method(spec)


@pytest.mark.parametrize("distance", [0, 0.05, 15.5])
def test_distance_off_the_axis_is_refused(method: Method, distance: float) -> None:
    with pytest.raises(UserError, match="distance"):
        method.encode(textured_picture(16, 16), distance)


def test_a_decoder_that_never_ends_costs_the_stream_and_not_the_run(method: Method, tmp_path: Path) -> None:
    busy = tmp_path / "ffmpeg"
    busy.write_text(f"#!{sys.executable}\nwhile True: pass\n")
    busy.chmod(0o755)
    stream = method.encode(textured_picture(16, 16), 3)
    with pytest.raises(BitstreamError, match=r"ffmpeg was stopped, by its bound of 1 s of processor time"):
        next(registry.method(f"jpegxl(decoder={str(busy)!r})").decode(stream, [None]))
