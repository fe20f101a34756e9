"""Weights from elsewhere: tensors are read, code never runs, and damage is one line."""

import io
import json
import pickle
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save

from icm_bench import registry
from icm_bench.errors import UserError
from icm_bench.methods import _released
from icm_bench.training.checkpoint import read_checkpoint
from icm_bench.weights import load_state

PICTURE = np.zeros((16, 16, 3), np.uint8)


class Payload:
    """Unpickling it writes a file."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable, tuple]:
        return Path.write_text, (self.mark, "ran")


def torch_file(content: object) -> bytes:
    out = io.BytesIO()
    torch.save(content, out)
    return out.getvalue()


@pytest.mark.parametrize("ending", [".pth", ".pt", ".pkl", ".safetensors", ".bin"])
@pytest.mark.parametrize("form", ["plain pickle", "torch file", "beside tensors"])
def test_a_pickle_with_a_payload_is_refused_and_does_not_run(tmp_path: Path, ending: str, form: str) -> None:
    payload = Payload(tmp_path / "mark")
    made = {
        "plain pickle": lambda: pickle.dumps(payload),
        "torch file": lambda: torch_file(payload),
        "beside tensors": lambda: torch_file({"a": torch.zeros(2), "b": payload}),
    }[form]()
    path = tmp_path / f"evil{ending}"
    path.write_bytes(made)
    with pytest.raises(UserError, match=r"evil\.\w+: (refused|cannot be read)") as caught:
        load_state(path)
    assert "\n" not in str(caught.value)
    assert not payload.mark.exists()
    pickle.loads(pickle.dumps(payload))
    assert payload.mark.exists()  # so would it have run


@pytest.mark.parametrize(
    "spec",
    [
        "rdc(checkpoint={path!r})",
        "task-specific(checkpoint={path!r})",
        "hyperprior(checkpoint={path!r}, variable=True)",
        "compressai(weights={path!r})",
    ],
)
def test_codecs_do_not_run_the_payload_of_a_checkpoint(tmp_path: Path, spec: str) -> None:
    payload = Payload(tmp_path / "mark")
    path = tmp_path / "evil.safetensors"
    path.write_bytes(torch_file(payload))
    with pytest.raises(UserError, match=r"evil\.safetensors"):
        registry.method(spec.format(path=str(path))).setup()
    assert not payload.mark.exists()


def damaged(data: bytes) -> list[bytes]:
    """Cut files, headers that declare too much, headers that are no JSON."""
    (length,) = struct.unpack_from("<Q", data)
    cut = [data[:end] for end in (0, 4, 8, 8 + length // 2, 8 + length, len(data) - 1)]
    sizes = [struct.pack("<Q", size) + data[8:] for size in (2**63, 2**40, 10**8 + 1, length + 10**6, 2)]
    return [*cut, *sizes, data[:8] + b"\xff" * length + data[8 + length :], data + b"more"]


def test_damaged_safetensors_are_one_line(tmp_path: Path) -> None:
    data = save({"a": torch.arange(100.0), "b": torch.zeros(3, 4)})
    path = tmp_path / "half.safetensors"
    path.write_bytes(data)
    assert set(load_state(path)) == {"a", "b"}
    readers = (load_state, _released.read, read_checkpoint)
    for content in damaged(data):
        path.write_bytes(content)
        for read in readers:
            with pytest.raises(UserError, match=r"half\.safetensors") as caught:
                read(path)
            assert "\n" not in str(caught.value)


@pytest.mark.parametrize("ending", [".pth", ".pkl", ".safetensors"])
def test_mutated_weights_are_read_or_refused_in_one_line(tmp_path: Path, ending: str) -> None:
    held = {"a": torch.arange(30.0), "b": torch.zeros(3, 4)}
    good = {
        ".pth": torch_file(held),
        ".pkl": pickle.dumps({"model": {key: value.numpy() for key, value in held.items()}}),
        ".safetensors": save(held),
    }[ending]
    path = tmp_path / f"mutated{ending}"
    rng = np.random.default_rng(5)
    for _ in range(300):
        content = bytearray(good)
        for _ in range(int(rng.integers(1, 5))):
            content[rng.integers(len(content))] = rng.integers(256)
        path.write_bytes(content[: rng.integers(len(content)) if rng.random() < 0.2 else len(content)])
        try:
            load_state(path)
        except UserError as error:
            assert str(path) in str(error) and "\n" not in str(error)


def test_a_checkpoint_that_declares_absurd_sizes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "huge.safetensors"
    for config in ({"n": 10**9}, {"m": -1}, {"levels": 2**40}, {"n": "64"}, {"n": 1.5}, {"auxiliary": "yes"}):
        path.write_bytes(save({"a": torch.zeros(1)}, {"format": _released.FORMAT, "config": json.dumps(config)}))
        with pytest.raises(UserError, match=r"huge\.safetensors: .*no configuration of a codec"):
            registry.method(f"rdc(checkpoint={str(path)!r})").setup()
