"""The number formats in which analysis and synthesis can run. The entropy path is whole numbers in any of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from icm_bench.errors import UserError

if TYPE_CHECKING:
    import torch

PRECISIONS = ("float32", "bf16")


def problem(precision: str) -> str | None:
    """Why there is no such precision, or None."""
    return None if precision in PRECISIONS else f"precision {precision!r} is none of {', '.join(PRECISIONS)}"


def number_format(precision: str, device: str) -> torch.dtype:
    """torch's name for a precision. Raises UserError where the device computes bfloat16 slower than float32."""
    import torch

    if precision == "float32":
        return torch.float32
    if device.startswith("cuda"):
        able = torch.cuda.is_bf16_supported()
    else:
        # Older releases of PyTorch do not tell what a processor can do.
        abilities: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
        able = any(present for name, present in abilities.items() if "bf16" in name)
    if not able:
        raise UserError(f"precision='bf16' needs a device with bfloat16 instructions, {device} has none")
    return torch.bfloat16
