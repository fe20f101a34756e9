"""Pictures of one shape through a network together, in the order they were given."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from icm_bench.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor


def groups(shapes: Sequence[Any]) -> Iterator[list[int]]:
    """Indices of the items of each shape, in order of first appearance."""
    found: dict[tuple[int, ...], list[int]] = {}
    for index, shape in enumerate(shapes):
        found.setdefault(tuple(shape), []).append(index)
    yield from found.values()


def stacked(model: Callable[[Tensor], Tensor], inputs: Sequence[Tensor], device: str) -> list[Tensor]:
    """The model's output for each input (C, H, W); those of one shape go through it as one batch (B, C, H, W)."""
    import torch

    outputs: dict[int, Tensor] = {}
    for indexes in groups([tensor.shape for tensor in inputs]):
        with torch.inference_mode():
            batch = model(torch.stack([inputs[index] for index in indexes]).to(device))
        outputs.update(zip(indexes, batch, strict=True))
    return [outputs[index] for index in range(len(inputs))]


def five_best(logits: Sequence[Tensor], net: str) -> list[list[int]]:
    """The five best class indices of each (classes,), best first. Raises UserError for NaN."""
    best = []
    for one in logits:
        finite(one, net)
        best.append(one.topk(min(5, len(one))).indices.tolist())
    return best


def finite(values: Tensor, net: str) -> None:
    """Raise UserError when a network's output holds NaN or infinity: it would pass for a wrong answer."""
    import torch

    if not torch.isfinite(values).all():
        raise UserError(f"net {net}: the output is not finite (NaN or infinity)")
