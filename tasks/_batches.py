"""Pictures of one shape through a network together, in the order they were given."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, TypeVar

from icm_bench.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor


_Item = TypeVar("_Item")
_Output = TypeVar("_Output")


def by_shape(items: Sequence[_Item], run: Callable[[list[_Item]], Iterable[_Output]]) -> list[_Output]:
    """What ``run`` gives for each item (which has a ``shape``), in their order; those of one shape go together."""
    same: dict[tuple[int, ...], list[int]] = {}
    for index, item in enumerate(items):
        same.setdefault(tuple(item.shape), []).append(index)  # type: ignore[attr-defined]
    outputs: dict[int, _Output] = {}
    for indexes in same.values():
        outputs.update(zip(indexes, run([items[index] for index in indexes]), strict=True))
    return [outputs[index] for index in range(len(items))]


def stacked(model: Callable[[Tensor], Tensor], inputs: Sequence[Tensor], device: str) -> list[Tensor]:
    """The model's output for each input (C, H, W); those of one shape go through it as one batch (B, C, H, W)."""
    import torch

    with torch.inference_mode():
        return by_shape(inputs, lambda same: model(torch.stack(same).to(device)))


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
