"""CompressAI's image models from its own checkpoints: narrow ones with random weights, saved as it saves them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from compressai.models import FactorizedPrior, JointAutoregressiveHierarchicalPriors, MeanScaleHyperprior

from icm_bench import registry
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


@pytest.mark.parametrize(
    ("model", "cls"),
    [("bmshj2018-factorized", FactorizedPrior), ("mbt2018", JointAutoregressiveHierarchicalPriors)],
)
def test_other_models_load_too(tmp_path: Path, model: str, cls: type) -> None:
    path = saved(tmp_path, build(cls))
    made = registry.method(f"compressai(model={model!r}, weights={str(path)!r})")
    picture = textured_picture(30, 40)
    (decoded,) = made.decode(made.encode(picture, 3), [None])
    assert decoded.shape == picture.shape and decoded.std() > 0
    assert made.footprint().checkpoints == 1


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
