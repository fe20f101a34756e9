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
from torchvision.models._utils import IntermediateLayerGetter
from torchvision.models.detection import FCOS
from torchvision.models.detection._utils import BoxLinearCoder
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.fcos import FCOSClassificationHead, FCOSHead, FCOSRegressionHead
from torchvision.models.detection.ssd import SSD
from torchvision.models.detection.ssdlite import SSDLiteHead
from torchvision.models.detection.transform import GeneralizedRCNNTransform
from torchvision.models.segmentation import LRASPP
from torchvision.ops import FeaturePyramidNetwork, batched_nms, clip_boxes_to_image

from icm_bench.tasks._mini_blocks import BASIC, INVERTED, MEAN, STD, basic_stack, batch_norm, inverted_stack


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


def _classifier(stages: OrderedDict[str, nn.Module], width: int, n_labels: int) -> nn.Sequential:
    stages["pool"] = nn.AdaptiveAvgPool2d(1)
    stages["flat"] = nn.Flatten()
    stages["head"] = nn.Linear(width, n_labels)
    return nn.Sequential(stages)


def _resnet(n_labels: int) -> nn.Module:
    """A narrow ResNet (He et al., CVPR 2016): (N, 3, H, W) -> (N, n_labels) logits."""
    return _classifier(basic_stack(4), BASIC[-1], n_labels)


def _mobilenet(n_labels: int) -> nn.Module:
    """A narrow MobileNetV3 (Howard et al., ICCV 2019): (N, 3, H, W) -> (N, n_labels) logits."""
    return _classifier(inverted_stack(4), INVERTED[-1], n_labels)


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
        self.fpn = FeaturePyramidNetwork(widths, out_channels, norm_layer=batch_norm)

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
    body = nn.Sequential(basic_stack(4))
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
    body = nn.Sequential(inverted_stack(4))
    backbone = IntermediateLayerGetter(body, {"s8": "0", "s16": "1", "s32": "2"})
    sizes = ((14, 20, 28), (40, 56, 80), (112, 160))
    anchors = AnchorGenerator(sizes=sizes, aspect_ratios=((0.5, 1.0, 2.0),) * 3)
    head = _SsdHead(list(INVERTED[1:]), anchors.num_anchors_per_location(), n_labels + 1, batch_norm)
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
        body = nn.Sequential(basic_stack(3))
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
    body = nn.Sequential(inverted_stack(3))
    backbone = IntermediateLayerGetter(body, {"s4": "low", "s16": "high"})
    return _LiteAspp(backbone, INVERTED[0], INVERTED[2], n_labels, 64)
