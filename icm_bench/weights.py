"""Reading weights from local files, safely: safetensors, PyTorch files and pickled arrays without code."""

from __future__ import annotations

import pickle
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from icm_bench.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor, nn

_WRAPPERS = ("state_dict", "model", "model_state_dict")


def load_state(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a .safetensors, .pth or (as in detectron2's model zoo) .pkl file by name, on the CPU.

    Wrappers ({"state_dict": ...}) and a "module." before every name are taken off. Raises UserError for a
    file that is damaged, is no state dict, or is a pickle that would run code.
    """
    import torch

    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: there is no such weights file")
    read = {".safetensors": _safetensors, ".pkl": _pickled_arrays}.get(path.suffix, _pickle)
    state: Any = read(path)
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


def fit(model: nn.Module, state: dict[str, Tensor], file: str, name: str, optional: str = "") -> None:
    """Fill a network, called name in messages, with the tensors of a file; every one must fit.

    optional: a regular expression over names that may be missing or too many (constants of the network, say).
    ``num_batches_tracked`` always may. Raises UserError naming the file and the first name that does not fit.
    """
    spare = re.compile(rf"(.*\.)?num_batches_tracked|{optional or '(?!)'}")
    try:
        missing, unexpected = model.load_state_dict(state, strict=False)
    except RuntimeError as error:
        lines = [line.strip() for line in str(error).splitlines()[1:]] or [str(error)]
        raise UserError(f"{file}: does not fit {name}: {lines[0]}") from error
    missing, unexpected = ([key for key in keys if not spare.fullmatch(key)] for keys in (missing, unexpected))
    if missing or unexpected:
        raise UserError(
            f"{file}: does not fit {name}: {len(missing)} tensors missing, {len(unexpected)} unknown "
            f"(such as {(missing + unexpected)[0]!r})"
        )


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
    except Exception as error:  # on damaged bytes it raises almost every kind there is
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise UserError(f"{path}: cannot be read as PyTorch weights ({reason})") from error


class _ArraysOnly(pickle.Unpickler):
    """Unpickles dictionaries of numpy arrays, and refuses to import anything else."""

    _ALLOWED = frozenset(
        {
            ("collections", "OrderedDict"),
            ("_codecs", "encode"),
            ("numpy", "dtype"),
            ("numpy", "ndarray"),
            ("numpy.core.multiarray", "_reconstruct"),
            ("numpy.core.multiarray", "scalar"),
            ("numpy._core.multiarray", "_reconstruct"),
            ("numpy._core.multiarray", "scalar"),
        }
    )

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._ALLOWED:
            raise pickle.UnpicklingError(f"{module}.{name} is neither an array nor a dictionary")
        return super().find_class(module.replace("numpy._core", "numpy.core"), name)


def _pickled_arrays(path: Path) -> object:
    """A pickled dictionary of numpy arrays, as tensors; names and numbers beside them are left as they are."""
    import numpy as np
    import torch

    try:
        with path.open("rb") as stream:
            held = _ArraysOnly(stream, encoding="latin1").load()
    except pickle.UnpicklingError as error:
        reason = " ".join(str(error).split())
        told = f"a pickle with more than arrays, which could run code ({reason})"
        raise UserError(f"{path}: refused: {told}") from error
    except Exception as error:  # on damaged bytes the unpickler raises almost every kind there is
        raise UserError(f"{path}: cannot be read as pickled arrays ({error or type(error).__name__})") from error
    arrays = held.get("model", held) if isinstance(held, dict) else None
    if not isinstance(arrays, dict):
        return held
    return {
        key: torch.from_numpy(value) if isinstance(value, np.ndarray) else value
        for key, value in arrays.items()
        if key not in ("__author__", "matching_heuristics")
    }
