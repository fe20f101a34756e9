"""Three real networks on real pictures, uncompressed, against the figures of an independent script."""

import os
from pathlib import Path

import pytest

from icm_bench import registry

FOLDER = os.environ.get("ICM_BENCH_REALDATA")
pytestmark = [
    pytest.mark.skipif(FOLDER is None, reason="ICM_BENCH_REALDATA does not name a folder with the real pictures"),
]
ROOT = Path(FOLDER or ".")


def identity_scores(task, spec, weights=None, batch=16):
    """Scores of a net on the pictures as they are."""
    net = task.net(spec, None if weights is None else str(weights))
    net.setup()
    samples = task.samples()
    evidence = {}
    for start in range(0, len(samples), batch):
        some = samples[start : start + batch]
        made = task.predict(net, some, [sample.read() for sample in some])
        evidence.update((sample.id, record) for sample, record in zip(some, made, strict=True))
    return task.score(evidence)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("folder", "spec", "top1", "top5", "n"),
    [
        ("train_sample", "torchvision:squeezenet1_1", 184, 250, 300),
        ("val227", "torchvision:squeezenet1_1", 188, 236, 260),
        ("val227", "torchvision:squeezenet1_1(resize=None, crop=None)", 187, 235, 260),
    ],
)
def test_squeezenet_on_imagenet(folder, spec, top1, top5, n):
    task = registry.task("imagenet", data=str(ROOT / "imagenet" / folder))
    scores = identity_scores(task, spec, ROOT / "weights" / "squeezenet1_1_torchvision.pth")
    assert scores == pytest.approx({"top1": 100 * top1 / n, "top5": 100 * top5 / n})


def test_yolox_on_coco():
    task = registry.task("coco", data=str(ROOT / "coco"))
    assert task.label == "coco val2017, subset 94 of 5000"
    scores = identity_scores(task, f'onnx:{ROOT / "weights" / "yolox_nano.onnx"}(kind="yolox")')
    assert scores["AP"] == pytest.approx(29.5, abs=0.3)
    assert scores["AP50"] == pytest.approx(47.0, abs=0.4)


@pytest.mark.slow
def test_deeplab_on_cityscapes():
    task = registry.task("cityscapes", data=str(ROOT / "cityscapes"))
    net = ROOT / "weights" / "deeplab_edgetpu_slim_cityscapes_f32.onnx"
    scores = identity_scores(task, f"onnx:{net}")
    assert scores["mIoU_present"] == pytest.approx(57.6, abs=0.3)
    assert scores["mIoU"] == pytest.approx(33.3, abs=0.3)
    assert scores["pixel_accuracy"] == pytest.approx(87.0, abs=0.3)
    assert (scores["n_classes"], scores["n_classes_present"]) == (19, 11)


def test_train_ids_made_from_label_ids_are_the_files_own():
    import numpy as np
    from PIL import Image

    from icm_bench.tasks.cityscapes import _train_ids

    paths = sorted((ROOT / "cityscapes" / "gtFine" / "val").glob("*/*_gtFine_labelIds.png"))
    assert paths
    for path in paths:
        own = path.with_name(path.name.replace("labelIds", "labelTrainIds"))
        assert np.array_equal(_train_ids(np.asarray(Image.open(path)), path), np.asarray(Image.open(own))), path


def test_kodak():
    task = registry.task("images", data=str(ROOT / "kodak"))
    assert task.label == "images kodak, 12 pictures"
