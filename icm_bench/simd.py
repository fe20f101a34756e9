"""SIMD levels and thread counts that a child process can be held to.

PyTorch's own kernels, oneDNN and MKL choose their code when they are loaded, by the processor and by these variables;
a process therefore has one level for all of its life.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

#: Read by numerical libraries while they are loaded.
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_LEVEL_VARIABLES = ("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "MKL_ENABLE_INSTRUCTIONS")
_VALUES = {"avx2": ("avx2", "AVX2", "AVX2"), "sse": ("default", "SSE41", "SSE4_2")}
#: "native" is whatever the processor offers.
LEVELS = ("native", *_VALUES)


def environment(level: str, threads: int) -> dict[str, str]:
    """The environment of this process, with another SIMD level and thread count, and with all of our import path."""
    held = {name: value for name, value in os.environ.items() if name not in _LEVEL_VARIABLES}
    held |= dict(zip(_LEVEL_VARIABLES, _VALUES[level], strict=True)) if level in _VALUES else {}
    return held | dict.fromkeys(THREAD_VARIABLES, str(threads)) | import_path()


def import_path() -> dict[str, str]:
    """The variable by which a child process imports what this one can, from any folder."""
    return {"PYTHONPATH": os.pathsep.join(str(Path(path or ".").absolute()) for path in sys.path)}


def another() -> tuple[str, int]:
    """A level and a thread count that are not those of this process: one level down, and 2 threads or 1."""
    level = os.environ.get("ATEN_CPU_CAPABILITY", "native").lower()
    if level == "native":
        level = "native" if "avx512f" in _processor() else "avx2"
    return ("avx2" if level in ("native", "avx512") else "sse"), (2 if threads() == 1 else 1)


def threads() -> int:
    """Threads of this process: torch's own where torch is in use."""
    if "torch" in sys.modules:
        return int(sys.modules["torch"].get_num_threads())
    text = os.environ.get("OMP_NUM_THREADS", "")
    return int(text) if text.isdigit() else os.cpu_count() or 1


def _processor() -> str:
    try:
        return Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return ""
