"""The coder gives back what was put, near the entropy, and survives hostile bytes."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from icm_bench.methods._entropy import SYMBOL_LIMIT, Decoder, Encoder, Tables, gaussian_tables

SCALES = [0.11, 0.5, 2.0, 30.0, 256.0]
TABLES = gaussian_tables(SCALES)


def test_tables_are_sound_and_hold_the_gaussian() -> None:
    assert TABLES.problem() is None
    row = TABLES.cdfs[2]
    centre = -int(TABLES.offsets[2])
    mass = (row[centre + 1] - row[centre]) / 65536
    assert mass == pytest.approx(math.erf(0.5 / (2.0 * math.sqrt(2))), abs=1e-3)


def test_damaged_tables_are_refused() -> None:
    cdfs = TABLES.cdfs.copy()
    cdfs[1, 2] = cdfs[1, 1]
    assert Tables(cdfs, TABLES.lengths, TABLES.offsets).problem()
    assert Tables(TABLES.cdfs, TABLES.lengths + 10_000, TABLES.offsets).problem()


def test_round_trip_in_two_parts_near_the_entropy() -> None:
    rng = np.random.default_rng(1)
    indexes = rng.integers(0, len(SCALES), (3, 4000)).astype(np.int32)
    symbols = np.rint(rng.normal(0, np.array(SCALES)[indexes])).astype(np.int32)
    symbols[0, :5] = [SYMBOL_LIMIT, -SYMBOL_LIMIT, 5000, -5000, 0]
    coder = Encoder()
    coder.put(symbols[:1], indexes[:1], TABLES)
    coder.put(symbols[1:], indexes[1:], TABLES)
    data = coder.finish()
    reader = Decoder(data, symbols.size)
    assert np.array_equal(reader.get(indexes[:1], TABLES), symbols[:1])
    assert np.array_equal(reader.get(indexes[1:], TABLES), symbols[1:])
    bits = 0.0
    for symbol, index in zip(symbols[1:].ravel(), indexes[1:].ravel(), strict=True):
        s = SCALES[index] * math.sqrt(2)
        bits -= math.log2(max(1e-9, 0.5 * (math.erf((symbol + 0.5) / s) - math.erf((symbol - 0.5) / s))))
    second = Encoder()
    second.put(symbols[1:], indexes[1:], TABLES)
    assert 8 * len(second.finish()) == pytest.approx(bits, rel=0.01)


@settings(deadline=None)
@given(st.binary(max_size=400), st.integers(1, 300))
def test_hostile_bytes_give_bounded_symbols(data: bytes, count: int) -> None:
    indexes = (np.arange(count) % len(SCALES)).astype(np.int32)
    symbols = Decoder(data, count).get(indexes, TABLES)
    assert symbols.shape == (count,) and np.abs(symbols).max() <= SYMBOL_LIMIT


def test_bytes_of_ones_that_ask_for_endless_escapes_end() -> None:
    indexes = np.zeros(50, np.int32)
    assert Decoder(b"\xff" * 5000, 50).get(indexes, TABLES).shape == (50,)
