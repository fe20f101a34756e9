"""The integer hyper-synthesis: exact whatever the order of summation, and close to the float network."""

import pytest
import torch

from icm_bench.methods._integer import (
    ACTIVATION_BITS,
    ACTIVATION_LIMIT,
    EXACT_LIMIT,
    IntegerHyperSynthesis,
    IntegerLayer,
)
from icm_bench.methods._networks import INDEX_OFFSET, INDEX_SLOPE, SCALE_LEVELS, HyperSynthesis

N, M, SIZE = 12, 16, (10, 7)


def networks(context: bool) -> tuple[HyperSynthesis, IntegerHyperSynthesis]:
    torch.manual_seed(3)
    net = HyperSynthesis(N, M, context).eval()
    layers = {
        name: IntegerLayer.quantise(layer)
        for name, layer in net.named_modules()
        if isinstance(layer, torch.nn.Conv2d | torch.nn.ConvTranspose2d)
    }
    return net, IntegerHyperSynthesis(layers, int(INDEX_SLOPE), int(INDEX_OFFSET), SCALE_LEVELS - 1)


def inputs(context: bool) -> tuple[torch.Tensor, torch.Tensor | None]:
    generator = torch.Generator().manual_seed(5)
    z = torch.randint(-20, 21, (1, N, 3, 2), generator=generator)
    fixed = torch.randint(-(2**17), 2**17, (1, M, *SIZE), generator=generator) if context else None
    return z, fixed


@pytest.mark.parametrize("context", [False, True])
def test_it_follows_the_float_network(context: bool) -> None:
    net, exact = networks(context)
    z, fixed = inputs(context)
    mean, index = exact(z, fixed, SIZE)
    floats = None if fixed is None else fixed.float() * 2.0**-ACTIVATION_BITS
    with torch.no_grad():
        want_mean, want_index = net(z.float(), floats, SIZE)
    assert mean.shape == index.shape == (1, M, *SIZE)
    assert (mean * 2.0**-ACTIVATION_BITS - want_mean).abs().max() < 0.02
    assert (index - want_index.clamp(0, SCALE_LEVELS - 1)).abs().max() < 0.6


def test_any_order_of_summation_gives_the_same_numbers() -> None:
    _, exact = networks(True)
    z, fixed = inputs(True)
    assert fixed is not None
    want = exact(z, fixed, SIZE)
    layer = exact.layers["mix.0"]
    order = torch.randperm(2 * M, generator=torch.Generator().manual_seed(1))
    x = torch.randint(0, 2**19, (1, 2 * M, *SIZE)).double()
    shuffled = IntegerLayer(layer.weight[:, order], layer.bias, layer.shift, layer.up)
    assert torch.equal(layer(x), shuffled(x[:, order]))
    again = exact(z.clone(), fixed.clone(), SIZE)
    assert all(torch.equal(a, b) for a, b in zip(want, again, strict=True))


def test_the_largest_sums_stay_exact() -> None:
    """All weights and activations at their limits: the float64 sum equals Python's whole numbers."""
    weight = torch.full((1, 2048 // 9 + 1, 3, 3), 2.0**15 - 1)
    layer = IntegerLayer(weight.double(), torch.tensor([1.0]).double(), 0, False)
    x = torch.full((1, weight.shape[1], 3, 3), 2.0**19 - 1).double()
    assert int(layer(x)[0, 0, 1, 1]) == weight.numel() * (2**15 - 1) * (2**19 - 1) + 1


def test_the_bound_is_that_of_the_worst_input() -> None:
    """Whole numbers of Python's own, every activation at the limit and of its weight's sign."""
    _, exact = networks(True)
    for layer in exact.layers.values():
        rows = layer.weight.transpose(0, 1) if layer.up else layer.weight
        worst = [
            sum(abs(int(w)) for w in row.flatten()) * ACTIVATION_LIMIT + abs(int(b))
            for row, b in zip(rows, layer.bias, strict=True)
        ]
        assert layer.reach == max(worst) + 2**layer.shift < EXACT_LIMIT


def test_layers_that_could_leave_the_exact_numbers_are_refused() -> None:
    good = IntegerLayer(torch.ones(2, 3, 3, 3).double(), torch.zeros(2).double(), 4, False).tensors()
    assert torch.equal(IntegerLayer.from_tensors(good).weight, torch.ones(2, 3, 3, 3).double())
    large = torch.full((1, 4000, 3, 3), 2**15 - 1, dtype=torch.int16)
    for bad, words in (
        ({"weight": good["weight"].float()}, "whole numbers of 16"),
        ({"bias": good["bias"].double()}, "whole numbers of 16"),
        ({"bias": good["bias"][:1]}, "belong together"),
        ({"bias": good["bias"] + 2**60}, "float64 holds exactly"),
        ({"bias": good["bias"] - 2**63}, "float64 holds exactly"),
        ({"weight": large.repeat(1, 16, 1, 1), "bias": good["bias"][:1]}, "float64 holds exactly"),
        ({"shift": torch.tensor([60, 0])}, "a shift of 60"),
        ({"shift": torch.tensor([-1, 0])}, "a shift of -1"),
    ):
        with pytest.raises(ValueError, match=words):
            IntegerLayer.from_tensors(good | bad)
