"""Reading released checkpoints: configuration, float transforms, integer layers and the coder's tables."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor, nn

from icm_bench.errors import UserError
from icm_bench.methods._entropy import Tables
from icm_bench.methods._integer import IntegerHyperSynthesis, IntegerLayer
from icm_bench.methods._networks import INDEX_OFFSET, INDEX_SLOPE, SCALE_LEVELS, CodecConfig, HyperSynthesis
from icm_bench.methods._packed import RATE_STEPS

#: Channels (or gain levels) that a checkpoint may declare.
_MOST_CHANNELS = 1024
FORMAT = "icm-bench codec 1"
#: Parts of a branch that run in floating point, outside of the entropy path.
FLOAT_PARTS = ("g_a.", "g_s.", "h_a.", "gains.", "hyper_gains.")


def read(path: Path) -> tuple[CodecConfig, dict[str, Tensor]]:
    """Configuration and tensors of a released checkpoint. Raises UserError for anything else."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != FORMAT:
                raise UserError(f"{path}: not a codec checkpoint of the form {FORMAT!r}")
            config = CodecConfig(**json.loads(metadata["config"]))
            _check(config)
            return config, {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a mapping
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: not a readable codec checkpoint ({error})") from error


def _check(config: CodecConfig) -> None:
    """Bound what is declared, before anything is made from it. Raises ValueError."""
    for name, value in asdict(config).items():
        of_kind = type(value) is type(getattr(CodecConfig, name))
        if not of_kind or (not isinstance(value, bool) and not 1 <= value <= _MOST_CHANNELS):
            raise ValueError(f"{name} = {value!r} is no configuration of a codec")


def load_floats(branch: nn.Module, tensors: dict[str, Tensor], prefix: str) -> None:
    """Fill the floating-point parts of a branch. Raises UserError for a wrong shape or a missing tensor."""
    for key, parameter in branch.named_parameters():
        if not key.startswith(FLOAT_PARTS):
            continue
        value = tensors.get(prefix + key)
        if value is None or value.shape != parameter.shape:
            raise UserError(f"checkpoint tensor {prefix}{key}: expected shape {tuple(parameter.shape)}")
        if not bool(value.isfinite().all()):
            raise UserError(f"checkpoint tensor {prefix}{key} holds values that are not finite")
        parameter.data.copy_(value.float())


def load_layers(tensors: dict[str, Tensor], name: str, config: CodecConfig) -> dict[str, IntegerLayer]:
    """The integer layers of a branch's hyper-synthesis. Raises UserError for one that is missing or inexact."""
    with torch.device("meta"):
        built = HyperSynthesis(config.n, config.m, name == "auxiliary" and config.context)
    layers = {}
    for key, module in built.named_modules():
        if not isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            continue
        where = f"{name}.h_s.{key}"
        try:
            parts = {part: tensors[f"{where}.{part}"] for part in ("weight", "bias", "shift")}
            layer = IntegerLayer.from_tensors(parts)
        except KeyError as error:
            raise UserError(f"the checkpoint has no tensor {error.args[0]}") from error
        except ValueError as error:
            raise UserError(f"checkpoint layer {where}: {error}") from error
        if layer.weight.shape != module.weight.shape or layer.up != isinstance(module, nn.ConvTranspose2d):
            raise UserError(f"checkpoint layer {where}: expected shape {tuple(module.weight.shape)}")
        layers[key] = layer
    return layers


def load_hyper_synthesis(tensors: dict[str, Tensor], name: str, config: CodecConfig) -> IntegerHyperSynthesis:
    """A branch's hyper-synthesis in whole numbers. Raises UserError for layers that are missing or inexact."""
    layers = load_layers(tensors, name, config)
    return IntegerHyperSynthesis(layers, int(INDEX_SLOPE), int(INDEX_OFFSET), SCALE_LEVELS - 1)


def load_hyper_inverse(tensors: dict[str, Tensor], name: str, config: CodecConfig) -> Tensor | None:
    """Inverse gains of the hyper-latent at every level in steps of 1/256: (levels, n) in units of 2^-12, or None."""
    if not config.gain_hyper:
        return None
    table = tensors.get(f"{name}.hyper_inverse")
    shape = ((config.levels - 1) * RATE_STEPS + 1, config.n)
    if table is None or tuple(table.shape) != shape or table.dtype != torch.int32:
        raise UserError(f"checkpoint tensor {name}.hyper_inverse: expected 32-bit whole numbers of shape {shape}")
    return table


def load_tables(tensors: dict[str, Tensor], prefix: str, rows: int) -> Tables:
    """The coder's tables below a prefix. Raises UserError for tables that the coder must not be given."""
    parts = [tensors.get(f"{prefix}.{part}") for part in ("cdfs", "lengths", "offsets")]
    if any(part is None or part.dtype != torch.int32 for part in parts):
        raise UserError(f"the checkpoint has no tables {prefix!r} of 32-bit whole numbers")
    tables = Tables(*(part.numpy() for part in parts if part is not None))
    if problem := tables.problem():
        raise UserError(f"checkpoint tables {prefix!r}: {problem}")
    if len(tables.cdfs) != rows:
        raise UserError(f"checkpoint tables {prefix!r}: {len(tables.cdfs)} tables, {rows} are needed")
    return tables
