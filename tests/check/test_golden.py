"""Golden streams: those that are shipped still decode; a changed decoder or encoder is named."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from icm_bench import registry
from icm_bench.bitstream import Bitstream
from icm_bench.check import golden
from icm_bench.images import read_picture

SHIPPED = Path(__file__).parents[1] / "golden"
STREAMS = sorted(SHIPPED.glob("*/*.json"))


def test_yesterdays_streams_decode_to_the_recorded_pictures():
    found = list(golden.check(SHIPPED))
    assert len(found) == 2 * len(STREAMS)
    assert [one for one in found if one.verdict == "worse"] == []


def test_every_shipped_checkpoint_has_golden_streams():
    covered = set()
    for path in STREAMS:
        method = registry.method(json.loads(path.read_text())["method"])
        covered |= {file.stem for file in getattr(method, "files", [])}
    weights = Path(__file__).parents[2] / "methods" / "weights"
    assert covered == {path.stem for path in weights.glob("*.safetensors")}


def test_they_are_small_and_say_how_exact_a_decoder_must_be():
    for path in STREAMS:
        told = json.loads(path.read_text())
        assert path.with_suffix(".icm").stat().st_size < 3000
        assert told["levels"] == (1 if told["checkpoint"] else 0)


@pytest.fixture
def recorded(tmp_path, world):
    """A folder with the golden streams of the test codec."""
    picture = read_picture(SHIPPED / "picture.png")
    assert golden.record(tmp_path / "golden", picture, registry.method("quant"), [2, 4]) == 2
    return tmp_path / "golden"


def worse(folder):
    return [one for one in golden.check(folder) if one.verdict == "worse"]


def test_a_decoder_that_is_off_is_named(recorded, monkeypatch):
    assert worse(recorded) == []
    quant = registry.load("method", "quant")
    decode = quant.decode

    def off(self, bitstream, betas):
        for picture in decode(self, bitstream, betas):
            yield np.clip(picture.astype(int) + 2, 0, 255).astype(np.uint8)

    monkeypatch.setattr(quant, "decode", off)
    found = worse(recorded)
    assert len(found) == 2 and "up to 2 grey levels off (0 allowed): bitstream changed" in found[0].text


def test_one_level_is_allowed_where_the_file_says_so(recorded, monkeypatch):
    quant = registry.load("method", "quant")
    decode = quant.decode

    def off(self, bitstream, betas):
        return (np.maximum(picture, 1) - 1 for picture in decode(self, bitstream, betas))

    monkeypatch.setattr(quant, "decode", off)
    assert len(worse(recorded)) == 2
    for path in recorded.glob("*/*.json"):
        told = json.loads(path.read_text())
        path.write_text(json.dumps(told | {"levels": 1}))
    found = list(golden.check(recorded))
    assert not [one for one in found if one.verdict == "worse"]
    assert any("values off by 1 level" in one.text for one in found)


def test_other_bytes_of_the_encoder_are_an_event(recorded, monkeypatch):
    quant = registry.load("method", "quant")
    encode = quant.encode

    def longer(self, image, rate):
        layers = dict(encode(self, image, rate).layers)
        return Bitstream.of(self, image.shape[:2], rate, {name: data + b"\0" for name, data in layers.items()})

    monkeypatch.setattr(quant, "encode", longer)
    found = list(golden.check(recorded))
    assert [one.verdict for one in found if one.what == "golden bytes"] == ["changed", "changed"]


def test_what_cannot_be_decoded_is_named(recorded):
    stream = next(recorded.glob("*/*.icm"))
    stream.write_bytes(stream.read_bytes()[:-3])
    (found,) = worse(recorded)
    assert "no longer decodes" in found.text and "version bump needed" in found.text


def test_recorded_streams_are_never_written_again(recorded):
    before = {path: path.read_bytes() for path in recorded.rglob("*.*")}
    picture = np.zeros((32, 48, 3), np.uint8)
    assert golden.record(recorded, picture, registry.method("quant"), [2, 4]) == 0
    assert before == {path: path.read_bytes() for path in recorded.rglob("*.*")}
    shutil.rmtree(next(recorded.glob("*/")))
    assert golden.record(recorded, picture, registry.method("quant"), [2, 4]) == 2
    assert before == {path: path.read_bytes() for path in recorded.rglob("*.*")}
