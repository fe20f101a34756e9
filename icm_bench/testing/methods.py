"""What every codec must hold to. Random damage and pictures are seeded."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from icm_bench import registry, simd
from icm_bench.bitstream import Bitstream
from icm_bench.errors import BitstreamError
from icm_bench.images import read_picture, write_png
from icm_bench.method import Beta, Method
from icm_bench.mutations import mutate
from icm_bench.testing.limits import CHECK_S, limited
from icm_bench.testing.pictures import textured_picture

#: Bytes that the container may add to the payload of a one-layer stream.
MAX_HEADER_BYTES = 16

_DECODE = """
import sys
from icm_bench import registry
from icm_bench.bitstream import Bitstream
from icm_bench.images import write_png
stream, spec, folder = sys.argv[1:]
method = registry.method(spec)
method.setup()
with open(stream, "rb") as file:
    bitstream = Bitstream.from_bytes(file.read())
for index, picture in enumerate(method.decode(bitstream, method.betas)):
    write_png(f"{folder}/{index}.png", picture)
"""

_ENCODE = """
import sys
from icm_bench import registry
from icm_bench.images import read_picture
picture, spec, rate, stream = sys.argv[1:]
method = registry.method(spec)
method.setup()
with open(stream, "wb") as file:
    file.write(method.encode(read_picture(picture), float(rate)).to_bytes())
"""


class MethodTests:
    """Tests that any codec must pass. A subclass gives the fixture ``method``."""

    #: (height, width) of the pictures coded.
    sizes: ClassVar[tuple[tuple[int, int], ...]] = ((64, 64), (1, 1), (17, 33), (129, 65))
    #: Mutated streams to decode.
    n_mutants: ClassVar[int] = 300

    #: What a check may take.
    seconds: ClassVar[float] = CHECK_S

    @pytest.fixture(autouse=True)
    def _in_time(self) -> Iterator[None]:
        with limited(self.seconds):
            yield

    @pytest.fixture
    def ready(self, method: Method) -> Method:
        """The codec, set up."""
        method.setup()
        return method

    def test_round_trip_keeps_type_and_size(self, ready: Method) -> None:
        for height, width in self.sizes:
            picture = textured_picture(height, width)
            for decoded in _decode(ready, _encode(ready, picture), ready.betas):
                assert decoded.dtype == np.uint8, f"{decoded.dtype} at {width}x{height}"
                assert decoded.shape == picture.shape, f"{decoded.shape}, not {picture.shape}"
                if ready.lossless:
                    assert np.array_equal(decoded, picture), f"a lossless codec changed {width}x{height}"

    def test_input_is_left_alone(self, ready: Method) -> None:
        picture = textured_picture(17, 33).copy()
        before = picture.copy()
        first = _encode(ready, picture)
        assert np.array_equal(picture, before), "encode wrote into the picture it was given"
        views = np.ascontiguousarray(picture[:, ::-1])[:, ::-1]
        assert _encode(ready, views).to_bytes() == first.to_bytes(), "a strided view is coded otherwise"

    def test_container_holds_what_the_decoder_needs(self, ready: Method) -> None:
        picture = textured_picture(17, 33)
        stream = _encode(ready, picture)
        again = Bitstream.from_bytes(stream.to_bytes())
        assert again == stream, "the stream does not survive its bytes"
        assert (again.height, again.width) == picture.shape[:2], "the stream declares another size than the picture's"
        if len(stream.layers) == 1:
            overhead = len(stream.to_bytes()) - len(stream.layers[0][1])
            assert overhead <= MAX_HEADER_BYTES, f"{overhead} bytes of header"

    def test_decodes_from_bytes_alone_in_a_fresh_process(self, ready: Method, tmp_path: Path) -> None:
        stream = _encode(ready, textured_picture(129, 65))
        (tmp_path / "picture.icm").write_bytes(stream.to_bytes())
        _fresh(_DECODE, ["picture.icm", ready.spec, "."], tmp_path)
        for index, here in enumerate(_decode(ready, stream, ready.betas)):
            there = read_picture(tmp_path / f"{index}.png")
            assert np.array_equal(here, there), "another process decodes other pixels"

    def test_same_picture_same_bytes(self, ready: Method) -> None:
        picture = textured_picture(64, 64)
        other = registry.method(ready.spec)
        other.setup()
        first = _encode(ready, picture).to_bytes()
        assert _encode(ready, picture).to_bytes() == first, "the same picture gives other bytes the second time"
        assert _encode(other, picture).to_bytes() == first, "another object of the same spec gives other bytes"

    def test_spec_json_and_pickle_survive(self, ready: Method) -> None:
        assert registry.method(ready.spec) == ready, "the spec string makes another codec"
        assert type(ready)(**json.loads(json.dumps(ready.params))) == ready, "the parameters do not survive JSON"
        assert pickle.loads(pickle.dumps(ready)) == ready, "the codec does not survive pickling"
        json.dumps(ready.provenance())

    def test_bytes_grow_along_the_rate_axis(self, ready: Method) -> None:
        axis = ready.rate
        for point in axis.points:
            assert axis.reason_against(point) is None, axis.reason_against(point)
        if axis.more_bits == "none":
            assert len(axis.points) == 1, "a rate axis without a direction has one point"
            return
        points = sorted(axis.points, reverse=axis.more_bits == "down")
        sizes = [len(ready.encode(textured_picture(129, 129), point).to_bytes()) for point in points]
        assert sizes == sorted(set(sizes)), f"bytes do not grow: {axis.name} {points} gives {sizes} bytes"

    def test_charged_layers_are_enough(self, ready: Method) -> None:
        stream = _encode(ready, textured_picture(64, 64))
        made = tuple(name for name, _ in stream.layers)
        assert made == ready.layer_names, f"encode gives layers {made}, layer_names says {ready.layer_names}"
        whole = _decode(ready, stream, ready.betas)
        for beta, expected in zip(ready.betas, whole, strict=True):
            charged = ready.layers(beta)
            assert set(charged) <= set(ready.layer_names), f"layers({beta}) names unknown layers: {charged}"
            sent = Bitstream.from_bytes(stream.only(charged).to_bytes())
            try:
                alone = _decode(ready, sent, [beta])[0]
            except BitstreamError as error:
                raise AssertionError(f"beta {beta} needs more than the charged layers {charged}: {error}") from error
            assert np.array_equal(alone, expected), f"beta {beta} used an uncharged layer"

    def test_beta_ends_meet(self, ready: Method) -> None:
        if ready.betas == (None,):
            return
        stream = _encode(ready, textured_picture(64, 64))
        base = ready.layer_names[0]
        assert ready.layers(1.0) == (base,), f"beta 1 charges {ready.layers(1.0)}, not the base layer {base!r} alone"
        ends = _decode(ready, stream, [0.0, 1.0])
        assert np.array_equal(_decode(ready, stream.only([base]), [1.0])[0], ends[1]), "beta 1 is not the base alone"
        turned = _decode(ready, stream, [1.0, 0.0])
        assert all(np.array_equal(*pair) for pair in zip(ends, turned[::-1], strict=True)), "order of betas matters"

    def test_thread_count_does_not_matter(self, ready: Method, tmp_path: Path) -> None:
        write_png(tmp_path / "picture.png", textured_picture(64, 64))
        made = []
        for threads in ("1", "3"):
            point = _middle(ready)
            _fresh(_ENCODE, ["picture.png", ready.spec, str(point), f"{threads}.icm"], tmp_path, threads)
            made.append((tmp_path / f"{threads}.icm").read_bytes())
        assert made[0] == made[1], "1 and 3 threads give other bytes"

    def test_truncated_bytes_are_refused(self, ready: Method) -> None:
        data = _encode(ready, textured_picture(64, 64)).to_bytes()
        for kept in (0, 1, 5, len(data) // 2, len(data) - 1):
            try:
                _decode(ready, Bitstream.from_bytes(data[:kept]), ready.betas)
            except BitstreamError:
                continue
            raise AssertionError(f"{kept} of {len(data)} bytes were decoded without an error")

    def test_damaged_layers_never_surprise(self, ready: Method) -> None:
        """Bytes damaged in spite of a fitting checksum: a BitstreamError, or a picture of the declared size."""
        stream = _encode(ready, textured_picture(64, 64))
        for damaged in _damaged(stream):
            try:
                pictures = _decode(ready, damaged, ready.betas)
            except BitstreamError:
                continue
            for picture in pictures:
                expected = (damaged.height, damaged.width, 3)
                assert picture.shape == expected, f"damaged bytes give {picture.shape}, not {expected}"
                assert picture.dtype == np.uint8, f"damaged bytes give {picture.dtype}"

    def test_mutated_streams_are_refused_or_decoded_to_their_size(self, ready: Method) -> None:
        """Seeded mutations of whole streams, most with a fitting checksum."""
        sizes, points = ((17, 33), (32, 16)), ready.rate.points
        pool = [ready.encode(textured_picture(*size), rate).to_bytes() for size in sizes for rate in points]
        for number in range(self.n_mutants):
            try:
                held = Bitstream.from_bytes(mutate(pool, np.random.default_rng(number)), max_pixels=2**20)
                (picture,) = ready.decode(held, ready.betas[-1:])
            except BitstreamError:
                continue
            assert picture.shape == (held.height, held.width, 3), f"mutant {number}"


def _middle(method: Method) -> float:
    return method.rate.points[len(method.rate.points) // 2]


def _encode(method: Method, picture: np.ndarray) -> Bitstream:
    return method.encode(picture, _middle(method))


def _fresh(code: str, arguments: list[str], folder: Path, threads: str = "") -> None:
    """Run Python code in a process of its own, with this one's import path; its last line is what went wrong."""
    environment = {**os.environ, **simd.import_path()}
    if threads:
        environment |= dict.fromkeys(simd.THREAD_VARIABLES, threads)
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    last = (done.stderr.strip() or "it printed nothing").splitlines()[-1]
    assert done.returncode == 0, f"a fresh process cannot do it: {last}"


def _decode(method: Method, stream: Bitstream, betas: Sequence[Beta]) -> list[np.ndarray]:
    pictures = list(method.decode(stream, betas))
    assert len(pictures) == len(betas), f"{len(pictures)} pictures for {len(betas)} betas"
    return pictures


def _damaged(stream: Bitstream) -> list[Bitstream]:
    """Streams with one layer cut, emptied or with flipped bits, and one that declares another size."""
    rng = np.random.default_rng(0)
    made = [Bitstream(stream.method, stream.checkpoint, 200, 31, stream.rate, stream.layers)]
    for index, (name, data) in enumerate(stream.layers):
        flipped = bytearray(data)
        for at in rng.integers(0, max(1, len(data)), 4):
            if data:
                flipped[at] ^= 1 << int(rng.integers(0, 8))
        for bad in (b"", data[:1], data[: len(data) // 2], data + b"\0" * 7, bytes(flipped), rng.bytes(len(data))):
            layers = (*stream.layers[:index], (name, bad), *stream.layers[index + 1 :])
            made.append(Bitstream(stream.method, stream.checkpoint, stream.width, stream.height, stream.rate, layers))
    return made
