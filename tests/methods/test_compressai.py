"""CompressAI's image models from its own checkpoints: narrow ones with random weights, saved as it saves them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from compressai.models import FactorizedPrior, MeanScaleHyperprior
from compressai.models.google import FactorizedPriorReLU
from compressai.zoo import image, image_models, image_vbr

from icm_bench import registry
from icm_bench.bitstream import Bitstream
from icm_bench.errors import BitstreamError, UserError
from icm_bench.method import Method
from icm_bench.methods._packed import pack, unpack
from icm_bench.testing import MethodTests, textured_picture


def saved(folder: Path, made: torch.nn.Module) -> Path:
    """A checkpoint as CompressAI's training example writes it."""
    path = folder / "checkpoint.pth.tar"
    made.update()  # type: ignore[operator]
    torch.save({"epoch": 1, "state_dict": made.state_dict(), "loss": 1.0}, path)
    return path


def build(cls: type) -> torch.nn.Module:
    torch.manual_seed(3)
    net: torch.nn.Module = cls(8, 12)
    with torch.no_grad():
        net.g_a[-1].weight *= 60  # type: ignore[index, union-attr, operator]
    return net


@pytest.fixture(scope="module")
def method(tmp_path_factory: pytest.TempPathFactory) -> Method:
    path = saved(tmp_path_factory.mktemp("zoo"), build(MeanScaleHyperprior))
    return registry.method(f'compressai(model="mbt2018-mean", quality=2, weights={str(path)!r})')


class TestCompressAI(MethodTests):
    sizes = ((64, 64), (1, 1), (17, 33))
    n_mutants = 100

    def test_container_holds_what_the_decoder_needs(self, ready: Method) -> None:
        super().test_container_holds_what_the_decoder_needs(ready)


KNOWN = {
    **image.model_architectures,
    **image_vbr.model_architectures,
    "bmshj2018-factorized-relu": FactorizedPriorReLU,
}


@pytest.mark.parametrize("model", sorted(image_models))
def test_the_whole_zoo_codes_and_decodes(tmp_path: Path, model: str) -> None:
    torch.manual_seed(3)
    net = KNOWN[model](*((8,) if "cheng" in model else (8, 12)))
    made = registry.method(f"compressai(model={model!r}, weights={str(saved(tmp_path, net))!r})")
    picture = textured_picture(64, 64)
    for rate in {made.rate.points[0], made.rate.points[-1]}:
        (decoded,) = made.decode(Bitstream.from_bytes(made.encode(picture, rate).to_bytes()), [None])
        assert decoded.shape == picture.shape and decoded.std() > 0
    assert made.footprint().checkpoints == 1
    assert len(made.rate.points) == (8 if model.endswith("-vbr") else 1)


@pytest.mark.parametrize("model", ["bmshj2018-hyperprior-vbr", "mbt2018-mean-vbr"])
def test_tables_follow_the_gain_where_the_bottleneck_varies_too(tmp_path: Path, model: str) -> None:
    """Any order of rates gives the same bytes, and a decoder that has seen no other rate reads them."""
    torch.manual_seed(3)
    net = KNOWN[model](8, 12, vr_entbttlnck=True)
    with torch.no_grad():
        net.g_a[-1].weight *= 60
        net.h_a[-1].weight *= 300
    path = tmp_path / "checkpoint.pth.tar"
    torch.save({"state_dict": net.state_dict()}, path)
    spec, picture = f"compressai(model={model!r}, weights={str(path)!r})", textured_picture(64, 64)
    one = registry.method(spec)
    streams = {gain: one.encode(picture, gain) for gain in (7, 0, 7, 3)}
    sizes = [len(streams[gain].to_bytes()) for gain in (0, 3, 7)]
    assert sizes == sorted(set(sizes))
    for gain, stream in streams.items():
        fresh = registry.method(spec)
        assert fresh.encode(picture, gain) == stream
        assert np.array_equal(next(registry.method(spec).decode(stream, [None])), next(one.decode(stream, [None])))


def test_rates_that_no_model_has_are_refused(tmp_path: Path) -> None:
    path = saved(tmp_path, KNOWN["mbt2018-mean-vbr"](8, 12))
    made = registry.method(f"compressai(model='mbt2018-mean-vbr', weights={str(path)!r})")
    with pytest.raises(UserError, match="gain 8 is outside"):
        made.encode(textured_picture(30, 40), 8)
    stream = made.encode(textured_picture(30, 40), 7)
    with pytest.raises(BitstreamError, match="gain 9 is outside"):
        next(made.decode(Bitstream.of(made, (30, 40), 9, dict(stream.layers)), [None]))
    with pytest.raises(UserError, match="give no quality"):
        registry.method("compressai(model='mbt2018-vbr', quality=5)")


def test_a_picture_of_nan_is_an_error_and_not_black(tmp_path: Path) -> None:
    net = build(FactorizedPrior)
    with torch.no_grad():
        net.g_s[-1].bias[1] = float("nan")  # type: ignore[index, union-attr, operator]
    made = registry.method(f"compressai(model='bmshj2018-factorized', weights={str(saved(tmp_path, net))!r})")
    stream = made.encode(textured_picture(30, 40), 3)
    with pytest.raises(BitstreamError, match="not finite"):
        list(made.decode(stream, [None]))


def test_it_decodes_what_compressai_itself_decodes(method: Method) -> None:
    net = method.net  # type: ignore[attr-defined]
    picture = textured_picture(64, 128)
    (decoded,) = method.decode(method.encode(picture, 2), [None])
    x = torch.from_numpy(picture.copy()).permute(2, 0, 1)[None].float() / 255
    with torch.inference_mode():
        out = net.compress(x)
        want = net.decompress(out["strings"], out["shape"])["x_hat"][0].permute(1, 2, 0).numpy()
    assert np.array_equal(decoded, np.rint(255 * want.clip(0, 1)).astype(np.uint8))


def test_wrong_models_and_weights_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="did you mean 'mbt2018-mean'"):
        registry.method('compressai(model="mbt2018-men")').setup()
    with pytest.raises(UserError, match="no such weights file"):
        registry.method('compressai(weights="nowhere.pth")').setup()
    torch.save({"a": torch.zeros(2)}, tmp_path / "a.pth")
    with pytest.raises(UserError, match="do not fit"):
        registry.method(f"compressai(weights={str(tmp_path / 'a.pth')!r})").setup()


def test_packed_strings_survive_and_damage_is_told() -> None:
    shape, strings = [3, 400], [b"", b"abc" * 99, b"z"]
    assert unpack(pack(shape, strings)) == (shape, strings)
    for bad in (b"", b"\x02", pack(shape, strings)[:40], b"\xff" * 9, bytes([0, 1, 5])):
        with pytest.raises(BitstreamError):
            unpack(bad)
