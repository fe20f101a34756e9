"""Networks of torchvision by name, with the preprocessing that belongs to their weights.

    torchvision:resnet50                               default weights (V2: Resize 232, CenterCrop 224)
    torchvision:resnet50(weights="IMAGENET1K_V1")      the other entry and its preprocessing
    torchvision:squeezenet1_1(resize=None, crop=None)  pictures at their own size
    torchvision:deeplabv3_resnet50  (--weights FILE)   the number of classes comes from the file

Without a weights file torchvision downloads its own. Detection labels are COCO's category ids 1 .. 90.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

from icm_bench.errors import UserError
from icm_bench.registry import suggest
from icm_bench.spec import format_spec
from icm_bench.task import Net
from icm_bench.tasks._batches import by_shape, finite, five_best, stacked, watched
from icm_bench.tasks._data import digest, weights_digest
from icm_bench.tasks._nets import check_params, positive, wrong_kind
from icm_bench.tasks._torchvision_build import build, downloaded

if TYPE_CHECKING:
    from torch import Tensor, nn

    from icm_bench.task import Image

_KINDS = ("classification", "detection", "segmentation")
N_TRAIN_IDS = 19
#: Mask probability above which a pixel belongs to an object, as in torchvision's own evaluation.
MASK_ABOVE = 0.5


def load(kind: str, name: str, params: Mapping[str, Any], weights: str | None) -> Net:
    """The torchvision net of this name. Raises UserError for an unknown name, parameter or weights entry."""
    names = {key: model_names(key) for key in _KINDS}
    if name not in names[kind]:
        wrong_kind(name, kind, names)
        raise UserError(f"unknown torchvision {kind} model {name!r}{suggest(name, names[kind])}")
    cls: Any = {"classification": Classifier, "detection": Detector, "segmentation": Segmenter}[kind]
    check_params(f"torchvision:{name}", params, cls.parameters)
    net: Net = cls(name, dict(params), weights)
    return net


@cache
def model_names(kind: str) -> tuple[str, ...]:
    """The models of a kind that torchvision knows."""
    from torchvision import models

    module = {"classification": models, "detection": models.detection, "segmentation": models.segmentation}[kind]
    return tuple(models.list_models(module=module))


class TorchvisionNet(Net):
    """What the three kinds share: weights, fingerprint, building. Subclasses add what lies around the net.

    entry: torchvision's weights entry: what is downloaded without a file, and whose preprocessing is used.
    """

    parameters: tuple[str, ...] = ("weights",)

    def __init__(self, name: str, params: dict[str, Any], weights: str | None) -> None:
        self.name, self.params, self.weights = name, params, weights
        self.spec = format_spec(f"torchvision:{name}", params)
        self.device = "cpu"
        self._model: nn.Module | None = None
        self.entry  # noqa: B018 - an unknown entry is told at once

    @cached_property
    def entry(self) -> Any:
        from torchvision.models import get_model_weights

        known = get_model_weights(self.name)
        wanted = self.params.get("weights", "DEFAULT")
        if wanted != "DEFAULT" and wanted not in known.__members__:
            raise UserError(f"net {self.spec}: unknown weights {wanted!r}{suggest(str(wanted), known.__members__)}")
        return known[wanted]

    @cached_property
    def fingerprint(self) -> str:
        return digest([self.spec, self.preprocessing, weights_digest(self.weights) or self.entry.url])

    @property
    def preprocessing(self) -> str:
        """The preprocessing in words, for the fingerprint."""
        return repr(self.entry.transforms())

    def setup(self, device: str = "cpu") -> None:
        if self._model is None:
            if self.weights is None:
                model = downloaded(self.name, self.entry)
            else:
                model = build(self.name, self.entry, self.weights, self.params.get("num_classes"))
            self._model = model.eval().requires_grad_(False)
        self.device = device
        self._model.to(device)

    def loss(self, x: Tensor, truths: Sequence[Any]) -> Tensor:
        """Cross-entropy of the logits; see the detector for its own. Pictures are normalised, not resized."""
        import numpy as np
        import torch
        from torchvision.transforms import functional

        preset = self.entry.transforms()
        output = self.model(functional.normalize(x, preset.mean, preset.std))
        logits = output["out"] if isinstance(output, dict) else output
        target = torch.from_numpy(np.asarray(truths).astype(np.int64)).to(x.device)
        return torch.nn.functional.cross_entropy(logits, target, ignore_index=255 if target.ndim > 1 else -100)

    @property
    def model(self) -> nn.Module:
        """The network, built when it has not been yet."""
        if self._model is None:
            self.setup()
        assert self._model is not None
        return self._model

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_model": None}


class Classifier(TorchvisionNet):
    """An ImageNet classifier. Pictures of equal size after preprocessing go through it as one batch.

    resize, crop: the shorter side and the square cut from the middle, in pixels, instead of the weights' own;
    None leaves the step out.
    """

    kind = "classification"
    parameters = ("weights", "resize", "crop")

    @cached_property
    def _sizes(self) -> tuple[int | None, int | None]:
        preset = self.entry.transforms()
        return (
            positive(self.spec, self.params, "resize", preset.resize_size[0]),
            positive(self.spec, self.params, "crop", preset.crop_size[0]),
        )

    @property
    def input_pixels(self) -> int | None:
        crop = self._sizes[1]
        return crop * crop if crop else None

    def prepare(self, picture: Image) -> Tensor:
        """The input, float32 (3, H, W): resized and cropped by Pillow, as in torchvision's own evaluation."""
        from PIL import Image as Pillow
        from torchvision.transforms import functional

        preset = self.entry.transforms()
        resize, crop = self._sizes
        image: Any = Pillow.fromarray(picture)
        if resize:
            image = functional.resize(image, [resize], preset.interpolation, antialias=preset.antialias)
        if crop:
            image = functional.center_crop(image, [crop, crop])
        return functional.normalize(functional.to_tensor(image), preset.mean, preset.std)

    def predict(self, pictures: Sequence[Image]) -> list[Any]:
        return five_best(self.logits(pictures), self.spec)

    def logits(self, pictures: Sequence[Image]) -> list[Tensor]:
        """The network's output (classes,) for each picture."""
        return stacked(lambda batch: self.model(batch), [self.prepare(picture) for picture in pictures], self.device)


class Detector(TorchvisionNet):
    """A detector; one with masks gives them too. Pictures of equal size go through it as one batch."""

    kind = "detection"
    parameters = ("weights", "num_classes")

    def loss(self, x: Tensor, truths: Sequence[Any]) -> Tensor:
        from icm_bench.tasks._detection_loss import detection_loss

        return detection_loss(self.model, x, truths)

    def setup(self, device: str = "cpu") -> None:
        is_new = self._model is None
        super().setup(device)
        if is_new:
            watched(self.model, self.spec)

    def predict(self, pictures: Sequence[Image]) -> list[Any]:
        import torch

        inputs = [torch.from_numpy(picture).permute(2, 0, 1).float().div(255) for picture in pictures]
        with torch.inference_mode():
            found = by_shape(inputs, lambda same: self.model([tensor.to(self.device) for tensor in same]))
        return [self._output(one) for one in found]

    def _output(self, found: Mapping[str, Tensor]) -> dict[str, Any]:
        finite(found["boxes"], self.spec)
        output = {key: found[key].cpu().numpy() for key in ("boxes", "scores", "labels")}
        if "masks" in found:
            output["masks"] = found["masks"][:, 0].gt(MASK_ABOVE).cpu().numpy()
        return output


class Segmenter(TorchvisionNet):
    """A semantic segmenter with 19 outputs, Cityscapes' train ids; torchvision's own weights are for VOC.

    resize: the shorter side in pixels; None for the picture's own size. Logits are scaled to the picture's.
    """

    kind = "segmentation"
    parameters = ("weights", "resize", "num_classes")

    def __init__(self, name: str, params: dict[str, Any], weights: str | None) -> None:
        super().__init__(name, params, weights)
        n = len(self.entry.meta["categories"])
        if weights is None and n != N_TRAIN_IDS:
            raise UserError(
                f"net {self.spec}: torchvision's weights have {n} VOC labels, not Cityscapes' {N_TRAIN_IDS} "
                f"train ids: give --weights FILE with a state dict trained on those"
            )

    @cached_property
    def _resize(self) -> int | None:
        return positive(self.spec, self.params, "resize", self.entry.transforms().resize_size[0])

    def predict(self, pictures: Sequence[Image]) -> list[Any]:
        import torch
        from torchvision.transforms import functional

        preset = self.entry.transforms()
        inputs = []
        for picture in pictures:
            image = torch.from_numpy(picture).permute(2, 0, 1)
            if self._resize:
                image = functional.resize(image, [self._resize], preset.interpolation, antialias=preset.antialias)
            inputs.append(functional.normalize(image.float().div(255), preset.mean, preset.std))
        logits = stacked(lambda batch: self.model(batch)["out"], inputs, self.device)
        return [self._train_ids(one, picture.shape[:2]) for one, picture in zip(logits, pictures, strict=True)]

    def _train_ids(self, logits: Tensor, size: tuple[int, ...]) -> Image:
        """The best class of each pixel: logits (classes, h, w) scaled to the picture's size first."""
        import torch

        if len(logits) != N_TRAIN_IDS:
            raise UserError(f"net {self.spec}: {len(logits)} outputs, Cityscapes has {N_TRAIN_IDS} train ids")
        finite(logits, self.spec)
        full = torch.nn.functional.interpolate(logits[None], size, mode="bilinear", align_corners=False)
        best: Image = full[0].argmax(0).to(torch.uint8).cpu().numpy()
        return best
