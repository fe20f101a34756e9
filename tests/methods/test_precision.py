"""Precisions of the transforms: whole numbers decide the symbols in each, pictures differ by little."""

import numpy as np
import pytest
import torch
from tiny import tiny_checkpoint, tiny_net

from icm_bench import registry
from icm_bench.errors import UserError
from icm_bench.methods._codec import Codec
from icm_bench.methods._gdn import FoldedGdn
from icm_bench.methods._networks import deconv, subpixel
from icm_bench.testing import textured_picture


@pytest.fixture
def able(monkeypatch):
    """Any processor computes bfloat16, if slowly."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True}, raising=False)


def test_a_stream_of_one_precision_is_read_by_the_other(tmp_path, able):
    path = tiny_checkpoint(tmp_path)
    picture = textured_picture(64, 80)
    plain, short = Codec(path), Codec(path, precision="bf16")
    for writer in (plain, short):
        layers = writer.encode(picture, 2.0)
        one, other = (codec._latents(layers, (64, 80), 2.0) for codec in (plain, short))
        assert np.array_equal(one[0].exact, other[0].exact) and np.array_equal(one[1].exact, other[1].exact)
        pictures = [codec.pictures(layers, (64, 80), 2.0, [0.0])[0].astype(int) for codec in (plain, short)]
        assert 0 < np.abs(pictures[0] - pictures[1]).mean() < 2


def test_precision_is_a_parameter_of_its_own(able):
    plain, short = registry.method("hyperprior"), registry.method('hyperprior(precision="bf16")')
    assert plain.params == {} and short.params == {"precision": "bf16"} and plain != short
    picture = textured_picture(48, 64)
    stream = short.encode(picture, 4)
    (read,) = plain.decode(stream, [None])
    (own,) = short.decode(stream, [None])
    assert np.abs(read.astype(int) - own).max() <= 3
    for spec in ("hyperprior", "rdc"):
        with pytest.raises(UserError, match="precision 'half' is none of float32, bf16"):
            registry.method(f'{spec}(precision="half")')


def test_a_processor_without_bfloat16_is_told_so(monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": False, "avx2": True}, raising=False)
    with pytest.raises(UserError, match="precision='bf16' needs a device with bfloat16 instructions, cpu has none"):
        registry.method('rdc(precision="bf16")').setup()


@pytest.mark.parametrize("size", [(1, 1), (2, 5), (7, 4)])
def test_subpixels_are_the_transposed_convolution(size):
    torch.manual_seed(5)
    layer = deconv(6, 3)
    x = torch.randn(2, 6, *size)
    with torch.no_grad():
        assert torch.allclose(subpixel(layer)(x), layer(x), atol=1e-5)


@pytest.mark.parametrize("inverse", [False, True])
def test_folded_divisive_normalisation_is_the_trained_one(inverse, monkeypatch):
    trained = tiny_net().primary.g_s.norm[0] if inverse else tiny_net().primary.g_a[1]
    folded = FoldedGdn(8, inverse)
    monkeypatch.setattr(FoldedGdn, "CHUNK", 7)
    with torch.inference_mode():
        trained.gamma.add_(0.1 * torch.rand(8, 8))
        folded.load_state_dict(trained.state_dict(), strict=False)
        folded.fold()
        x = torch.randn(1, 8, 5, 6).contiguous(memory_format=torch.channels_last)
        assert torch.allclose(trained(x), folded(x.clone()), rtol=1e-4, atol=1e-6)
