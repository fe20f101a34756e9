"""The contract of a task: what a machine does with pictures.

    samples() --picture--> predict --evidence--> score

``predict`` is a map over pictures, ``score`` a reduction over evidence. That split makes a run resumable,
distributable and re-scorable without coding anything again. A task never knows which codec made its picture.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from icm_bench.errors import UserError
from icm_bench.spec import format_spec

if TYPE_CHECKING:
    import numpy as np
    import torch

    Image = np.ndarray  # uint8 (H, W, 3) sRGB

#: The profile that codes pictures as they are.
ORIG = "orig"
#: One small JSON-able record per picture and net.
Evidence = Any


@dataclass(frozen=True)
class Sample:
    """One picture of a data set: its id (stable, unique in the set) and where it lies."""

    id: str
    path: Path

    def read(self) -> Image:
        """The picture as uint8 (H, W, 3) sRGB. Raises PictureError naming the file."""
        from icm_bench.images import read_picture

        return read_picture(self.path)


@dataclass(frozen=True)
class View:
    """What a profile makes of a picture before it is coded.

    coded: uint8 (H', W', 3), what the codec gets. size: (height, width) of the part of it, from the top left, that is
    kept after decoding, compared, and shown to nets; the rest is padding. original: (height, width) of the file's.
    """

    coded: Image
    size: tuple[int, int]
    original: tuple[int, int]

    @property
    def shown(self) -> Image:
        """The part that is kept, undistorted."""
        return self.coded[: self.size[0], : self.size[1]]

    @classmethod
    def whole(cls, picture: Image) -> View:
        """The picture as it is."""
        size = (picture.shape[0], picture.shape[1])
        return cls(picture, size, size)


class Net(ABC):
    """A frozen network with its own preprocessing: uint8 pictures in, plain outputs out.

    kind "classification": ``predict`` gives for each picture the class indices, best first (at least five where
    there are five). "detection": {"boxes": (n, 4) float x1 y1 x2 y2 in pixels of the picture, "scores": (n,),
    "labels": (n,) category ids of the data set}. "segmentation": uint8 (H, W) train ids at the size asked for.
    """

    kind: ClassVar[str]
    #: The canonical spec string, as stored in rows.
    spec: str

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """Hex digest over weights and preprocessing. Cheap: reads files, builds no network."""

    @abstractmethod
    def setup(self, device: str = "cpu") -> None:
        """Build the network and load the weights, off the clock. Raises UserError with the exact fix."""

    @abstractmethod
    def predict(self, pictures: Sequence[Image]) -> list[Any]:
        """Outputs for a few pictures (of equal or different sizes), in their order."""

    def loss(self, x: torch.Tensor, truths: Sequence[Any]) -> torch.Tensor:
        """The loss this network is trained with, for learning THROUGH it: one number with a gradient for x.

        x: float (B, 3, H, W) in 0 .. 1; truths, by kind: a class index; boxes (n, 4) x1 y1 x2 y2 and category ids
        (n,); uint8 (H, W) train ids with 255 for void. Raises UserError for a network without gradients.
        """
        raise UserError(f"net {self.spec}: a codec cannot be trained through it (it gives no gradients)")

    @property
    def input_pixels(self) -> int | None:
        """Pixels of the last tensor the network saw for one picture, where they are fixed; else None."""
        return None


class Teacher(ABC):
    """A frozen network of a task and the labelled pictures of its train split: what a codec is trained through."""

    net: Net

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """Hex digest of the pictures and labels learned from."""

    def setup(self, device: str = "cpu") -> None:
        """Build the network."""
        self.net.setup(device)

    @abstractmethod
    def batch(self, step: int, size: int) -> tuple[np.ndarray, Sequence[Any]]:
        """uint8 (size, side, side, 3) pictures and their truths; the same step gives the same batch.

        The held-out tenth is never shown.
        """

    def loss(self, x: torch.Tensor, truths: Sequence[Any]) -> torch.Tensor:
        """See ``Net.loss``."""
        return self.net.loss(x, truths)


@dataclass(frozen=True)
class Task(ABC):
    """One data set and how nets are scored on it. Subclasses are frozen dataclasses in ``tasks/<name>.py``.

    data: the data set's root; None takes the built-in mini set.
    """

    data: str | None = None

    #: The name in the registry.
    name: ClassVar[str]
    #: Which kind of net it takes; None for a task without nets.
    net_kind: ClassVar[str | None] = None
    #: Metrics that ``score`` gives, the main one first. Percentages in 0 .. 100.
    metrics: ClassVar[tuple[str, ...]] = ()
    higher_is_better: ClassVar[bool] = True
    #: Specs of the nets used when the user names none: (on the mini set, on real data).
    mini_nets: ClassVar[tuple[str, ...]] = ()
    default_nets: ClassVar[tuple[str, ...]] = ()
    #: Profiles that it can be measured under ("orig": pictures as they are), and default nets of those with others.
    profiles: ClassVar[tuple[str, ...]] = (ORIG,)
    profile_nets: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    #: Pictures of the full data set, which a partial one is labelled with; 0 where there is no such number.
    expected: ClassVar[int] = 0

    @property
    def main_metric(self) -> str | None:
        """The metric that curves are drawn of."""
        return self.metrics[0] if self.metrics else None

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
        """The canonical spec string."""
        return format_spec(self.name, self.params)

    @property
    def nets(self) -> tuple[str, ...]:
        """Specs of the nets to use when the user names none."""
        return self.nets_under(ORIG)

    def nets_under(self, profile: str) -> tuple[str, ...]:
        """The same for a profile."""
        return self.mini_nets if self.data is None else self.profile_nets.get(profile, self.default_nets)

    def view(self, picture: Image, profile: str) -> View:
        """What is coded of a picture under one of the task's profiles."""
        return View.whole(picture)

    def restore(self, output: Any, view: View) -> Any:
        """A net's output for a view, in terms of the original picture (boxes in its pixels, say)."""
        return output

    @property
    @abstractmethod
    def label(self) -> str:
        """What the data is, as "coco (built-in mini set, synthetic)" or "coco val2017, subset 94 of 5000"."""

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """Hex digest of the data set: picture names and sizes, labels. Cheap: decodes no picture."""

    @abstractmethod
    def samples(self) -> Sequence[Sample]:
        """All pictures in a fixed order. Raises UserError saying which layout was expected and what was found."""

    def net(self, spec: str, weights: str | None = None) -> Net:
        """The network of a spec; weights: a file instead of its own. Raises UserError for an unsuitable one."""
        raise UserError(f"task {self.name} takes no networks, and {spec!r} was given: leave --net out")

    def teacher(self, spec: str, weights: str | None, side: int) -> Teacher:
        """A net of this task with its train split, in square crops of side pixels, for task-specific codecs.

        Raises UserError when the net does not fit or there is no train split.
        """
        raise UserError(f"task {self.name} has no train split that a codec could learn from")

    def evidence(self, sample: Sample, output: Any) -> Evidence:
        """Turn a net's output for one picture into a small JSON-able record (with the label's share where needed)."""
        return None

    def predict(
        self, net: Net, samples: Sequence[Sample], pictures: Sequence[Image], view: View | None = None
    ) -> list[Evidence]:
        """Evidence for decoded pictures of these samples, in their order. view: what all of them are views of."""
        outputs = net.predict(pictures)
        if view is not None:
            outputs = [self.restore(output, view) for output in outputs]
        return [self.evidence(s, out) for s, out in zip(samples, outputs, strict=True)]

    def perfect(self, sample: Sample) -> Any:
        """What a net without fault would put out for a picture; None where the task cannot tell. For its tests."""
        return None

    @abstractmethod
    def score(self, evidence: Mapping[str, Evidence]) -> dict[str, float]:
        """Metrics over the evidence, keyed by sample id. Only samples present are scored (a subset is allowed).

        Returns floats under the names in ``metrics`` and counts such as ``n_classes``; never NaN.
        """

    def resampled(self, evidence: Mapping[str, Evidence], counts: np.ndarray) -> dict[str, np.ndarray]:
        """The metrics for every row of counts: how often each picture was drawn, for the bootstrap.

        counts: int (n_draws, n_pictures) in the order of the evidence. Gives (n_draws,) for each metric, NaN where a
        draw leaves it undefined. Scores anew for each draw; a task that has a faster way overrides it.
        """
        from icm_bench.bootstrap import rescored

        return rescored(self.score, evidence, counts)
