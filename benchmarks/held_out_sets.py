"""The pictures that codec trainings hold out, as data sets that ``icm-bench run --data`` takes.

    python benchmarks/held_out_sets.py OUT [--photos FOLDER]

Writes OUT/imagenet, OUT/coco and OUT/cityscapes from the mini world's train splits, and OUT/photos from a folder of
photographs: every tenth picture, the very ones that no codec here has learned from. Choices between trainings are
made on these, never on a val set that is scored.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

from icm_bench.mini import ensure
from icm_bench.training.data import HELD_OUT_EVERY, folder_pictures, mini_pictures


def imagenet(root: Path, kept: set[Path], out: Path) -> None:
    """Class folders below val/ and the class index beside them."""
    for path in sorted((root / "train").rglob("*.png")):
        if path in kept:
            _copy(path, out / "val" / path.relative_to(root / "train"))
    _copy(root / "imagenet_class_index.json", out / "imagenet_class_index.json")


def coco(root: Path, kept: set[Path], out: Path) -> None:
    """Pictures below val2017/ and their annotations."""
    content = json.loads((root / "annotations" / "instances_train2017.json").read_text(encoding="utf-8"))
    images = [one for one in content["images"] if root / "train2017" / one["file_name"] in kept]
    ids = {one["id"] for one in images}
    for one in images:
        _copy(root / "train2017" / one["file_name"], out / "val2017" / one["file_name"])
    content |= {"images": images, "annotations": [a for a in content["annotations"] if a["image_id"] in ids]}
    path = out / "annotations" / "instances_val2017.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


def cityscapes(root: Path, kept: set[Path], out: Path) -> None:
    """Pictures and labels below val/."""
    for path in sorted((root / "leftImg8bit" / "train").rglob("*.png")):
        if path not in kept:
            continue
        _copy(path, out / "leftImg8bit" / "val" / path.relative_to(root / "leftImg8bit" / "train"))
        stem = path.name.removesuffix("leftImg8bit.png")
        for label in (root / "gtFine" / "train" / path.parent.name).glob(f"{stem}gtFine_*.png"):
            _copy(label, out / "gtFine" / "val" / path.parent.name / label.name)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--photos", type=Path, help="folder of photographs")
    options = parser.parse_args()
    kept = set(mini_pictures()[::HELD_OUT_EVERY])
    for name, write in {"imagenet": imagenet, "coco": coco, "cityscapes": cityscapes}.items():
        write(ensure(name, "train"), kept, options.out / name)
        print(options.out / name)
    if options.photos:
        for path in folder_pictures(options.photos)[::HELD_OUT_EVERY]:
            _copy(path, options.out / "photos" / path.relative_to(options.photos))
        print(options.out / "photos")


if __name__ == "__main__":
    main()
