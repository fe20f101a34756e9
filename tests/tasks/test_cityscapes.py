import json

import numpy as np
import pytest
from PIL import Image
from tiny_sets import cityscapes

from icm_bench import registry
from icm_bench.errors import UserError

#: (labelId, trainId) of cityscapesScripts' labels.py, in its order.
OFFICIAL = [
    (0, 255), (1, 255), (2, 255), (3, 255), (4, 255), (5, 255), (6, 255), (7, 0), (8, 1), (9, 255), (10, 255),
    (11, 2), (12, 3), (13, 4), (14, 255), (15, 255), (16, 255), (17, 5), (18, 255), (19, 6), (20, 7), (21, 8),
    (22, 9), (23, 10), (24, 11), (25, 12), (26, 13), (27, 14), (28, 15), (29, 255), (30, 255), (31, 16),
    (32, 17), (33, 18),
]  # fmt: skip


def scene(seed, classes=(0, 1, 5, 13, 255), shape=(9, 14)):
    return np.random.default_rng(seed).choice(np.array(classes, np.uint8), shape)


@pytest.fixture
def task(tmp_path):
    return registry.task("cityscapes", data=str(cityscapes(tmp_path, {f"p{n}": scene(n) for n in range(3)})))


def evidence_of(task, predict):
    return {s.id: task.evidence(s, predict(n)) for n, s in enumerate(task.samples())}


def test_perfect_prediction_scores_100(task):
    scores = task.score(evidence_of(task, scene))
    assert scores == {
        "mIoU_present": 100, "mIoU": 100, "pixel_accuracy": 100, "n_classes": 4, "n_classes_present": 4
    }  # fmt: skip


def test_void_is_neither_right_nor_wrong(task):
    def predict(number):
        label = scene(number)
        return np.where(label == 255, 18, label).astype(np.uint8)

    assert task.score(evidence_of(task, predict))["mIoU"] == 100


def loop_scores(pairs):
    """mIoU, mIoU over the classes in the labels, and pixel accuracy, pixel by pixel."""
    true_positive, false_positive, missed = ([0] * 256 for _ in range(3))
    for label, predicted in pairs:
        for want, got in zip(label.ravel().tolist(), predicted.ravel().tolist(), strict=True):
            if want == 255:
                continue
            if want == got:
                true_positive[want] += 1
            else:
                missed[want] += 1
                false_positive[got] += 1
    every, present = [], []
    for number in range(19):
        union = true_positive[number] + false_positive[number] + missed[number]
        if union:
            every.append(true_positive[number] / union)
        if true_positive[number] + missed[number]:
            present.append(true_positive[number] / union)
    total = sum(true_positive) + sum(missed)
    return (100 * sum(every) / len(every), 100 * sum(present) / len(present), 100 * sum(true_positive) / total,
            len(every), len(present))  # fmt: skip


@pytest.mark.parametrize("seed", range(4))
def test_equal_to_an_independent_loop(task, seed):
    predictions = [scene(100 + seed * 10 + n, classes=(0, 1, 5, 7, 18, 255)) for n in range(3)]
    scores = task.score(evidence_of(task, lambda n: predictions[n]))
    names = ("mIoU", "mIoU_present", "pixel_accuracy", "n_classes", "n_classes_present")
    expected = loop_scores([(scene(n), predictions[n]) for n in range(3)])
    assert [scores[name] for name in names] == pytest.approx(list(expected), abs=1e-9)
    assert scores["mIoU"] < scores["mIoU_present"]  # classes that only the net sees count in one of the two


def test_order_subset_json_and_nothing_at_all(task):
    evidence = evidence_of(task, lambda n: scene(n + 50))
    scores = task.score(evidence)
    assert task.score(dict(reversed(evidence.items()))) == scores
    assert task.score(json.loads(json.dumps(evidence))) == scores
    one = task.score({"town/p1": evidence["town/p1"]})
    assert one["pixel_accuracy"] == pytest.approx(loop_scores([(scene(1), scene(51))])[2])
    assert task.score({}) == {"n_classes": 0, "n_classes_present": 0}


def test_a_picture_of_void_only(tmp_path):
    root = cityscapes(tmp_path, {"a": np.full((4, 5), 255, np.uint8)})
    task = registry.task("cityscapes", data=str(root))
    evidence = evidence_of(task, lambda n: np.zeros((4, 5), np.uint8))
    assert evidence == {"town/a": []}
    assert task.score(evidence) == {"n_classes": 0, "n_classes_present": 0}


def test_label_ids_are_mapped_by_the_official_table(tmp_path):
    ids = np.array([number for number, _ in OFFICIAL] + [255, 255], np.uint8).reshape(4, 9)
    train_ids = np.array([number for _, number in OFFICIAL] + [255, 255], np.uint8).reshape(4, 9)
    task = registry.task("cityscapes", data=str(cityscapes(tmp_path, {"a": ids}, kind="labelIds")))
    evidence = evidence_of(task, lambda n: train_ids)
    assert evidence["town/a"] == [[number, number, 1] for number in range(19)]


def test_label_ids_named_train_ids_are_refused(tmp_path):
    root = cityscapes(tmp_path, {"a": np.array([[7, 8, 23]], np.uint8)})
    with pytest.raises(UserError, match=r"a_gtFine_labelTrainIds\.png: holds id 23.*label ids"):
        registry.task("cityscapes", data=str(root)).samples()
    root = cityscapes(tmp_path / "b", {"a": np.array([[7, 8, 40]], np.uint8)}, kind="labelIds")
    with pytest.raises(UserError, match="end at 33"):
        registry.task("cityscapes", data=str(root)).samples()


def test_wrong_sizes_and_layouts(tmp_path, task):
    with pytest.raises(UserError, match=r"prediction is \(3, 3\), its label \(9, 14\)"):
        task.evidence(task.samples()[0], np.zeros((3, 3), np.uint8))
    with pytest.raises(UserError, match=r"expected leftImg8bit/val/CITY.* found an empty folder"):
        (tmp_path / "empty").mkdir()
        registry.task("cityscapes", data=str(tmp_path / "empty")).samples()
    (tmp_path / "gtFine" / "val" / "town" / "p1_gtFine_labelTrainIds.png").unlink()
    with pytest.raises(UserError, match=r"p1_leftImg8bit\.png: has no label"):
        registry.task("cityscapes", data=str(tmp_path)).samples()
    Image.new("RGB", (14, 9)).save(tmp_path / "gtFine" / "val" / "town" / "p1_gtFine_labelTrainIds.png")
    with pytest.raises(UserError, match="one 8-bit channel"):
        registry.task("cityscapes", data=str(tmp_path)).samples()


def test_label_and_fingerprint(tmp_path, task):
    assert task.label == "cityscapes val, subset 3 of 500"
    before = task.fingerprint
    Image.fromarray(scene(77)).save(tmp_path / "gtFine" / "val" / "town" / "p2_gtFine_labelTrainIds.png")
    assert registry.task("cityscapes", data=str(tmp_path)).fingerprint != before


def test_train_ids_named_label_ids_are_refused(tmp_path):
    root = cityscapes(tmp_path, {"a": np.array([[0, 1, 13, 255]], np.uint8)}, kind="labelIds")
    with pytest.raises(UserError, match=r"a_gtFine_labelIds\.png: .*look like train ids"):
        registry.task("cityscapes", data=str(root)).samples()


def test_archives_left_packed(tmp_path):
    for name in ("leftImg8bit_trainvaltest.zip", "gtFine_trainvaltest.zip"):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(UserError, match=r"not unpacked yet: cd .* && unzip .* && unzip -q gtFine_trainvaltest\.zip"):
        registry.task("cityscapes", data=str(tmp_path)).samples()
