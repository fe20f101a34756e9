"""From bytes to symbols nothing is a float: checkpoints with their float parts poisoned, tables kept as stored."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from tiny import tiny_checkpoint

from icm_bench.errors import UserError
from icm_bench.methods._checkpoints import WEIGHTS
from icm_bench.methods._codec import BranchCodec, Codec
from icm_bench.methods._integer import EXACT_LIMIT
from icm_bench.testing import textured_picture

SHIPPED = sorted(WEIGHTS.glob("*.safetensors"))
SIZE = (48, 80)


def branches(codec: Codec) -> list[BranchCodec]:
    return [codec.primary] + ([] if codec.auxiliary is None else [codec.auxiliary])


def symbols(codec: Codec, layers: dict[str, bytes], rate: float) -> list[torch.Tensor]:
    """The exact latents that a decoder reads."""
    with torch.inference_mode():
        first, second, _ = codec._latents(layers, SIZE, rate)
    return [first.exact] + ([] if second is None else [second.exact])


@pytest.mark.parametrize("path", SHIPPED, ids=[path.stem for path in SHIPPED])
def test_symbols_do_not_depend_on_any_float(path: Path) -> None:
    """Every float parameter is NaN, then noise: g_a, g_s, h_a and gains take no part in reading a stream."""
    codec = Codec(path)
    rate = min(2.37, codec.config.levels - 1.0)
    rate = round(rate * 256) / 256
    layers = codec.encode(textured_picture(*SIZE), rate)
    want = symbols(codec, layers, rate)
    assert len(want) == len(branches(codec)) and all(int(one.abs().max()) > 0 for one in want)
    torch.manual_seed(1)
    for poison in (lambda p: p.fill_(float("nan")), lambda p: p.normal_()):
        with torch.no_grad():
            for branch in branches(codec):
                for parameter in branch.net.parameters():
                    poison(parameter)
        assert all(torch.equal(a, b) for a, b in zip(want, symbols(codec, layers, rate), strict=True))


@pytest.mark.parametrize("path", SHIPPED, ids=[path.stem for path in SHIPPED])
def test_sums_of_shipped_weights_stay_exact(path: Path) -> None:
    for branch in branches(Codec(path)):
        reach = max(layer.reach for layer in branch.h_s.layers.values())
        assert reach < 2**42 < EXACT_LIMIT  # 2^41.7 is the largest, of rdc-mini's auxiliary up.1


def test_latents_are_read_in_batches_as_one_by_one() -> None:
    """h_s on four hyper-latents at once gives each the numbers that it has alone."""
    branch = Codec(WEIGHTS / "rdc-mini.safetensors").auxiliary
    assert branch is not None
    generator = torch.Generator().manual_seed(2)
    z = torch.randint(-9, 10, (4, 64, 2, 2), generator=generator)
    context = torch.randint(-(2**18), 2**18, (4, 96, 7, 6), generator=generator)
    together = branch.h_s(z, context, (7, 6))
    for index in range(4):
        alone = branch.h_s(z[index : index + 1], context[index : index + 1], (7, 6))
        assert all(torch.equal(a[index : index + 1], b) for a, b in zip(together, alone, strict=True))


_NO_TABLES_MADE = """
import sys
from icm_bench import registry
from icm_bench.bitstream import Bitstream
from icm_bench.methods import _entropy
def refuse(*_):
    raise AssertionError("tables are made anew")
_entropy.gaussian_tables = _entropy.Tables.from_masses = refuse
for spec, path in (word.split("=", 1) for word in sys.argv[1:]):
    method = registry.method(spec)
    method.setup()
    with open(path, "rb") as stream:
        pictures = list(method.decode(Bitstream.from_bytes(stream.read()), method.betas))
    assert pictures
print([name for name in ("compressai", "compressai._CXX", "icm_bench.methods._release") if name in sys.modules])
"""


def test_loading_and_decoding_make_no_tables() -> None:
    """Neither the code that makes tables nor the library behind it is even loaded."""
    golden = Path(__file__).parents[1] / "golden"
    words = [f"rdc={golden / 'rdc/gain-2.5.icm'}", f"hyperprior={golden / 'hyperprior/quality-2.icm'}"]
    code = [sys.executable, "-c", _NO_TABLES_MADE, *words]
    done = subprocess.run(code, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


def changed(path: Path, **tensors: torch.Tensor) -> Path:
    """The checkpoint with some tensors replaced; names with __ for the dots."""
    with safe_open(path, "pt") as file:
        held = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a mapping
        metadata = file.metadata()
    other = path.with_name("changed.safetensors")
    save_file(held | {key.replace("__", "."): value for key, value in tensors.items()}, other, metadata)
    return other


def test_tables_are_those_of_the_checkpoint(tmp_path: Path) -> None:
    path = tiny_checkpoint(tmp_path)
    before = Codec(path)
    stored = before.primary.scales
    rolled = {part: np.roll(getattr(stored, part), 1, axis=0) for part in ("cdfs", "lengths", "offsets")}
    tensors = {f"scales__{part}": torch.from_numpy(value) for part, value in rolled.items()}
    after = Codec(changed(path, **tensors))
    for branch in branches(after):
        assert all(np.array_equal(getattr(branch.scales, part), value) for part, value in rolled.items())
    picture = textured_picture(*SIZE)
    assert before.encode(picture, 2.0)["primary"] != after.encode(picture, 2.0)["primary"]


def test_tables_and_layers_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    path = tiny_checkpoint(tmp_path, gain_hyper=True)
    codec = Codec(path)
    scales, head = codec.primary.scales, codec.primary.h_s.layers["head"].tensors()
    for tensors, words in (
        ({"scales__cdfs": torch.from_numpy(scales.cdfs).float()}, "32-bit whole numbers"),
        ({f"scales__{k}": torch.from_numpy(getattr(scales, k)[:9].copy()) for k in ("cdfs", "lengths", "offsets")},
         "9 tables, 64 are needed"),
        ({"primary__h_s__head__weight": head["weight"][:, :5].contiguous()}, "expected shape"),
        ({"primary__h_s__head__bias": head["bias"] + 2**50}, "float64 holds exactly"),
        ({"primary__hyper_inverse": torch.ones(1281, 8)}, "hyper_inverse: expected 32-bit"),
    ):  # fmt: skip
        with pytest.raises(UserError, match=words):
            Codec(changed(path, **tensors))
