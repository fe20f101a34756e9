"""VVC by external programs. The default one is real here; VVenC's own and VTM are tested where they are installed."""

import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from icm_bench import metrics, registry
from icm_bench.bitstream import Bitstream
from icm_bench.errors import BitstreamError, CodecError, UserError
from icm_bench.method import Method
from icm_bench.methods import _colour, _intra, _process, vvc
from icm_bench.testing import MethodTests, textured_picture


@pytest.fixture(scope="module")
def method() -> Method:
    return registry.method('vvc(preset="faster")')


class TestVvc(MethodTests):
    n_mutants = 60


def _psnr(method: Method, picture: np.ndarray, qp: int) -> float:
    decoded = next(method.decode(Bitstream.from_bytes(method.encode(picture, qp).to_bytes()), [None]))
    assert decoded.shape == picture.shape
    return metrics.psnr(metrics.squared_error(picture, decoded), picture.size) or 99.0


def _program(folder: Path, name: str, body: str) -> str:
    """A program of a few lines of Python, in a folder whose name needs care."""
    path = folder / "with space 'n ü" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!{sys.executable}\nimport os, sys, time\n{body}\n")
    path.chmod(0o755)
    return str(path)


def test_planes_reach_the_decoder_unscaled(method: Method) -> None:
    """No hidden range conversion: at QP 0 every plane comes back within the coding error, extremes included."""
    picture = textured_picture(64, 64).copy()
    picture[:16], picture[16:32] = 0, 255
    programs = method._programs  # type: ignore[attr-defined]
    planes = _colour.to_planes(picture)
    stream = programs.encode(_colour.to_bytes(planes), (64, 64), 0)
    back = _colour.from_bytes(programs.decode(stream, (64, 64)), (64, 64))
    for sent, received in zip(planes, back, strict=True):
        difference = received.astype(int) - sent
        assert np.abs(difference).max() <= 6
        assert abs(difference.mean()) < 0.2
    assert _psnr(method, picture, 0) > (_colour.ceiling(picture) or 0) - 2


@pytest.mark.parametrize("size", [(1, 2000), (2000, 1), (2, 2), (15, 16)])
def test_odd_and_tiny_sizes(method: Method, size: tuple[int, int]) -> None:
    picture = textured_picture(*size)
    assert _psnr(method, picture, 22) > min(30, (_colour.ceiling(picture) or 99) - 4)


@pytest.mark.parametrize(("size", "scale", "coded"), [((129, 65), 75, (98, 50)), ((480, 322), 50, (240, 162))])
def test_scales_follow_the_common_test_conditions(
    size: tuple[int, int], scale: int, coded: tuple[int, int]
) -> None:
    assert _intra.padded_size(size, scale, 16) == coded


def test_smaller_scales_cost_less_and_decode_without_being_told() -> None:
    picture = textured_picture(130, 97)
    plain = registry.method('vvc(preset="faster")')
    sizes = []
    for scale in _intra.SCALES:
        stream = registry.method(f'vvc(preset="faster", scale={scale})').encode(picture, 32)
        sizes.append(len(stream.to_bytes()))
        decoded = next(plain.decode(stream, [None]))
        assert decoded.shape == picture.shape
        assert metrics.squared_error(picture, decoded) < metrics.squared_error(picture, 255 - picture)
    assert sizes == sorted(set(sizes), reverse=True)


@pytest.mark.parametrize("size", [(1, 1), (1, 2000), (3, 5), (17, 33), (40, 16), (255, 256)])
def test_every_scale_is_known_from_the_coded_size(size: tuple[int, int]) -> None:
    areas: dict[int, int] = {}
    for scale in _intra.SCALES:
        used = _intra.effective_scale(size, scale, 16)
        height, width = _intra.padded_size(size, used, 16)
        assert _intra.padded_size(size, scale, 16) == (height, width)
        assert areas.setdefault(height * width, used) == used
        assert min(height, width) >= 16 and height % 2 == width % 2 == 0


def test_bytes_do_not_depend_on_threads(method: Method, tmp_path: Path) -> None:
    picture = textured_picture(200, 264)
    programs = method._programs  # type: ignore[attr-defined]
    planes = _colour.to_bytes(_colour.to_planes(picture))
    target = tmp_path / "stream.266"
    command = programs.encode_command("pipe:0", str(target), (264, 200), 37)
    at = command.index("-threads") + 1
    for threads in ("1", "2", "4"):
        _process.run([*command[:at], threads, *command[at + 1 :]], _process.Limits(300), data=planes)
        assert target.read_bytes() == method.encode(picture, 37).layer("main")
        target.unlink()


def test_the_stream_holds_nal_units_and_no_messages(method: Method) -> None:
    """libvvenc prints warnings; a stream that holds them too would be charged for them."""
    payload = method.encode(textured_picture(64, 64), 47).layer("main")
    start, *units = payload.split(b"\0\0\1")
    assert start == b"\0"
    assert [unit[1] >> 3 for unit in units][:2] == [15, 16], "parameter sets first: SPS, PPS"
    assert b"ALF" not in payload and b"arning" not in payload
    assert len(payload) < 300


def test_provenance_names_program_version_and_command(method: Method) -> None:
    said = method.provenance()
    assert said["program"] == "ffmpeg with libvvenc"
    assert said["version"].startswith("libvvenc 1.")
    assert "-qp QP -qpa 0 -preset faster" in said["encoder_command"]
    assert "-f vvc -i STREAM" in said["decoder_command"]


@pytest.mark.parametrize(
    "spec", ['vvc(preset="fastest")', "vvc(scale=60)", 'vvc(program="x265")', "vvc(timeout_s=0)", "vvc(qp=3)"]
)
def test_wrong_parameters_are_named(spec: str) -> None:
    with pytest.raises(UserError, match=r"fastest|60|x265|timeout_s|'qp'"):
        registry.method(spec)


def test_vtm_takes_no_preset() -> None:
    with pytest.raises(UserError, match="no presets"):
        registry.method('vvc(program="vtm", preset="fast")')


@pytest.mark.parametrize("qp", [-1, 64, 22.5])
def test_qp_off_the_axis_is_refused(method: Method, qp: float) -> None:
    with pytest.raises(UserError, match="qp"):
        method.encode(textured_picture(16, 16), qp)


@pytest.mark.parametrize("program", vvc.PROGRAMS)
def test_a_missing_program_comes_with_the_fix(program: str) -> None:
    method = registry.method(f'vvc(program="{program}", encoder="/nowhere/enc", decoder="/nowhere/dec")')
    with pytest.raises(UserError, match=r"'/nowhere/enc'.*(install|build)"):
        method.setup()


def test_an_ffmpeg_without_vvc_comes_with_the_fix(tmp_path: Path) -> None:
    other = _program(tmp_path, "ffmpeg", "print('Codec is not recognized by FFmpeg.')")
    with pytest.raises(UserError, match="has no libvvenc encoder; install"):
        registry.method(f"vvc(encoder={other!r})").setup()


def test_a_crashing_encoder_is_a_codec_error(tmp_path: Path) -> None:
    broken = _program(tmp_path, "ffmpeg", "print('out of luck', file=sys.stderr)\nos.abort()")
    with pytest.raises(CodecError, match=r"SIGABRT: .*out of luck\n(.|\n)*-qp 22(.|\n)*out of luck"):
        registry.method(f"vvc(encoder={broken!r})").encode(textured_picture(16, 16), 22)


def test_a_hanging_program_is_stopped(tmp_path: Path, method: Method) -> None:
    slow = _program(tmp_path, "ffmpeg", "print('thinking', file=sys.stderr, flush=True)\ntime.sleep(600)")
    hanging = registry.method(f"vvc(encoder={slow!r}, timeout_s=2)")
    with pytest.raises(CodecError, match=r"not done after 2 s(.|\n)*thinking"):
        hanging.encode(textured_picture(16, 16), 22)
    with pytest.raises(CodecError, match="not done after 2 s"):
        next(hanging.decode(method.encode(textured_picture(16, 16), 22), [None]))


def test_an_encoder_that_writes_nothing_is_a_codec_error(tmp_path: Path) -> None:
    silent = _program(tmp_path, "ffmpeg", "print('all is well')")
    with pytest.raises(CodecError, match="wrote no stream"):
        registry.method(f"vvc(encoder={silent!r})").encode(textured_picture(16, 16), 22)


def test_a_failing_decoder_is_both_kinds_of_error(tmp_path: Path, method: Method) -> None:
    """Nobody can tell whether the bytes or the program are at fault; the message shows the command."""
    stream = method.encode(textured_picture(16, 16), 40)
    broken = registry.method(f"vvc(decoder={_program(tmp_path, 'ffmpeg', 'sys.exit(3)')!r})")
    for kind in (CodecError, BitstreamError):
        with pytest.raises(kind, match="status 3"):
            next(broken.decode(stream, [None]))


def test_a_stream_of_a_larger_picture_is_refused(method: Method) -> None:
    payload = method.encode(textured_picture(600, 800), 47).layer("main")
    for size in ((600, 798), (30, 40), (602, 800)):
        with pytest.raises(BitstreamError):
            next(method.decode(Bitstream.of(method, size, 47, {"main": payload}), [None]))


def test_programs_with_files_run_in_a_private_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """vvencapp and VTM are called with files: names with blanks and quotes work, and nothing stays behind."""
    copy = (
        "a = sys.argv\nsource, target = (a[a.index(flag) + 1] for flag in FLAGS)\n"
        "open(target, 'wb').write(open(source, 'rb').read())"
    )
    encoder = _program(tmp_path, "enc", copy.replace("FLAGS", "('--input', '--output')"))
    decoder = _program(tmp_path, "dec", copy.replace("FLAGS", "('--bitstream', '--output')"))
    temporary = tmp_path / "tmp 'x"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    method = registry.method(f'vvc(program="vvenc", encoder={encoder!r}, decoder={decoder!r})')
    picture = textured_picture(31, 18)
    assert _psnr(method, picture, 22) == pytest.approx(_colour.ceiling(picture), abs=0.5)
    assert list(temporary.iterdir()) == []


_VVENC = shutil.which("vvencapp"), shutil.which("vvdecapp")
_VTM = tuple(os.environ.get(f"ICM_BENCH_VTM_{part}") for part in ("ENCODER", "DECODER", "CFG"))


@pytest.mark.skipif(not all(_VVENC), reason="vvencapp and vvdecapp are not on PATH")
def test_vvenc_applications_and_ffmpeg_read_each_other(method: Method) -> None:
    own = registry.method('vvc(program="vvenc", preset="faster")')
    own.setup()
    assert own.provenance()["version"].startswith("vvencapp 1.")
    _read_each_other(own, method)


@pytest.mark.skipif(not all(_VTM), reason="ICM_BENCH_VTM_ENCODER, _DECODER and _CFG are not set")
def test_vtm_and_ffmpeg_read_each_other(method: Method) -> None:
    own = registry.method('vvc(program="vtm", encoder={!r}, decoder={!r}, cfg={!r})'.format(*_VTM))
    own.setup()
    assert own.provenance()["version"].startswith("VTM ")
    _read_each_other(own, method)


def _read_each_other(one: Method, other: Method) -> None:
    picture = textured_picture(97, 130)
    for writer in (one, other):
        stream = writer.encode(picture, 32)
        assert np.array_equal(next(one.decode(stream, [None])), next(other.decode(stream, [None])))
