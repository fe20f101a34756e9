"""Our codecs beside CompressAI's ``compress`` and ``decompress`` of the same networks: seconds, bytes, pictures.

    python benchmarks/codec.py [--picture FILE] [--threads 1] [--repeats 5] [--profile]

Times a picture of 768x512 (the top left of FILE, else one of the mini world, enlarged) to real bytes and back,
interleaved in one process, median of the repeats: networks of N = 128, M = 192 with random weights, as a hyperprior
and as RDC. The shipped checkpoints then tell what a network with real weights gives: rate, grey levels, PSNR.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import torch

from icm_bench.images import read_picture
from icm_bench.methods._networks import CodecConfig
from icm_bench.methods._release import release
from icm_bench.methods._trainable import CodecNet
from icm_bench.training.data import mini_pictures

HEIGHT, WIDTH = 512, 768
RATE = 3.0
_GEMM_SIDE = 2048


def read_or_make(path: Path | None) -> np.ndarray:
    """uint8 (512, 768, 3)."""
    if path is None:
        small = read_picture(mini_pictures()[0])
        return np.kron(small, np.ones((-(-HEIGHT // small.shape[0]), -(-WIDTH // small.shape[1]), 1), np.uint8))[
            :HEIGHT, :WIDTH
        ]
    picture = read_picture(path)
    if picture.shape[0] < HEIGHT or picture.shape[1] < WIDTH:
        raise SystemExit(f"{path}: {WIDTH}x{HEIGHT} pixels are needed, it has {picture.shape[1]}x{picture.shape[0]}")
    return picture[:HEIGHT, :WIDTH]


def random_checkpoint(path: Path, auxiliary: bool) -> Path:
    """A released codec with random weights, scaled up so that its symbols are spread as those of real pictures."""
    torch.manual_seed(11)
    net = CodecNet(CodecConfig(n=128, m=192, auxiliary=auxiliary)).eval()
    with torch.no_grad():
        for branch in (net.primary, net.auxiliary):
            if branch is not None:
                branch.g_a[-1].weight *= 20
                branch.h_a[-1].weight *= 20
    release(net, path, {"training": "none"})
    return path


def seconds(runs: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Median seconds of each, run in turn."""
    taken: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeats + 1):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            taken[name].append(time.perf_counter() - start)
    return {name: median(times[1:]) for name, times in taken.items()}  # the first warms up


def main() -> None:
    pass
