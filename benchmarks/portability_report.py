"""Counting what differs between two readings of the same streams, and the page that portability.py writes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import torch

from icm_bench import provenance


@dataclass(frozen=True)
class Place:
    """Where streams are decoded."""

    level: str
    threads: int
    batch: int
    device: str = "cpu"


@dataclass(frozen=True)
class Outcome:
    """Of all streams of a place.

    symbols: how many differ; wrong_symbols, wrong_indexes: in how many streams; broken: streams that could not be
    decoded or gave values that are no numbers; off: pictures with a value more than one level away, off_share: the
    share of such values in them; near: share of all values exactly one level away; levels: the largest difference.
    """

    n: int
    symbols: int
    wrong_symbols: int
    wrong_indexes: int
    broken: int
    off: int
    off_share: float
    near: float
    levels: int


def outcome(reference: Sequence, found: Sequence) -> Outcome:
    """Readings against those of the encoder's place; each is (symbols, indexes, pictures), or a text."""
    symbols = wrong_symbols = wrong_indexes = broken = off = near = total = levels = 0
    off_shares = []
    for want, got in zip(reference, found, strict=True):
        if isinstance(got, str) or not got[2]:
            broken += 1
        if isinstance(got, str):
            continue
        differing = int((want[0] != got[0]).sum())
        symbols, wrong_symbols = symbols + differing, wrong_symbols + (differing > 0)
        wrong_indexes += want[1] is not None and bool((want[1] != got[1]).any())
        for one, other in zip(want[2], got[2], strict=False):
            apart = np.abs(one.astype(int) - other)
            near, total, levels = near + int((apart == 1).sum()), total + apart.size, max(levels, int(apart.max()))
            if apart.max() > 1:
                off += 1
                off_shares.append(float((apart > 1).mean()))
    share = float(np.mean(off_shares)) if off_shares else 0.0
    near_share = near / max(total, 1)
    return Outcome(len(found), symbols, wrong_symbols, wrong_indexes, broken, off, share, near_share, levels)


_TITLES = {
    "ours": "The shipped codecs: hyperprior, hyperprior(variable), rdc with both layers, task-specific",
    "compressai": "CompressAI's mbt2018-mean as it is, its own compress and decompress",
}
_HEADS = {
    "ours": "| SIMD | threads | batch | device | streams | differing symbols | values 1 level off | "
    "streams more than 1 level off | largest |",
    "compressai": "| SIMD | threads | batch | device | streams | with wrong scale indexes | with wrong symbols | "
    "failed or no numbers | with wrong pixels | of their values | largest |",
}


def written(results: dict[str, list[tuple[Place, Outcome]]], n: int) -> str:
    """The page. results: by codec, the places in order, the encoder's first."""
    made = provenance.gather()
    versions = ", ".join(f"{name} {version}" for name, version in made["libraries"].items() if name in _SHOWN)
    native = torch.backends.cpu.get_cpu_capability()
    out = [
        "# Do streams decode elsewhere?", "",
        f"{n} crops of photographs (250x187) are coded on the native SIMD level with one thread and decoded in child",
        "processes held to another level (`ATEN_CPU_CAPABILITY`, `ONEDNN_MAX_CPU_ISA`, `MKL_ENABLE_INSTRUCTIONS`),",
        "another thread count, and four at a time. All is compared with what a process like the encoder's reads.",
        "", f"Machine: {made['machine']}, native is {native}. {versions}. {datetime.now(UTC):%Y-%m-%d}.", "",
        "Command: `python benchmarks/portability.py --photos FOLDER --compressai TWIN.pth`; `TWIN.pth` by",
        "`python benchmarks/compressai_twin.py TWIN.pth --photos FOLDER`: CompressAI's network with the transforms",
        "of hyperprior-mini-q3 and an entropy model trained for them.",
    ]  # fmt: skip
    for name, places in results.items():
        head = _HEADS[name]
        out += ["", f"## {_TITLES[name]}", "", head, "|---" * 4 + "|---:" * (head.count("|") - 5) + "|"]
        out += [_line(name, place, one) for place, one in places]
        if all(place.device == "cpu" for place, _ in places):
            out += ["", "No CUDA here."]
    return "\n".join(out) + "\n"


_SHOWN = ("torch", "compressai", "numpy")


def _line(name: str, place: Place, one: Outcome) -> str:
    cells = [place.level, place.threads, place.batch, place.device, one.n]
    if name == "ours":
        cells += [one.symbols, f"{100 * one.near:.4f} %", one.off + one.broken, one.levels]
    else:
        share = f"{100 * one.off_share:.1f} %"
        cells += [one.wrong_indexes, one.wrong_symbols, one.broken, one.off, share, one.levels]
    return f"| {' | '.join(map(str, cells))} |"
