"""RDC: the conformance kit on the shipped checkpoint, and what follows from its algebra on a tiny one."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import tiny_checkpoint, tiny_net

from icm_bench import metrics, registry
from icm_bench.bitstream import Bitstream
from icm_bench.errors import BitstreamError, UserError
from icm_bench.method import Method
from icm_bench.methods._codec import Codec
from icm_bench.methods._networks import Gains, pad_to
from icm_bench.testing import MethodTests, textured_picture


@pytest.fixture(scope="module")
def method() -> Method:
    return registry.method("rdc")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Method:
    path = tiny_checkpoint(tmp_path_factory.mktemp("weights"))
    return registry.method(f"rdc(checkpoint={str(path)!r})")


class TestRdc(MethodTests):
    pass


_FRAME = """
import resource
import numpy as np
from icm_bench import registry
from icm_bench.testing import textured_picture
method = registry.method("rdc")
method.setup()
frame = np.tile(textured_picture(256, 256), (4, 8, 1))
stream = method.encode(frame, 3.0)
assert all(picture.shape == (1024, 2048, 3) for picture in method.decode(stream, (0.0, 1.0)))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6)
"""


@pytest.mark.slow
def test_a_street_frame_of_2048x1024_takes_less_than_4_gb() -> None:
    done = subprocess.run([sys.executable, "-c", _FRAME], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 4  # GB, all of the process


def test_beta_one_needs_the_primary_layer_only(tiny: Method) -> None:
    stream = tiny.encode(textured_picture(70, 50), 2)
    assert tiny.layers(1) == ("primary",)
    assert all(tiny.layers(beta) == ("primary", "auxiliary") for beta in (0, 0.25, 0.999))
    with pytest.raises(BitstreamError, match="no 'auxiliary' layer"):
        list(tiny.decode(stream.only(["primary"]), [0.5]))


def test_squared_error_is_a_quadratic_in_beta(tiny: Method) -> None:
    """|x - x1 - (1 - b) r|^2 before clipping, from |x - x1|^2, <x - x1, r> and |r|^2 alone."""
    codec: Codec = tiny.codecs[0]  # type: ignore[attr-defined]
    picture = textured_picture(48, 64)
    x1, r = codec.decode(codec.encode(picture, 3.0), (48, 64), 3.0)
    assert r is not None and np.abs(r).max() > 0
    error = picture.astype(np.float64) - x1
    a, b, c = (error**2).sum(), (error * r).sum(), (r.astype(np.float64) ** 2).sum()
    for beta in (0, 0.3, 0.9, 1):
        blended = x1 + (1 - beta) * r.astype(np.float64)
        direct = ((picture - blended) ** 2).sum()
        assert direct == pytest.approx(a - 2 * (1 - beta) * b + (1 - beta) ** 2 * c, rel=1e-6)


@pytest.mark.parametrize("rate", [0, 0.37, 2.37, 5])
def test_decoder_follows_the_encoder_at_any_gain(tiny: Method, rate: float) -> None:
    """The latent that the decoder reads is, to the last bit, the one that the encoder meant."""
    codec: Codec = tiny.codecs[0]  # type: ignore[attr-defined]
    x = torch.from_numpy(textured_picture(64, 48).copy()).permute(2, 0, 1)[None].float() / 255
    with torch.inference_mode():
        data, meant = codec.primary.encode(x, rate)
        read = codec.primary.decode(data, (4, 3), rate)
    assert torch.equal(meant.exact, read.exact)
    assert int(meant.exact.abs().max()) > 0


@pytest.mark.parametrize("rate", [0.37, 4.5])
def test_gains_on_the_hyper_latent_stay_exact(tmp_path: Path, rate: float) -> None:
    """Both sides take the hyper-latent's inverse gains from one table of whole numbers."""
    codec = Codec(tiny_checkpoint(tmp_path, gain_hyper=True))
    picture = textured_picture(64, 48)
    x = torch.from_numpy(picture.copy()).permute(2, 0, 1)[None].float() / 255
    with torch.inference_mode():
        data, meant = codec.primary.encode(x, rate)
        assert torch.equal(meant.exact, codec.primary.decode(data, (4, 3), rate).exact)
        plain = Codec(tiny_checkpoint(tmp_path)).primary.encode(x, rate)[1]
    assert not torch.equal(meant.exact, plain.exact)


def test_the_auxiliary_layer_has_a_rate_of_its_own(tiny: Method) -> None:
    picture = textured_picture(64, 64)
    tied = tiny.encode(picture, 2)
    sizes = []
    for aux_rate in (0.0, 2.0, 4.25):
        made = registry.method(tiny.spec.replace("rdc(", f"rdc(aux_rate={aux_rate}, "))
        stream = made.encode(picture, 2)
        assert stream.layer("primary") == tied.layer("primary")
        sizes.append(len(stream.layer("auxiliary")))
        for beta, plain in zip((0.0, 1.0), made.decode(stream, [0.0, 1.0]), strict=True):
            (other,) = tiny.decode(stream, [beta])
            assert np.array_equal(plain, other), "the layer itself says its rate"
    assert sizes == sorted(set(sizes))
    assert sizes[1] == len(tied.layer("auxiliary")) + 1
    with pytest.raises(UserError, match="aux_rate: gain 6 is outside"):
        registry.method("rdc(aux_rate=6)")


def test_gains_are_interpolated_exponentially_in_both_directions() -> None:
    gains = Gains(6, 4)
    with torch.no_grad():
        gains.log_gain.normal_()
        gains.log_inverse.normal_()
        gain, inverse = gains(torch.tensor([2.37]))
        for found, logs in ((gain, gains.log_gain), (inverse, gains.log_inverse)):
            low, high = logs[2].exp(), logs[3].exp()
            assert torch.allclose(found.flatten(), low**0.63 * high**0.37, rtol=1e-5)
        assert torch.allclose(gains(torch.tensor([5.0]))[0].flatten(), gains.log_gain[5].exp())


def test_real_bytes_are_close_to_the_estimate(method: Method) -> None:
    """The range coder's bytes against the likelihoods that training minimises, for the shipped checkpoint."""
    picture = textured_picture(192, 256)
    from icm_bench.methods._released import read

    codec: Codec = method.codecs[0]  # type: ignore[attr-defined]
    stream = method.encode(picture, 3)
    config, _ = read(Path(registry.plugin("method", "rdc").path).parent / "weights" / "rdc-mini.safetensors")  # type: ignore[arg-type]
    assert config.auxiliary and codec.config == config
    total = len(stream.layer("primary"))
    assert 8 * total > 0.01 * 192 * 256
    tables = codec.primary.scales
    x = torch.from_numpy(picture.copy()).permute(2, 0, 1)[None].float() / 255
    with torch.inference_mode():
        data, latent = codec.primary.encode(pad_to(x, 16), 3.0)
    assert data == stream.layer("primary")
    assert latent.exact.shape == (1, config.m, 12, 16)
    assert tables.problem() is None


def test_a_released_codec_reconstructs_what_the_trained_one_does(tmp_path: Path) -> None:
    net = tiny_net()
    path = tmp_path / "net.safetensors"
    from icm_bench.methods._release import release

    release(net, path, {})
    codec = Codec(path)
    picture = textured_picture(64, 64)
    x = torch.from_numpy(picture.copy()).permute(2, 0, 1)[None].float() / 255
    with torch.inference_mode():
        trained = net.primary(x, torch.tensor([3.0]))
        x1, _ = codec.decode(codec.encode(picture, 3.0), (64, 64), 3.0)
    want = (trained["x_hat"][0].permute(1, 2, 0) * 255).numpy()
    assert np.abs(x1 - want).mean() < 0.02 * np.abs(want - want.mean()).mean() + 0.5
    layers = codec.encode(picture, 3.0)
    assert 8 * len(layers["primary"]) == pytest.approx(float(trained["bits"]), rel=0.05, abs=100)


def test_gain_levels_outside_are_refused(tiny: Method) -> None:
    stream = tiny.encode(textured_picture(16, 16), 1)
    beyond = Bitstream(stream.method, stream.checkpoint, 16, 16, 5.5, stream.layers)
    with pytest.raises(BitstreamError, match="outside 0"):
        list(tiny.decode(beyond, [1.0]))


def test_checkpoints_that_are_not_codecs_are_refused_in_one_line(tmp_path: Path) -> None:
    for name, content in {"a.safetensors": b"garbage", "b.safetensors": b"\x80\x04\x95pickle"}.items():
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(UserError, match="not a readable codec checkpoint"):
            registry.method(f"rdc(checkpoint={str(path)!r})").setup()
    with pytest.raises(UserError, match="no built-in checkpoint 'rcd-mini'"):
        registry.method('rdc(checkpoint="rcd-mini")').setup()


def test_a_checkpoint_with_a_wrong_shape_is_refused(tmp_path: Path) -> None:
    from safetensors import safe_open
    from safetensors.torch import save_file

    path = tiny_checkpoint(tmp_path)
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    tensors["primary.g_a.0.weight"] = tensors["primary.g_a.0.weight"][:4]
    save_file(tensors, path, metadata)
    with pytest.raises(UserError, match=r"primary\.g_a\.0\.weight: expected shape"):
        registry.method(f"rdc(checkpoint={str(path)!r})").setup()


def test_the_model_card_says_how_it_was_made(method: Method) -> None:
    from icm_bench.methods._checkpoints import card

    made = card(method.files[0])  # type: ignore[attr-defined]
    assert {"training", "training_config", "steps_done", "data", "nets_seen", "config", "sha256"} <= set(made)
    told = method.provenance()
    assert told["sha256"] == made["sha256"] == method.checkpoint_id
    assert "squeezenet1_1" in told["nets_seen"] and "training_config" not in told
    json.dumps(told)


def test_more_bits_buy_more_quality_at_beta_zero(method: Method) -> None:
    picture = textured_picture(128, 128)
    psnr = []
    for rate in (0, 2.5, 5):
        decoded = next(iter(method.decode(method.encode(picture, rate), [0.0])))
        psnr.append(metrics.psnr(metrics.squared_error(picture, decoded), picture.size))
    assert psnr == sorted(psnr) and len(set(psnr)) == 3
