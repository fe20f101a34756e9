"""Planted faults: each must be caught and called by its name; what is unchanged must pass."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from command import call
from safetensors import safe_open
from safetensors.torch import save_file

from icm_bench import registry
from icm_bench.bitstream import Bitstream


@pytest.fixture
def checked(world, tmp_path, capsys):
    """A world of 24 pictures with a baseline, and a call of the check: (status, text, findings)."""
    world.add_pictures(24)
    path = tmp_path / "baseline.json"
    grid = ["--method", "quant", "--task", "bright", "--data", world.data, "--rates", "2,3,4"]
    status, _, error = call(["check", "--baseline", path, "--update", *grid], capsys)
    assert status == 0, error

    def check(*arguments):
        written = tmp_path / "findings.json"
        written.unlink(missing_ok=True)
        words = ["check", "--baseline", path, "--workers", 1, "--json", written, *arguments]
        status, out, error = call(words, capsys)
        return status, out + error, json.loads(written.read_text())["findings"] if written.exists() else []

    return check


def verdicts(findings, verdict):
    return {one["what"] for one in findings if one["verdict"] == verdict}


def quant():
    return registry.load("method", "quant")


def test_what_is_unchanged_passes(checked):
    status, text, findings = checked()
    assert status == 0 and "OK: " in text
    assert {one["verdict"] for one in findings} == {"same"}
    assert {"bytes", "psnr", "hits", "BD-rate psnr"} <= {one["what"] for one in findings}


def test_two_per_cent_more_bytes(checked, monkeypatch):
    encode = quant().encode

    def padded(self, image, rate):
        made = encode(self, image, rate)
        layers = {name: data + bytes(-(-len(data) // 50)) for name, data in made.layers}
        return Bitstream.of(self, image.shape[:2], rate, layers)

    monkeypatch.setattr(quant(), "encode", padded)
    status, text, findings = checked()
    assert status == 1 and verdicts(findings, "worse") == {"bytes", "BD-rate psnr"}
    assert "bitstream changed, version bump needed" in text
    grown = [one["difference"] for one in findings if one["what"] == "bytes" and one["verdict"] == "worse"]
    assert len(grown) == 6 and all(0.5 < percent < 4 for percent in grown)
    assert checked("--tolerance", "bytes=5%", "--tolerance", "BD-rate psnr=5%")[0] == 0


def test_a_decoder_two_levels_off(checked, monkeypatch):
    decode = quant().decode

    def off(self, bitstream, betas):
        for picture in decode(self, bitstream, betas):
            yield np.clip(picture.astype(int) + 2, 0, 255).astype(np.uint8)

    monkeypatch.setattr(quant(), "decode", off)
    status, text, findings = checked()
    assert status == 1 and {"psnr"} <= verdicts(findings, "worse") and "bytes" not in verdicts(findings, "worse")
    assert "decode otherwise from the same bytes: the decoder changed, version bump needed" in text


def test_a_net_with_swapped_classes(checked, world, monkeypatch):
    net = type(registry.task(f"bright(data='{world.data}')").net("mean"))
    predict = net.predict
    monkeypatch.setattr(net, "predict", lambda self, pictures: [255 - one for one in predict(self, pictures)])
    status, text, findings = checked()
    assert status == 1 and verdicts(findings, "worse") == {"hits"} and not verdicts(findings, "changed")
    assert "identity" in text, "the uncompressed line tells that it is no codec"


def test_a_net_of_other_weights_is_refused(checked, world, monkeypatch):
    net = type(registry.task(f"bright(data='{world.data}')").net("mean"))
    monkeypatch.setattr(net, "fingerprint", "0" * 64)
    status, text, _ = checked()
    assert status == 2 and "not comparable with the baseline: net mean: another net (00000000" in text


def test_a_shuffled_data_set_is_refused(checked, world):
    first, second = sorted(world.data.glob("*.png"))[:2]
    shutil.copy(first, world.root / "kept.png")
    shutil.copy(second, first)
    shutil.copy(world.root / "kept.png", second)
    status, text, _ = checked()
    assert status == 2 and "other pictures, or in another order" in text
    first.rename(first.with_name("renamed_100.png"))
    status, text, _ = checked()
    assert status == 2 and "other data" in text


def test_a_stale_store_is_refused(checked, world, monkeypatch):
    assert checked("--store", world.out)[0] == 0
    assert checked("--store", world.out)[0] == 0
    encode = quant().encode
    monkeypatch.setattr(quant(), "encode", lambda self, image, rate: encode(self, image // 2, rate))
    status, text, _ = checked("--store", world.out)
    assert status == 2 and "stale store" in text and "units of quant, made again, have other streams" in text
    assert checked()[0] == 1, "without the store it is seen as what it is"


def test_a_store_of_another_net_code_is_refused(checked, world, monkeypatch):
    assert checked("--store", world.out)[0] == 0
    net = type(registry.task(f"bright(data='{world.data}')").net("mean"))
    monkeypatch.setattr(net, "predict", lambda self, pictures: [1.0 for _ in pictures])
    status, text, _ = checked("--store", world.out)
    assert status == 2 and "are seen otherwise by the nets" in text


def test_an_encoder_that_fails_on_a_picture(checked, monkeypatch):
    encode = quant().encode

    def failing(self, image, rate):
        if image[0, 0, 0] == 100:
            raise ValueError("no")
        return encode(self, image, rate)

    monkeypatch.setattr(quant(), "encode", failing)
    status, text, findings = checked()
    assert status == 1 and "failures" in verdicts(findings, "worse")
    assert "1 pictures fail" in text and "ValueError: no" in text


def test_better_is_reported_and_passes(checked, monkeypatch):
    encode = quant().encode

    def shorter(self, image, rate):
        made = encode(self, image, rate)
        return Bitstream.of(self, image.shape[:2], rate, {name: data[:-4] for name, data in made.layers})

    decode = quant().decode

    def lengthened(self, bitstream, betas):
        layers = {name: data + b"\0\0\0\0" for name, data in bitstream.layers}
        return decode(self, Bitstream.of(self, (bitstream.height, bitstream.width), bitstream.rate, layers), betas)

    monkeypatch.setattr("bench_test_plugins.quant.zlib.decompress", lambda data: _unchecked(data))
    monkeypatch.setattr(quant(), "encode", shorter)
    monkeypatch.setattr(quant(), "decode", lengthened)
    status, text, findings = checked()
    assert status == 0 and "bytes" in verdicts(findings, "better"), text


def _unchecked(data):
    """Deflated data whose checksum is wrong."""
    import zlib

    return zlib.decompressobj(-15).decompress(data[2:])


@pytest.mark.slow
def test_noise_in_one_layer_of_a_checkpoint(tmp_path, capsys):
    path, noisy = tmp_path / "baseline.json", tmp_path / "noisy.safetensors"
    grid = ["--method", "rdc", "--task", "cityscapes", "--data", "mini", "--limit", 8, "--rates", 3, "--betas", 1]
    assert call(["check", "--baseline", path, "--update", "--workers", 1, *grid], capsys)[0] == 0
    shipped = registry.method("rdc").files[0]
    with safe_open(shipped, "pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a mapping
        metadata = file.metadata()
    name = next(key for key in tensors if key.startswith("primary.g_s.") and tensors[key].dim() == 4)
    torch.manual_seed(0)
    tensors[name] = tensors[name] + 0.5 * tensors[name].float().std() * torch.randn(tensors[name].shape)
    save_file(tensors, noisy, metadata)
    spec = f"rdc(checkpoint='{noisy}')"
    status, out, error = call(["check", "--baseline", path, "--workers", 1, "--method", spec], capsys)
    assert status == 1, out + error
    lines = out.splitlines()
    assert any(line.startswith("worse") and "psnr" in line for line in lines)
    assert any(line.startswith("worse") and "mIoU" in line for line in lines)
    assert any(line.startswith("changed") and "another checkpoint" in line for line in lines)


@pytest.mark.slow
def test_another_thread_count_passes(tmp_path, capsys):
    before, words = torch.get_num_threads(), ["check", "--method", "hyperprior(variable=True)", "--limit", 12]
    shipped = Path(__file__).parents[2] / "results" / "baseline" / "mini.json"
    for n_threads in (1, 3):
        torch.set_num_threads(n_threads)
        try:
            status, out, error = call([*words, "--baseline", shipped, "--workers", 1], capsys)
        finally:
            torch.set_num_threads(before)
        assert status == 0, out + error
