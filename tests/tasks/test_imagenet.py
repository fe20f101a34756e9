import json

import pytest
from tiny_sets import imagenet, picture

from icm_bench import registry
from icm_bench.errors import UserError

INDEX = {"n01000000": 17, "n02000000": 964}


def test_class_index_is_not_the_folders_position(tmp_path):
    task = registry.task("imagenet", data=str(imagenet(tmp_path, index=INDEX)))
    right = {s.id: [964 if s.path.parent.name == "n02000000" else 17, 1, 2, 3, 4] for s in task.samples()}
    by_position = {s.id: [int(s.path.parent.name == "n02000000"), 5, 6, 7, 8] for s in task.samples()}
    assert task.score(right) == {"top1": 100, "top5": 100}
    assert task.score(by_position) == {"top1": 0, "top5": 0}


def test_top1_and_top5_of_a_subset_in_any_order(tmp_path):
    task = registry.task("imagenet", data=str(imagenet(tmp_path, index=INDEX)))
    evidence = {
        "n02000000/1.png": [1, 2, 3, 4, 964],
        "n01000000/0.png": [17, 2, 3, 4, 5],
        "n02000000/0.png": [1, 2, 3, 4, 5],
    }
    expected = {"top1": pytest.approx(100 / 3), "top5": pytest.approx(200 / 3)}
    assert task.score(evidence) == expected
    assert task.score(dict(reversed(evidence.items()))) == expected
    assert task.score({"n01000000/0.png": [17]}) == {"top1": 100, "top5": 100}
    assert task.score({}) == {}
    with pytest.raises(UserError, match=r"n0/none\.png"):
        task.score({"n0/none.png": [1]})


def test_evidence_survives_json(tmp_path):
    import numpy as np

    task = registry.task("imagenet", data=str(imagenet(tmp_path, index=INDEX)))
    sample = task.samples()[0]
    evidence = task.evidence(sample, np.array([5, 4, 3, 2, 1, 0]))
    assert json.loads(json.dumps(evidence)) == evidence == [5, 4, 3, 2, 1]


def test_root_or_val_and_index_in_the_parent(tmp_path):
    imagenet(tmp_path / "val")
    (tmp_path / "imagenet_class_index.json").write_text(
        json.dumps({"3": ["n01000000", "a"], "9": ["n02000000", "b"]})
    )
    above = registry.task("imagenet", data=str(tmp_path))
    inside = registry.task("imagenet", data=str(tmp_path / "val"))
    assert above.label == inside.label == "imagenet val, subset 4 of 50000"
    assert above.fingerprint == inside.fingerprint
    assert above.score({"n01000000/0.png": [3]})["top1"] == 100


def test_labels_csv_by_path(tmp_path):
    imagenet(tmp_path / "some", per_class=1)
    rows = "path,wnid,class_index\nsome/n01000000/0.png,n01000000,7\nsome/n02000000/0.png,n02000000,8\n"
    (tmp_path / "labels.csv").write_text(rows)
    task = registry.task("imagenet", data=str(tmp_path / "some"))
    assert task.score({"n01000000/0.png": [7], "n02000000/0.png": [8]})["top1"] == 100
    picture(tmp_path / "some" / "n01000000" / "new.png")
    with pytest.raises(UserError, match=r"no line for 'some/n01000000/new\.png'"):
        registry.task("imagenet", data=str(tmp_path / "some")).samples()
    (tmp_path / "labels.csv").write_text("path,wnid,class_index\nsome/n01000000/0.png,n01000000,seven\n")
    with pytest.raises(UserError, match=r"labels\.csv, line 2"):
        registry.task("imagenet", data=str(tmp_path / "some")).samples()


def test_a_full_set_needs_no_index_file(tmp_path):
    wnids = [f"n{number:08}" for number in range(1000)]
    for wnid in wnids:
        (tmp_path / wnid).mkdir()
    picture(tmp_path / wnids[731] / "a.png")
    task = registry.task("imagenet", data=str(tmp_path))
    assert task.score({f"{wnids[731]}/a.png": [731]})["top1"] == 100


def test_layout_mistakes(tmp_path):
    with pytest.raises(UserError, match="there is no such folder"):
        registry.task("imagenet", data=str(tmp_path / "nowhere")).samples()
    (tmp_path / "stray.txt").write_text("")
    with pytest.raises(UserError, match=r"expected class folders .* found stray\.txt"):
        registry.task("imagenet", data=str(tmp_path)).samples()
    with pytest.raises(UserError, match="2 class folders and neither"):
        registry.task("imagenet", data=str(imagenet(tmp_path / "bare" / "set"))).samples()
    imagenet(tmp_path / "gap", index={"n01000000": 1})
    with pytest.raises(UserError, match="knows no class 'n02000000'"):
        registry.task("imagenet", data=str(tmp_path / "gap")).samples()


def test_fingerprint_sees_labels_and_pictures(tmp_path):
    def fingerprint():
        return registry.task("imagenet", data=str(tmp_path)).fingerprint

    imagenet(tmp_path, index=INDEX)
    first = fingerprint()
    assert first == fingerprint()
    imagenet(tmp_path, index={**INDEX, "n01000000": 18})
    relabelled = fingerprint()
    picture(tmp_path / "n01000000" / "0.png", (1, 2, 3), (40, 40))
    assert len({first, relabelled, fingerprint()}) == 3
