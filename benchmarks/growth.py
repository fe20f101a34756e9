"""How time and memory grow with pictures and with pixels.

    python benchmarks/growth.py pictures [--counts 100,1000,10000,100000]
    python benchmarks/growth.py pixels [--method rdc] [--megapixels 0.1,1,4,16,33]

Each point is a process of its own. "pictures": a run of the identity codec on that many synthetic pictures of 8x8 in
one unit each. "pixels": encode and decode of one mini scene enlarged; at more than one tile, the squared error within
two pixels of the tiles' edges is compared with that elsewhere.
"""

from __future__ import annotations

import argparse
import math
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image
from start import small_pictures

from icm_bench import plan, registry, runner
from icm_bench.bitstream import Bitstream
from icm_bench.datasets import task_of
from icm_bench.methods._tiles import BORDER, tiles
from icm_bench.request import Request
from icm_bench.store import Store


def peak_mb() -> float:
    """Highest resident memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def pictures(count: int) -> None:
    """Run on so many pictures; the pictures' making is not counted."""
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home) / "pictures"
        small_pictures(folder, count)
        before, start = peak_mb(), time.perf_counter()
        with Store(Path(home) / "store.sqlite") as store:
            made = plan.build(Request(("jpeg",), ("images",), data=str(folder), rates=(50.0,), reference=None), store)
            for _ in runner.run(made, store):
                pass
        seconds = time.perf_counter() - start
    print(f"{count:7d} pictures: {seconds:7.1f} s, {1000 * seconds / count:.2f} ms each, peak {peak_mb():.0f} MB "
          f"({before:.0f} MB before)", flush=True)  # fmt: skip


def pixels(spec: str, megapixels: float) -> None:
    """Encode and decode one picture of so many pixels, 16:9."""
    scene = Image.fromarray(task_of("cityscapes", "mini").samples()[0].read())
    height = max(16, round((megapixels * 1e6 * 9 / 16) ** 0.5))
    image = np.asarray(scene.resize((round(height * 16 / 9), height), Image.Resampling.BICUBIC))
    image = np.clip(image + np.random.default_rng(0).normal(0, 4, image.shape), 0, 255).astype(np.uint8)
    method = registry.method(spec)
    method.setup()
    rate = method.rate.points[len(method.rate.points) // 2]
    method.encode(image[:64, :64], rate)
    before = peak_mb()
    start = time.perf_counter()
    data = method.encode(image, rate).to_bytes()
    middle = time.perf_counter()
    (decoded,) = method.decode(Bitstream.from_bytes(data), method.betas[:1])
    end = time.perf_counter()
    told = f"{image[..., 0].size / 1e6:5.1f} MP: encode {middle - start:6.1f} s, decode {end - middle:6.1f} s"
    print(f"{told}, peak {peak_mb():.0f} MB ({before:.0f} MB before){seams(image, decoded)}", flush=True)


def seams(image: np.ndarray, decoded: np.ndarray) -> str:
    """Mean squared error within two pixels of multiples of the tile's side, and elsewhere."""
    error = ((image.astype(np.int32) - decoded) ** 2).mean(2)
    near = np.zeros(error.shape, bool)
    for axis in (0, 1):
        latents = tuple(math.ceil(n / 16) for n in error.shape)
        for edge in {16 * tile[axis].first for tile in tiles(latents, BORDER)} - {0}:
            near[(slice(None),) * axis + (slice(edge - 2, edge + 2),)] = True
    if not near.any():
        return ""
    return f"; MSE {error[near].mean():.2f} at the seams, {error[~near].mean():.2f} elsewhere"


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("what", choices=("pictures", "pixels"))
    options.add_argument("--counts", default="100,1000,10000,100000")
    options.add_argument("--method", default="rdc")
    options.add_argument("--megapixels", default="0.1,1,4,16,33")
    options.add_argument("--one", help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.one is not None:
        pictures(int(given.one)) if given.what == "pictures" else pixels(given.method, float(given.one))
        return
    for point in (given.counts if given.what == "pictures" else given.megapixels).split(","):
        words = [sys.executable, __file__, given.what, "--method", given.method, "--one", point]
        subprocess.run(words, check=True)


if __name__ == "__main__":
    main()
