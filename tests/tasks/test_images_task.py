import pytest
from tiny_sets import picture

from icm_bench import registry
from icm_bench.errors import UserError


def test_pictures_of_a_folder_in_order(tmp_path):
    for name in ("b.png", "a.JPG", "c.webp", ".hidden.png"):
        picture(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no picture")
    task = registry.task("images", data=str(tmp_path))
    assert [sample.id for sample in task.samples()] == ["a.JPG", "b.png", "c.webp"]
    assert task.samples()[0].read().shape == (12, 16, 3)
    assert task.label == f"images {tmp_path.name}, 3 pictures"
    assert task.nets == () and task.main_metric is None and task.score({}) == {}


def test_sub_folders_and_single_files(tmp_path):
    one = picture(tmp_path / "x" / "one.png")
    picture(tmp_path / "y" / "two.png")
    ids = [sample.id for sample in registry.task("images", data=str(tmp_path)).samples()]
    assert ids == ["x/one.png", "y/two.png"]
    assert [sample.id for sample in registry.task("images", data=str(one)).samples()] == ["one.png"]


def test_what_is_wrong_is_said(tmp_path):
    with pytest.raises(UserError, match="--data FOLDER"):
        registry.task("images").samples()
    with pytest.raises(UserError, match="there is no such folder"):
        registry.task("images", data=str(tmp_path / "gone")).samples()
    (tmp_path / "a.txt").write_text("")
    with pytest.raises(UserError, match=r"expected a folder of pictures .* found a\.txt"):
        registry.task("images", data=str(tmp_path)).samples()
    with pytest.raises(UserError, match="takes no networks"):
        registry.task("images", data=str(tmp_path)).net("torchvision:resnet18")
