"""What the learned codecs share: a released checkpoint, its hash and card, and coding through ``_codec.Codec``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from icm_bench.bitstream import Bitstream, quantise_rate
from icm_bench.errors import BitstreamError
from icm_bench.method import Beta, Footprint, Method, RateAxis
from icm_bench.methods._checkpoints import card, digest, find

if TYPE_CHECKING:
    import numpy as np

    from icm_bench.methods._codec import Codec


@dataclass(frozen=True)
class LearnedCodec(Method):
    """A codec with gain units: one checkpoint for all rates.

    checkpoint: a built-in name or the path of a released checkpoint (.safetensors).
    """

    checkpoint: str = ""

    rate: ClassVar[RateAxis] = RateAxis("gain", (0, 1, 2, 3, 4, 5), "up", 0, 5, continuous=True)
    layer_names: ClassVar[tuple[str, ...]] = ("primary",)

    @cached_property
    def checkpoint_id(self) -> str:
        return digest(find(self.checkpoint))

    def setup(self, device: str = "cpu") -> None:
        from icm_bench.methods._codec import Codec

        codec = self.__dict__.get("_codec")
        if codec is None or codec.device != device:
            self.__dict__["_codec"] = Codec(find(self.checkpoint), device)

    @property
    def codec(self) -> Codec:
        """The loaded checkpoint; loaded on the CPU when ``setup`` was not called."""
        if "_codec" not in self.__dict__:
            self.setup()
        codec: Codec = self.__dict__["_codec"]
        return codec

    def encode(self, image: np.ndarray, rate: float) -> Bitstream:
        rate = quantise_rate(rate)
        layers = self.codec.encode(image, rate)
        size = (image.shape[0], image.shape[1])
        return Bitstream.of(self, size, rate, {name: layers[name] for name in self.layer_names})

    def decode(self, bitstream: Bitstream, betas: Sequence[Beta]) -> Iterator[np.ndarray]:
        from icm_bench.methods._codec import quantise_picture

        if problem := self.rate.reason_against(bitstream.rate):
            raise BitstreamError(f"the stream's {problem}")
        needed = {name for beta in betas for name in self.layers(beta)}
        layers = {name: bitstream.layer(name) for name in self.layer_names if name in needed}
        x1, residual = self.codec.decode(layers, (bitstream.height, bitstream.width), bitstream.rate)
        for beta in betas:
            part = 0.0 if beta is None else 1.0 - beta
            yield quantise_picture(x1 if residual is None or part == 0 else x1 + part * residual)

    def footprint(self, n_tasks: int = 1) -> Footprint:
        return Footprint(1, int(self.provenance().get("parameters", 0)))

    def provenance(self) -> dict[str, Any]:
        return card(find(self.checkpoint))
