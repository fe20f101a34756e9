"""Classifiers of timm by name, with the evaluation transform that belongs to their weights (package timm).

    timm:convnext_tiny.fb_in1k                          timm's own weights, downloaded by timm
    timm:resnet50.a1_in1k(crop_pct=1.0)                 another share of the picture before the crop
    timm:vit_base_patch16_224  (--weights FILE)         a local state dict
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from icm_bench.errors import UserError
from icm_bench.registry import suggest
from icm_bench.spec import format_spec
from icm_bench.task import Net
from icm_bench.tasks._batches import five_best, stacked
from icm_bench.tasks._data import digest, weights_digest
from icm_bench.tasks._nets import check_params
from icm_bench.weights import fit, load_state

if TYPE_CHECKING:
    from torch import Tensor, nn

    from icm_bench.task import Image


def load(kind: str, name: str, params: Mapping[str, Any], weights: str | None) -> Net:
    """The timm classifier of this name. Raises UserError for an unknown name or another kind of task."""
    import timm

    if kind != "classification":
        raise UserError(f"net timm:{name}: timm's nets are classifiers and the task takes {kind} nets")
    if not timm.is_model(name):
        raise UserError(f"unknown timm model {name!r}{suggest(name, timm.list_models())}")
    check_params(f"timm:{name}", params, ("crop_pct",))
    return Classifier(name, dict(params), weights)


class Classifier(Net):
    """An ImageNet classifier of timm. Pictures of equal size after preprocessing go through it as one batch.

    crop_pct: the share of the resized picture's side that is cropped, 0 .. 1, instead of the weights' own.
    """

    kind = "classification"

    def __init__(self, name: str, params: dict[str, Any], weights: str | None) -> None:
        self.name, self.params, self.weights = name, params, weights
        self.spec = format_spec(f"timm:{name}", params)
        self.device = "cpu"
        self._model: nn.Module | None = None

    @cached_property
    def _config(self) -> dict[str, Any]:
        """timm's data configuration: input size, mean, std, interpolation, crop."""
        import timm
        from timm.data import resolve_data_config

        pretrained = timm.get_pretrained_cfg(self.name)
        return dict(resolve_data_config(self.params, pretrained_cfg=pretrained.to_dict() if pretrained else {}))

    @cached_property
    def _transform(self) -> Any:
        from timm.data import create_transform

        return create_transform(**self._config, is_training=False)

    @cached_property
    def fingerprint(self) -> str:
        import timm

        config = timm.get_pretrained_cfg(self.name)
        own = "" if config is None else f"{config.hf_hub_id or ''} {config.url or ''} {config.tag or ''}"
        return digest([self.spec, repr(sorted(self._config.items())), weights_digest(self.weights) or own])

    def setup(self, device: str = "cpu") -> None:
        import timm
        import torch

        if self._model is None:
            with torch.random.fork_rng(devices=[]):  # initial values are overwritten and must not move the seed
                if self.weights is None:
                    model = self._downloaded()
                else:
                    state = load_state(self.weights)
                    model = timm.create_model(self.name, pretrained=False)
                    fit(model, state, self.weights, f"timm's {self.name}")
            self._model = model.eval().requires_grad_(False)
        self.device = device
        self._model.to(device)

    def _downloaded(self) -> nn.Module:
        import timm

        try:
            model: nn.Module = timm.create_model(self.name, pretrained=True)
        except Exception as error:  # hub clients raise errors of many packages
            first = str(error).partition("\n")[0]
            raise UserError(f"timm:{self.name}: cannot fetch its weights ({first}): give --weights FILE") from error
        return model

    @property
    def input_pixels(self) -> int | None:
        _, height, width = self._config["input_size"]
        return int(height * width)

    def prepare(self, picture: Image) -> Tensor:
        """The input, float32 (3, H, W), by timm's evaluation transform."""
        from PIL import Image as Pillow

        prepared: Tensor = self._transform(Pillow.fromarray(picture))
        return prepared

    def predict(self, pictures: Sequence[Image]) -> list[Any]:
        if self._model is None:
            self.setup(self.device)
        assert self._model is not None
        return five_best(stacked(self._model, [self.prepare(p) for p in pictures], self.device), self.spec)

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key != "_transform"} | {"_model": None}
