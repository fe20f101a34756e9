"""ImageNet's other layouts: the flat validation folder with the devkit or a table, Kaggle's files, and mistakes."""

import json

import numpy as np
import pytest
from scipy.io import savemat
from tiny_sets import imagenet, picture

from icm_bench import registry
from icm_bench.errors import UserError

#: wnid by challenge id 1 .. 4: the challenge's order is not the sorted one. The last is no leaf.
WNIDS = ["n03000000", "n01000000", "n02000000"]


def flat(root, n=3, folder="val"):
    for number in range(1, n + 1):
        picture(root / folder / f"ILSVRC2012_val_{number:08}.JPEG")
    return root


def devkit(root, truth, wnids=WNIDS):
    folder = root / "ILSVRC2012_devkit_t12" / "data"
    folder.mkdir(parents=True)
    (folder / "ILSVRC2012_validation_ground_truth.txt").write_text("".join(f"{number}\n" for number in truth))
    kinds = [("ILSVRC2012_ID", float), ("WNID", object), ("num_children", float)]
    synsets = np.array([(n, wnid, 0) for n, wnid in enumerate(wnids, 1)] + [(4, "n00000001", 2)], kinds)
    savemat(folder / "meta.mat", {"synsets": synsets.reshape(-1, 1)})
    return folder


def class_of(root, picture_id):
    task = registry.task("imagenet", data=str(root))
    (found,) = [index for index in range(1000) if task.score({picture_id: [index]})["top1"] == 100]
    return found


def test_flat_folder_with_the_devkit(tmp_path):
    devkit(flat(tmp_path), truth=[1, 2, 3, 1])
    names = [f"ILSVRC2012_val_{number:08}.JPEG" for number in (1, 2, 3)]
    assert [class_of(tmp_path, name) for name in names] == [2, 0, 1]  # ranks of the sorted wnids
    assert registry.task("imagenet", data=str(tmp_path)).label == "imagenet val, subset 3 of 50000"
    (tmp_path / "val" / names[0]).unlink()  # a partial set keeps its numbers
    assert class_of(tmp_path, names[1]) == 0
    assert class_of(tmp_path / "val", names[1]) == 0  # the devkit in the parent


def test_devkit_mistakes(tmp_path):
    folder = devkit(flat(tmp_path), truth=[1, 2])
    with pytest.raises(UserError, match=r"val_00000003\.JPEG: has no line in .*ground_truth\.txt"):
        registry.task("imagenet", data=str(tmp_path)).samples()
    (folder / "ILSVRC2012_validation_ground_truth.txt").write_text("0\n1\n2\n")
    with pytest.raises(UserError, match=r"holds 0, which is no challenge id 1 \.\. 3"):
        registry.task("imagenet", data=str(tmp_path)).samples()
    (folder / "meta.mat").write_bytes(b"not a mat file")
    with pytest.raises(UserError, match=r"meta\.mat: cannot be read as the devkit's list of classes"):
        registry.task("imagenet", data=str(tmp_path)).samples()
    (folder / "meta.mat").unlink()
    with pytest.raises(UserError, match=r"meta\.mat, which tells the classes of its ids, is missing"):
        registry.task("imagenet", data=str(tmp_path)).samples()


@pytest.mark.parametrize("table", ["val/labels.csv", "labels.csv", "val.csv"])
def test_flat_folder_with_a_table_of_labels(tmp_path, table):
    flat(tmp_path, n=2)
    prefix = "" if table.startswith("val/") else "val/"
    (tmp_path / table).write_text(
        f"path,label\n{prefix}ILSVRC2012_val_00000001.JPEG,7\n{prefix}ILSVRC2012_val_00000002.JPEG,999\n"
    )
    assert class_of(tmp_path, "ILSVRC2012_val_00000001.JPEG") == 7
    assert class_of(tmp_path, "ILSVRC2012_val_00000002.JPEG") == 999


def test_kaggles_table_and_mapping(tmp_path):
    flat(tmp_path, n=1)
    (tmp_path / "LOC_val_solution.csv").write_text(
        "ImageId,PredictionString\nILSVRC2012_val_00000001,n02000000 1 2 3 4 n02000000 5 6 7 8 \n"
    )
    with pytest.raises(UserError, match=r"line 2: class n02000000 needs imagenet_class_index\.json"):
        registry.task("imagenet", data=str(tmp_path)).samples()
    (tmp_path / "LOC_synset_mapping.txt").write_text("n01000000 a, b\nn02000000 c\n")
    assert class_of(tmp_path, "ILSVRC2012_val_00000001.JPEG") == 1
    imagenet(tmp_path / "folders" / "val")
    (tmp_path / "folders" / "LOC_synset_mapping.txt").write_text("n01000000 a, b\nn02000000 c\n")
    assert class_of(tmp_path / "folders", "n02000000/0.png") == 1


def test_table_mistakes(tmp_path):
    flat(tmp_path, n=2, folder=".")
    first, second = (f"ILSVRC2012_val_0000000{n}.JPEG" for n in (1, 2))
    for text, said in (
        ("file,class\n", "line 1: expected the columns path and label"),
        (f"path,label\n{first},1\n{second},1000\n", "run from 1 to 1000; class indices are 0 .. 999"),
        (f"path,label\n{first},0\n{second},1000\n", "label 1000 of .* is not a class index"),
        (f"path,label\n{first},tench\n", "line 2: 'tench' is no class index"),
        (f"path,label\n{first},1\n", f"no line for '{second}'"),
    ):
        (tmp_path / "labels.csv").write_text(text)
        with pytest.raises(UserError, match=said):
            registry.task("imagenet", data=str(tmp_path)).samples()


def test_a_flat_folder_without_labels_says_what_to_put_where(tmp_path):
    flat(tmp_path)
    (tmp_path / "imagenet_class_index.json").write_text(json.dumps({"0": ["n01000000", "a"]}))
    with pytest.raises(UserError, match=r"3 pictures in one folder and no labels: put the devkit .* or labels\.csv"):
        registry.task("imagenet", data=str(tmp_path)).samples()


@pytest.mark.parametrize("name", ["ILSVRC2012_img_val.tar", "ILSVRC2012_devkit_t12.tar.gz"])
def test_archives_left_packed(tmp_path, name):
    if "devkit" in name:
        flat(tmp_path)
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(UserError, match=rf"{name} not unpacked yet: cd .* && .*tar -xz?f {name}"):
        registry.task("imagenet", data=str(tmp_path)).samples()
