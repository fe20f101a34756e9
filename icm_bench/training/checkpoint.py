"""Checkpoints of trainings in progress: safetensors, written in one atomic rename; never a pickle.

Tensors are named "model.KEY" for the model, "NAME.KEY" for a companion, and "optimizer.INDEX.KEY" for Adam's state.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from icm_bench.errors import UserError

CHECKPOINT = "last.safetensors"
_FORMAT = "icm-bench training 1"


def save_checkpoint(
    path: Path, step: int, modules: Mapping[str, nn.Module], optimizer: torch.optim.Optimizer
) -> None:
    """Write the modules, the optimiser and the number of steps done."""
    from safetensors.torch import save_file

    tensors = {
        f"{name}.{key}": value.contiguous()
        for name, module in modules.items()
        for key, value in module.state_dict().items()
    }
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{key}": value.contiguous() for key, value in state.items()}
    part = path.with_suffix(".part")
    save_file(tensors, part, {"format": _FORMAT, "step": str(step)})
    part.replace(path)


def load_checkpoint(path: Path, modules: Mapping[str, nn.Module], optimizer: torch.optim.Optimizer) -> int:
    """Fill the modules and the optimiser; the number of steps done.

    Raises UserError for a file that is no checkpoint, or is one of another configuration.
    """
    step, tensors = read_checkpoint(path)
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    try:
        for key in [key for key in tensors if key.startswith("optimizer.")]:
            _, index, name = key.split(".", 2)
            like, value = parameters[int(index)], tensors.pop(key)
            # In the parameter's own memory layout, which a fused optimiser takes for granted.
            laid = torch.empty_like(like).copy_(value) if value.shape == like.shape else value
            state.setdefault(int(index), {})[name] = laid
        for name, module in modules.items():
            module.load_state_dict(below(tensors, f"{name}."))
        optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
    except (IndexError, KeyError, RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[-1].strip()
        raise UserError(
            f"{path}: of another configuration, delete it or choose another run folder ({reason})"
        ) from error
    return step


def read_checkpoint(path: Path) -> tuple[int, dict[str, Tensor]]:
    """Steps done and all tensors. Raises UserError for anything but a checkpoint of a training."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != _FORMAT:
                raise UserError(f"{path}: not a checkpoint of a training of the form {_FORMAT!r}")
            return int(metadata["step"]), {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise UserError(f"{path}: not a readable checkpoint of a training ({error})") from error


def below(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names begin with a prefix, without it."""
    return {key[len(prefix) :]: value for key, value in tensors.items() if key.startswith(prefix)}
