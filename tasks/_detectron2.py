"""Detectors of detectron2's model zoo by the name of their config (package detectron2, built from its source).

    detectron2:COCO-Detection/faster_rcnn_R_50_FPN_3x              the zoo's weights, downloaded by detectron2
    detectron2:COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_3x     boxes and masks  (--weights model_final_f10217.pkl)
    detectron2:my_configs/faster.yaml                              a config of one's own, with --weights

The built network predicts, with the config's own input format, resizing and thresholds. Classes are COCO's 80 in
their order; boxes and masks come in pixels of the picture.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping, Sequence
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from icm_bench.errors import MissingPackage, UserError
from icm_bench.registry import EXTRAS, suggest
from icm_bench.spec import format_spec
from icm_bench.task import Net
from icm_bench.tasks._batches import by_shape, finite, watched
from icm_bench.tasks._data import digest, weights_digest
from icm_bench.tasks._nets import check_params
from icm_bench.tasks._yolox import CATEGORY_IDS
from icm_bench.weights import fit, load_state

if TYPE_CHECKING:
    from torch import Tensor, nn

    from icm_bench.task import Image

#: Constants that older files hold and newer networks do not, or the other way round.
_CONSTANTS = r"pixel_mean|pixel_std|(.*\.)?anchor_generator\.cell_anchors\.\d+"


def load(kind: str, name: str, params: Mapping[str, Any], weights: str | None) -> Net:
    """The detector of this config. Raises UserError for an unknown one or another kind of task."""
    if find_spec("detectron2") is None:
        raise MissingPackage("detectron2", EXTRAS["detectron2"])
    if kind != "detection":
        raise UserError(f"net detectron2:{name}: detectron2's nets are detectors and the task takes {kind} nets")
    check_params(f"detectron2:{name}", params, ("score_threshold",))
    return Detector(name, find_config(name), dict(params), weights)


def find_config(name: str) -> Path:
    """The file of a config: a path as it is, or a name of the model zoo, with or without .yaml. Raises UserError."""
    own = Path(name).expanduser()
    if own.suffix in (".yaml", ".yml") and own.is_file():
        return own
    spec = find_spec("detectron2")
    zoo = Path((spec.submodule_search_locations or [""])[0] if spec else "") / "model_zoo" / "configs"
    known = {path.relative_to(zoo).with_suffix("").as_posix(): path for path in zoo.glob("*/*.yaml")}
    wanted = name.removesuffix(".yaml")
    if wanted not in known:
        close = suggest(wanted, known) if known else f": its configs are not in {zoo}"
        raise UserError(f"unknown detectron2 config {name!r}{close}")
    return known[wanted]


class Detector(Net):
    """A detector of COCO's 80 classes. Pictures of equal size go through it as one batch.

    score_threshold: boxes below it are dropped, instead of the config's own.
    """

    kind = "detection"

    def __init__(self, name: str, config: Path, params: dict[str, Any], weights: str | None) -> None:
        self.name, self.config, self.params, self.weights = name.removesuffix(".yaml"), config, params, weights
        self.spec = format_spec(f"detectron2:{self.name}", params)
        self._model: nn.Module | None = None
        threshold = params.get("score_threshold", 0.05)
        if isinstance(threshold, bool) or not isinstance(threshold, float | int) or not 0 <= threshold < 1:
            raise UserError(f"net {self.spec}: score_threshold={threshold!r} is not a number 0 .. 1")

    @cached_property
    def _settings(self) -> Any:
        """The config, its bases merged."""
        from detectron2.config import get_cfg

        logging.getLogger("fvcore.common.config").setLevel(logging.ERROR)  # the zoo's own files need its unsafe YAML
        settings = get_cfg()
        try:
            settings.merge_from_file(str(self.config))
        except Exception as error:  # yaml, yacs and plain asserts
            raise UserError(f"{self.config}: cannot be read as a config of detectron2 ({error})") from error
        threshold = self.params.get("score_threshold")
        if threshold is not None:
            settings.MODEL.ROI_HEADS.SCORE_THRESH_TEST = settings.MODEL.RETINANET.SCORE_THRESH_TEST = float(threshold)
        return settings

    @cached_property
    def fingerprint(self) -> str:
        used = self._settings.clone()
        used.MODEL.WEIGHTS = used.MODEL.DEVICE = ""
        text = "\n".join(f"{key}: {used[key]}" for key in ("MODEL", "INPUT", "TEST"))
        return digest(["detectron2", text, weights_digest(self.weights) or self._url()])

    def _url(self) -> str:
        """Where the zoo's weights of this config lie. Raises UserError when the zoo has none."""
        try:
            return str(_model_zoo().get_checkpoint_url(f"{self.name}.yaml"))
        except RuntimeError as error:
            raise UserError(f"net {self.spec}: the model zoo has no weights of it: give --weights FILE") from error

    def setup(self, device: str = "cpu") -> None:
        import torch

        if self._model is None:
            from detectron2.modeling import build_model

            file = self.weights or self._downloaded()
            state = load_state(file)
            settings = self._settings.clone()
            settings.MODEL.DEVICE = "cpu"
            with torch.random.fork_rng(devices=[]):  # initial values are overwritten and must not move the seed
                model = build_model(settings)
            fit(model, state, file, f"detectron2's {self.name}", _CONSTANTS)
            self._model = model.eval().requires_grad_(False)
            watched(self._model, self.spec)
        self._model.to(device)

    def _downloaded(self) -> str:
        """The zoo's weights on this disk, fetched when they are not there."""
        from detectron2.utils.file_io import PathManager

        url = self._url()
        logging.getLogger("iopath.common.file_io").setLevel(logging.WARNING)
        try:
            return str(PathManager.get_local_path(url))
        except OSError as error:
            raise UserError(
                f"net {self.spec}: cannot fetch {url} ({error}): fetch it elsewhere, give --weights FILE"
            ) from error

    def prepare(self, picture: Image) -> dict[str, Any]:
        """The network's input: resized as the config says, in its order of channels, and the picture's size."""
        import torch
        from detectron2.data.transforms import ResizeShortestEdge

        settings = self._settings.INPUT
        side = settings.MIN_SIZE_TEST
        ordered = picture[:, :, ::-1] if settings.FORMAT == "BGR" else picture
        resized = ResizeShortestEdge([side, side], settings.MAX_SIZE_TEST).get_transform(ordered).apply_image(ordered)
        tensor = torch.as_tensor(resized.astype("float32").transpose(2, 0, 1))
        return {"image": tensor, "height": picture.shape[0], "width": picture.shape[1]}

    def predict(self, pictures: Sequence[Image]) -> list[Any]:
        import torch

        if self._model is None:
            self.setup()
        model = self._model
        assert model is not None
        with torch.inference_mode():
            found = by_shape(pictures, lambda same: model([self.prepare(picture) for picture in same]))
        return [self._output(one) for one in found]

    def _output(self, found: Mapping[str, Any]) -> dict[str, Any]:
        import numpy as np

        if "instances" not in found:
            raise UserError(f"net {self.spec}: gives {', '.join(found)}, no instances: it is no detector")
        instances = found["instances"].to("cpu")
        boxes: Tensor = instances.pred_boxes.tensor
        finite(boxes, self.spec)
        classes = instances.pred_classes.numpy()
        if classes.size and classes.max() >= len(CATEGORY_IDS):
            raise UserError(f"net {self.spec}: gives class {classes.max()}, COCO has {len(CATEGORY_IDS)}")
        output = {
            "boxes": boxes.numpy(),
            "scores": instances.scores.numpy(),
            "labels": np.asarray(CATEGORY_IDS)[classes],
        }
        if instances.has("pred_masks"):
            output["masks"] = instances.pred_masks.numpy()
        return output

    def __getstate__(self) -> dict[str, Any]:
        kept = {key: value for key, value in self.__dict__.items() if key != "_settings"}
        return kept | {"_model": None}


def _model_zoo() -> Any:
    """detectron2's list of weights; it wants ``pkg_resources``, which newer setuptools no longer bring.

    The one function of it that is called stands in while the list is imported; others must not find it later.
    """
    missing = "pkg_resources" not in sys.modules and find_spec("pkg_resources") is None
    if missing:
        sys.modules["pkg_resources"] = _Resources("pkg_resources")
    try:
        from detectron2 import model_zoo
    finally:
        if missing:
            del sys.modules["pkg_resources"]
    return model_zoo


class _Resources(ModuleType):
    """The one function of ``pkg_resources`` that detectron2 calls."""

    @staticmethod
    def resource_filename(package: str, path: str) -> str:
        spec = find_spec(package)
        return str(Path((spec.submodule_search_locations or [""])[0] if spec else "") / path)
