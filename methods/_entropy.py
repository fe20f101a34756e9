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

from icm_bench.errors import BitstreamError, UserError

PRECISION_BITS = 16
TAIL_MASS = 1e-9
SYMBOL_LIMIT = 2**15 - 1
_BINARY = {".so", ".pyd"}
#: Of the coder's state of 64 bits at most the upper half carries no symbol.
_STATE_BITS = 32
#: A symbol takes at most 16 bits for its table's last entry and six nibbles for its value.
_MOST_BYTES = 5
#: Words of ones in a row that are allowed: coded pictures hold none, and each lets one escape read 15 words more.
_MOST_ONES = 3
#: Zeros behind the bytes, beside 8 for each symbol: more than one escape and a part can read before it is noticed.
_MARGIN = 2**14


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
        rows = [row[:length].tolist() for row, length in zip(self.cdfs, self.lengths, strict=True)]
        return rows, self.lengths.tolist(), self.offsets.tolist()

    @cached_property
    def least_bits(self) -> np.ndarray:
        """What the likeliest symbol of each table costs, in bits: (n,) float64."""
        rows = zip(self.cdfs, self.lengths, strict=True)
        return PRECISION_BITS - np.log2([np.diff(row[:length]).max() for row, length in rows])

    def bits(self, symbols: np.ndarray, indexes: np.ndarray) -> float:
        """Information in bits of these symbols under their tables; the values of escaped ones not counted."""
        lengths = self.lengths[indexes]
        place = np.clip(symbols.astype(np.int64) - self.offsets[indexes], -1, lengths - 2)
        place = np.where(place < 0, lengths - 2, place)  # the last symbol says that another value follows
        mass = self.cdfs[indexes, place + 1] - self.cdfs[indexes, place]
        return float((PRECISION_BITS - np.log2(mass)).sum())

    def escaped_bits(self, symbols: np.ndarray, indexes: np.ndarray) -> int:
        """Bits of the values that follow escapes: a nibble with their number of nibbles, then these."""
        place = symbols.astype(np.int64) - self.offsets[indexes]
        above = place - (self.lengths[indexes] - 2)
        value = np.where(place < 0, -2 * place - 1, 2 * above)[(place < 0) | (above >= 0)]
        nibbles = sum(value >> 4 * i > 0 for i in range(8)) if len(value) else value
        return int((4 * (1 + nibbles)).sum())

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
    """Reads symbols in the order in which they were put.

    The coder itself does not look where its bytes end. A legitimate stream ends where its symbols do: what they cost
    by the tables fits the number of bytes to within the coder's state of 32 bits, and its rounding. Each part that is
    read is held against that, so that a hostile stream is refused long before it has used up the zeros behind it.
    """

    #: Symbols read at once: bounds the coder's lists, and what is read between two looks at the end.
    PART = 2**17

    def __init__(self, data: bytes, n_symbols: int) -> None:
        guarded = guard(data, n_symbols, min(n_symbols, self.PART))
        self._n_bytes, self._n_read = len(data), 0
        #: Information in bits of all that was read, by the tables; the values of escaped symbols not counted.
        self.bits = 0.0
        self._escaped = 0
        self._coder = _rans().RansDecoder()
        self._coder.set_stream(guarded)

    def get(self, indexes: np.ndarray, tables: Tables) -> np.ndarray:
        """Whole numbers (int32) of the shape of ``indexes``, clipped to +-SYMBOL_LIMIT. Raises BitstreamError."""
        flat = indexes.ravel()
        out = np.empty(flat.shape, np.int32)
        for start in range(0, len(flat), self.PART):
            part = flat[start : start + self.PART]
            symbols = np.array(self._coder.decode_stream(part.tolist(), *tables.lists), np.int32)
            self.bits += tables.bits(symbols, part)
            self._escaped += tables.escaped_bits(symbols, part)
            self._n_read += len(part)
            if self.bits + self._escaped > capacity(self._n_bytes, self._n_read):
                raise BitstreamError("the stream's coded symbols go on after its end")
            np.clip(symbols, -SYMBOL_LIMIT, SYMBOL_LIMIT, out=out[start : start + self.PART])
        return out.reshape(indexes.shape)

    def finish(self) -> None:
        """Raises BitstreamError when bytes are left over."""
        if self.bits + self._escaped < 8 * self._n_bytes - 2 * _STATE_BITS - _rounding(self._n_read):
            raise BitstreamError("the stream's coded symbols end before its bytes do")


def capacity(n_bytes: int, n_symbols: int) -> float:
    """The most bits that so many symbols in so many bytes may cost by the tables.

    The coder rounds: a symbol may take up to 2^-14 bits more or less of its bytes than it costs.
    """
    return 8 * n_bytes - _STATE_BITS + _rounding(n_symbols)


def _rounding(n_symbols: int) -> float:
    return 1 + n_symbols * 2.0**-14


def guard(data: bytes, n_symbols: int, at_once: int) -> bytes:
    """The bytes with as many zeros behind them as the coder may read beyond before somebody looks.

    at_once: the most symbols that are read in one call. Raises BitstreamError for bytes that no coder wrote.
    """
    problem = _problem(data, n_symbols)
    if problem:
        raise BitstreamError(f"the stream's coded symbols {problem}")
    return data + bytes(8 * at_once + _MARGIN)


def _problem(data: bytes, n_symbols: int) -> str | None:
    """Why the coder must not be given these bytes, or None."""
    if len(data) < 8 or len(data) % 4:
        return f"are {len(data)} bytes, no whole number of words"
    if len(data) > _MOST_BYTES * n_symbols + 8:
        return f"are {len(data)} bytes, too many for {n_symbols} symbols"
    words = np.frombuffer(data, "<u4")
    if not 2**31 <= int(words[0]) | int(words[1]) << 32 < 2**63:
        return "begin with no state of the coder"
    ones = np.flatnonzero(words == 2**32 - 1)
    if (ones[_MOST_ONES:] - ones[:-_MOST_ONES] == _MOST_ONES).any():
        return "hold an escape without end"  # it would make the coder read far beyond
    return None
