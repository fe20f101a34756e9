"""ImageNet classification: top-1 and top-5 accuracy.

    ROOT/[val/]n01440764/*.JPEG   one folder per class
    imagenet_class_index.json     {"0": ["n01440764", "tench"], ...} in the root or its parent; or labels.csv

The class index of a folder comes from the class index file, never from its position among the folders, which
would be wrong for every subset of the 1000 classes.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from icm_bench.errors import UserError
from icm_bench.task import Evidence, Sample
from icm_bench.tasks._data import DataTask, pictures_in, read_json
from icm_bench.tasks._nets import mini_names

if TYPE_CHECKING:
    from icm_bench.bootstrap import Statistic

INDEX_FILE = "imagenet_class_index.json"
LABELS_FILE = "labels.csv"


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
    expected = 50_000
    layout = (
        "class folders (n01440764/, ...) in it or in its val/, with imagenet_class_index.json in it or its "
        "parent (labels.csv with path, wnid, class_index will do; a full set of 1000 folders needs neither)"
    )

    @property
    def split(self) -> str:
        return self._folder.name

    @cached_property
    def _folder(self) -> Path:
        """The folder that holds the class folders."""
        if not self.root.is_dir():
            raise self.wrong_layout()
        return self.root / "val" if (self.root / "val").is_dir() else self.root

    def samples(self) -> list[Sample]:
        return self._index[0]

    def label_lines(self) -> Iterable[str]:
        return (f"{key}\t{value}" for key, value in self._index[1].items())

    @cached_property
    def _index(self) -> tuple[list[Sample], dict[str, int]]:
        """The samples and the class index of each, by sample id."""
        folders = sorted(path for path in self._folder.iterdir() if path.is_dir() and not path.name.startswith("."))
        paths = [path for folder in folders for path in pictures_in(folder)] or pictures_in(self._folder)
        if not paths:
            raise self.wrong_layout(self._folder)
        class_of = self._classes([folder.name for folder in folders])
        samples = [Sample(path.relative_to(self._folder).as_posix(), path) for path in paths]
        return samples, {sample.id: class_of(sample.path) for sample in samples}

    def _classes(self, folders: list[str]) -> _ByFolder | _ByPath:
        """How a picture's class index is found: class index file, labels.csv, or a full set's order."""
        places = dict.fromkeys((self._folder, self.root, self.root.resolve().parent))
        for place in places:
            if (place / INDEX_FILE).is_file():
                return _ByFolder(_read_index(place / INDEX_FILE), place / INDEX_FILE)
        for place in places:
            if (place / LABELS_FILE).is_file():
                return _ByPath(_read_labels(place / LABELS_FILE), place / LABELS_FILE)
        if len(folders) == 1000 and all(re.fullmatch(r"n\d{8}", name) for name in folders):
            return _ByFolder({name: index for index, name in enumerate(folders)}, self._folder)
        raise UserError(
            f"{self._folder}: {len(folders)} class folders and neither {INDEX_FILE} nor {LABELS_FILE} in "
            f"{' or '.join(str(place) for place in places)}: a folder's position among a subset of the 1000 "
            f"classes is not its class index; put the file there"
        )

    def evidence(self, sample: Sample, output: Any) -> Evidence:
        return [int(index) for index in output[:5]]

    def score(self, evidence: Mapping[str, Evidence]) -> dict[str, float]:
        """Top-1 and top-5 accuracy in percent; {} when there is nothing to score."""
        labels = self._index[1]
        order = self.known(evidence, labels)
        if not order:
            return {}
        top1 = sum(evidence[key][:1] == [labels[key]] for key in order)
        top5 = sum(labels[key] in evidence[key][:5] for key in order)
        return {"top1": 100 * top1 / len(order), "top5": 100 * top5 / len(order)}

    def statistic(self, evidence: Mapping[str, Evidence]) -> Statistic:
        from icm_bench.bootstrap import mean_of

        labels = self._index[1]
        return mean_of([100.0 * (found[:1] == [labels[key]]) for key, found in evidence.items()])


@dataclass(frozen=True)
class _ByFolder:
    """Class index by the name of the picture's folder."""

    index: dict[str, int]
    source: Path

    def __call__(self, path: Path) -> int:
        if path.parent.name not in self.index:
            raise UserError(f"{path}: {self.source} knows no class {path.parent.name!r}")
        return self.index[path.parent.name]


@dataclass(frozen=True)
class _ByPath:
    """Class index by the picture's path, relative to the labels file."""

    index: dict[str, int]
    source: Path

    def __call__(self, path: Path) -> int:
        relative = path.resolve().relative_to(self.source.resolve().parent).as_posix()
        if relative not in self.index:
            raise UserError(f"{path}: {self.source} has no line for {relative!r}")
        return self.index[relative]


def _read_index(path: Path) -> dict[str, int]:
    try:
        return {str(entry[0]): int(index) for index, entry in read_json(path).items()}
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        raise UserError(f'{path}: is not of the form {{"0": ["n01440764", "tench"], ...}}') from None


def _read_labels(path: Path) -> dict[str, int]:
    with path.open(newline="", encoding="utf-8") as stream:
        reader = csv.DictReader(stream)
        try:
            return {row["path"]: int(row["class_index"]) for row in reader}
        except (KeyError, TypeError, ValueError):
            raise UserError(f"{path}, line {reader.line_num}: expected the columns path, wnid, class_index") from None
