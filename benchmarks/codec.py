"""Our codecs beside CompressAI's ``compress`` and ``decompress`` of the same networks: seconds, bytes, pictures.

    python benchmarks/codec.py [--picture FILE ...] [--threads 1] [--repeats 5] [--profile]

Times a picture of 768x512 (the first FILE's top left, else one of the mini world, enlarged) to real bytes and back,
interleaved in one process, median of the repeats: networks of N = 128, M = 192 with random weights, as a hyperprior
and as RDC. The shipped checkpoints then tell, for every FILE, what real weights give: rate, grey levels, PSNR.
Our hyper-synthesis computes in whole numbers and CompressAI's in float32: some symbols fall to another side of a
rounding, so that pictures are compared once as they come and once from the same symbols.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
import torch
from codec_twin import TwinCodec, n_bytes
from torch.profiler import ProfilerActivity, profile

from icm_bench.errors import UserError
from icm_bench.images import read_picture
from icm_bench.methods._checkpoints import find
from icm_bench.methods._codec import Codec
from icm_bench.methods._networks import CodecConfig
from icm_bench.methods._precision import PRECISIONS
from icm_bench.methods._release import release
from icm_bench.methods._trainable import CodecNet
from icm_bench.training.data import mini_pictures

HEIGHT, WIDTH = 512, 768
RATE = 3.0
#: Shipped checkpoints and their rates for the comparison of what they give.
SHIPPED = (("hyperprior-mini", 0.0), ("hyperprior-mini", 5.0), ("hyperprior-mini-q4", 0.0), ("rdc-mini", 3.0))
_GEMM_SIDE = 2048


def read_or_make(path: Path | None) -> np.ndarray:
    """uint8 (512, 768, 3)."""
    if path is None:
        small = read_picture(mini_pictures()[0])
        times = max(-(-HEIGHT // small.shape[0]), -(-WIDTH // small.shape[1]))
        return small.repeat(times, 0).repeat(times, 1)[:HEIGHT, :WIDTH]
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


def seconds(runs: dict[str, Callable[[], object]], repeats: int) -> dict[str, tuple[float, float]]:
    """Median wall and processor seconds of each, run in turn."""
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
    for _ in range(repeats + 1):
        for name, run in runs.items():
            wall, processor = time.perf_counter(), time.process_time()
            run()
            taken[name].append((time.perf_counter() - wall, time.process_time() - processor))
    # The first of each warms up.
    return {name: (median(t[0] for t in times[1:]), median(t[1] for t in times[1:])) for name, times in taken.items()}


def show(picture: np.ndarray, coded: dict[str, bytes], codec: Codec, rate: float) -> np.ndarray:
    """The decoded picture with all of its residual."""
    return codec.pictures(coded, (picture.shape[0], picture.shape[1]), rate, [1.0])[0]


def psnr(one: np.ndarray, other: np.ndarray) -> float:
    """In dB."""
    return float(10 * np.log10(255**2 / np.square(one.astype(float) - other).mean()))


def codecs(checkpoint: Path) -> dict[str, Codec]:
    """One for each precision that this processor has."""
    made = {}
    for precision in PRECISIONS:
        try:
            made[precision] = Codec(checkpoint, precision=precision)
        except UserError as error:
            print(error)
    return made


def speed(checkpoint: Path, picture: np.ndarray, repeats: int) -> None:
    """Print seconds of CompressAI's functions and of ours at each precision."""
    twin, ours = TwinCodec(checkpoint, RATE), codecs(checkpoint)
    theirs = twin.encode(picture)
    runs: dict[str, Callable[[], object]] = {
        "CompressAI encode": lambda: twin.encode(picture),
        "CompressAI decode": lambda: twin.decode(theirs),
    }
    for name, codec in ours.items():
        coded = codec.encode(picture, RATE)
        runs[f"{name} encode"] = partial(codec.encode, picture, RATE)
        runs[f"{name} decode"] = partial(show, picture, coded, codec, RATE)
    taken = seconds(runs, repeats)
    totals = {}
    for name in ("CompressAI", *ours):
        encode, decode = taken[f"{name} encode"], taken[f"{name} decode"]
        totals[name] = [encode[i] + decode[i] for i in (0, 1)]
        wall, processor = (totals["CompressAI"][i] / totals[name][i] for i in (0, 1))
        print(
            f"{checkpoint.stem:10} {name:10} encode {encode[0]:.3f} s, decode {decode[0]:.3f} s, {wall:5.2f} times, "
            f"processor {encode[1]:6.3f} + {decode[1]:6.3f} s, {processor:5.2f} times"
        )


def equality(checkpoint: Path, picture: np.ndarray, rate: float) -> None:
    """Print how bytes, grey levels and PSNR of our codecs compare with CompressAI's functions."""
    twin = TwinCodec(checkpoint, rate)
    theirs = twin.encode(picture)
    shown, total = twin.decode(theirs), n_bytes(theirs)
    for name, codec in codecs(checkpoint).items():
        coded = codec.encode(picture, rate)
        made = show(picture, coded, codec, rate)
        levels = np.abs(made.astype(int) - shown)
        change = 100 * (sum(map(len, coded.values())) / total - 1)
        same = np.abs(made.astype(int) - twin.synthesis(*latents(codec, coded, rate)))
        print(
            f"{checkpoint.stem:18} rate {rate:g} {name:8} {total:6} bytes {change:+.3f} %, PSNR "
            f"{psnr(picture, shown):.3f} dB {psnr(picture, made) - psnr(picture, shown):+.4f}; beyond 1 level "
            f"{100 * (levels > 1).mean():.4f} % of values, at most {levels.max()}; "
            f"from the same symbols at most {same.max()}"
        )


def latents(codec: Codec, coded: dict[str, bytes], rate: float) -> tuple[torch.Tensor, torch.Tensor | None]:
    """What our streams hold: the latents of both branches."""
    one, other, _ = codec._latents(coded, (HEIGHT, WIDTH), rate)
    return one.values("cpu"), None if other is None else other.values("cpu")


def gemm_share(codec: Codec, picture: np.ndarray) -> None:
    """Print what a large matrix product reaches, and the part of it that the transforms reach."""
    dtype = codec.primary.dtype
    one = torch.ones(_GEMM_SIDE, _GEMM_SIDE, dtype=dtype)
    x = codec._tensor(picture)
    with torch.inference_mode():
        flops = 2 * analysis_flops(codec, x)  # synthesis has as many as analysis
        taken = seconds({"matrix": lambda: one @ one, "transforms": lambda: transforms(codec, x)}, 5)
    peak, reached = 2 * _GEMM_SIDE**3 / taken["matrix"][1] / 1e9, flops / taken["transforms"][1] / 1e9
    print(
        f"{str(dtype).removeprefix('torch.'):9} product of {_GEMM_SIDE} cubed {peak:5.0f} GFLOP/s; g_a and g_s "
        f"{reached:5.0f} GFLOP/s, {100 * reached / peak:.0f} % (processor time)"
    )


def transforms(codec: Codec, x: torch.Tensor) -> torch.Tensor:
    """Analysis and synthesis of the primary branch, without quantisation between them."""
    net, dtype = codec.primary.net, codec.primary.dtype
    return net.g_s(net.g_a(x.to(dtype)))


def analysis_flops(codec: Codec, x: torch.Tensor) -> int:
    """Operations of analysis as the network defines it, GDN included, for a picture (1, 3, H, W)."""
    n, m, pixels = codec.config.n, codec.config.m, x.shape[-2] * x.shape[-1]
    convolutions = 25 * (3 * n / 4 + n * n / 16 + n * n / 64 + n * m / 256)
    return round(2 * pixels * (convolutions + n * n * (1 / 4 + 1 / 16 + 1 / 64)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--picture", type=Path, nargs="+", default=[None], help="at least 768x512; the first is timed"
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--profile", action="store_true", help="print where the time of each precision goes")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    pictures = [read_or_make(path) for path in options.picture]
    picture = pictures[0]
    print(f"torch {torch.__version__}, {options.threads} threads, {options.repeats} repeats, rate {RATE:g}")
    with tempfile.TemporaryDirectory() as folder:
        hyperprior = random_checkpoint(Path(folder) / "hyperprior.safetensors", auxiliary=False)
        speed(hyperprior, picture, options.repeats)
        speed(random_checkpoint(Path(folder) / "rdc.safetensors", auxiliary=True), picture, options.repeats)
        for codec in codecs(hyperprior).values():
            gemm_share(codec, picture)
            if options.profile:
                print_profile(codec, picture)
    for name, rate in SHIPPED:
        for picture in pictures:
            equality(find(name), picture, rate)


def print_profile(codec: Codec, picture: np.ndarray) -> None:
    """Print torch's operators by their own time, encode and decode together."""
    with profile(activities=[ProfilerActivity.CPU]) as seen:
        show(picture, codec.encode(picture, RATE), codec, RATE)
    print(seen.key_averages().table(sort_by="self_cpu_time_total", row_limit=12, max_name_column_width=32))


if __name__ == "__main__":
    main()
