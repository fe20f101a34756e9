"""The container: its size, what it carries, and what it refuses."""

import binascii

import pytest
from hypothesis import given
from hypothesis import strategies as st

from icm_bench import registry
from icm_bench.bitstream import (
    BYTES_PER_PIXEL,
    MAX_PIXELS,
    MAX_SIDE,
    SPARE_BYTES,
    Bitstream,
    method_id,
    quantise_rate,
    short_checkpoint,
)
from icm_bench.errors import BitstreamError, CodecError


def sealed(data: bytes) -> bytes:
    """With a checksum that fits."""
    return data + binascii.crc_hqx(data, 0xFFFF).to_bytes(2, "little")


sides = st.integers(1, 2**14)


def stream(layers: dict[str, bytes], size: tuple[int, int] = (48, 64), rate: float = 3.0) -> Bitstream:
    return Bitstream(method_id("rdc"), 0x1234, size[1], size[0], rate, tuple(layers.items()))


@given(sides, sides, st.floats(0, 63), st.binary(max_size=40))
def test_one_layer_costs_at_most_16_bytes(height: int, width: int, rate: float, payload: bytes) -> None:
    made = stream({"primary": payload}, (height, width), quantise_rate(rate))
    data = made.to_bytes()
    assert len(data) <= len(payload) + 16
    assert Bitstream.from_bytes(data) == made


names = st.from_regex(r"[a-z]{1,12}", fullmatch=True)


@given(st.dictionaries(names, st.binary(max_size=300), min_size=1, max_size=5))
def test_any_layers_come_back(layers: dict[str, bytes]) -> None:
    made = stream(layers)
    assert Bitstream.from_bytes(made.to_bytes()) == made


def test_only_keeps_the_layers_asked_for() -> None:
    both = stream({"primary": b"abc", "auxiliary": b"defg"})
    first = both.only(["primary"])
    assert [name for name, _ in first.layers] == ["primary"]
    assert len(first.to_bytes()) < len(both.to_bytes())
    with pytest.raises(BitstreamError, match="no 'auxiliary' layer"):
        first.layer("auxiliary")


def test_every_truncation_and_flipped_bit_is_noticed() -> None:
    data = stream({"primary": bytes(range(60)), "auxiliary": b"xyz"}).to_bytes()
    for end in range(len(data)):
        with pytest.raises(BitstreamError):
            Bitstream.from_bytes(data[:end])
    for position in range(len(data)):
        broken = bytearray(data)
        broken[position] ^= 0x10
        with pytest.raises(BitstreamError):
            Bitstream.from_bytes(bytes(broken))


@given(st.binary(max_size=80))
def test_foreign_bytes_raise_only_bitstream_errors(data: bytes) -> None:
    with pytest.raises(BitstreamError):
        Bitstream.from_bytes(data)


@given(st.binary(max_size=60))
def test_resealed_nonsense_is_read_or_refused(body: bytes) -> None:
    try:
        made = Bitstream.from_bytes(sealed(b"\xc9M\x1f" + body))
    except BitstreamError:
        return
    assert made.width * made.height <= MAX_PIXELS
    assert sum(len(layer) for _, layer in made.layers) <= len(body)


def test_what_is_declared_is_bounded_before_anything_is_allocated() -> None:
    head = b"\xc9M\x1f" + bytes(4)  # layers of its own, method and checkpoint 0
    size, rate = b"\x07\x07", b"\x00"
    cases = {
        "17 layers": size + rate + b"\x11",
        "0 layers": size + rate + b"\x00",
        "a word of at most 32": size + rate + b"\x01\x04<b>x",
        "something else than a word": size + rate + b"\x01\x21" + b"a" * 33,
        "names one layer twice": size + rate + b"\x02\x01a\x01a\x00",
        "ends before its declared layers": size + rate + b"\x02\x01a\x01b\xff\xff\xff\x7f",
        "more than 28 bits": b"\xff\xff\xff\xff\x01",
        f"a side has at most {MAX_SIDE}": b"\x80\x80\x04\x00" + rate,
        f"more than {MAX_PIXELS} are refused": b"\xff\xff\xff\x7f\x01" + rate,
        "more than any picture": size + rate + b"\x01\x01a" + bytes(BYTES_PER_PIXEL * 64 + SPARE_BYTES),
    }
    for reason, rest in cases.items():
        with pytest.raises(BitstreamError, match=reason):
            Bitstream.from_bytes(sealed(head + rest + bytes(4)))


def test_a_side_that_the_container_cannot_hold_is_not_written() -> None:
    assert Bitstream.from_bytes(stream({"main": b""}, (1, MAX_SIDE)).to_bytes()).width == MAX_SIDE
    with pytest.raises(CodecError, match=f"at most {MAX_SIDE} pixels a side, this one is 65537x1"):
        Bitstream.of(registry.method("identity"), (1, MAX_SIDE + 1), 0, {"main": b""})


def test_pictures_that_are_too_large_are_refused_before_anything_is_allocated() -> None:
    data = stream({"main": b""}, (2**14, 2**14)).to_bytes()
    assert Bitstream.from_bytes(data).width == 2**14
    with pytest.raises(BitstreamError, match="more than 1000 are refused"):
        Bitstream.from_bytes(data, max_pixels=1000)


def test_known_bytes() -> None:
    """The layout is a file format: these bytes must never change within version 1."""
    data = stream({"primary": b"\x01\x02", "auxiliary": b"\x03"}, (200, 300), 2.5).to_bytes()
    head = "c94d12" + method_id("rdc").to_bytes(2, "little").hex() + "3412"
    assert data[:-2].hex() == head + "ab02c701810a02010203"


def test_short_ids() -> None:
    assert short_checkpoint("") == 0
    assert short_checkpoint("ab12" + "0" * 60) == 0x12AB
