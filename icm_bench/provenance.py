"""Where a number comes from: our version and commit, libraries, machine, device, threads, time."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from icm_bench import __version__, simd

_LIBRARIES = (
    "torch", "torchvision", "compressai", "numpy", "pillow", "pycocotools", "onnxruntime", "imageio-ffmpeg",
)  # fmt: skip


def gather(device: str = "cpu", workers: int = 1, seed: int = 0) -> dict[str, Any]:
    """What every row says about how it was made. Imports no library to learn its version.

    threads: torch's own where torch is in use here; with several workers each has one.
    """
    return {
        "version": __version__,
        "commit": commit(Path(__file__).resolve().parent.parent),
        "python": platform.python_version(),
        "libraries": {name: found for name in _LIBRARIES if (found := installed_version(name)) is not None},
        "machine": f"{_cpu_model()}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}",
        "device": device,
        "threads": 1 if workers > 1 else simd.threads(),
        "n_workers": workers,
        "seed": seed,
        "utc": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def commit(root: Path) -> str | None:
    """The commit checked out at this folder, with "-dirty" where tracked files differ; None outside a
    checkout.
    """
    if not (root / ".git").exists():
        return None
    head = _git(root, "rev-parse", "--short=12", "HEAD")
    if not head:
        return None
    return head + ("-dirty" if _git(root, "status", "--porcelain", "--untracked-files=no") else "")


def _git(root: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def installed_version(name: str) -> str | None:
    """The version of an installed package, None when it is not there. Imports nothing."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _cpu_model() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return " ".join(line.partition(":")[2].split())
    except OSError:
        pass
    return platform.processor() or platform.machine()
