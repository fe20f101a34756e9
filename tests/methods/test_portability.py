"""A few streams of every shipped kind, decoded in processes held to other SIMD levels and thread counts.

``benchmarks/portability.py`` does the same with many, in batches and on other devices.
"""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from icm_bench import registry, simd
from icm_bench.bitstream import Bitstream
from icm_bench.method import Method
from icm_bench.testing import textured_picture

CASES = [
    ("rdc", 3.0),
    ("rdc(aux_rate=1.5)", 0.37),
    ("hyperprior", 4.0),
    ("hyperprior(variable=True)", 2.5),
    ("task-specific(task='coco')", 1.0),
]
SIZE = (75, 122)

_CHILD = """
import sys
import numpy as np
import torch
from pathlib import Path
sys.path.insert(0, "tests/methods")
from test_portability import CASES, read
from icm_bench import registry
folder = Path(sys.argv[1])
found = {"threads": np.array(torch.get_num_threads())}
for number, (spec, _) in enumerate(CASES):
    symbols, pictures = read(registry.method(spec), (folder / f"{number}.icm").read_bytes())
    found |= {f"symbols{number}": symbols, f"pictures{number}": pictures}
np.savez(sys.argv[2], level=torch.backends.cpu.get_cpu_capability(), **found)
"""


def read(method: Method, data: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Exact latents of all layers, end to end, and the decoded pictures."""
    stream = Bitstream.from_bytes(data)
    index, rate = method.place(stream.rate)  # type: ignore[attr-defined]
    first, second, _ = method.codecs[index]._latents(dict(stream.layers), SIZE, rate)  # type: ignore[attr-defined]
    exact = [one.exact.flatten().numpy() for one in (first, second) if one is not None]
    return np.concatenate(exact), np.stack(list(method.decode(stream, method.betas)))


@pytest.fixture(scope="module")
def streams(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[tuple[np.ndarray, np.ndarray]]]:
    """A folder of streams, and what this process reads of each."""
    folder, here = tmp_path_factory.mktemp("streams"), []
    for number, (spec, rate) in enumerate(CASES):
        method = registry.method(spec)
        data = method.encode(textured_picture(*SIZE, seed=number), rate).to_bytes()
        (folder / f"{number}.icm").write_bytes(data)
        here.append(read(method, data))
    return folder, here


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("level", simd.LEVELS)
def test_no_symbol_differs_and_no_pixel_by_more_than_a_level(
    streams: tuple[Path, list[tuple[np.ndarray, np.ndarray]]], level: str, threads: int
) -> None:
    folder, here = streams
    path = folder / f"{level}-{threads}.npz"
    command = [sys.executable, "-c", _CHILD, str(folder), str(path)]
    root = Path(__file__).parents[2]
    done = subprocess.run(
        command, env=simd.environment(level, threads), cwd=root, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    there = np.load(path)
    assert int(there["threads"]) == threads
    assert level == "native" or str(there["level"]) == {"avx2": "AVX2", "sse": "DEFAULT"}[level]
    for number, (symbols, pictures) in enumerate(here):
        assert np.abs(symbols).max() > 0
        assert np.array_equal(there[f"symbols{number}"], symbols), CASES[number]
        assert np.abs(there[f"pictures{number}"].astype(int) - pictures).max() <= 1, CASES[number]


def test_the_other_place_is_another_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Down one level, and another number of threads, from wherever this process is."""
    import torch

    other = 2 if torch.get_num_threads() == 1 else 1
    monkeypatch.setenv("ATEN_CPU_CAPABILITY", "avx2")
    assert simd.another() == ("sse", other)
    monkeypatch.setenv("ATEN_CPU_CAPABILITY", "avx512")
    assert simd.another() == ("avx2", other)
    monkeypatch.delenv("ATEN_CPU_CAPABILITY")
    assert simd.another() in [("avx2", other), ("sse", other)]
    held = simd.environment("sse", 3)
    assert (held["ATEN_CPU_CAPABILITY"], held["OMP_NUM_THREADS"]) == ("default", "3")
    assert "ATEN_CPU_CAPABILITY" not in simd.environment("native", 1)
