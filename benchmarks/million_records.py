"""A table of a million per-picture records: how long it takes to load and print, and how much memory.

    python benchmarks/million_records.py [--n 1000000]

Prints seconds and the peak of the whole process, beside those of the same table with a tenth of the records.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

_TABLE = """
import resource, sys, time
start = time.perf_counter()
from icm_bench.cli import main
try:
    main(["table", "--out", sys.argv[1], "--anchor", "vvc"])
except SystemExit as stopped:
    assert not stopped.code, stopped.code
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
print(f"{time.perf_counter() - start:.1f} s, {peak:.2f} GB", file=sys.stderr)
"""


def records(n: int) -> pd.DataFrame:
    """n records of four codecs at five rates, on as many pictures as that takes."""
    rng = np.random.default_rng(0)
    n_pictures = n // 20
    parts = []
    for number, method in enumerate(("jpeg", "vvc", "hyperprior", "rdc")):
        for rate in range(5):
            bits = rng.gamma(6, 0.02 * 2**rate * (1 + number / 4), n_pictures)
            parts.append(
                pd.DataFrame(
                    {
                        "sample": [f"{i:012}.jpg" for i in range(n_pictures)],
                        "n_bytes": (bits * 640 * 480 / 8).astype(int) + 20,
                        "n_pixels": 640 * 480,
                        "psnr": 26 + 2.5 * rate + rng.normal(0, 2, n_pictures),
                        "ms_ssim": 0.9 + 0.02 * rate,
                        "encode_s": 0.1,
                        "decode_s": 0.1,
                        "task": "images",
                        "net": None,
                        "data": "synthetic",
                        "method": method,
                        "checkpoint": "",
                        "rate_name": "level",
                        "rate": rate,
                        "beta": None,
                        "profile": "orig",
                    }
                )
            )
    return pd.concat(parts)


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--n", type=int, default=1_000_000)
    n = options.parse_args().n
    with tempfile.TemporaryDirectory() as folder:
        for count in (n // 10, n):
            path = Path(folder) / "records.csv"
            records(count).to_csv(path, index=False)
            done = subprocess.run(
                [sys.executable, "-c", _TABLE, str(path)], capture_output=True, text=True, check=True
            )
            size = path.stat().st_size / 1e6
            print(f"{count} records ({size:.0f} MB as CSV): {done.stderr.splitlines()[-1]}")


if __name__ == "__main__":
    main()
