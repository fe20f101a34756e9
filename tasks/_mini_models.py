"""Architectures of the built-in networks for the mini world, put together from torchvision blocks.

Imported only when a network is built, because it imports torch.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import Any

from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torchvision.models._utils import IntermediateLayerGetter
from torchvision.models.detection import FCOS
from torchvision.models.detection._utils import BoxLinearCoder
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.fcos import FCOSClassificationHead, FCOSHead, FCOSRegressionHead
from torchvision.models.detection.ssd import SSD
from torchvision.models.detection.ssdlite import SSDLiteHead
from torchvision.models.detection.transform import GeneralizedRCNNTransform
from torchvision.models.mobilenetv3 import InvertedResidual, InvertedResidualConfig
from torchvision.models.resnet import BasicBlock
from torchvision.models.segmentation import LRASPP
from torchvision.ops import Conv2dNormActivation, FeaturePyramidNetwork, batched_nms, clip_boxes_to_image

#: uint8 pictures enter as (x - MEAN) / STD per channel.
MEAN, STD = 118.0, 60.0

#: Widths of the stages at strides 4, 8, 16, 32: BasicBlocks of ResNet, inverted residuals of MobileNetV3.
BASIC = (24, 48, 80, 112)
INVERTED = (24, 48, 88, 128)

_norm = partial(nn.BatchNorm2d, momentum=0.05)


def build(name: str, n_labels: int) -> nn.Module:
    """The untrained network ``name`` for ``n_labels`` labels (for detection: without the background)."""
    builders: dict[str, Callable[[int], nn.Module]] = {
        "mini-resnet": _resnet,
        "mini-mobilenet": _mobilenet,
        "mini-fcos": _fcos,
        "mini-ssdlite": _ssdlite,
        "mini-fcn": _fcn,
        "mini-lraspp": _lraspp,
    }
    return builders[name](n_labels)


def fold_norms(module: nn.Module) -> None:
    """Fold each BatchNorm into the convolution before it; in all blocks here they are neighbours."""
    before, before_name = None, ""
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d) and isinstance(before, nn.Conv2d):
            setattr(module, before_name, fuse_conv_bn_eval(before, child))
            setattr(module, name, nn.Identity())
        else:
            fold_norms(child)
        before, before_name = child, name


def _basic(n_in: int, n_out: int, stride: int, depth: int) -> nn.Sequential:
    """``depth`` BasicBlocks of ResNet, the first with the stride."""
    blocks = []
    for index in range(depth):
        stride_here, width = (stride, n_in) if index == 0 else (1, n_out)
        shortcut = None
        if stride_here != 1 or width != n_out:
            shortcut = nn.Sequential(nn.Conv2d(width, n_out, 1, stride_here, bias=False), _norm(n_out))
        blocks.append(BasicBlock(width, n_out, stride_here, shortcut, norm_layer=_norm))
    return nn.Sequential(*blocks)


def _inverted(n_in: int, n_out: int, stride: int, depth: int, attention: bool) -> nn.Sequential:
    """``depth`` inverted residuals of MobileNetV3, the first with the stride."""
    blocks = []
    for index in range(depth):
        width = n_in if index == 0 else n_out
        act = "HS" if attention else "RE"
        step = stride if index == 0 else 1
        config = InvertedResidualConfig(width, 3, width * 3, n_out, attention, act, step, 1, 1.0)
        blocks.append(InvertedResidual(config, _norm))
    return nn.Sequential(*blocks)


def _basic_stack(n_stages: int) -> OrderedDict[str, nn.Module]:
    """Stem of stride 4, then stages of BasicBlocks at strides 4, 8, 16, 32 named s4, s8, s16, s32."""
    stages: OrderedDict[str, nn.Module] = OrderedDict()
    n_in = BASIC[0]
    stages["stem"] = Conv2dNormActivation(3, n_in, 7, 4, norm_layer=_norm)
    for index, width in enumerate(BASIC[:n_stages]):
        stages[f"s{4 << index}"] = _basic(n_in, width, 1 if index == 0 else 2, (1, 2, 2, 1)[index])
        n_in = width
    return stages


def _inverted_stack(n_stages: int) -> OrderedDict[str, nn.Module]:
    """Stem of stride 4, then stages of inverted residuals at strides 4, 8, 16, 32 named s4, s8, s16, s32."""
    stages: OrderedDict[str, nn.Module] = OrderedDict()
    n_in = INVERTED[0]
    stages["stem"] = Conv2dNormActivation(3, n_in, 5, 4, norm_layer=_norm, activation_layer=nn.Hardswish)
    for index, width in enumerate(INVERTED[:n_stages]):
        stride, depth = (1 if index == 0 else 2), (1, 2, 3, 2)[index]
        stages[f"s{4 << index}"] = _inverted(n_in, width, stride, depth, attention=index >= 1)
        n_in = width
    return stages


def _classifier(stages: OrderedDict[str, nn.Module], width: int, n_labels: int) -> nn.Sequential:
    stages["pool"] = nn.AdaptiveAvgPool2d(1)
    stages["flat"] = nn.Flatten()
    stages["head"] = nn.Linear(width, n_labels)
    return nn.Sequential(stages)


def _resnet(n_labels: int) -> nn.Module:
    """A narrow ResNet (He et al., CVPR 2016): (N, 3, H, W) -> (N, n_labels) logits."""
    return _classifier(_basic_stack(4), BASIC[-1], n_labels)


def _mobilenet(n_labels: int) -> nn.Module:
    """A narrow MobileNetV3 (Howard et al., ICCV 2019): (N, 3, H, W) -> (N, n_labels) logits."""
    return _classifier(_inverted_stack(4), INVERTED[-1], n_labels)


class _NativeSize(GeneralizedRCNNTransform):
    """Normalises and pads to a multiple of 32; never resizes."""

    def __init__(self) -> None:
        super().__init__(1, 1, [MEAN] * 3, [STD] * 3, size_divisible=32)

    def resize(self, image: Tensor, target: Any = None) -> tuple[Tensor, Any]:
        return image, target


class _Pyramid(nn.Module):
    """A backbone and a feature pyramid (Lin et al., CVPR 2017) over its strides 8, 16 and 32."""

    def __init__(self, body: nn.Module, widths: list[int], out_channels: int) -> None:
        super().__init__()
        self.out_channels = out_channels
        self.body = IntermediateLayerGetter(body, {"s8": "0", "s16": "1", "s32": "2"})
        self.fpn = FeaturePyramidNetwork(widths, out_channels, norm_layer=_norm)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        pyramid: dict[str, Tensor] = self.fpn(self.body(x))
        return pyramid


class _FcosHead(FCOSHead):
    """FCOS's head with two convolutions per branch and groups that fit a narrow pyramid; float32 out."""

    def __init__(self, width: int, n_labels: int) -> None:
        nn.Module.__init__(self)
        norm = partial(nn.GroupNorm, 16)
        self.box_coder = BoxLinearCoder(normalize_by_size=True)
        self.classification_head = FCOSClassificationHead(width, 1, n_labels, num_convs=2, norm_layer=norm)
        self.regression_head = FCOSRegressionHead(width, 1, num_convs=2, norm_layer=norm)

    def forward(self, x: list[Tensor]) -> dict[str, Tensor]:
        return {key: value.float() for key, value in super().forward(x).items()}


def _fcos(n_labels: int) -> nn.Module:
    """FCOS (Tian et al., ICCV 2019) on BasicBlocks with a feature pyramid at strides 8, 16, 32.

    Takes a list of (3, H, W) float pictures in 0 .. 255; label k is the k-th label of the weights file.
    """
    body = nn.Sequential(_basic_stack(4))
    backbone = _Pyramid(body, list(BASIC[1:]), 48)
    # Half of FCOS's usual ranges: boxes of up to about 64 (128) pixels belong to stride 8 (16), others to 32.
    anchors = AnchorGenerator(sizes=((4,), (8,), (16,)), aspect_ratios=((1.0,),) * 3)
    net = FCOS(
        backbone,
        n_labels,
        anchor_generator=anchors,
        head=_FcosHead(48, n_labels),
        center_sampling_radius=2.5,
        score_thresh=0.05,
        nms_thresh=0.6,
        detections_per_img=50,
        topk_candidates=60,
    )
    net.transform = _NativeSize()
    return net


class _SsdHead(SSDLiteHead):
    """SSDLite's head; losses are taken in single precision."""

    def forward(self, x: list[Tensor]) -> dict[str, Tensor]:
        return {key: value.float() for key, value in super().forward(x).items()}


class _Ssd(SSD):
    """torchvision's SSD with one pass over all classes instead of a loop, for speed."""

    def postprocess_detections(
        self,
        head_outputs: dict[str, Tensor],
        image_anchors: list[Tensor],
        image_shapes: list[tuple[int, int]],
    ) -> list[dict[str, Tensor]]:
        detections = []
        scores_of_all = head_outputs["cls_logits"].softmax(-1)[..., 1:]
        for scores, offsets, anchors, shape in zip(
            scores_of_all, head_outputs["bbox_regression"], image_anchors, image_shapes, strict=True
        ):
            best, where = scores.flatten().topk(min(self.topk_candidates, scores.numel()))
            best, where = best[best > self.score_thresh], where[best > self.score_thresh]
            place, labels = where // scores.shape[1], where % scores.shape[1] + 1
            boxes = self.box_coder.decode_single(offsets[place], anchors[place])
            boxes = clip_boxes_to_image(boxes, shape)
            keep = batched_nms(boxes, best, labels, self.nms_thresh)[: self.detections_per_img]
            detections.append({"boxes": boxes[keep], "scores": best[keep], "labels": labels[keep]})
        return detections


def _ssdlite(n_labels: int) -> nn.Module:
    """SSDLite (Liu et al., ECCV 2016; Sandler et al., CVPR 2018) on inverted residuals, strides 8, 16, 32.

    Takes a list of (3, H, W) float pictures in 0 .. 255; label 0 is the background, label k + 1 the k-th
    label of the weights file. Anchors are in pixels of the picture, since pictures are not resized.
    """
    body = nn.Sequential(_inverted_stack(4))
    backbone = IntermediateLayerGetter(body, {"s8": "0", "s16": "1", "s32": "2"})
    sizes = ((14, 20, 28), (40, 56, 80), (112, 160))
    anchors = AnchorGenerator(sizes=sizes, aspect_ratios=((0.5, 1.0, 2.0),) * 3)
    head = _SsdHead(list(INVERTED[1:]), anchors.num_anchors_per_location(), n_labels + 1, _norm)
    net = _Ssd(
        backbone,
        anchors,
        (192, 192),
        n_labels + 1,
        head=head,
        score_thresh=0.05,
        nms_thresh=0.55,
        detections_per_img=50,
        topk_candidates=150,
    )
    net.transform = _NativeSize()
    return net


class _Fcn(nn.Module):
    """Skip FCN: scores at strides 16, 8 and 4 are added on the way up, then brought to the picture's size."""

    def __init__(self, n_labels: int) -> None:
        super().__init__()
        body = nn.Sequential(_basic_stack(3))
        self.body = IntermediateLayerGetter(body, {"s4": "s4", "s8": "s8", "s16": "s16"})
        self.heads = nn.ModuleList(nn.Conv2d(width, n_labels, 1) for width in BASIC[:3])

    def forward(self, x: Tensor) -> Tensor:
        levels = [head(level) for head, level in zip(self.heads, self.body(x).values(), strict=True)]
        score: Tensor = levels.pop()
        for level in reversed(levels):
            score = level + functional.interpolate(score, level.shape[-2:], mode="bilinear")
        return functional.interpolate(score, x.shape[-2:], mode="bilinear")


def _fcn(n_labels: int) -> nn.Module:
    """A skip FCN (Long et al., CVPR 2015) on BasicBlocks: (N, 3, H, W) -> (N, n_labels, H, W) logits."""
    return _Fcn(n_labels)


class _LiteAspp(LRASPP):
    """torchvision's LRASPP with a plain tensor as output."""

    def forward(self, input: Tensor) -> Tensor:
        logits: Tensor = super().forward(input)["out"]
        return logits


def _lraspp(n_labels: int) -> nn.Module:
    """LRASPP (Howard et al., ICCV 2019) on inverted residuals: (N, 3, H, W) -> (N, n_labels, H, W) logits."""
    body = nn.Sequential(_inverted_stack(3))
    backbone = IntermediateLayerGetter(body, {"s4": "low", "s16": "high"})
    return _LiteAspp(backbone, INVERTED[0], INVERTED[2], n_labels, 64)
