"""Re-runs of an unchanged check on 1, 2, 3 and 4 threads in turn: how many pass, and how near any came to failing.

    python benchmarks/check_reruns.py [--runs 20] [--limit 12] [--baseline results/baseline/mini.json]

Prints for each run its verdicts, its seconds, and the largest share of a tolerance that any figure took up; fails
unless all pass.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

THREADS = (1, 2, 3, 4)


def rerun(threads: int, baseline: str, limit: int) -> tuple[int, float, str, float]:
    """Exit status, seconds, summary, and the largest |difference| / tolerance, of one check in a fresh process."""
    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder) / "check.json"
        words = [sys.executable, "-m", "icm_bench", "check", "--baseline", baseline, "--limit", str(limit)]
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "PASSIVE"}
        start = time.perf_counter()
        done = subprocess.run(
            [*words, "--workers", "1", "--json", str(written)], env=environment, capture_output=True, text=True
        )
        seconds = time.perf_counter() - start
        if not written.is_file():
            sys.exit(f"the check could not run: {done.stderr.strip().splitlines()[-1]}")
        told = json.loads(written.read_text())
    shares = [abs(one["difference"]) / one["tolerance"] for one in told["findings"] if one["tolerance"]]
    return done.returncode, seconds, told["summary"], max(shares, default=0.0)


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--runs", type=int, default=20)
    options.add_argument("--limit", type=int, default=12)
    options.add_argument("--baseline", default="results/baseline/mini.json")
    given = options.parse_args()
    passed = 0
    for run in range(given.runs):
        threads = THREADS[run % len(THREADS)]
        status, seconds, summary, share = rerun(threads, given.baseline, given.limit)
        passed += status == 0
        told = f"{threads} threads, {seconds:.0f} s, {summary}; at most {share:.3f} of a tolerance"
        print(f"{run + 1:3d}: {told}", flush=True)
    print(f"{passed} of {given.runs} pass")
    sys.exit(passed < given.runs)


if __name__ == "__main__":
    main()
