import json

import numpy as np
import pytest
from tiny_sets import coco

from icm_bench import registry
from icm_bench.errors import UserError

ROWS = [
    (7, 1, [10, 10, 20, 20], 0),
    (7, 3, [50, 40, 60, 60], 0),
    (9, 90, [0, 0, 120, 110], 0),
    (9, 1, [100, 20, 90, 90], 1),
    (11, 1, [5, 5, 8, 8], 0),
]
#: COCOeval's summary, in its order.
NAMES = ("AP", "AP50", "AP75", "AP_small", "AP_medium", "AP_large",
         "AR_1", "AR_10", "AR_100", "AR_small", "AR_medium", "AR_large")  # fmt: skip


def detections(rows):
    """A detector's output for rows [x, y, w, h, score, category]."""
    table = np.array(rows, float).reshape(-1, 6)
    boxes = np.concatenate([table[:, :2], table[:, :2] + table[:, 2:4]], 1)
    return {"boxes": boxes, "scores": table[:, 4], "labels": table[:, 5].astype(int)}


def perfect(task):
    """Evidence that finds every label; the empty picture 13 gets none."""
    made = {sample.id: [] for sample in task.samples()}
    for image, category, box, crowd in ROWS:
        if not crowd:
            made[str(image)].append([*box, 0.9, category])
    return {s.id: task.evidence(s, detections(made[s.id])) for s in task.samples()}


@pytest.fixture
def task(tmp_path):
    return registry.task("coco", data=str(coco(tmp_path, [7, 9, 11, 13], ROWS)))


def test_perfect_boxes_score_100(task):
    scores = task.score(perfect(task))
    assert set(scores) == set(NAMES) == {name for name in task.metrics if not name.startswith("segm_")}
    assert all(scores[key] == pytest.approx(100) for key in NAMES if key != "AR_1")
    assert task.main_metric == "AP"


def test_a_crowd_region_is_neither_missed_nor_a_false_alarm(task):
    evidence = perfect(task)
    evidence["9"] = [*evidence["9"], [110.0, 30.0, 40.0, 40.0, 0.99, 1], [120.0, 40.0, 30.0, 30.0, 0.98, 1]]
    assert task.score(evidence)["AP"] == pytest.approx(100)
    evidence["11"] = [*evidence["11"], [110.0, 30.0, 40.0, 40.0, 0.99, 1]]  # the same boxes where no crowd is
    assert task.score(evidence)["AP"] < 99


def test_order_does_not_matter_and_evidence_survives_json(task):
    evidence = perfect(task)
    evidence["7"] = [*evidence["7"], [60.0, 60.0, 30.0, 30.0, 0.95, 1]]
    scores = task.score(evidence)
    assert task.score(dict(reversed(evidence.items()))) == scores
    assert task.score(json.loads(json.dumps(evidence))) == scores
    assert scores["AP"] < 100


def test_a_subset_leaves_out_what_has_no_label(task):
    evidence = perfect(task)
    small = task.score({"11": evidence["11"]})
    assert small["AP"] == small["AP_small"] == pytest.approx(100)
    assert not {"AP_medium", "AP_large", "AR_medium", "AR_large"} & set(small)
    assert task.score({"13": []}) == task.score({}) == {}
    assert task.score({key: [] for key in evidence})["AP"] == 0
    with pytest.raises(UserError, match="'99'"):
        task.score({"99": []})


def test_evidence_keeps_the_best_hundred(task):
    rows = [[1.004, 2.006, 10, 10, score, 3] for score in np.linspace(0.1, 0.9, 150)]
    evidence = task.evidence(task.samples()[0], detections(rows))
    assert len(evidence) == 100
    assert evidence[0] == [1.0, 2.01, 10.0, 10.0, 0.9, 3]
    assert [row[4] for row in evidence] == sorted((row[4] for row in evidence), reverse=True)
    with pytest.raises(UserError, match="not finite"):
        task.evidence(task.samples()[0], detections([[float("nan"), 0, 1, 1, 0.5, 1]]))


def random_world(root, seed):
    """A data set with crowds and overlaps, and detections that are half right."""
    rng = np.random.default_rng(seed)
    images = list(range(1, 13))
    rows = []
    for image in images[:-1]:
        for _ in range(rng.integers(0, 9)):
            box = [*rng.uniform(0, 90, 2).round(2), *rng.uniform(4, 110, 2).round(2)]
            rows.append((image, int(rng.choice([1, 3, 90])), [float(v) for v in box], int(rng.random() < 0.15)))
    task = registry.task("coco", data=str(coco(root, images, rows)))
    evidence = {str(image): [] for image in images}
    for image, category, box, _ in rows:
        for _ in range(rng.integers(0, 3)):
            moved = [float(v) for v in np.maximum(np.array(box) + rng.normal(0, 6, 4), 1).round(2)]
            label = category if rng.random() < 0.8 else 3
            evidence[str(image)].append([*moved, round(float(rng.random()), 6), label])
    return task, rows, evidence


def with_masks(evidence):
    """The same evidence with masks: each box but for its lower right quarter."""
    from pycocotools.mask import encode

    def counts(x, y, w, h):
        mask = np.zeros((150, 200), np.uint8, order="F")
        mask[round(y) : round(y + h), round(x) : round(x + w)] = 1
        mask[round(y + h / 2) : round(y + h), round(x + w / 2) : round(x + w)] = 0
        return encode(mask)["counts"].decode()

    return {key: [[*row, counts(*row[:4])] for row in rows] for key, rows in evidence.items()}


@pytest.mark.parametrize("kind", ["bbox", "segm"])
@pytest.mark.parametrize("seed", range(6))
def test_equal_to_pycocotools(tmp_path, seed, kind, capsys):
    """All twelve numbers of boxes, crowds and empty pictures among them, and the six of masks."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    task, _, evidence = random_world(tmp_path, seed)
    if kind == "segm":
        evidence = with_masks(evidence)
    for subset in (evidence, dict(list(evidence.items())[3:8])):
        scores = task.score(subset)
        assert capsys.readouterr() == ("", "")
        labels = json.loads((tmp_path / "annotations" / "instances_val2017.json").read_text())
        truth = COCO()
        truth.dataset = labels
        truth.createIndex()
        results = [
            {"image_id": int(key), "score": row[4], "category_id": row[5]}
            | ({"bbox": row[:4]} if kind == "bbox" else {"segmentation": {"size": [150, 200], "counts": row[6]}})
            for key, rows in subset.items()
            for row in rows
        ]
        reference = COCOeval(truth, truth.loadRes(results), kind)
        reference.params.imgIds = [int(key) for key in subset]
        reference.evaluate()
        reference.accumulate()
        reference.summarize()
        capsys.readouterr()
        expected = {key: 100 * value for key, value in zip(NAMES, reference.stats, strict=True) if value > -1}
        if kind == "segm":
            expected = {f"segm_{key}": value for key, value in expected.items() if key.startswith("AP")}
            scores = {key: value for key, value in scores.items() if key.startswith("segm_")}
        assert scores == pytest.approx(expected, abs=1e-9)
        assert set(scores) == set(expected)


def test_layout_mistakes(tmp_path):
    (tmp_path / "train2017").mkdir()
    with pytest.raises(UserError, match=r"expected val2017/ .* found train2017/"):
        registry.task("coco", data=str(tmp_path)).samples()
    root = coco(tmp_path / "set", [1, 2], [])
    (root / "val2017" / "000000000001.png").unlink()
    task = registry.task("coco", data=str(root))
    assert [sample.id for sample in task.samples()] == ["2"]
    assert task.label == "coco val2017, subset 1 of 5000"
    (root / "val2017" / "000000000002.png").unlink()
    with pytest.raises(UserError, match="none of the 2 pictures"):
        registry.task("coco", data=str(root)).samples()
    labels = root / "annotations" / "instances_val2017.json"
    labels.write_text('{"images": []}')
    with pytest.raises(UserError, match="annotations, categories missing"):
        registry.task("coco", data=str(root)).samples()
    labels.write_text("{")
    with pytest.raises(UserError, match="is not JSON"):
        registry.task("coco", data=str(root)).samples()


def test_archives_left_packed(tmp_path):
    (tmp_path / "val2017.zip").write_bytes(b"")
    with pytest.raises(UserError, match=r"val2017\.zip not unpacked yet: cd .* && unzip -q val2017\.zip"):
        registry.task("coco", data=str(tmp_path)).samples()
    (tmp_path / "val2017").mkdir()
    (tmp_path / "val2017.zip").unlink()
    (tmp_path / "annotations_trainval2017.zip").write_bytes(b"")
    with pytest.raises(UserError, match=r"annotations_trainval2017\.zip not unpacked yet"):
        registry.task("coco", data=str(tmp_path)).samples()
    with pytest.raises(UserError, match=r"val2017\.zip: is an archive; unpack it"):
        (tmp_path / "val2017.zip").write_bytes(b"")
        registry.task("coco", data=str(tmp_path / "val2017.zip")).samples()
