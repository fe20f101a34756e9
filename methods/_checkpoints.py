"""Where the weights of the learned codecs lie. Imports no torch, so that a cached run can name its checkpoints."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from icm_bench.errors import UserError

WEIGHTS = Path(__file__).with_name("weights")


def find(checkpoint: str) -> Path:
    """The file of a checkpoint given as a built-in name or a path. Raises UserError naming what there is."""
    path = Path(checkpoint).expanduser()
    if path.suffix == ".safetensors" or "/" in checkpoint:
        if not path.is_file():
            raise UserError(f"checkpoint {checkpoint}: there is no such file")
        return path
    built_in = WEIGHTS / f"{checkpoint}.safetensors"
    if not built_in.is_file():
        known = ", ".join(sorted(p.stem for p in WEIGHTS.glob("*.safetensors"))) or "none"
        raise UserError(
            f"no built-in checkpoint {checkpoint!r} (there are: {known}); a path ends in .safetensors"
        )
    return built_in


def digest(path: Path) -> str:
    """sha256 of a file, hex."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def card(path: Path) -> dict[str, Any]:
    """The model card beside a checkpoint, {} when there is none."""
    beside = path.with_suffix(".json")
    found: dict[str, Any] = json.loads(beside.read_text(encoding="utf-8")) if beside.is_file() else {}
    return found
