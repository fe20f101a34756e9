"""Remembered data sets: the file, the command, and what a run makes of them."""

import pytest
from command import call
from tiny_sets import coco, imagenet

from icm_bench import datasets, registry
from icm_bench.errors import UserError


@pytest.fixture(autouse=True)
def config(tmp_path, monkeypatch):
    monkeypatch.setenv("ICM_BENCH_CONFIG", str(tmp_path / "config"))
    return tmp_path / "config" / "data.toml"


def test_a_remembered_folder_is_the_tasks_own_until_it_is_forgotten(tmp_path, config, capsys):
    root = coco(tmp_path / 'my "sets" ü', [1, 2, 3], [(1, 1, [1, 1, 9, 9], 0)])
    status, out, _ = call(["data", "add", "coco", str(root)], capsys)
    assert status == 0 and "coco: 3 of 5000 pictures found" in out
    assert datasets.task_of("coco").data == str(root)
    assert datasets.task_of("coco").label == "coco val2017, subset 3 of 5000"
    assert datasets.task_of("coco", "mini").data is None
    assert datasets.task_of("coco", str(tmp_path)).data == str(tmp_path)
    assert datasets.task_of("imagenet").data is None
    assert registry.task("coco").data is None  # the library itself remembers nothing
    status, out, _ = call(["data"], capsys)
    assert f"{root}: 3 of 5000 pictures" in out and "icm-bench data add imagenet PATH" in out
    assert call(["data", "remove", "coco"], capsys)[0] == 0
    assert datasets.task_of("coco").data is None and config.read_text() == ""


def test_a_run_takes_it_and_says_where_it_lies(tmp_path, capsys):
    root = imagenet(tmp_path / "set", index={"n01000000": 1, "n02000000": 2})
    datasets.remember("imagenet", root)
    arguments = ["run", "--method", "jpeg", "--task", "imagenet", "--net", "mini-resnet", "--rates", "20",
                 "--dry-run", "--out", str(tmp_path / "out")]  # fmt: skip
    status, out, err = call(arguments, capsys)
    assert status == 0 and f"imagenet set, subset 4 of 50000: {root}" in err
    assert "8 predictions" in out  # four pictures, and the uncompressed line's four


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["data", "ad"], "did you mean 'add'"),
        (["data", "add", "coco"], "expected: icm-bench data add TASK PATH"),
        (["data", "remove", "coco", "x"], "expected: icm-bench data remove TASK"),
        (["data", "remove", "coco"], "no data set is remembered for 'coco'"),
        (["data", "add", "coc", "x"], "unknown task 'coc': did you mean 'coco'"),
        (["data", "add", "coco", "no-such-folder"], "there is no such folder"),
    ],
)
def test_mistakes_are_one_line_and_change_nothing(arguments, said, config, capsys):
    status, _, err = call(arguments, capsys)
    assert status == 2 and said in err and len(err.splitlines()) == 1
    assert not config.exists()


def test_a_wrong_layout_is_not_remembered(tmp_path, config, capsys):
    (tmp_path / "empty").mkdir()
    status, _, err = call(["data", "add", "coco", str(tmp_path / "empty")], capsys)
    assert status == 2 and "expected val2017/" in err and not config.exists()


def test_a_folder_that_has_gone_is_told_in_the_list(tmp_path, capsys):
    datasets.remember("coco", tmp_path / "gone")
    status, out, _ = call(["data"], capsys)
    assert status == 0 and "gone: cannot be used" in out


@pytest.mark.parametrize("text", ["coco = 3\n", "coco = \n", "\xff"])
def test_a_damaged_file_is_named(config, text):
    config.parent.mkdir()
    config.write_bytes(text.encode("latin-1"))
    with pytest.raises(UserError, match=r"data\.toml"):
        datasets.remembered()
