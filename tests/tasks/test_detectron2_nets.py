"""detectron2's back end on random weights, against detectron2 itself."""

import pickle
import sys

import numpy as np
import pytest
import torch
from pictures import small_pictures
from tiny_sets import coco

from icm_bench import registry
from icm_bench.errors import UserError
from icm_bench.tasks._nets import resolve

pytest.importorskip("detectron2", reason="detectron2 is not installed: it is built from its own source")
BOXES, MASKS = "COCO-Detection/faster_rcnn_R_50_FPN_3x", "COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_3x"


def settings(name):
    """A config as detectron2 reads it."""
    from detectron2.config import get_cfg

    from icm_bench.tasks._detectron2 import find_config

    cfg = get_cfg()
    cfg.merge_from_file(str(find_config(name)))
    cfg.MODEL.DEVICE = "cpu"
    cfg.MODEL.ROI_HEADS.SCORE_THRESH_TEST = 0.0
    return cfg


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Random weights by config: in the zoo's own form (.pkl of arrays) for boxes, as a .pth for masks."""
    from detectron2.modeling import build_model

    folder = tmp_path_factory.mktemp("detectron2")
    paths = {BOXES: folder / "boxes.pkl", MASKS: folder / "masks.pth"}
    for name, path in paths.items():
        torch.manual_seed(0)
        state = build_model(settings(name)).state_dict()
        if path.suffix == ".pkl":
            arrays = {key: value.numpy() for key, value in state.items()}
            path.write_bytes(pickle.dumps({"model": arrays, "__author__": "Detectron2 Model Zoo"}))
        else:
            torch.save({"model": state}, path)
    return paths


@pytest.fixture(params=[BOXES, MASKS])
def small(request, tmp_path):
    """The zoo's config for small pictures, as a file of one's own; and its name in the zoo."""
    from icm_bench.tasks._detectron2 import find_config

    path = tmp_path / "small.yaml"
    path.write_text(f"_BASE_: {find_config(request.param)}\nINPUT:\n  MIN_SIZE_TEST: 160\n")
    return path, request.param


def test_predictions_are_detectron2s_own(small, weights):
    from detectron2.engine import DefaultPredictor

    path, name = small
    cfg = settings(str(path))
    cfg.MODEL.WEIGHTS = str(weights[name])
    predictor = DefaultPredictor(cfg)
    net = resolve("detection", f"detectron2:{path}(score_threshold=0.0)", str(weights[name]))
    pictures = small_pictures(((60, 80), (60, 80), (80, 50)))
    ours = [net.predict([picture])[0] for picture in pictures]
    for picture, found in zip(pictures, ours, strict=True):
        own = predictor(picture[:, :, ::-1].copy())["instances"]
        np.testing.assert_array_equal(found["boxes"], own.pred_boxes.tensor.numpy())
        np.testing.assert_array_equal(found["scores"], own.scores.numpy())
        assert len(found["boxes"]) > 0 and set(found["labels"].tolist()) <= set(range(1, 91))
        if name == MASKS:
            np.testing.assert_array_equal(found["masks"], own.pred_masks.numpy())
    for one, alone in zip(net.predict(pictures), ours, strict=True):
        np.testing.assert_allclose(one["scores"], alone["scores"], atol=0.02)  # random weights exaggerate


def test_the_same_ap_as_detectron2s_evaluator(tmp_path, monkeypatch):
    """Boxes and masks near the labels, as a detector's instances, through both."""
    from detectron2.data import DatasetCatalog, MetadataCatalog
    from detectron2.data.datasets import register_coco_instances
    from detectron2.evaluation import COCOEvaluator
    from detectron2.structures import Boxes, Instances

    rng = np.random.default_rng(0)
    images = list(range(1, 9))
    rows = [
        (image, int(rng.choice([1, 3, 90])), [float(v) for v in (*rng.integers(0, 90, 2), *rng.integers(8, 60, 2))],
         int(rng.random() < 0.15))
        for image in images[:-1] for _ in range(5)
    ]  # fmt: skip
    root = coco(tmp_path, images, rows)
    task = registry.task("coco", data=str(root))
    register_coco_instances("icm-bench-test", {}, str(root / "annotations" / "instances_val2017.json"), str(root))
    try:
        DatasetCatalog.get("icm-bench-test")  # only now detectron2 knows the category ids
        kinds = ("bbox", "segm")
        evaluator = COCOEvaluator("icm-bench-test", kinds, False, str(tmp_path / "out"), use_fast_impl=False)
        evaluator.reset()
        evidence = {}
        for sample in task.samples():
            found = Instances((150, 200))
            near = [row for row in rows if str(row[0]) == sample.id]
            corners = np.array([[x, y, x + w, y + h] for _, _, (x, y, w, h), _ in near]).reshape(-1, 4)
            moved = (corners + rng.integers(-4, 5, corners.shape)).astype(np.float32)
            ids = np.array([row[1] for row in near], int)
            found.pred_boxes, found.scores = Boxes(moved), torch.from_numpy(rng.random(len(near)).round(6))
            found.pred_classes = torch.tensor([[1, 3, 90].index(number) for number in ids], dtype=torch.int64)
            masks = np.zeros((len(near), 150, 200), bool)
            for mask, (x1, y1, x2, y2) in zip(masks, moved.clip(0).astype(int), strict=True):
                mask[y1:y2, x1:x2] = True
            found.pred_masks = torch.from_numpy(masks)
            evaluator.process([{"image_id": int(sample.id)}], [{"instances": found}])
            output = {"boxes": moved, "scores": found.scores.numpy(), "labels": ids, "masks": masks}
            evidence[sample.id] = task.evidence(sample, output)
        own = evaluator.evaluate()
    finally:
        DatasetCatalog.remove("icm-bench-test")
        MetadataCatalog.remove("icm-bench-test")
    ours = task.score(evidence)
    for theirs, prefix in (("bbox", ""), ("segm", "segm_")):
        for name, key in {"AP": "AP", "AP50": "AP50", "AP75": "AP75", "APs": "AP_small", "APm": "AP_medium"}.items():
            assert ours[prefix + key] == pytest.approx(own[theirs][name], abs=1e-9), (theirs, name)
    assert 10 < ours["AP"] < 95


def test_mistakes_say_what_to_do(weights, tmp_path):
    with pytest.raises(UserError, match="did you mean 'COCO-Detection/faster_rcnn_R_50_FPN_3x'"):
        resolve("detection", "detectron2:COCO-Detection/faster_rcnn_R_50_FPN_3")
    with pytest.raises(UserError, match="detectors and the task takes segmentation nets"):
        resolve("segmentation", f"detectron2:{BOXES}")
    with pytest.raises(UserError, match="score_threshold=2 is not a number"):
        resolve("detection", f"detectron2:{BOXES}(score_threshold=2)")
    with pytest.raises(UserError, match=r"boxes\.pkl: does not fit detectron2's COCO-InstanceSegmentation"):
        resolve("detection", f"detectron2:{MASKS}", str(weights[BOXES])).setup()

    class Payload:
        def __reduce__(self):
            return (eval, (f"open({str(tmp_path / 'ran')!r}, 'w')",))

    (tmp_path / "evil.pkl").write_bytes(pickle.dumps({"model": {"a": Payload()}}))
    with pytest.raises(UserError, match=r"evil\.pkl: refused: a pickle with more than arrays"):
        resolve("detection", f"detectron2:{BOXES}", str(tmp_path / "evil.pkl")).setup()
    assert not (tmp_path / "ran").exists()


def test_weights_that_cannot_be_fetched_say_what_to_do(monkeypatch):
    from detectron2.utils.file_io import PathManager

    def no_network(url):
        raise OSError("no network")

    monkeypatch.setattr(PathManager, "get_local_path", no_network)
    net = resolve("detection", f"detectron2:{BOXES}")
    for _ in range(2):  # the second time the model zoo is loaded already
        with pytest.raises(UserError, match=r"cannot fetch https.*: fetch it elsewhere, give --weights FILE"):
            net.setup()
    assert net.fingerprint
    assert not hasattr(sys.modules.get("pkg_resources"), "resource_filename") or hasattr(
        sys.modules["pkg_resources"], "fixup_namespace_packages"
    )  # nothing that only looks like the package stays behind


def test_the_fingerprint_follows_config_and_weights(weights, tmp_path):
    other = tmp_path / "other.pkl"
    other.write_bytes(weights[BOXES].read_bytes() + b" ")
    specs = [
        (f"detectron2:{BOXES}", weights[BOXES]),
        (f"detectron2:{BOXES}", other),
        (f"detectron2:{BOXES}(score_threshold=0.2)", weights[BOXES]),
        (f"detectron2:{MASKS}", weights[BOXES]),
    ]
    assert len({resolve("detection", spec, str(file)).fingerprint for spec, file in specs}) == 4
    net = resolve("detection", f"detectron2:{BOXES}.yaml", str(weights[BOXES]))
    assert net.spec == f"detectron2:{BOXES}"
    assert pickle.loads(pickle.dumps(net)).fingerprint == net.fingerprint
