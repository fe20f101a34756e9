"""A released codec at work: pictures to layers of real bytes and back.

What the entropy decoder depends on (hyper-latent, means, scale indexes, tables) is computed in whole numbers on the
CPU; only the transforms run in floating point, on any device.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from icm_bench.errors import BitstreamError
from icm_bench.methods._entropy import SYMBOL_LIMIT, Decoder, Encoder, Tables, capacity
from icm_bench.methods._gdn import FoldedGdn
from icm_bench.methods._integer import ACTIVATION_BITS
from icm_bench.methods._networks import (
    CONTEXT_LIMIT,
    HYPER_STRIDE,
    LATENT_STRIDE,
    SCALE_LEVELS,
    CodecConfig,
    Transforms,
    pad_to,
    subpixel,
)
from icm_bench.methods._packed import RATE_STEPS, rate_prefix, split_prefix
from icm_bench.methods._precision import number_format
from icm_bench.methods._released import load_floats, load_hyper_inverse, load_hyper_synthesis, load_tables, read
from icm_bench.methods._tiles import BORDER, INTEGER_BORDER, Span, joined, tiles

HYPER_LIMIT = 127

#: A place in a picture, and x1 and the residual there: float32 (h, w, 3) in 0 .. 255.
Piece = tuple[tuple[slice, slice], np.ndarray, np.ndarray | None]


@dataclass(frozen=True)
class Latent:
    """A quantised latent: exact (1, m, h, w) int32 in units of 2^-12; and the coder it was read from."""

    exact: Tensor
    source: Decoder | None = None

    @property
    def bits(self) -> float:
        """Information of the layer that it was read from, by the entropy model."""
        return 0.0 if self.source is None else self.source.bits

    def values(self, device: str) -> Tensor:
        """As float32."""
        return (self.exact.double() * 2.0**-ACTIVATION_BITS).float().to(device)

    def part(self, rows: Span, columns: Span) -> Latent:
        """A tile of it with its border."""
        return Latent(self.exact[..., rows.outer(), columns.outer()])

    @property
    def context(self) -> Tensor:
        """What the auxiliary entropy model sees."""
        limit = int(CONTEXT_LIMIT) << ACTIVATION_BITS
        return self.exact.clamp(-limit, limit)


class BranchCodec:
    """One layer of the stream: a branch's transforms and its exact entropy model."""

    def __init__(
        self, config: CodecConfig, tensors: dict[str, Tensor], name: str, device: str, dtype: torch.dtype
    ) -> None:
        self.net = Transforms(config, name == "auxiliary", FoldedGdn).eval()
        load_floats(self.net, tensors, f"{name}.")
        for module in self.net.modules():
            if isinstance(module, FoldedGdn):
                module.fold()
        self.net.g_s.up[-1] = subpixel(self.net.g_s.up[-1])  # type: ignore[arg-type]
        self.net = self.net.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.offset: Tensor | None = None
        if dtype is torch.bfloat16:  # which rounds values around zero more finely: the last bias is added in float32
            bias = self.net.g_s.up[-1][0].bias.data  # type: ignore[index, union-attr]
            self.offset = bias[::4, None, None].clone()
            bias.zero_()
        self.net.g_a.to(dtype)
        self.net.g_s.to(dtype)
        self.h_s = load_hyper_synthesis(tensors, name, config)
        self.hyper_inverse = load_hyper_inverse(tensors, name, config)
        self.prior = load_tables(tensors, f"{name}.prior", config.n)
        self.scales: Tables = load_tables(tensors, "scales", SCALE_LEVELS)
        self.config, self.device, self.dtype = config, device, dtype

    def encode(self, x: Tensor, rate: float, context: Latent | None = None) -> tuple[bytes, Latent]:
        """Code a padded input (1, c, 16h, 16w) at a gain level: the layer's bytes and the latent they stand for."""
        gain, _ = self._gains(rate)
        y = self._analysed(x) * gain
        z = self.net.h_a(pad_to(y, HYPER_STRIDE))
        if self.net.hyper_gains is not None:
            z = z * self.net.hyper_gains(torch.tensor([rate], device=self.device))[0]
        z = z.round().clamp(-HYPER_LIMIT, HYPER_LIMIT).cpu().long()
        mean, index = self._model(z, context, (y.shape[-2], y.shape[-1]), rate)
        symbols = (y.cpu().double() - mean.double() * 2.0**-ACTIVATION_BITS).round()
        symbols = symbols.clamp(-SYMBOL_LIMIT, SYMBOL_LIMIT).long()
        coder = Encoder()
        coder.put(_numpy(z), _channels(z.shape), self.prior)
        coder.put(_numpy(symbols), _numpy(index), self.scales)
        return coder.finish(), _latent(symbols, mean)

    def _analysed(self, x: Tensor) -> Tensor:
        """The latent of an input, (1, m, h, w), tile by tile."""
        size = (x.shape[-2] // LATENT_STRIDE, x.shape[-1] // LATENT_STRIDE)
        return joined(size, lambda rows, columns: self.net.g_a(
            x[..., rows.outer(LATENT_STRIDE), columns.outer(LATENT_STRIDE)].to(self.dtype)
        ).float())  # fmt: skip

    def decode(
        self, data: bytes, latent_size: tuple[int, int], rate: float, context: Latent | None = None
    ) -> Latent:
        """The latent from a layer's bytes, exactly as the encoder had it."""
        height, width = latent_size
        z_shape = (1, self.config.n, -(-height // HYPER_STRIDE), -(-width // HYPER_STRIDE))
        n_z, n_y = z_shape[2] * z_shape[3], self.config.m * height * width
        least = n_z * self.prior.least_bits.sum() + n_y * self.scales.least_bits.min()
        n_symbols = self.config.n * n_z + n_y
        if least > capacity(len(data), n_symbols):
            raise BitstreamError(f"the stream's {len(data)} bytes cannot hold {height}x{width} latents")
        coder = Decoder(data, n_symbols)
        z = coder.get(_channels(z_shape), self.prior)
        z = np.clip(z, -HYPER_LIMIT, HYPER_LIMIT).astype(np.int64)
        mean, index = self._model(torch.from_numpy(z), context, latent_size, rate)
        symbols = torch.from_numpy(coder.get(_numpy(index), self.scales))
        coder.finish()
        return _latent(symbols, mean, coder)

    def synthesise(self, latent: Latent, rate: float, x1: Tensor | None = None) -> Tensor:
        """The picture (primary) or the residual (auxiliary), (1, 3, 16h, 16w), not clipped."""
        _, inverse = self._gains(rate)
        y = (latent.values(self.device) * inverse).to(self.dtype).contiguous(memory_format=torch.channels_last)
        seen = x1.to(self.dtype) if x1 is not None and self.net.conditional else None
        picture: Tensor = self.net.g_s(y, seen)
        return picture.float() if self.offset is None else picture.float() + self.offset

    def _model(
        self, z: Tensor, context: Latent | None, size: tuple[int, int], rate: float
    ) -> tuple[Tensor, Tensor]:
        """Exact means and scale indexes. The sums are exact, so that tiles change nothing."""
        gain = None if self.hyper_inverse is None else self.hyper_inverse[round(rate * RATE_STEPS)]
        seen = context if self.net.context else None
        mean, index = (torch.empty((1, self.config.m, *size), dtype=torch.int32) for _ in range(2))
        for rows, columns in tiles(size, INTEGER_BORDER):
            below = z[..., rows.outer(1, HYPER_STRIDE), columns.outer(1, HYPER_STRIDE)]
            exact = None if seen is None else seen.part(rows, columns).context
            part_size = (rows.high - rows.low, columns.high - columns.low)
            for whole, part in zip((mean, index), self.h_s(below, exact, part_size, gain), strict=True):
                whole[..., rows.own(), columns.own()] = part[..., rows.inside(), columns.inside()]
        return mean, index

    def _gains(self, rate: float) -> tuple[Tensor, Tensor]:
        gain, inverse = self.net.gains(torch.tensor([rate], device=self.device))
        return gain, inverse


class Codec:
    """A released checkpoint, ready to code.

    precision: "float32", or "bf16" for analysis and synthesis in bfloat16 (the entropy path is whole numbers always).
    """

    def __init__(self, checkpoint: Path, device: str = "cpu", precision: str = "float32") -> None:
        self.config, tensors = read(checkpoint)
        self.device = device
        dtype = number_format(precision, device)
        self.primary = BranchCodec(self.config, tensors, "primary", device, dtype)
        self.auxiliary = (
            BranchCodec(self.config, tensors, "auxiliary", device, dtype) if self.config.auxiliary else None
        )

    @torch.inference_mode()
    def encode(self, image: np.ndarray, rate: float, aux_rate: float | None = None) -> dict[str, bytes]:
        """uint8 (H, W, 3) to layers: "primary", and "auxiliary" where the checkpoint has that branch.

        aux_rate: gain level of the auxiliary layer, None for the primary's; the layer says it in its first bytes.
        """
        x = self._tensor(image)
        data, latent = self.primary.encode(x, rate)
        layers = {"primary": data}
        if self.auxiliary is not None:
            x1 = self._synthesised(latent, rate)
            seen = torch.cat([x - x1, x1], 1) if self.config.conditional else x.sub_(x1)
            own_rate = rate if aux_rate is None else aux_rate
            data, _ = self.auxiliary.encode(seen, own_rate, latent)
            layers["auxiliary"] = rate_prefix(aux_rate) + data
        return layers

    def _synthesised(self, latent: Latent, rate: float) -> Tensor:
        """All of x1, (1, 3, 16h, 16w), tile by tile."""
        size = (latent.exact.shape[-2], latent.exact.shape[-1])
        return joined(size, lambda *tile: self.primary.synthesise(latent.part(*tile), rate), LATENT_STRIDE)

    def decode(
        self, layers: dict[str, bytes], size: tuple[int, int], rate: float
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """x1 and, if its layer is given, the residual r: float32 (H, W, 3) in 0 .. 255, not clipped."""
        latents = self._latents(layers, size, rate)  # before anything of the declared size is made
        x1, residual = (np.empty((*size, 3), np.float32) for _ in range(2))
        given = None
        for place, one, given in self._pieces(latents, size, rate):
            x1[place] = one
            if given is not None:
                residual[place] = given
        return x1, None if given is None else residual

    def pictures(
        self, layers: dict[str, bytes], size: tuple[int, int], rate: float, parts: Sequence[float]
    ) -> list[np.ndarray]:
        """uint8 (H, W, 3) for each part of the residual that is added to x1 (all of x1 where there is none)."""
        latents = self._latents(layers, size, rate)  # before anything of the declared size is made
        made = [np.empty((*size, 3), np.uint8) for _ in parts]
        for place, x1, residual in self._pieces(latents, size, rate):
            for picture, part in zip(made, parts, strict=True):
                picture[place] = quantise_picture(x1 if residual is None or part == 0 else x1 + part * residual)
        return made

    def _pieces(
        self, latents: tuple[Latent, Latent | None, float], size: tuple[int, int], rate: float
    ) -> Iterator[Piece]:
        """The picture tile by tile."""
        with torch.inference_mode():
            latent, second, own_rate = latents
            for rows, columns in tiles((latent.exact.shape[-2], latent.exact.shape[-1]), BORDER):
                part = second.part(rows, columns) if second is not None else None
                x1 = self.primary.synthesise(latent.part(rows, columns), rate)
                residual = None
                if part is not None and self.auxiliary is not None:
                    residual = self.auxiliary.synthesise(part, own_rate, x1)
                place = rows.own(LATENT_STRIDE), columns.own(LATENT_STRIDE)
                r = None if residual is None else _picture(residual, size, rows, columns)
                yield place, _picture(x1, size, rows, columns), r

    def estimated_bits(self, layers: dict[str, bytes], size: tuple[int, int], rate: float) -> dict[str, float]:
        """Information of each layer by the entropy model, in bits: what a rate estimated in training stands for."""
        latent, second, _ = self._latents(layers, size, rate)
        return {"primary": latent.bits} | ({} if second is None else {"auxiliary": second.bits})

    @torch.inference_mode()
    def _latents(
        self, layers: dict[str, bytes], size: tuple[int, int], rate: float
    ) -> tuple[Latent, Latent | None, float]:
        """The primary latent, the auxiliary one where its layer is given, and the gain level of that."""
        self._check(rate)
        latent_size = (-(-size[0] // LATENT_STRIDE), -(-size[1] // LATENT_STRIDE))
        latent = self.primary.decode(layers["primary"], latent_size, rate)
        if "auxiliary" not in layers or self.auxiliary is None:
            return latent, None, rate
        own_rate, data = split_prefix(layers["auxiliary"])
        own_rate = rate if own_rate is None else own_rate
        self._check(own_rate)
        return latent, self.auxiliary.decode(data, latent_size, own_rate, latent), own_rate

    def _check(self, rate: float) -> None:
        if not 0 <= rate <= self.config.levels - 1:
            most = self.config.levels - 1
            raise BitstreamError(f"the stream has gain level {rate:g}, this checkpoint goes to {most}")

    def _tensor(self, image: np.ndarray) -> Tensor:
        x = torch.from_numpy(np.array(image, order="C")).to(self.device).permute(2, 0, 1)[None].float().div_(255)
        return pad_to(x, LATENT_STRIDE).contiguous(memory_format=torch.channels_last)


def quantise_picture(values: np.ndarray) -> np.ndarray:
    """Clip to 0 .. 255 and round to uint8: the last step of every decoder.

    Raises BitstreamError for NaN or infinity, which a stream coded by another machine's float model can give.
    """
    if not np.isfinite(values).all():
        raise BitstreamError("the stream decodes to values that are not finite: damaged, or not coded by this model")
    return np.rint(np.clip(values, 0, 255)).astype(np.uint8)


def _picture(x: Tensor, size: tuple[int, int], rows: Span, columns: Span) -> np.ndarray:
    """What a tile (1, 3, 16h, 16w) shows of a picture of this size, without its border: (H, W, 3) in 0 .. 255."""
    inside = x[0, :, rows.inside(LATENT_STRIDE), columns.inside(LATENT_STRIDE)]
    left = (size[0] - rows.first * LATENT_STRIDE, size[1] - columns.first * LATENT_STRIDE)
    values: np.ndarray = (inside[:, : left[0], : left[1]].permute(1, 2, 0) * 255).cpu().numpy()
    return values


def _latent(symbols: Tensor, mean: Tensor, source: Decoder | None = None) -> Latent:
    return Latent(mean.add_(symbols, alpha=1 << ACTIVATION_BITS), source)


def _channels(shape: tuple[int, ...] | torch.Size) -> np.ndarray:
    return np.broadcast_to(np.arange(shape[1], dtype=np.int32)[None, :, None, None], shape)


def _numpy(x: Tensor) -> np.ndarray:
    return x.numpy().astype(np.int32, copy=False)
