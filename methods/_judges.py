"""Frozen networks that judge pictures for the primary branch: feature maps at several depths, and an embedding.

The paper's judge is a self-supervised backbone (MoCo). Here are three:

    moco            the narrow ResNet of ``_moco.py``, from the run of a MoCo training
    moco-resnet50   MoCo v2's ResNet-50, from the public checkpoint's file (keys ``module.encoder_q...``)
    squeezenet1_1   torchvision's, supervised on ImageNet: a net that a codec judged by it has SEEN

"Momentum Contrast for Unsupervised Visual Representation Learning", He et al., CVPR 2020; "SqueezeNet", Iandola et
al., 2016.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch.nn.functional as F
from torch import Tensor, nn

from icm_bench.errors import UserError
from icm_bench.methods._moco import Backbone
from icm_bench.weights import load_state

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class JudgeConfig:
    """One judge. net: a key of ``JUDGES``; run: for "moco", the config whose run made it (the others take
    ``--weights NET=FILE``); share: its weight among several; depths: which of its maps are matched (from 0, the
    shallowest), all when empty; half: how often it sees both pictures at half their size.
    """

    net: str
    run: str = ""
    share: float = 1.0
    depths: tuple[int, ...] = ()
    half: float = 0.0

    def __post_init__(self) -> None:
        if self.net not in JUDGES:
            raise ValueError(f"unknown judge {self.net!r}: known are {', '.join(JUDGES)}")
        if (self.net == "moco") != bool(self.run):
            raise ValueError(f"judge {self.net!r}: run = ... goes with net = 'moco', and only with it")


class Judge(nn.Module):
    """Feature maps from shallow to deep for pictures (B, 3, H, W) in 0 .. 1, and unit embeddings of them."""

    def features(self, x: Tensor) -> list[Tensor]:
        """Maps (B, C, h, w), shallow ones first."""
        raise NotImplementedError

    def embed(self, maps: list[Tensor], depth: int = -1) -> Tensor:
        """Unit vectors (B, C) of the map at a depth: averaged over places, centred over channels."""
        pooled = maps[depth].float().mean((2, 3))
        return F.normalize(pooled - pooled.mean(1, keepdim=True), dim=1)


class MocoJudge(Judge):
    """The narrow ResNet; its deepest map goes through the head that MoCo trained."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.backbone = Backbone(dim)

    def features(self, x: Tensor) -> list[Tensor]:
        return self.backbone.features(x)

    def embed(self, maps: list[Tensor], depth: int = -1) -> Tensor:
        return self.backbone.embed(maps) if depth in (-1, len(maps) - 1) else super().embed(maps, depth)


class ResNet50Judge(Judge):
    """MoCo v2's ResNet-50 with its two-layer head; maps at 1/4 (layer1) to 1/32 (layer4)."""

    def __init__(self) -> None:
        super().__init__()
        from torchvision.models import resnet50

        self.net = resnet50()
        self.net.fc = nn.Sequential(nn.Linear(2048, 2048), nn.ReLU(), nn.Linear(2048, 128))

    def load_public(self, path: Path) -> None:
        """Take the query encoder of a MoCo v2 checkpoint. Raises UserError for a file without one."""
        prefix = "encoder_q."
        state = {key.removeprefix("module."): value for key, value in load_state(path).items()}
        query = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
        if not query:
            raise UserError(f"{path}: no MoCo checkpoint (no tensor is called module.encoder_q...)")
        _fill(self.net, query, path)

    def features(self, x: Tensor) -> list[Tensor]:
        net = self.net
        maps = [net.layer1(net.maxpool(net.relu(net.bn1(net.conv1(standardise(x))))))]
        for layer in (net.layer2, net.layer3, net.layer4):
            maps.append(layer(maps[-1]))
        return maps

    def embed(self, maps: list[Tensor], depth: int = -1) -> Tensor:
        if depth not in (-1, len(maps) - 1):
            return super().embed(maps, depth)
        return F.normalize(self.net.fc(maps[-1].float().mean((2, 3))), dim=1)


class SqueezeNetJudge(Judge):
    """SqueezeNet 1.1 up to its last fire module; maps at 1/2, 1/4, 1/8 and 1/16."""

    CUTS = (1, 4, 7, 12)

    def __init__(self) -> None:
        super().__init__()
        from torchvision.models import squeezenet1_1

        self.net = squeezenet1_1()

    def features(self, x: Tensor) -> list[Tensor]:
        maps, x = [], standardise(x)
        for index, layer in enumerate(self.net.features):
            x = layer(x)
            if index in self.CUTS:
                maps.append(x)
        return maps


def standardise(x: Tensor) -> Tensor:
    """Pictures in 0 .. 1 to ImageNet's zero mean and unit deviation."""
    mean, std = (x.new_tensor(values).view(1, 3, 1, 1) for values in (_MEAN, _STD))
    return (x - mean) / std


def make_judge(net: str, state: Callable[[], dict[str, Tensor]], file: Path | None) -> Judge:
    """A frozen judge. state: gives the tensors of a finished MoCo run, for "moco"; file: of the public weights.

    Raises UserError when the weights are not given or do not fit.
    """
    judge: Judge
    if net == "moco":
        query = state()
        judge = MocoJudge(len(query["head.2.bias"]))
        judge.backbone.load_state_dict(query)
    elif file is None:
        raise UserError(f"this config is judged by {net}: give its weights with --weights {net}=FILE")
    elif net == "moco-resnet50":
        judge = ResNet50Judge()
        judge.load_public(file)
    else:
        judge = SqueezeNetJudge()
        _fill(judge.net, load_state(file), file)
    return judge.eval().requires_grad_(False)


def _fill(net: nn.Module, state: dict[str, Tensor], path: Path) -> None:
    try:
        net.load_state_dict(state)
    except RuntimeError as error:
        raise UserError(f"{path}: these weights do not fit ({str(error).splitlines()[-1].strip()})") from error


#: The judges there are.
JUDGES = ("moco", "moco-resnet50", "squeezenet1_1")
