"""Where networks run: "cpu", "cuda", "cuda:1", "mps"."""

from __future__ import annotations

from icm_bench.errors import UserError


def check(device: str) -> None:
    """Raise UserError for a device that this machine or this torch does not have. Imports torch only for others
    than the CPU.
    """
    if device == "cpu":
        return
    import torch

    try:
        kind, index = torch.device(device).type, torch.device(device).index
    except RuntimeError:
        raise UserError(f"--device {device}: unknown; expected cpu, cuda, cuda:N or mps") from None
    if kind == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (index or 0) >= count:
            raise UserError(f"--device {device}: torch {torch.__version__} sees {count} CUDA devices here")
    elif kind == "mps":
        if not torch.backends.mps.is_available():
            raise UserError(f"--device {device}: torch {torch.__version__} has no Metal device here")
    elif kind != "cpu":
        raise UserError(f"--device {device}: not supported; expected cpu, cuda, cuda:N or mps")
