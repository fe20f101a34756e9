"""Entropy coding of symbols with integer tables: CompressAI's range asymmetric numeral system (rANS) coder.

Tables are whole numbers made once, when a checkpoint is released, and stored with it. Each has one last symbol for
values outside of its range, which then follow in full.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import NormalDist

import numpy as np
from compressai._CXX import pmf_to_quantized_cdf
from compressai.ans import BufferedRansEncoder, RansDecoder

PRECISION_BITS = 16
TAIL_MASS = 1e-9
SYMBOL_LIMIT = 2**15 - 1


@dataclass(frozen=True)
class Tables:
    """Cumulative frequencies, int32, a row a table: cdfs (n, longest), lengths (n,) used entries, offsets (n,)."""

    cdfs: np.ndarray
    lengths: np.ndarray
    offsets: np.ndarray

    @classmethod
    def from_masses(cls, masses: Sequence[np.ndarray], offsets: Sequence[int]) -> Tables:
        """From the probability of each symbol, the first one being the offset's; the rest is the tail's."""
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


class Encoder:
    """Collects symbols, then gives one stream; what is put first is read first."""

    def __init__(self) -> None:
        self._coder = BufferedRansEncoder()

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
        self._coder = RansDecoder()
        self._coder.set_stream(data + bytes(16 * len(data) + 8 * n_symbols + 1024))

    def get(self, indexes: np.ndarray, tables: Tables) -> np.ndarray:
        """Whole numbers (int32) of the shape of ``indexes``, clipped to +-SYMBOL_LIMIT."""
        symbols = self._coder.decode_stream(indexes.ravel().tolist(), *tables.lists)
        return np.clip(np.array(symbols, np.int32), -SYMBOL_LIMIT, SYMBOL_LIMIT).reshape(indexes.shape)
