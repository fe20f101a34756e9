"""Reading weights from local files, safely: safetensors, or PyTorch files without code."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import TYPE_CHECKING

from icm_bench.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

_WRAPPERS = ("state_dict", "model", "model_state_dict")


def load_state(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a .safetensors or .pth file by name, on the CPU.

    Wrappers ({"state_dict": ...}) and a "module." before every name are taken off. Raises UserError for a
    file that is damaged, is no state dict, or is a pickle that would run code.
    """
    import torch

    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: there is no such weights file")
    state = _safetensors(path) if path.suffix == ".safetensors" else _pickle(path)
    for key in _WRAPPERS:
        if isinstance(state, dict) and isinstance(state.get(key), dict):
            state = state[key]
    if (
        not isinstance(state, dict)
        or not state
        or not all(isinstance(value, torch.Tensor) for value in state.values())
    ):
        raise UserError(f"{path}: is no state dict (expected tensors by name)")
    if all(key.startswith("module.") for key in state):
        state = {key.removeprefix("module."): value for key, value in state.items()}
    return state


def _safetensors(path: Path) -> object:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read as safetensors ({error})") from error


def _pickle(path: Path) -> object:
    import torch

    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UserError(
            f"{path}: refused: it is damaged, or a pickle with more than tensors, which could run code; "
            f"save the state dict alone, or as .safetensors"
        ) from error
    except (OSError, RuntimeError, EOFError, ValueError, KeyError) as error:
        raise UserError(f"{path}: cannot be read as PyTorch weights ({str(error).partition(chr(10))[0]})") from error
