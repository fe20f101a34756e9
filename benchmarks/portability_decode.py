"""The child process of portability.py: decodes streams at the SIMD level and thread count it was started with.

    python benchmarks/portability_decode.py WORK FOUND SKIP

Reads groups of streams, batch size and device from WORK, leaves out the first SKIP streams, and appends what it reads
to FOUND, a batch a time: for each stream (symbols, scale indexes or None, pictures), or a text where decoding failed.
A picture with values that are no numbers is left out.
"""

from __future__ import annotations

import pickle
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from icm_bench import registry
from icm_bench.bitstream import Bitstream
from icm_bench.methods._codec import (
    BranchCodec,
    Codec,
    Decoder,
    Latent,
    _channels,
    _latent,
    _numpy,
    quantise_picture,
)
from icm_bench.methods._networks import HYPER_STRIDE, LATENT_STRIDE, pad_to
from icm_bench.methods._packed import split_prefix

_STRIDE = 64


def our_readings(spec: str, streams: Sequence[bytes], device: str) -> list:
    """Exact latents of all layers, and pictures at beta 1 (or without a beta) and 0, from one batch."""
    method = our_method(spec, device)
    held = [Bitstream.from_bytes(data) for data in streams]
    index, rate = method.place(held[0].rate)
    codec: Codec = method.codecs[index]
    size = (held[0].height, held[0].width)
    cells = (-(-size[0] // LATENT_STRIDE), -(-size[1] // LATENT_STRIDE))
    first = batched(codec.primary, [one.layer("primary") for one in held], cells, rate)
    x1 = codec.primary.synthesise(first, rate)
    exact, shown = [first.exact], [x1]
    if codec.auxiliary is not None:
        payloads = [split_prefix(one.layer("auxiliary"))[1] for one in held]
        second = batched(codec.auxiliary, payloads, cells, rate, first)
        exact.append(second.exact)
        shown.append(x1 + codec.auxiliary.synthesise(second, rate, x1))
    return [
        (np.concatenate([one[i].flatten().numpy() for one in exact]), None, [picture(one[i], size) for one in shown])
        for i in range(len(held))
    ]


@cache
def our_method(spec: str, device: str) -> Any:
    """A shipped codec, set up."""
    method = registry.method(spec)
    method.setup(device)
    return method


def batched(
    branch: BranchCodec, data: Sequence[bytes], size: tuple[int, int], rate: float, context: Latent | None = None
) -> Latent:
    """The latents of several streams of one size, through one call of the integer hyper-synthesis."""
    if len(data) == 1:
        return branch.decode(data[0], size, rate, context)
    n, m = branch.config.n, branch.config.m
    z_shape = (1, n, -(-size[0] // HYPER_STRIDE), -(-size[1] // HYPER_STRIDE))
    n_symbols = n * z_shape[2] * z_shape[3] + m * size[0] * size[1]
    coders = [Decoder(one, n_symbols) for one in data]
    z = np.concatenate([coder.get(_channels(z_shape), branch.prior) for coder in coders]).astype(np.int64)
    mean, index = branch._model(torch.from_numpy(z), context, size, rate)
    symbols = [coder.get(_numpy(index[i : i + 1]), branch.scales) for i, coder in enumerate(coders)]
    return _latent(torch.from_numpy(np.concatenate(symbols).astype(np.int64)), mean)


def picture(x: Tensor, size: tuple[int, int]) -> np.ndarray:
    """One picture (3, h, w) in 0 .. 1 as a decoder gives it."""
    return quantise_picture((255 * x[:, : size[0], : size[1]]).permute(1, 2, 0).cpu().numpy())


@cache
def compressai_net(weights: Path, device: str = "cpu") -> Any:
    """The model as the harness's method ``compressai`` loads it."""
    method: Any = registry.method(f"compressai(model='mbt2018-mean', weights={str(weights)!r})")
    method.setup(device)
    return method.net


def padded(image: np.ndarray) -> Tensor:
    """uint8 (H, W, 3) to (1, 3, 64h, 64w) in 0 .. 1."""
    return pad_to(torch.from_numpy(image.copy()).permute(2, 0, 1)[None].float() / 255, _STRIDE)


def their_readings(weights: str, streams: Sequence[dict], device: str) -> list:
    """Symbols, scale indexes and pictures as CompressAI's own decompress makes them of one batch."""
    net = compressai_net(Path(weights), device)
    seen: list[tuple[Tensor, Tensor]] = []
    whole = net.gaussian_conditional.decompress

    def noted(strings: list[bytes], indexes: Tensor, *rest: Any, **more: Any) -> Tensor:
        out = whole(strings, indexes, *rest, **more)
        seen.append((indexes.cpu().int(), (out - more["means"]).round().cpu().int()))
        return out

    net.gaussian_conditional.decompress = noted
    try:
        strings = [[one["strings"][part][0] for one in streams] for part in (0, 1)]
        shown = net.decompress(strings, streams[0]["shape"])["x_hat"]
    finally:
        del net.gaussian_conditional.decompress
    indexes, symbols = (part.flatten(1).numpy() for part in seen[0])
    finite = shown.isfinite().flatten(1).all(1).tolist()
    return [
        (symbols[i], indexes[i], [picture(one, (one.shape[1], one.shape[2]))] if finite[i] else [])
        for i, one in enumerate(shown)
    ]


def main() -> None:
    work, found, skip = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    groups, batch_size, device = pickle.loads(work.read_bytes())
    with found.open("ab") as out, torch.inference_mode():
        for spec, every in groups:
            read = our_readings if isinstance(every[0], bytes) else their_readings
            streams = every[skip:]
            skip = max(0, skip - len(every))
            for start in range(0, len(streams), batch_size):
                batch = streams[start : start + batch_size]
                try:
                    made = read(spec, batch, device)
                except (RuntimeError, ValueError, IndexError, AssertionError) as error:
                    made = [f"{type(error).__name__}: {error}"] * len(batch)
                pickle.dump(made, out)
                out.flush()


if __name__ == "__main__":
    main()
