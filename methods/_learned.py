"""What the learned codecs share: released checkpoints, their hash and card, and coding through ``_codec.Codec``."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from icm_bench.bitstream import Bitstream, quantise_rate
from icm_bench.errors import BitstreamError
from icm_bench.method import Beta, Footprint, Method, RateAxis
from icm_bench.methods._checkpoints import card, digest, find
from icm_bench.methods._precision import problem

if TYPE_CHECKING:
    import numpy as np

    from icm_bench.methods._codec import Codec

#: Entries of a model card that every row repeats; the rest stands in the card beside the weights.
_TOLD = ("training", "steps_done", "nets_seen", "parameters", "commit", "sha256")
#: The rate axis of one checkpoint with gain units.
GAIN = RateAxis("gain", (0, 1, 2, 3, 4, 5), "up", 0, 5, continuous=True)


@dataclass(frozen=True)
class LearnedCodec(Method):
    """A codec with gain units: one checkpoint for all rates. Subclasses may have one for each.

    checkpoint: a built-in name or the path of a released checkpoint (.safetensors); precision: "float32", or "bf16"
    for analysis and synthesis in bfloat16: twice as fast on devices that have it. Any precision decodes any stream.
    """

    checkpoint: str = ""
    precision: str = "float32"

    rate: ClassVar[RateAxis] = GAIN
    layer_names: ClassVar[tuple[str, ...]] = ("primary",)

    def __post_init__(self) -> None:
        if reason := problem(self.precision):
            raise ValueError(reason)

    @property
    def checkpoints(self) -> tuple[str, ...]:
        """Names or paths of all checkpoints that the rate axis needs."""
        return (self.checkpoint,)

    def place(self, rate: float) -> tuple[int, float]:
        """Which of the checkpoints codes a rate, and at which of its gain levels."""
        return 0, rate

    @cached_property
    def files(self) -> list[Path]:
        """The files of the checkpoints. Raises UserError for one that is not there."""
        return [find(name) for name in self.checkpoints]

    @cached_property
    def checkpoint_id(self) -> str:
        digests = [digest(path) for path in self.files]
        return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()

    def setup(self, device: str = "cpu") -> None:
        from icm_bench.methods._codec import Codec

        codecs = self.__dict__.get("_codecs")
        if codecs is None or codecs[0].device != device:
            self.__dict__["_codecs"] = [Codec(path, device, self.precision) for path in self.files]

    @property
    def codecs(self) -> list[Codec]:
        """The loaded checkpoints; loaded on the CPU when ``setup`` was not called."""
        if "_codecs" not in self.__dict__:
            self.setup()
        codecs: list[Codec] = self.__dict__["_codecs"]
        return codecs

    def encode(self, image: np.ndarray, rate: float) -> Bitstream:
        rate = quantise_rate(rate)
        layers = self.layers_of(image, rate)
        size = (image.shape[0], image.shape[1])
        return Bitstream.of(self, size, rate, {name: layers[name] for name in self.layer_names})

    def layers_of(self, image: np.ndarray, rate: float) -> dict[str, bytes]:
        """The layers of a picture, by name."""
        index, level = self.place(rate)
        return self.codecs[index].encode(image, level)

    def decode(self, bitstream: Bitstream, betas: Sequence[Beta]) -> Iterator[np.ndarray]:
        if reason := self.rate.reason_against(bitstream.rate):
            raise BitstreamError(f"the stream's {reason}")
        needed = {name for beta in betas for name in self.layers(beta)}
        layers = {name: bitstream.layer(name) for name in self.layer_names if name in needed}
        index, level = self.place(bitstream.rate)
        parts = [0.0 if beta is None else 1.0 - beta for beta in betas]
        yield from self.codecs[index].pictures(layers, (bitstream.height, bitstream.width), level, parts)

    def estimated_bits(self, bitstream: Bitstream) -> dict[str, float]:
        index, level = self.place(bitstream.rate)
        size = (bitstream.height, bitstream.width)
        return self.codecs[index].estimated_bits(dict(bitstream.layers), size, level)

    def footprint(self, n_tasks: int = 1) -> Footprint:
        cards = [card(path) for path in self.files]
        return Footprint(len(cards), sum(int(one.get("parameters", 0)) for one in cards))

    def provenance(self) -> dict[str, Any]:
        """What the model card says that a row must say; of several checkpoints, the hashes of all."""
        told = {key: value for key, value in card(self.files[0]).items() if key in _TOLD}
        if len(self.files) > 1:
            told["sha256"] = {path.stem: digest(path) for path in self.files}
        return told
