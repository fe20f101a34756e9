"""The contract of a codec.

    picture --encode(rate)--> Bitstream (named layers of real bytes) --decode(betas)--> one picture per beta

A method is a frozen dataclass: its public fields are its parameters, and from them the base class makes the
spec string, the configuration key and equality. A method never counts its bits and never reads a clock.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from icm_bench.spec import format_spec

if TYPE_CHECKING:
    import numpy as np

    from icm_bench.bitstream import Bitstream

    Image = np.ndarray  # uint8 (H, W, 3) sRGB

#: A trade-off between cognition (1) and distortion (0); None where a codec offers none.
Beta = float | None


@dataclass(frozen=True)
class RateAxis:
    """The rate axis a codec offers.

    name: the field's own term ("qp", "quality", "gain"); points: the default grid; more_bits: "up" when a larger
    value costs more bits, "down" when it costs fewer, "none" for a single point; low, high: the values accepted;
    continuous: whether values between whole numbers are allowed.
    """

    name: str
    points: tuple[float, ...]
    more_bits: str = "up"
    low: float = 0.0
    high: float = 100.0
    continuous: bool = False

    def reason_against(self, rate: float) -> str | None:
        """Why this rate cannot be coded, or None."""
        if not self.low <= rate <= self.high:
            return f"{self.name} {rate:g} is outside {self.low:g} .. {self.high:g}"
        if not self.continuous and rate != int(rate):
            return f"{self.name} {rate:g} is not a whole number"
        return None


@dataclass(frozen=True)
class Footprint:
    """What the whole grid of rates, tasks and trade-offs costs in stored models."""

    checkpoints: int = 0
    parameters: int = 0


@dataclass(frozen=True)
class Method(ABC):
    """One codec with its parameters. Subclasses are frozen dataclasses in ``methods/<name>.py``.

    Heavy state (networks, program paths) belongs into ``functools.cached_property`` attributes made by ``setup``;
    they take no part in equality and are left behind when the object is pickled.
    """

    #: The name in the registry, filled from the module's file name by the registry's naming rule.
    name: ClassVar[str]
    #: The rate axis.
    rate: ClassVar[RateAxis]
    #: Default trade-offs, or (None,) for a codec without a beta axis.
    betas: ClassVar[tuple[Beta, ...]] = (None,)
    #: Names of the layers of its streams, first the base layer.
    layer_names: ClassVar[tuple[str, ...]] = ("main",)
    #: Parameters that name programs to be started, or files that tell them what to do.
    program_parameters: ClassVar[tuple[str, ...]] = ()
    #: True for the pass-through that gives the uncompressed line.
    lossless: ClassVar[bool] = False

    @property
    def params(self) -> dict[str, Any]:
        """Parameters that differ from their defaults."""
        return {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if getattr(self, field.name) != field.default
        }

    @property
    def spec(self) -> str:
        """The canonical spec string: ``registry.method(m.spec) == m``."""
        return format_spec(self.name, self.params)

    @property
    def checkpoint_id(self) -> str:
        """Hex digest (sha256) of the weights that encode and decode depend on; "" for a codec without weights."""
        return ""

    def setup(self, device: str = "cpu") -> None:  # noqa: B027 - optional on purpose
        """Load weights and find programs, off the clock. May be called twice. Raises UserError with the exact fix."""

    @abstractmethod
    def encode(self, image: Image, rate: float) -> Bitstream:
        """Code a picture: uint8 (H, W, 3) sRGB, any size from 1x1 up. Raises CodecError when the codec fails."""

    @abstractmethod
    def decode(self, bitstream: Bitstream, betas: Sequence[Beta]) -> Iterator[Image]:
        """Yield one uint8 (H, W, 3) picture of the original size for each beta, from the bytes alone.

        Only the layers of ``layers(beta)`` may be used for a beta. Raises BitstreamError for bytes it cannot read.
        """

    def layers(self, beta: Beta) -> tuple[str, ...]:
        """The layers a receiver needs at this beta; the runner charges exactly these bytes."""
        return self.layer_names

    def supports(self, task: str) -> str | None:
        """Why this codec cannot be used for the named task, or None. The reason is printed."""
        return None

    def footprint(self, n_tasks: int = 1) -> Footprint:
        """Checkpoints and parameters that the whole grid over this many tasks needs."""
        return Footprint()

    def coded_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """(height, width) that is really coded of a picture of this (height, width): smaller where it is scaled."""
        return size

    def estimated_bits(self, bitstream: Bitstream) -> dict[str, float] | None:
        """Bits of each layer by the entropy model's likelihoods; None for a codec that cannot tell.

        Literature that never writes a stream reports these. They stand beside the real bytes, never in their place.
        """
        return None

    def provenance(self) -> dict[str, Any]:
        """What a row must say beside spec and checkpoint: program, version, exact command, nets seen in training."""
        return {}

    def __getstate__(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
