"""The built-in networks for the mini world: two of different architecture per task, small and fast.

The architectures are in ``_mini_models.py``, the training in ``_mini_training.py``; a weights file carries
the architecture's name and the data set's ids of its labels, so that it needs nothing beside it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from icm_bench.errors import UserError
from icm_bench.registry import suggest
from icm_bench.spec import format_spec
from icm_bench.task import Net
from icm_bench.tasks._batches import finite, watched

if TYPE_CHECKING:
    import numpy as np
    import torch

    from icm_bench.task import Image

#: Names by kind of net.
NAMES: dict[str, tuple[str, ...]] = {
    "classification": ("mini-resnet", "mini-mobilenet"),
    "detection": ("mini-fcos", "mini-ssdlite"),
    "segmentation": ("mini-fcn", "mini-lraspp"),
}
#: Part of the fingerprints: raise it when pictures or outputs are handled differently.
PREPROCESSING = 1
#: Side of the centre window that classifiers see, in pixels.
CROP = 128
#: Most pictures that go through a network at once.
BATCH = 16
WEIGHTS = Path(__file__).parent / "weights"


def load(name: str, weights: str | None = None) -> Net:
    """The built-in net ``name``, with the weights file given or the one shipped. Builds no network yet.

    Raises UserError for an unknown name and for a weights file that is not there.
    """
    net = make(name, weights)
    if not net.path.is_file():
        raise UserError(
            f"net {name}: there is no weights file {net.path}; give one, or train it with "
            f"icm-bench train {name}"
        )
    return net


def make(name: str, weights: str | None = None) -> MiniNet:
    """The built-in net ``name`` with or without a weights file. Raises UserError for an unknown name."""
    classes = {"classification": MiniClassifier, "detection": MiniDetector, "segmentation": MiniSegmenter}
    for kind, names in NAMES.items():
        if name in names:
            return classes[kind](name, weights)
    known = [name for names in NAMES.values() for name in names]
    raise UserError(f"unknown net {name!r}{suggest(name, known)}")


class MiniNet(Net):
    """What the three kinds share: the weights file, building, and grouping pictures into batches."""

    def __init__(self, name: str, weights: str | None = None) -> None:
        self.name = name
        self.spec = format_spec(name, {"weights": weights} if weights else {})
        self.path = Path(weights) if weights else WEIGHTS / f"{name}.safetensors"
        self._module: torch.nn.Module | None = None
        self._labels: np.ndarray | None = None
        self._device = "cpu"

    @property
    def first_label(self) -> int:
        """The network's own number of the first label: SSD counts the background as 0."""
        return 1 if self.name == "mini-ssdlite" else 0

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_module": None, "_labels": None}

    @cached_property
    def fingerprint(self) -> str:
        """Hex digest over the weights file and the preprocessing version."""
        digest = hashlib.sha256(f"{self.name} {PREPROCESSING} ".encode())
        digest.update(self.path.read_bytes())
        return digest.hexdigest()

    def setup(self, device: str = "cpu") -> None:
        """Build the network and load the weights. Raises UserError for another net's file or a damaged one."""
        from icm_bench.tasks._mini_blocks import fold_norms
        from icm_bench.tasks._mini_models import build

        state, labels = read_weights(self.path, self.name)
        module = build(self.name, len(labels))
        try:
            module.load_state_dict(_with_counters(module, state))
        except RuntimeError as error:
            reason = str(error).splitlines()[-1].strip()
            raise UserError(f"{self.path}: these weights do not fit {self.name} ({reason})") from error
        fold_norms(module.eval().requires_grad_(False))
        self.use(module, labels, device)

    def use(self, module: torch.nn.Module, labels: Sequence[int], device: str = "cpu") -> None:
        """Predict with this network, whose k-th label has the id ``labels[k]`` in the data set."""
        import numpy as np
        import torch

        self._module = module.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._labels, self._device = np.asarray(labels, np.int64), device

    def predict(self, pictures: Sequence[Image]) -> list[Any]:
        """Outputs for uint8 (H, W, 3) pictures, in their order; those of one size go through together."""
        import torch

        if self._module is None:
            self.setup(self._device)
        groups: dict[tuple[int, int], list[int]] = {}
        for index, picture in enumerate(pictures):
            groups.setdefault(self.input_size(picture), []).append(index)
        outputs: list[Any] = [None] * len(pictures)
        with torch.inference_mode():
            for group in groups.values():
                for start in range(0, len(group), BATCH):
                    indices = group[start : start + BATCH]
                    batch = self.forward([pictures[index] for index in indices])
                    for index, output in zip(indices, batch, strict=True):
                        outputs[index] = output
        return outputs

    def input_size(self, picture: Image) -> tuple[int, int]:
        """(height, width) of the tensor that the picture becomes."""
        raise NotImplementedError

    def forward(self, pictures: list[Image]) -> list[Any]:
        """Outputs for pictures of one input size."""
        raise NotImplementedError

    @property
    def ready(self) -> tuple[torch.nn.Module, np.ndarray]:
        """The network and the data set's ids of its labels, after ``setup``."""
        assert self._module is not None and self._labels is not None
        return self._module, self._labels

    def loss(self, x: torch.Tensor, truths: Sequence[Any]) -> torch.Tensor:
        """The loss that the net was trained with; its norms stay frozen."""
        import torch

        module, labels = self.ready
        place = {int(label): position for position, label in enumerate(labels)}
        with torch.autocast(x.device.type, torch.bfloat16):
            return self.loss_of(module, 255 * x, truths, place)

    def loss_of(
        self, module: torch.nn.Module, x: torch.Tensor, truths: Sequence[Any], place: dict[int, int]
    ) -> torch.Tensor:
        """The loss for pictures (B, 3, H, W) in 0 .. 255; place: the network's position of each id."""
        import numpy as np
        import torch

        table = np.full(max([255, *place]) + 1, 255, np.int64)
        table[list(place)] = list(place.values())
        target = torch.from_numpy(table[np.asarray(truths)]).to(x.device)
        logits = module(normalise(x)).float()
        return torch.nn.functional.cross_entropy(logits, target, ignore_index=255)

    def tensor(self, pictures: Sequence[Image]) -> torch.Tensor:
        """Pictures of one size as float32 (N, 3, H, W) in 0 .. 255, channels last in memory."""
        import numpy as np
        import torch

        stacked = torch.from_numpy(np.stack(pictures)).to(self._device)
        return stacked.permute(0, 3, 1, 2).float()


class MiniClassifier(MiniNet):
    """Sees the centre window of 128 x 128 pixels, smaller pictures on mid-grey; gives all class indices."""

    kind: ClassVar[str] = "classification"

    @property
    def input_pixels(self) -> int:
        return CROP * CROP

    def input_size(self, picture: Image) -> tuple[int, int]:
        return CROP, CROP

    def forward(self, pictures: list[Image]) -> list[np.ndarray]:
        module, labels = self.ready
        x = normalise(self.tensor([centre_window(picture) for picture in pictures]))
        logits = module(x)
        finite(logits, self.spec)
        order = logits.argsort(dim=1, descending=True, stable=True)
        return [labels[row] for row in order.cpu().numpy()]


class MiniDetector(MiniNet):
    """Sees pictures at their own size; gives boxes (n, 4) in pixels, scores (n,) and category ids (n,)."""

    kind: ClassVar[str] = "detection"

    def setup(self, device: str = "cpu") -> None:
        super().setup(device)
        watched(self.ready[0], self.spec)

    def loss_of(
        self, module: torch.nn.Module, x: torch.Tensor, truths: Sequence[Any], place: dict[int, int]
    ) -> torch.Tensor:
        from icm_bench.tasks._detection_loss import detection_loss

        moved = [(boxes, [place[int(label)] + self.first_label for label in labels]) for boxes, labels in truths]
        return detection_loss(module, x, moved)

    def input_size(self, picture: Image) -> tuple[int, int]:
        height, width = picture.shape[:2]
        return -(-height // 32) * 32, -(-width // 32) * 32

    def forward(self, pictures: list[Image]) -> list[dict[str, np.ndarray]]:
        module, labels = self.ready
        found = module([self.tensor([picture])[0] for picture in pictures])
        return [
            {
                "boxes": one["boxes"].cpu().numpy(),
                "scores": one["scores"].cpu().numpy(),
                "labels": labels[one["labels"].cpu().numpy() - self.first_label],
            }
            for one in found
        ]


class MiniSegmenter(MiniNet):
    """Sees pictures at their own size; gives uint8 (H, W) train ids."""

    kind: ClassVar[str] = "segmentation"

    def input_size(self, picture: Image) -> tuple[int, int]:
        return picture.shape[0], picture.shape[1]

    def forward(self, pictures: list[Image]) -> list[np.ndarray]:
        import numpy as np

        module, labels = self.ready
        logits = module(normalise(self.tensor(pictures)))
        finite(logits, self.spec)
        return list(labels.astype(np.uint8)[logits.argmax(1).cpu().numpy()])


def centre_window(picture: Image) -> Image:
    """The centre (128, 128, 3) of a picture, with mid-grey where the picture is smaller."""
    import numpy as np

    from icm_bench.tasks._mini_blocks import MEAN

    window = np.full((CROP, CROP, 3), round(MEAN), np.uint8)
    there, here = [], []
    for side in picture.shape[:2]:
        cut, gap = max(side - CROP, 0) // 2, max(CROP - side, 0) // 2
        there.append(slice(gap, gap + min(side, CROP)))
        here.append(slice(cut, cut + min(side, CROP)))
    window[tuple(there)] = picture[tuple(here)]
    return window


def normalise(x: torch.Tensor) -> torch.Tensor:
    """(N, 3, H, W) in 0 .. 255 to about zero mean and unit deviation."""
    from icm_bench.tasks._mini_blocks import MEAN, STD

    return (x - MEAN) / STD


def read_weights(path: Path, name: str) -> tuple[dict[str, torch.Tensor], list[int]]:
    """The float32 state dict of a weights file and the data set's ids of its labels.

    Raises UserError when the file is not a safetensors file of the net ``name``.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            note = json.loads((file.metadata() or {}).get("mini_net", "{}"))
            state = {key: file.get_tensor(key).float() for key in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError, ValueError) as error:
        raise UserError(f"{path}: not a readable weights file ({error})") from error
    if not isinstance(note, dict) or note.get("name") != name or not note.get("labels"):
        raise UserError(f"{path}: not weights of {name} but of {_name_in(note)}")
    return state, list(note["labels"])


def _name_in(note: object) -> str:
    return str(note["name"]) if isinstance(note, dict) and "name" in note else "an unknown net"


def _with_counters(module: torch.nn.Module, state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Add the batch counters of the norms, which are not stored."""
    own = module.state_dict()
    return {**{key: own[key] for key in own if key.endswith("num_batches_tracked")}, **state}
