"""The adapter of examples/transtic, on a checkout with the same interface: a small fork of CompressAI."""

import shutil
import sys
from pathlib import Path

import compressai
import numpy as np
import pytest
import torch

from icm_bench import registry
from icm_bench.errors import UserError
from icm_bench.method import Method
from icm_bench.testing import MethodTests, textured_picture
from icm_bench.weights import load_state

EXAMPLE = Path(__file__).parents[1] / "examples" / "transtic" / "transtic.py"

_PACKAGE = """
def get_entropy_coder():
    return "ans"


def available_entropy_coders():
    return ["ans"]
"""
_MODEL = '''
import math

import torch
from torch import nn
from compressai.entropy_models import EntropyBottleneck, GaussianConditional


class Prompted(nn.Module):
    """A latent at 1/16, a hyperprior at 1/64, prompts made from the picture, attention maps beside each result."""

    def __init__(self, N, M, prompt_config):
        super().__init__()
        self.prompt = nn.Conv2d(3, M, 3, prompt_config.MASK_DOWNSAMPLE * 8, 1)
        self.analysis = nn.Conv2d(3, M, 16, 16)
        self.h_a0 = nn.Conv2d(M, N, 4, 4)
        self.h_s0 = nn.ConvTranspose2d(N, 2 * M, 4, 4)
        self.synthesis = nn.ConvTranspose2d(M, 3, 16, 16)
        self.entropy_bottleneck = EntropyBottleneck(N)
        self.gaussian_conditional = GaussianConditional(None)

    def update(self, force=False):
        scales = torch.exp(torch.linspace(math.log(0.11), math.log(256), 64))
        self.gaussian_conditional.update_scale_table(scales, force=force)
        return self.entropy_bottleneck.update(force=force)

    def load_state_dict(self, state, strict=True):
        for name, buffer in self.named_buffers():
            buffer.resize_(state[name].shape)
        return super().load_state_dict(state, strict=strict)

    def g_a(self, x):
        return 40 * (self.analysis(x) + self.prompt(x)), []

    def g_s(self, y):
        return self.synthesis(y) / 10 + 0.5, []

    def h_s(self, z):
        return self.h_s0(z)

    def compress(self, x):
        y, _ = self.g_a(x)
        z = self.h_a0(y)
        z_strings = self.entropy_bottleneck.compress(z)
        scales, means = self.h_s(self.entropy_bottleneck.decompress(z_strings, z.shape[-2:])).chunk(2, 1)
        indexes = self.gaussian_conditional.build_indexes(scales)
        y_strings = self.gaussian_conditional.compress(y, indexes, means=means)
        return {"strings": [y_strings, z_strings], "shape": z.shape[-2:]}

    def decompress(self, strings, shape):
        scales, means = self.h_s(self.entropy_bottleneck.decompress(strings[1], shape)).chunk(2, 1)
        indexes = self.gaussian_conditional.build_indexes(scales)
        x, _ = self.g_s(self.gaussian_conditional.decompress(strings[0], indexes, means=means))
        return {"x_hat": x.clamp(0, 1)}
'''
_ZOO = """
from compressai.models.prompted import Prompted

image_models = {
    "tic_promptmodel_first2": lambda quality, prompt_config: Prompted(4 * quality, 6, prompt_config),
}
"""


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A checkout whose compressai has the installed one's entropy models and a model of its own; a checkpoint."""
    home = tmp_path_factory.mktemp("checkout")
    package = home / "compressai"
    for name in ("entropy_models", "ops"):
        shutil.copytree(Path(str(compressai.__file__)).parent / name, package / name)
    written = {
        "compressai/__init__.py": _PACKAGE,
        "compressai/models/__init__.py": "",
        "compressai/models/prompted.py": _MODEL,
        "compressai/zoo/__init__.py": _ZOO,
        "config/classification.yaml": "MASK_DOWNSAMPLE: 2\nDECODER_BLOCK: [1, 2]\n",
    }
    for path, text in written.items():
        (home / path).parent.mkdir(exist_ok=True)
        (home / path).write_text(text)
    module = sys.modules[registry.load("method", str(EXAMPLE)).__module__]
    torch.manual_seed(5)
    with module.its_compressai(home):  # type: ignore[attr-defined]
        from compressai.models.prompted import Prompted  # type: ignore[import-not-found]

        net = Prompted(8, 6, module.SimpleNamespace(MASK_DOWNSAMPLE=2))  # type: ignore[attr-defined]
    net.update()
    torch.save({"epoch": 3, "state_dict": net.state_dict()}, home / "cls_2.pth.tar")
    return f"{EXAMPLE}(checkout={str(home)!r}, checkpoint={str(home / 'cls_2.pth.tar')!r}, quality=2)"


@pytest.fixture
def method(spec: str) -> Method:
    return registry.method(spec)


class TestTransTic(MethodTests):
    sizes = ((64, 64), (1, 1), (17, 33))
    n_mutants = 60


def test_it_decodes_what_the_repository_decodes_from_the_charged_bytes(method: Method) -> None:
    picture = textured_picture(256, 512)
    stream = method.encode(picture, 2)
    (decoded,) = method.decode(stream, [None])
    with torch.inference_mode():
        own = method.net.decompress([[stream.layer("y")], [stream.layer("z")]], [4, 8])["x_hat"][0]  # type: ignore
    assert np.array_equal(decoded, np.rint(255 * own.permute(1, 2, 0).numpy()).astype(np.uint8))
    assert decoded.std() > 1 and len(stream.layer("y")) > len(stream.layer("z")) > 0
    assert method.layers(None) == ("z", "y")


def test_our_compressai_and_the_import_path_are_as_before(method: Method) -> None:
    before = {name: module for name, module in sys.modules.items() if name.startswith("compressai")}
    path = list(sys.path)
    method.setup()
    assert sys.path == path
    assert {name: module for name, module in sys.modules.items() if name.startswith("compressai")} == before
    assert sys.modules["compressai"] is compressai
    assert type(method.net).__module__ == "compressai.models.prompted"  # type: ignore[attr-defined]


def test_the_checkpoint_names_the_streams(method: Method, spec: str) -> None:
    assert len(method.checkpoint_id) == 64
    assert load_state(method.checkpoint)  # type: ignore[attr-defined]
    assert set(type(method).program_parameters) == {"checkout", "config"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("checkout='/nowhere'", "holds no package compressai"),
        ("checkpoint='/nowhere.pth'", "no such weights file"),
        ("config='none.yaml'", "FileNotFoundError"),
        ("model='tic'", "KeyError"),
        ("quality=3", "RuntimeError.*size mismatch"),
    ],
)
def test_what_is_missing_is_one_line(method: Method, change: str, said: str) -> None:
    name, _, value = change.partition("=")
    params = {**method.params, name: int(value) if value.isdigit() else value.strip("'")}
    with pytest.raises(UserError, match=said):
        type(method)(**params).setup()
