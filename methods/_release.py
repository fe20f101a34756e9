"""Releasing a trained codec: one safetensors file with everything a codec needs, and a model card beside it.

Floating-point transforms are kept as float16; the hyper-synthesis, the tables of the entropy coder and all that
decides a symbol are whole numbers. Nothing is recomputed on loading.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from icm_bench.methods._checkpoints import digest
from icm_bench.methods._entropy import TAIL_MASS, Tables, gaussian_tables
from icm_bench.methods._integer import IntegerLayer, to_fixed
from icm_bench.methods._networks import SCALE_LEVELS, SCALE_MIN, SCALE_STEP
from icm_bench.methods._packed import RATE_STEPS
from icm_bench.methods._released import FLOAT_PARTS, FORMAT
from icm_bench.methods._trainable import Branch, CodecNet


def release(net: CodecNet, path: Path, about: dict[str, Any]) -> None:
    """Write a trained codec: quantised hyper-synthesis, integer tables, float16 transforms, and its card."""
    from safetensors.torch import save_file

    tensors = dict(_tables("scales", gaussian_tables(_scales())))
    branches = {"primary": net.primary}
    if net.auxiliary is not None:
        branches["auxiliary"] = net.auxiliary
    for name, branch in branches.items():
        tensors |= {f"{name}.{key}": value for key, value in _branch(branch)}
    metadata = {"format": FORMAT, "config": json.dumps(asdict(net.config))}
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    save_file(tensors, part, metadata)
    part.chmod(0o644)
    part.replace(path)
    sizes = {"config": asdict(net.config), "parameters": sum(p.numel() for p in net.parameters())}
    text = json.dumps({**about, **sizes, "sha256": digest(path)}, indent=1)
    path.with_suffix(".json").write_text(text + "\n", encoding="utf-8")


def _scales() -> list[float]:
    return [SCALE_MIN * float(np.exp(SCALE_STEP * i)) for i in range(SCALE_LEVELS)]


def _tables(prefix: str, tables: Tables) -> Iterator[tuple[str, Tensor]]:
    for part in ("cdfs", "lengths", "offsets"):
        yield f"{prefix}.{part}", torch.from_numpy(getattr(tables, part).copy())


def _branch(branch: Branch) -> Iterator[tuple[str, Tensor]]:
    for key, value in branch.state_dict().items():
        if key.startswith(FLOAT_PARTS):
            keep = torch.float32 if "gains." in key or value.dim() < 2 else torch.float16
            yield key, value.to(keep).contiguous()
    for name, layer in branch.h_s.named_modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            for part, value in IntegerLayer.quantise(layer).tensors().items():
                yield f"h_s.{name}.{part}", value
    if branch.hyper_gains is not None:
        levels = torch.arange((len(branch.hyper_gains.log_gain) - 1) * RATE_STEPS + 1) / RATE_STEPS
        inverse = branch.hyper_gains(levels)[1].detach()[:, :, 0, 0]
        yield "hyper_inverse", to_fixed(inverse).round().to(torch.int32)
    yield from _tables("prior", prior_tables(branch))


@torch.no_grad()
def prior_tables(branch: Branch, reach: int = 120) -> Tables:
    """Integer tables of the factorised prior, a row a channel, over the values that are likely enough to matter."""
    values = torch.arange(-reach, reach + 1.0)
    n = branch.prior.channels
    mass = branch.prior._likelihood(values.repeat(n, 1, 1))[0][:, 0].double().numpy()
    masses, offsets = [], []
    for row in mass:
        inside = np.flatnonzero(row > TAIL_MASS)
        low, high = (int(inside[0]), int(inside[-1])) if len(inside) else (reach, reach)
        masses.append(row[low : high + 1] / max(1.0, row[low : high + 1].sum()))
        offsets.append(low - reach)
    return Tables.from_masses(masses, offsets)
