"""Building torchvision's networks: with its own weights, or with a state dict from a file."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from icm_bench.errors import UserError
from icm_bench.weights import fit, load_state

if TYPE_CHECKING:
    from torch import Tensor, nn

#: Models whose COCO_V1 weights torchvision runs with an epsilon of 0 in the backbone's batch norms.
_ZERO_EPSILON = (
    "fasterrcnn_resnet50_fpn",
    "maskrcnn_resnet50_fpn",
    "keypointrcnn_resnet50_fpn",
    "retinanet_resnet50_fpn",
)
#: Models whose published weights expect inputs normalised anew inside the network.
_TRANSFORM_INPUT = ("googlenet", "inception_v3")
_AUXILIARY = ("aux_classifier.", "AuxLogits.", "aux1.", "aux2.")
_ROI_HEAD = "roi_heads.box_predictor.cls_score.weight"


def downloaded(name: str, entry: Any) -> nn.Module:
    """The network with torchvision's own weights, cached or downloaded. Raises UserError when unreachable."""
    from torchvision.models import get_model

    try:
        model: nn.Module = get_model(name, weights=entry, progress=False)
    except (OSError, RuntimeError) as error:  # URLError is an OSError; a wrong hash is a RuntimeError
        raise UserError(
            f"torchvision:{name}: cannot fetch {entry.url} ({error}): fetch it elsewhere, give --weights FILE"
        ) from error
    return model


def build(name: str, entry: Any, weights: str, num_classes: int | None) -> nn.Module:
    """The network with the state dict of a file, as torchvision itself would run it.

    num_classes: None takes the number from the state dict. Raises UserError when the tensors do not fit.
    """
    import torch
    from torch import nn

    state = _renamed(name, load_state(weights))
    state = {key: value for key, value in state.items() if not key.startswith(_AUXILIARY)}
    if num_classes is None:
        num_classes = _n_outputs(name, state)
    with torch.random.fork_rng(devices=[]):  # initial values are overwritten and must not move the seed
        model = _bare(name, num_classes)
    if name in _ZERO_EPSILON and entry.name in ("COCO_V1", "COCO_LEGACY"):
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eps = 0.0
    fit(model, state, weights, f"torchvision's {name}")
    return model


def _bare(name: str, num_classes: int | None) -> nn.Module:
    """The network without weights and without auxiliary heads."""
    from torchvision import models

    options: dict[str, Any] = {} if num_classes is None else {"num_classes": num_classes}
    if name in _TRANSFORM_INPUT:
        options |= {"transform_input": True, "init_weights": False, "aux_logits": False}
    if name in models.list_models(module=models.detection) or name in models.list_models(module=models.segmentation):
        options["weights_backbone"] = None
    model: nn.Module = models.get_model(name, weights=None, **options)
    return model


def _n_outputs(name: str, state: dict[str, Tensor]) -> int | None:
    """The number of classes of a state dict; None where it cannot be told (dense detectors)."""
    import torch
    from torchvision import models

    if name in models.list_models(module=models.detection):
        return state[_ROI_HEAD].shape[0] if _ROI_HEAD in state else None
    with torch.device("meta"):  # the order of the layers; the file's own order may be alphabetical
        skeleton = _bare(name, None)
    last = [key for key, value in skeleton.state_dict().items() if key.endswith(".weight") and value.ndim > 1][-1]
    return state[last].shape[0] if last in state else None


def _renamed(name: str, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """DenseNet's published files spell ``norm.1`` for today's ``norm1``."""
    if not name.startswith("densenet"):
        return state
    pattern = re.compile(r"(denselayer\d+\.(?:norm|relu|conv))\.(?=[12]\.)")
    return {pattern.sub(r"\1", key): value for key, value in state.items()}
