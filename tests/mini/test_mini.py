"""The mini world: fixed pixels, the public formats, natural spectra, and nothing half-made."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from icm_bench import mini
from icm_bench.errors import UserError
from icm_bench.mini import writers
from icm_bench.mini.scenes import scene

Patch = pytest.MonkeyPatch
SETS = ("imagenet", "coco", "cityscapes")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The three val splits in a fresh folder; `ensure` compares each with its committed fingerprint."""
    folder = tmp_path_factory.mktemp("mini")
    for name in SETS:
        calls: list[tuple[int, int]] = []
        mini.ensure(name, "val", folder / name, lambda done, total, calls=calls: calls.append((done, total)))
        total = writers.SIZES[name, "val"]
        assert calls == [(done, total) for done in range(1, total + 1)]
    return folder


def coco(home: Path) -> dict:
    return json.loads((home / "coco/annotations/instances_val2017.json").read_text())


@pytest.mark.parametrize("name", SETS)
def test_a_picture_follows_from_its_index_alone(name: str) -> None:
    first, again = scene(name, "val", 5), scene(name, "val", 5)
    assert np.array_equal(first.pixels, again.pixels)
    assert np.array_equal(first.label, again.label)
    assert [(t.kind, t.crowd, t.mask.tobytes()) for t in first.objects] == [
        (t.kind, t.crowd, t.mask.tobytes()) for t in again.objects]
    for other in (scene(name, "train", 5), scene(name, "val", 6)):
        assert first.pixels.shape != other.pixels.shape or not np.array_equal(first.pixels, other.pixels)


@pytest.mark.parametrize("name", SETS)
def test_verify_sees_a_changed_pixel_but_not_other_compression(home: Path, name: str) -> None:
    root, expected = home / name, mini.fingerprint(name, "val")
    assert mini.verify(root, name, "val") == expected
    path = next(root.rglob("*.png"))
    original = path.read_bytes()
    with Image.open(path) as file:
        picture = file.copy()
    try:
        picture.save(path, compress_level=0)
        assert path.read_bytes() != original
        assert mini.verify(root, name, "val") == expected
        pixels = np.array(picture)
        pixels.flat[0] ^= 1
        Image.fromarray(pixels).save(path)
        assert mini.verify(root, name, "val") != expected
        path.unlink()
        assert mini.verify(root, name, "val") != expected
    finally:
        path.write_bytes(original)


def test_sizes_and_counts(home: Path) -> None:
    for name, count, low, high in (("imagenet", 200, 96, 160), ("coco", 100, 128, 256),
                                   ("cityscapes", 60, 144, 256)):
        paths = [path for path in (home / name).rglob("*.png") if "gtFine" not in path.name]
        assert len(paths) == count
        sizes = [side for path in paths for side in Image.open(path).size]
        assert low <= min(sizes) and max(sizes) <= high
        assert 0.3 < np.mean([side % 2 for side in sizes]) < 0.7


def test_imagenet_layout(home: Path) -> None:
    root = home / "imagenet"
    index = json.loads((root / "imagenet_class_index.json").read_text())
    numbers = sorted(map(int, index))
    assert len(numbers) == 10 and numbers[-1] < 1000
    assert min(np.diff(numbers)) > 1
    assert {path.name for path in (root / "val").iterdir()} == {folder for folder, _ in index.values()}
    assert Counter(path.parent.name for path in root.rglob("*.png")) == {f: 20 for f, _ in index.values()}
    assert Counter(Image.open(path).mode for path in root.rglob("*.png")) == {"RGB": 192, "L": 8}


def test_coco_layout(home: Path) -> None:
    data = coco(home)
    assert set(data) == {"info", "licenses", "images", "annotations", "categories"}
    for table in ("images", "annotations", "categories"):
        ids = [row["id"] for row in data[table]]
        assert len(set(ids)) == len(ids)
    ids = [row["id"] for row in data["categories"]]
    assert len(ids) == 10 and min(ids) >= 1 and max(ids) <= 90 and max(ids) - min(ids) > 10
    assert {row["category_id"] for row in data["annotations"]} == set(ids)
    for image in data["images"]:
        with Image.open(home / "coco/val2017" / image["file_name"]) as picture:
            assert picture.size == (image["width"], image["height"])
    per_image = Counter(row["image_id"] for row in data["annotations"])
    assert sum(image["id"] not in per_image for image in data["images"]) >= 2
    areas = [row["area"] for row in data["annotations"] if not row["iscrowd"]]
    assert min(np.histogram(areas, (0, 32 * 32, 96 * 96, 256 * 256))[0]) >= 10


def test_coco_masks_agree_with_box_and_area(home: Path) -> None:
    """The segmentations are decoded here by pycocotools, which did not write them."""
    mask_api = pytest.importorskip("pycocotools.mask")
    data = coco(home)
    sizes = {image["id"]: (image["height"], image["width"]) for image in data["images"]}
    crowds = 0
    for row in data["annotations"]:
        height, width = sizes[row["image_id"]]
        shape = row["segmentation"]
        coded = mask_api.merge(mask_api.frPyObjects(shape, height, width)) if isinstance(shape, list) \
            else mask_api.frPyObjects(shape, height, width)
        crowds += row["iscrowd"]
        assert isinstance(shape, dict) == bool(row["iscrowd"])
        assert mask_api.toBbox(coded).tolist() == row["bbox"]
        assert row["area"] >= 40
        assert int(mask_api.area(coded)) == row["area"]
    assert crowds >= 3


def test_outlines_part_touching_corners_and_open_holes() -> None:
    mask = np.array([[1, 0, 1], [0, 1, 1]], bool)
    assert sorted(map(sorted, writers.outlines(mask))) == [sorted(p) for p in (
        [0, 0, 1, 0, 1, 1, 0, 1], [2, 0, 3, 0, 3, 2, 1, 2, 1, 1, 2, 1])]
    ring = np.ones((3, 4), bool)
    ring[1, 1] = False
    assert sorted(map(sorted, writers.outlines(ring))) == [sorted(p) for p in (
        [0, 0, 2, 0, 2, 1, 1, 1, 1, 2, 2, 2, 2, 3, 0, 3], [2, 0, 4, 0, 4, 3, 2, 3])]
    assert writers.run_lengths(mask) == {"counts": [0, 1, 2, 3], "size": [2, 3]}
    assert writers.run_lengths(~mask) == {"counts": [1, 2, 3], "size": [2, 3]}


def test_cityscapes_labels(home: Path) -> None:
    """Train ids follow from label ids by the official table, given here a second time."""
    official = dict(zip((7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33),
                        range(19), strict=True))
    pixels = Counter[int]()
    for path in sorted((home / "cityscapes/leftImg8bit/val/mini").iterdir()):
        stem = str(path).replace("leftImg8bit", "gtFine").removesuffix(".png")
        label, train = (np.array(Image.open(f"{stem}_{kind}.png")) for kind in ("labelIds", "labelTrainIds"))
        assert label.shape == train.shape == np.array(Image.open(path)).shape[:2]
        for number in np.unique(label).tolist():
            assert set(train[label == number].tolist()) == {official.get(number, 255)}
            pixels[official.get(number, 255)] += int((label == number).sum())
    assert len(pixels) == 12 and min(pixels.values()) > 0.005 * pixels.total()
    assert (home / "cityscapes/gtFine/val/mini/mini_000000_000019_gtFine_labelIds.png").is_file()


@pytest.mark.parametrize("name", SETS)
def test_spectra_fall_like_those_of_photographs(name: str) -> None:
    """Mean radial power over 16 pictures, fitted as 1 / f^a."""
    side, power = 96, 0.0
    window = np.hanning(side)[:, None] * np.hanning(side)
    for index in range(16):
        pixels = scene(name, "val", index).pixels
        grey = pixels.reshape(*pixels.shape[:2], -1).mean(2)[:side, :side]
        power = power + np.abs(np.fft.fft2((grey - grey.mean()) * window)) ** 2
    y = np.fft.fftfreq(side)
    radius = np.sqrt(y[:, None] ** 2 + y**2)
    centres = np.geomspace(0.02, 0.45, 12)
    means = [power[(radius > c / 1.2) & (radius < c * 1.2)].mean() for c in centres]
    slope = np.polyfit(np.log(centres), np.log(means), 1)[0]
    assert -3.0 < slope < -1.0


def test_a_killed_run_is_not_finished_and_the_next_one_mends_it(tmp_path: Path) -> None:
    code = "import sys; from icm_bench import mini; from pathlib import Path; mini.ensure(" \
           "'cityscapes', 'val', Path(sys.argv[1]), lambda done, total: print(done, flush=True))"
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    while process.stdout.readline() != b"5\n":
        assert process.poll() is None
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert not (tmp_path / "mini-val.json").exists()
    assert not (tmp_path / "gtFine").exists()
    (tmp_path / "gtFine/val/mini").mkdir(parents=True)  # as if killed between two moves
    (tmp_path / "gtFine/val/mini/stray.png").write_bytes(b"")
    mini.ensure("cityscapes", "val", tmp_path)
    assert mini.verify(tmp_path, "cityscapes", "val") == mini.fingerprint("cityscapes", "val")
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [".lock", "gtFine", "leftImg8bit", "mini-val.json"]


def test_two_processes_at_once_both_end_well(home: Path, monkeypatch: Patch, tmp_path: Path) -> None:
    code = "import sys; from icm_bench import mini; print(mini.ensure('cityscapes'))"
    start = time.monotonic()
    environment = {**os.environ, "ICM_BENCH_CACHE": str(tmp_path)}
    both = [subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True)
            for _ in range(2)]
    root = tmp_path / "mini-v1" / "cityscapes"
    assert [process.communicate()[0].strip() for process in both] == [str(root)] * 2
    assert [process.returncode for process in both] == [0, 0]
    assert (root / "mini-val.json").read_bytes() == (home / "cityscapes/mini-val.json").read_bytes()
    assert time.monotonic() - start < 300
    monkeypatch.setenv("ICM_BENCH_CACHE", str(tmp_path))
    before = (root / "mini-val.json").stat().st_mtime_ns
    assert mini.ensure("cityscapes", progress=lambda *_: pytest.fail("generated twice")) == root
    assert (root / "mini-val.json").stat().st_mtime_ns == before


def test_other_pixels_than_the_fingerprint_are_refused(monkeypatch: Patch, tmp_path: Path) -> None:
    monkeypatch.setitem(writers.SIZES, ("cityscapes", "val"), 2)
    with pytest.raises(UserError, match="expected " + mini.fingerprint("cityscapes", "val")[:12]):
        mini.ensure("cityscapes", "val", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


def test_errors_are_one_line_and_name_the_value(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="'cityscape' 'val': choose from imagenet"):
        mini.ensure("cityscape")
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="ICM_BENCH_CACHE"):
        mini.ensure("coco", "val", tmp_path / "file")
