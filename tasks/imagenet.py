"""ImageNet classification: top-1 and top-5 accuracy.

    ROOT/[val/]n01440764/*.JPEG          class folders, all 1000 or some of them
    ROOT/[val/]ILSVRC2012_val_*.JPEG     one flat folder, with the devkit's ground truth or a table of labels

What tells the labels (imagenet_class_index.json, labels.csv, ILSVRC2012_devkit_t12/) lies beside the pictures, in the
root or in its parent: see ``_imagenet_labels.py``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from icm_bench.errors import UserError
from icm_bench.task import ORIG, Evidence, Sample, View
from icm_bench.tasks import _views
from icm_bench.tasks._data import DataTask, pictures_in
from icm_bench.tasks._imagenet_labels import DEVKITS, INDEX_FILE, TABLES, TRUTH_FILE, by_folder, of_flat_folder
from icm_bench.tasks._nets import mini_names

if TYPE_CHECKING:
    import numpy as np

    from icm_bench.task import Image

_FOLDERS = ("val", "ILSVRC2012_img_val")


@dataclass(frozen=True)
class ImageNet(DataTask):
    """ILSVRC2012 classification.

    Evidence: the five best class indices, best first. Metrics in percent of the pictures scored: ``top1``
    (the best one is right), ``top5`` (the right one is among them).
    """

    net_kind = "classification"
    metrics = ("top1", "top5")
    mini_nets = mini_names("classification")
    default_nets = ("torchvision:resnet50",)
    profiles = (ORIG, _views.PROFILE)
    profile_nets = {_views.PROFILE: ('torchvision:resnet50(crop=None, resize=None, weights="IMAGENET1K_V1")',)}
    expected = 50_000
    layout = (
        "class folders (n01440764/, ...) in it or in its val/, with imagenet_class_index.json in it or its "
        "parent (labels.csv will do; a full set of 1000 folders needs neither), or the flat validation folder "
        "with ILSVRC2012_devkit_t12/ or labels.csv (path,label)"
    )
    archives = (
        ("ILSVRC2012_img_val.tar", "mkdir val && tar -xf ILSVRC2012_img_val.tar -C val"),
        ("ILSVRC2012_devkit_t12.tar.gz", "tar -xzf ILSVRC2012_devkit_t12.tar.gz"),
    )

    @property
    def split(self) -> str:
        return self._folder.name

    @cached_property
    def _folder(self) -> Path:
        """The folder that holds the class folders or the pictures."""
        if not self.root.is_dir():
            raise self.wrong_layout()
        return next((self.root / name for name in _FOLDERS if (self.root / name).is_dir()), self.root)

    def samples(self) -> list[Sample]:
        return self._index[0]

    def label_lines(self) -> Iterable[str]:
        return (f"{key}\t{value}" for key, value in self._index[1].items())

    @cached_property
    def _index(self) -> tuple[list[Sample], dict[str, int]]:
        """The samples and the class index of each, by sample id."""
        folders = sorted(path for path in self._folder.iterdir() if path.is_dir() and not path.name.startswith("."))
        paths = [path for folder in folders for path in pictures_in(folder)]
        places = list(dict.fromkeys((self._folder, self.root, self.root.resolve().parent)))
        if paths:
            class_of = by_folder([folder.name for folder in folders], places)
            if class_of is None:
                raise UserError(
                    f"{self._folder}: {len(folders)} class folders and neither {INDEX_FILE} nor {TABLES[0]} in "
                    f"{_or(places)}: a folder's position among a subset of the 1000 classes is not its class "
                    f"index; put the file there"
                )
        else:
            paths = pictures_in(self._folder)
            if not paths:
                raise self.wrong_layout(self._folder)
            class_of = of_flat_folder(places)
            if class_of is None:
                raise self.packed() or UserError(
                    f"{self._folder}: {len(paths)} pictures in one folder and no labels: put the devkit "
                    f"({DEVKITS[0]}/{TRUTH_FILE}) or {TABLES[0]} (path,label) in {_or(places)}"
                )
        samples = [Sample(path.relative_to(self._folder).as_posix(), path) for path in paths]
        return samples, {sample.id: class_of(sample.path) for sample in samples}

    def view(self, picture: Image, profile: str) -> View:
        return _views.square(picture) if profile == _views.PROFILE else super().view(picture, profile)

    def evidence(self, sample: Sample, output: Any) -> Evidence:
        return [int(index) for index in output[:5]]

    def perfect(self, sample: Sample) -> list[int]:
        return [self._index[1][sample.id]]

    def score(self, evidence: Mapping[str, Evidence]) -> dict[str, float]:
        """Top-1 and top-5 accuracy in percent; {} when there is nothing to score."""
        labels = self._index[1]
        order = self.known(evidence, labels)
        if not order:
            return {}
        top1 = sum(evidence[key][:1] == [labels[key]] for key in order)
        top5 = sum(labels[key] in evidence[key][:5] for key in order)
        return {"top1": 100 * top1 / len(order), "top5": 100 * top5 / len(order)}

    def resampled(self, evidence: Mapping[str, Evidence], counts: np.ndarray) -> dict[str, np.ndarray]:
        from icm_bench.bootstrap import means

        labels = self._index[1]
        top1 = [100.0 * (found[:1] == [labels[key]]) for key, found in evidence.items()]
        top5 = [100.0 * (labels[key] in found[:5]) for key, found in evidence.items()]
        return {"top1": means(counts, top1), "top5": means(counts, top5)}


def _or(places: Iterable[Path]) -> str:
    return " or ".join(str(place) for place in places)
