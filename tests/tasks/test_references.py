"""Scores through the whole chain (picture, codec, decoder, net, evidence, score) against the libraries' own code.

The codec is the lossless one, the weights are random, and the reference reads the files itself.
"""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from pictures import small_pictures
from PIL import Image
from tiny_mmseg import random_net
from torchvision import models

from icm_bench import plan, rows, runner
from icm_bench.request import Request
from icm_bench.store import Store
from icm_bench.tasks._nets import resolve

FOLDER = os.environ.get("ICM_BENCH_REALDATA")
real = pytest.mark.skipif(FOLDER is None, reason="ICM_BENCH_REALDATA does not name a folder with the real pictures")
ROOT = Path(FOLDER or ".")


def chain(task, net, weights, **more):
    """The row of the lossless codec, and the ids of its pictures."""
    request = Request(("identity",), (task,), (net,), (str(weights),), **more)
    with Store(None) as store:
        made = plan.build(request, store)
        for _ in runner.run(made, store):
            pass
        (row,) = rows.rows(store, made)
    assert row["error"] is None, row["error"]
    return row, made.corpora[0].samples


@pytest.fixture
def resnet(tmp_path):
    """A random ResNet-18 whose classes differ, and its file."""
    torch.manual_seed(7)
    model = models.resnet18(weights=None)
    model.fc.weight.data.normal_(0, 0.5)
    torch.save(model.state_dict(), tmp_path / "resnet18.pth")
    return model.eval(), tmp_path / "resnet18.pth"


def test_logits_are_bitwise_those_of_torchvisions_evaluation(resnet):
    model, weights = resnet
    transform = models.ResNet18_Weights.IMAGENET1K_V1.transforms()
    pictures = small_pictures(((300, 211), (90, 400), (240, 320)))
    batch = torch.stack([transform(Image.fromarray(picture)) for picture in pictures])
    net = resolve("classification", "torchvision:resnet18", str(weights))
    with torch.inference_mode():
        expected = model(batch)
    assert torch.equal(torch.stack(net.logits(pictures)), expected)
    assert len({tuple(best) for best in net.predict(pictures)}) > 1


@real
def test_top1_and_top5_as_the_reference_script_counts_them():
    weights = ROOT / "weights" / "squeezenet1_1_torchvision.pth"  # random ones would hardly ever be right
    model = models.squeezenet1_1(weights=None).eval()
    model.load_state_dict(torch.load(weights, weights_only=True))
    data = str(ROOT / "imagenet" / "val227")
    row, samples = chain("imagenet", "torchvision:squeezenet1_1", weights, data=data, limit=40)
    index = json.loads((ROOT / "imagenet" / "imagenet_class_index.json").read_text())
    number = {wnid: int(key) for key, (wnid, _) in index.items()}
    transform = models.SqueezeNet1_1_Weights.IMAGENET1K_V1.transforms()
    hits = np.zeros(2)
    for sample in samples:
        with torch.inference_mode():
            logits = model(transform(Image.open(sample.path).convert("RGB"))[None])
        found = logits.topk(5).indices[0]
        right = found.eq(number[sample.path.parent.name])
        hits += right[:1].sum().item(), right.sum().item()
    assert [row["top1"], row["top5"]] == pytest.approx((100 * hits / len(samples)).tolist()) and hits[0] > 20


@real
def test_a_torchvision_segmenters_miou_on_street_pictures(tmp_path):
    torch.manual_seed(3)
    model = models.segmentation.lraspp_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=19).eval()
    torch.save(model.state_dict(), tmp_path / "net.pth")
    row, samples = chain(
        "cityscapes", "torchvision:lraspp_mobilenet_v3_large(resize=None)", tmp_path / "net.pth",
        data=str(ROOT / "cityscapes"), limit=4,
    )  # fmt: skip
    transform = models.segmentation.LRASPP_MobileNet_V3_Large_Weights.DEFAULT.transforms(resize_size=None)
    confusion = torch.zeros(19, 19)
    for sample in samples:
        image = torch.from_numpy(np.array(Image.open(sample.path).convert("RGB"))).permute(2, 0, 1)
        with torch.inference_mode():
            best = model(transform(image)[None])["out"][0].argmax(0)
        label = torch.from_numpy(np.array(Image.open(label_of(sample))).astype(int))
        known = label < 19
        confusion += torch.bincount(19 * label[known] + best[known], minlength=361).reshape(19, 19)
    union = confusion.sum(0) + confusion.sum(1) - confusion.diagonal()
    expected = (confusion.diagonal() / union)[union > 0].mean()
    assert row["mIoU"] == pytest.approx(100 * float(expected), abs=1e-4) and row["mIoU"] > 0


@real
def test_an_mmseg_nets_miou_on_street_pictures(tmp_path):
    pytest.importorskip("mmengine", reason="mmsegmentation is not installed: pip install 'icm-bench[mmseg]'")
    config, checkpoint, model = random_net(tmp_path)
    from mmseg.apis import inference_model
    from mmseg.evaluation import IoUMetric

    row, samples = chain("cityscapes", f"mmseg:{config}", checkpoint, data=str(ROOT / "cityscapes"), limit=3)
    areas = []
    for sample in samples:
        best = inference_model(model, str(sample.path)).pred_sem_seg.data[0]  # read by mmcv
        label = torch.from_numpy(np.array(Image.open(label_of(sample))))
        areas.append(IoUMetric.intersect_and_union(best, label, 19, 255))
    intersect, union, _, _ = (sum(parts).double() for parts in zip(*areas, strict=True))
    expected = 100 * float((intersect / union)[union > 0].mean())
    assert row["mIoU"] == pytest.approx(expected, abs=1e-9) and expected > 0


@real
@pytest.mark.slow
def test_detectron2_faster_rcnn_on_three_coco_pictures(tmp_path):
    pytest.importorskip("detectron2", reason="detectron2 is not installed: it is built from its own source")
    from detectron2.config import get_cfg
    from detectron2.engine import DefaultPredictor
    from detectron2.modeling import build_model
    from detectron2.utils.file_io import PathManager

    from icm_bench.tasks._detectron2 import find_config

    name = "COCO-Detection/faster_rcnn_R_50_FPN_3x"
    cfg = get_cfg()
    cfg.merge_from_file(str(find_config(name)))
    cfg.MODEL.DEVICE, cfg.MODEL.WEIGHTS = "cpu", str(tmp_path / "net.pth")
    cfg.MODEL.ROI_HEADS.SCORE_THRESH_TEST = 0.0
    torch.manual_seed(0)
    torch.save({"model": build_model(cfg).state_dict()}, cfg.MODEL.WEIGHTS)
    assert PathManager.exists(cfg.MODEL.WEIGHTS)
    with Store(None) as store:
        request = Request(
            ("identity",), ("coco",), (f"detectron2:{name}(score_threshold=0.0)",), (cfg.MODEL.WEIGHTS,),
            data=str(ROOT / "coco"), limit=3,
        )  # fmt: skip
        made = plan.build(request, store)
        for _ in runner.run(made, store):
            pass
        (row,) = rows.rows(store, made)
        evidence = rows.evidence(store, row["key"])
    assert row["error"] is None and row["n_pictures"] == 3 and row["AP"] >= 0
    predictor = DefaultPredictor(cfg)
    for sample in made.corpora[0].samples:
        own = predictor(np.array(Image.open(sample.path).convert("RGB"))[:, :, ::-1].copy())["instances"]
        scores = sorted(own.scores.tolist(), reverse=True)[:100]
        assert [box[4] for box in evidence[sample.id]] == pytest.approx(scores, abs=1e-6)


def label_of(sample):
    return Path(str(sample.path).replace("leftImg8bit", "gtFine")).with_name(
        sample.path.name.replace("leftImg8bit.png", "gtFine_labelTrainIds.png")
    )
