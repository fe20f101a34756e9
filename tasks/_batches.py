"""Pictures of one shape through a network together, in the order they were given."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar

from icm_bench.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor, nn

#: Where detectors of torchvision and detectron2 give scores and offsets, before those of low score are dropped.
_HEADS = frozenset(("head", "rpn.head", "proposal_generator.rpn_head", "roi_heads.box_predictor"))

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


def watched(model: nn.Module, net: str) -> None:
    """Let a detector raise UserError for NaN or infinity in its heads: such scores would just be dropped as low."""

    def check(module: nn.Module, _: object, output: object) -> None:
        if not module.training:
            for values in _tensors(output):
                finite(values, net)

    for name, module in model.named_modules():
        if name in _HEADS:
            module.register_forward_hook(check)


def _tensors(output: object) -> Iterator[Tensor]:
    """All tensors in an output of lists, tuples and dictionaries."""
    if isinstance(output, dict | list | tuple):
        for part in output.values() if isinstance(output, dict) else output:
            yield from _tensors(part)
    elif hasattr(output, "isfinite"):
        yield output  # type: ignore[misc]


def finite(values: Tensor, net: str) -> None:
    """Raise UserError when a network's output holds NaN or infinity: it would pass for a wrong answer."""
    import torch

    if not torch.isfinite(values).all():
        raise UserError(f"net {net}: the output is not finite (NaN or infinity)")
