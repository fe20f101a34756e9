"""The hyperprior with one checkpoint per lambda and with gain units: the conformance kit on the shipped ones."""

import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest
from tiny import tiny_checkpoint

from icm_bench import registry
from icm_bench.bitstream import Bitstream
from icm_bench.errors import BitstreamError, UserError
from icm_bench.method import Method
from icm_bench.testing import MethodTests, textured_picture


@pytest.fixture(scope="module", params=[False, True], ids=["per-lambda", "variable"])
def method(request: pytest.FixtureRequest) -> Method:
    return registry.method(f"hyperprior(variable={request.param})")


class TestHyperprior(MethodTests):
    pass


def test_the_price_in_checkpoints_is_told() -> None:
    fixed, variable = (registry.method(f"hyperprior(variable={value})").footprint() for value in (False, True))
    assert (fixed.checkpoints, variable.checkpoints) == (4, 1)
    assert 3.9 < fixed.parameters / variable.parameters <= 4


def test_spec_takes_true_as_toml_writes_it() -> None:
    assert registry.method("hyperprior(variable=true)").spec == "hyperprior(variable=True)"


def test_four_files_are_found_by_their_common_name(tmp_path: Path) -> None:
    source = tiny_checkpoint(tmp_path, auxiliary=False, levels=1)
    for quality in (1, 2, 3, 4):
        (tmp_path / f"mine-q{quality}.safetensors").write_bytes(source.read_bytes() + b"")
    made = registry.method(f"hyperprior(checkpoint={str(tmp_path / 'mine.safetensors')!r})")
    picture = textured_picture(33, 20)
    (decoded,) = made.decode(made.encode(picture, 2), [None])
    assert decoded.shape == picture.shape
    (tmp_path / "mine-q3.safetensors").unlink()
    again = registry.method(made.spec)
    with pytest.raises(UserError, match=r"mine-q3\.safetensors: there is no such file"):
        again.setup()


def test_a_declared_picture_that_the_bytes_cannot_hold_is_refused_before_it_is_made() -> None:
    """Header and one honest layer of 64x64 pixels, declared as 16384x16384: 800 MB would be its picture alone."""
    method = registry.method("hyperprior(variable=true)")
    stream = method.encode(textured_picture(64, 64), 0)
    huge = replace(stream, width=2**14, height=2**14)
    tracemalloc.start()
    with pytest.raises(BitstreamError, match=r"bytes cannot hold 1024x1024 latents"):
        list(method.decode(Bitstream.from_bytes(huge.to_bytes()), [None]))
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()
