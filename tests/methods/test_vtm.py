"""VTM as a method of its own, with two programs that speak its command line and code by ffmpeg's libvvenc."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from icm_bench import cli, registry
from icm_bench.errors import UserError
from icm_bench.images import write_png
from icm_bench.method import Method
from icm_bench.methods._external import ffmpeg_paths
from icm_bench.testing import MethodTests, textured_picture

_BODY = """
import argparse, subprocess, sys
if "--help" in sys.argv:
    print("VVCSoftware: VTM KIND Version 23.4 [Linux][GCC 12.2.0][64 bit]")
    sys.exit(0)
parser = argparse.ArgumentParser(allow_abbrev=False)
for name in OPTIONS:
    parser.add_argument(name, required=True)
given = vars(parser.parse_args())
raw = ["-f", "rawvideo", "-pix_fmt", "yuv420p10le"]
quiet = ["FFMPEG", "-nostdin", "-loglevel", "error", "-threads", "1"]
"""
_ENCODER = """
assert given["InputBitDepth"] == given["InternalBitDepth"] == "10" and given["InputChromaFormat"] == "420"
assert open(given["c"]).read().startswith("IntraPeriod")
size = given["SourceWidth"] + "x" + given["SourceHeight"]
coding = ["-c:v", "libvvenc", "-threads", "1", "-qp", given["q"], "-qpa", "0", "-preset", "faster", "-g", "1"]
intra = ["-vvenc-params", "gopsize=1:intraqpoffset=0:accessunitdelimiter=0", "-f", "vvc", given["b"]]
command = [*quiet, *raw, "-s", size, "-i", given["i"], "-frames:v", given["f"], *coding, *intra]
sys.exit(subprocess.run(command, stdout=subprocess.DEVNULL).returncode)
"""
_DECODER = """
assert given["d"] == "10"
command = [*quiet, "-xerror", "-err_detect", "explode", "-f", "vvc", "-i", given["b"], "-frames:v", "1"]
sys.exit(subprocess.run([*command, *raw, given["o"]]).returncode)
"""
_OPTIONS = {
    "Encoder": [
        *("-c", "-i", "-b", "-q", "-f", "-fr", "--SourceWidth", "--SourceHeight", "--InputChromaFormat"),
        *("--InputBitDepth", "--InternalBitDepth", "--OutputBitDepth", "--ConformanceWindowMode"),
        *("--PerceptQPA", "--SEIDecodedPictureHash", "--Level"),
    ],
    "Decoder": ["-b", "-o", "-d"],
}


@pytest.fixture(scope="module")
def parameters(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The parameters that name the programs and the configuration."""
    folder = tmp_path_factory.mktemp("vtm")
    ffmpeg, _ = ffmpeg_paths("vtm", None, None)
    made = {}
    for kind, body in (("Encoder", _ENCODER), ("Decoder", _DECODER)):
        path = folder / f"{kind}App"
        head = _BODY.replace("KIND", kind).replace("OPTIONS", repr(_OPTIONS[kind])).replace("FFMPEG", ffmpeg)
        path.write_text(f"#!{sys.executable} -SE\n{head}{body}")
        path.chmod(0o755)
        made[kind.lower()] = str(path)
    (folder / "intra.cfg").write_text("IntraPeriod : 1\n")
    return ", ".join(f"{name}={value!r}" for name, value in {**made, "cfg": str(folder / "intra.cfg")}.items())


@pytest.fixture(scope="module")
def method(parameters: str) -> Method:
    return registry.method(f"vtm({parameters})")


class TestVtm(MethodTests):
    n_mutants = 20


def test_streams_are_those_of_vvc_with_that_program(method: Method, parameters: str) -> None:
    other = registry.method(f"vvc(program='vtm', {parameters})")
    picture = textured_picture(70, 50)
    stream = method.encode(picture, 37)
    assert stream.layer("main") == other.encode(picture, 37).layer("main")
    assert np.array_equal(next(method.decode(stream, [None])), next(other.decode(stream, [None])))


def test_rows_say_version_and_command_without_folders(method: Method) -> None:
    said = method.provenance()
    assert said["program"] == "VTM" and said["version"] == "VTM 23.4, decoder 23.4"
    assert "-q QP" in said["encoder_command"] and "--SourceWidth=WIDTH" in said["encoder_command"]
    assert said["encoder_command"].startswith("EncoderApp ")
    assert set(type(method).program_parameters) == set(method.params)


def test_the_scales_of_vcm_run_and_their_front_is_shown(
    parameters: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "pictures").mkdir()
    smooth = Image.fromarray(textured_picture(32, 40)).resize((160, 128), Image.Resampling.BICUBIC)
    write_png(tmp_path / "pictures" / "one.png", np.asarray(smooth))
    task, out = f"images(data={str(tmp_path / 'pictures')!r})", str(tmp_path / "out")
    grid = ["--coded-scale", "100,75,50,25", "--rates", "22,37,47", "--out", out]
    assert cli._status(["run", "--method", f"vtm({parameters})", "--task", task, *grid], False) == 0
    capsys.readouterr()
    assert cli._status(["table", "--pareto", "--format", "markdown", "--out", out, "--resamples", "0"], False) == 0
    told = re.search(r"Pareto fronts over rate and scale: (\d+) of (\d+) points", capsys.readouterr().out)
    assert told is not None and 3 <= int(told[1]) < int(told[2]) == 12


def test_without_vtm_the_fix_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, parameters: str) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match=r"vtm: there is no program 'EncoderAppStatic'.*build VTM"):
        registry.method("vtm").setup()
    with pytest.raises(UserError, match=r"vtm: there is no VTM configuration '/nowhere/intra.cfg'.*cfg='\.\.\.'"):
        registry.method(f"vtm({parameters.rpartition(', ')[0]}, cfg='/nowhere/intra.cfg')").setup()


def test_vtm_takes_no_preset() -> None:
    with pytest.raises(UserError, match="no parameter 'preset'"):
        registry.method('vtm(preset="fast")')
