"""``icm-bench encode`` and ``icm-bench decode``: a picture to bytes and back, in processes of their own."""

import subprocess
import sys

import numpy as np
import pytest
from command import call
from PIL import Image

from icm_bench.bitstream import Bitstream
from icm_bench.images import read_picture


@pytest.fixture
def picture(tmp_path):
    rng = np.random.default_rng(2)
    smooth = np.cumsum(rng.normal(0, 4, (37, 53, 3)), axis=1) + 128
    path = tmp_path / "photo.png"
    Image.fromarray(np.clip(smooth, 0, 255).astype(np.uint8)).save(path)
    return path


@pytest.fixture
def stream(world, picture, tmp_path, capsys):
    path = tmp_path / "photo.icm"
    assert call(["encode", picture, "-o", path, "--method", "quant", "--rate", "4"], capsys)[0] == 0
    return path


def test_encode_prints_what_it_wrote(world, picture, tmp_path, capsys):
    path = tmp_path / "photo.icm"
    status, out, _ = call(["encode", picture, "-o", path, "--method", "jpeg", "--rate", "30"], capsys)
    n_bytes = path.stat().st_size
    assert status == 0
    assert out == f"{path}: {n_bytes} bytes, {8 * n_bytes / (37 * 53):.4f} bpp, 53x37, jpeg, quality 30\n"


def test_another_process_decodes_from_the_file_alone(stream, tmp_path):
    words = [sys.executable, "-c", "from icm_bench.cli import main; main()", "decode", stream.name]
    done = subprocess.run(
        [*words, "-o", "out.png", "--beta", "0.5"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "53x37 from" in done.stdout and "quant, bits 4, beta 0.5" in done.stdout
    from icm_bench import registry

    (expected,) = registry.method("quant").decode(Bitstream.from_bytes(stream.read_bytes()), [0.5])
    assert (read_picture(tmp_path / "out.png") == expected).all()


def test_beta_1_is_charged_its_own_layer_only(stream, tmp_path, capsys):
    _, all_of_it, _ = call(["decode", stream, "-o", tmp_path / "a.png"], capsys)
    _, base_only, _ = call(["decode", stream, "-o", tmp_path / "b.png", "--beta", "1"], capsys)
    n_bytes = stream.stat().st_size
    assert f"from {n_bytes} bytes" in all_of_it and "beta 0\n" in all_of_it
    assert f" of {n_bytes} bytes" in base_only and "beta 1\n" in base_only


def test_a_stream_without_the_second_layer_gives_what_it_can(stream, tmp_path, capsys):
    stream.write_bytes(Bitstream.from_bytes(stream.read_bytes()).only(["base"]).to_bytes())
    status, out, _ = call(["decode", stream, "-o", tmp_path / "a.png"], capsys)
    assert status == 0 and "beta 1" in out
    status, _, err = call(["decode", stream, "-o", tmp_path / "b.png", "--beta", "0.5"], capsys)
    assert status == 2 and "beta 0.5 needs the layers base, rest, the stream carries base" in err


def test_files_are_replaced_only_when_told_to(stream, picture, tmp_path, capsys):
    out = tmp_path / "out.png"
    out.write_text("precious")
    status, _, err = call(["decode", stream, "-o", out], capsys)
    assert status == 2 and "is already there; --force replaces it" in err and out.read_text() == "precious"
    status, _, err = call(["encode", picture, "-o", stream, "--method", "jpeg"], capsys)
    assert status == 2 and "--force" in err
    assert call(["decode", stream, "-o", out, "--force"], capsys)[0] == 0
    assert read_picture(out).shape == (37, 53, 3)
    assert sorted(path.name for path in tmp_path.glob(".icm-bench-*")) == []


def test_every_cut_gives_one_line(stream, tmp_path, capsys):
    whole = stream.read_bytes()
    cut = tmp_path / "cut.icm"
    for length in (0, 1, 2, 3, 11, len(whole) // 2, len(whole) - 1):
        cut.write_bytes(whole[:length])
        status, out, err = call(["decode", cut, "-o", tmp_path / "never.png"], capsys)
        assert status == 2 and out == "" and err.count("\n") == 1 and str(cut) in err
    assert not (tmp_path / "never.png").exists()


def test_foreign_and_missing_files(world, picture, tmp_path, capsys):
    for name, says in ((picture, "not an icm-bench stream"), (tmp_path / "none", "cannot be read (No such file")):
        status, _, err = call(["decode", name, "-o", tmp_path / "x.png"], capsys)
        assert status == 2 and says in err and err.count("\n") == 1
    for name, says in ((tmp_path / "none", "there is no such file"), (tmp_path, "there is no such file")):
        status, _, err = call(["encode", name, "-o", tmp_path / "x.icm", "--method", "jpeg"], capsys)
        assert status == 2 and says in err
    text = tmp_path / "text.png"
    text.write_text("no picture")
    status, _, err = call(["encode", text, "-o", tmp_path / "x.icm", "--method", "jpeg"], capsys)
    assert status == 2 and "cannot be read as a picture" in err


def test_the_method_must_be_the_one_that_coded(stream, tmp_path, capsys):
    out = tmp_path / "x.png"
    status, _, err = call(["decode", stream, "-o", out, "--method", "jpeg"], capsys)
    assert status == 2 and "coded by quant, not by jpeg" in err
    held = Bitstream.from_bytes(stream.read_bytes())
    unknown = Bitstream(0x1234, 0, held.width, held.height, held.rate, held.layers)
    stream.write_bytes(unknown.to_bytes())
    status, _, err = call(["decode", stream, "-o", out], capsys)
    assert status == 2 and "its method id 1234 is of no method known here" in err


def test_another_checkpoint_is_named(stream, tmp_path, capsys):
    held = Bitstream.from_bytes(stream.read_bytes())
    foreign = Bitstream(held.method, 0xCDAB, held.width, held.height, held.rate, held.layers)
    stream.write_bytes(foreign.to_bytes())
    status, _, err = call(["decode", stream, "-o", tmp_path / "x.png"], capsys)
    assert status == 2 and "coded with checkpoint abcd, but quant has checkpoint none" in err


def test_a_codec_that_fails_says_so_in_one_line(world, picture, tmp_path, capsys):
    value = int(read_picture(picture)[0, 0, 0]) % 10
    words = ["encode", picture, "-o", tmp_path / "x.icm", "--method", f"quant(fail_on={value})"]
    status, _, err = call(words, capsys)
    assert status == 2 and "the test codec cannot code this picture" in err and err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--method", "jpeg", "--rate", "101"], "jpeg: quality 101 is outside"),
        (["--method", "jpeg", "--rate", "30.5"], "jpeg: quality 30.5 is not a whole number"),
        (["--method", "jpg"], "unknown method 'jpg': did you mean 'jpeg'?"),
        (["--method", "jpeg", "--max-pixels", "1960"], "53x37 pixels are more than --max-pixels 1960"),
    ],
)
def test_what_encode_refuses(world, picture, tmp_path, capsys, words, says):
    status, _, err = call(["encode", picture, "-o", tmp_path / "x.icm", *words], capsys)
    assert status == 2 and says in err and not (tmp_path / "x.icm").exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--beta", "1.5"], "--beta 1.5 is outside 0 .. 1"),
        (["--max-pixels", "1960"], "53x37 pixels, more than 1960"),
    ],
)
def test_what_decode_refuses(stream, tmp_path, capsys, words, says):
    status, _, err = call(["decode", stream, "-o", tmp_path / "x.png", *words], capsys)
    assert status == 2 and says in err


def test_a_codec_without_beta_takes_none(world, picture, tmp_path, capsys):
    path = tmp_path / "j.icm"
    call(["encode", picture, "-o", path, "--method", "jpeg"], capsys)
    status, _, err = call(["decode", path, "-o", tmp_path / "x.png", "--beta", "0.5"], capsys)
    assert status == 2 and "jpeg has no trade-off beta" in err


def test_a_folder_that_is_not_there(world, picture, tmp_path, capsys):
    words = ["encode", picture, "-o", tmp_path / "none" / "x.icm", "--method", "jpeg"]
    status, _, err = call(words, capsys)
    assert status == 2 and "cannot be written (No such file or directory)" in err
