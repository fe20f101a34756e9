"""The coder gives back what was put, near the entropy, and survives hostile bytes."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from icm_bench.errors import BitstreamError
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


def coded(symbols: np.ndarray, indexes: np.ndarray) -> bytes:
    coder = Encoder()
    coder.put(symbols, indexes, TABLES)
    return coder.finish()


@settings(deadline=None)
@given(st.binary(max_size=400), st.integers(1, 300))
def test_hostile_bytes_give_bounded_symbols_or_are_refused(data: bytes, count: int) -> None:
    indexes = (np.arange(count) % len(SCALES)).astype(np.int32)
    data = data[: len(data) // 4 * 4]
    data = data[:7] + b"\x11" + data[8:]  # a state that the coder may begin with
    try:
        symbols = Decoder(data, count).get(indexes, TABLES)
    except BitstreamError:
        return
    assert symbols.shape == (count,) and np.abs(symbols).max() <= SYMBOL_LIMIT


@settings(deadline=None)
@given(st.integers(0, 2**32), st.integers(16, 3000), st.sampled_from([0.05, 1.0, 3.0, 1000.0]))
def test_a_stream_ends_where_its_symbols_do(seed: int, count: int, spread: float) -> None:
    rng = np.random.default_rng(seed)
    indexes = rng.integers(0, len(SCALES), count).astype(np.int32)
    symbols = np.rint(np.clip(rng.normal(0, spread * np.array(SCALES)[indexes]), -SYMBOL_LIMIT, SYMBOL_LIMIT))
    data = coded(symbols.astype(np.int32), indexes)
    reader = Decoder(data, count)
    assert np.array_equal(reader.get(indexes, TABLES), symbols)
    reader.finish()


def test_symbols_after_the_end_and_bytes_after_the_symbols_are_refused() -> None:
    rng = np.random.default_rng(3)
    indexes = np.full(4000, 3, np.int32)
    data = coded(np.rint(rng.normal(0, 30, 4000)).astype(np.int32), indexes)
    with pytest.raises(BitstreamError, match="go on after its end"):
        Decoder(data, 4100).get(np.full(4100, 3, np.int32), TABLES)
    with pytest.raises(BitstreamError, match="go on after its end"):
        Decoder(data[:-40], 4000).get(indexes, TABLES)
    reader = Decoder(data + bytes(40), 4000)
    reader.get(indexes, TABLES)
    with pytest.raises(BitstreamError, match="end before its bytes do"):
        reader.finish()


def test_bytes_that_no_coder_wrote_are_not_given_to_it() -> None:
    state = bytes(7) + b"\x11"
    cases = {
        "0 bytes, no whole": b"",
        "9 bytes, no whole": state + b"\0",
        "too many for 50": state + bytes(400),
        "begin with no state": bytes(8),
        "escape without end": state + b"\xff" * 16,
    }
    for reason, data in cases.items():
        with pytest.raises(BitstreamError, match=reason):
            Decoder(data, 50)


def test_parts_are_read_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(4)
    indexes = rng.integers(0, len(SCALES), 1000).astype(np.int32)
    symbols = np.rint(rng.normal(0, 1, 1000)).astype(np.int32)
    data = coded(symbols, indexes)
    monkeypatch.setattr(Decoder, "PART", 64)
    reader = Decoder(data, 1000)
    assert np.array_equal(reader.get(indexes, TABLES), symbols)
    reader.finish()
