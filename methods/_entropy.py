"""Entropy coding of symbols with integer tables: CompressAI's range asymmetric numeral system (rANS) coder.

Tables are whole numbers made once, when a checkpoint is released, and stored with it. Each has one last symbol for
values outside of its range, which then follow in full.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np

from icm_bench.errors import UserError

PRECISION_BITS = 16
TAIL_MASS = 1e-9
SYMBOL_LIMIT = 2**15 - 1
_BINARY = {".so", ".pyd"}


@dataclass(frozen=True)
class Tables:
    """Cumulative frequencies, int32, a row a table: cdfs (n, longest), lengths (n,) used entries, offsets (n,)."""

    cdfs: np.ndarray
    lengths: np.ndarray
    offsets: np.ndarray

    @classmethod
    def from_masses(cls, masses: Sequence[np.ndarray], offsets: Sequence[int]) -> Tables:
        """From the probability of each symbol, the first one being the offset's; the rest is the tail's."""
        from compressai._CXX import pmf_to_quantized_cdf

        rows = []
        for mass in masses:
            tail = max(0.0, 1.0 - float(mass.sum()))
            rows.append(pmf_to_quantized_cdf([*map(float, mass), tail], PRECISION_BITS))
        cdfs = np.zeros((len(rows), max(map(len, rows))), np.int32)
        for row, cdf in zip(cdfs, rows, strict=True):
            row[: len(cdf)] = cdf
        return cls(cdfs, np.array([len(r) for r in rows], np.int32), np.array(offsets, np.int32))

    @cached_property
    def lists(self) -> tuple[list[list[int]], list[int], list[int]]:
        """In the form the coder takes."""
        return self.cdfs.tolist(), self.lengths.tolist(), self.offsets.tolist()

    def bits(self, symbols: np.ndarray, indexes: np.ndarray) -> float:
        """Information in bits of these symbols under their tables; the values of escaped ones not counted."""
        lengths = self.lengths[indexes]
        place = np.clip(symbols.astype(np.int64) - self.offsets[indexes], -1, lengths - 2)
        place = np.where(place < 0, lengths - 2, place)  # the last symbol says that another value follows
        mass = self.cdfs[indexes, place + 1] - self.cdfs[indexes, place]
        return float((PRECISION_BITS - np.log2(mass)).sum())

    def problem(self) -> str | None:
        """Why the coder must not be given these tables, or None: a damaged table could make it read anywhere."""
        if self.cdfs.ndim != 2 or not len(self.cdfs) == len(self.lengths) == len(self.offsets):
            return "tables, lengths and offsets differ in number"
        if self.lengths.min(initial=3) < 3 or self.lengths.max(initial=3) > self.cdfs.shape[1]:
            return "a table's length is out of bounds"
        for row, length in zip(self.cdfs, self.lengths, strict=True):
            if row[0] != 0 or row[length - 1] != 1 << PRECISION_BITS or (np.diff(row[:length]) <= 0).any():
                return "a table does not rise from 0 to 65536"
        return None


def gaussian_tables(scales: Sequence[float]) -> Tables:
    """Zero-mean Gaussians of these standard deviations on unit intervals around whole numbers."""
    reach = NormalDist().inv_cdf(1 - TAIL_MASS / 2)
    masses, offsets = [], []
    for scale in scales:
        normal = NormalDist(0.0, scale)
        half = int(np.ceil(scale * reach))
        steps = np.array([normal.cdf(k - 0.5) for k in range(-half, 1)])
        left = np.diff(steps)  # mass of -half .. -1
        centre = 1 - 2 * steps[-1]
        masses.append(np.concatenate([left, [centre], left[::-1]]))
        offsets.append(-half)
    return Tables.from_masses(masses, offsets)


@cache
def _rans() -> Any:
    """CompressAI's compiled coder alone: importing the whole package costs every worker three seconds."""
    name = "compressai.ans"
    if name not in sys.modules:
        package = find_spec("compressai")
        folders = (package.submodule_search_locations if package else None) or []
        files = [path for folder in folders for path in Path(folder).glob("ans*") if path.suffix in _BINARY]
        spec = spec_from_file_location(name, files[0]) if files else None
        if spec is None or spec.loader is None:
            raise UserError("CompressAI has no compiled coder: pip install --force-reinstall compressai")
        # Kept under its own name, so that a later import of the package finds it and does not load it twice.
        sys.modules[name] = module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


class Encoder:
    """Collects symbols, then gives one stream; what is put first is read first."""

    def __init__(self) -> None:
        self._coder = _rans().BufferedRansEncoder()

    def put(self, symbols: np.ndarray, indexes: np.ndarray, tables: Tables) -> None:
        """Add whole numbers, each with the index of its table (two arrays of one size)."""
        self._coder.encode_with_indexes(symbols.ravel().tolist(), indexes.ravel().tolist(), *tables.lists)

    def finish(self) -> bytes:
        """The stream."""
        return bytes(self._coder.flush())


class Decoder:
    """Reads symbols in the order in which they were put."""

    def __init__(self, data: bytes, n_symbols: int) -> None:
        # The coder does not look where its bytes end. One nibble of a hostile stream can make it read 15 more, and
        # each symbol takes at most one word; over zeros it takes no more than that, so it stays inside this padding.
        self._read: list[tuple[np.ndarray, np.ndarray, Tables]] = []
        self._coder = _rans().RansDecoder()
        self._coder.set_stream(data + bytes(16 * len(data) + 8 * n_symbols + 1024))

    def get(self, indexes: np.ndarray, tables: Tables) -> np.ndarray:
        """Whole numbers (int32) of the shape of ``indexes``, clipped to +-SYMBOL_LIMIT."""
        symbols = np.array(self._coder.decode_stream(indexes.ravel().tolist(), *tables.lists), np.int32)
        self._read.append((symbols, indexes.ravel(), tables))
        return np.clip(symbols, -SYMBOL_LIMIT, SYMBOL_LIMIT).reshape(indexes.shape)

    @property
    def bits(self) -> float:
        """Information in bits of all that was read, by the tables."""
        return sum(tables.bits(symbols, indexes) for symbols, indexes, tables in self._read)
