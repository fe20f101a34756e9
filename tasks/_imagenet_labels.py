"""How an ImageNet picture finds its class index: by its folder, by a table of paths, or by its number in the devkit.

A folder's position among the folders is never taken for the class index: it would be wrong for every subset of the
1000 classes. Class indices are 0 .. 999, the rank of the WordNet id (wnid) among the sorted thousand.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from icm_bench.errors import UserError
from icm_bench.tasks._data import read_json

N_CLASSES = 1000
INDEX_FILE = "imagenet_class_index.json"
#: Tables of labels, by the names they go under: ours, and the one of Kaggle's copy of the challenge.
TABLES = ("labels.csv", "val.csv", "LOC_val_solution.csv")
#: Kaggle's list of classes: one "n01440764 tench, Tinca tinca" a line, in the order of the indices.
MAPPING_FILE = "LOC_synset_mapping.txt"
DEVKITS = ("ILSVRC2012_devkit_t12/data", "devkit/data", "data", ".")
TRUTH_FILE, META_FILE = "ILSVRC2012_validation_ground_truth.txt", "meta.mat"
#: (columns of paths, columns of labels) of the tables, the first that is there counts.
_PATHS, _LABELS = ("path", "ImageId", "filename"), ("class_index", "label", "PredictionString", "wnid")
_WNID = re.compile(r"n\d{8}")


class Labels(Protocol):
    """The class index of a picture. Raises UserError, naming the source, for one that it does not have."""

    def __call__(self, path: Path) -> int: ...


def by_folder(folders: list[str], places: Iterable[Path]) -> Labels | None:
    """The labels of pictures in class folders, or None where nothing in these places tells them."""
    places = list(places)
    known = wnid_index(places)
    if known is not None:
        return _ByFolder(*known)
    if (table := _table(places, None)) is not None:
        return table
    if len(folders) == N_CLASSES and all(_WNID.fullmatch(name) for name in folders):
        return _ByFolder({name: index for index, name in enumerate(sorted(folders))}, Path("the full set of folders"))
    return None


def of_flat_folder(places: Iterable[Path]) -> Labels | None:
    """The labels of pictures that lie in one folder: a table of paths, else the devkit's ground truth."""
    places = list(places)
    table = _table(places, wnid_index(places))
    if table is not None:
        return table
    for folder in (place / kit for place in places for kit in DEVKITS):
        if (folder / TRUTH_FILE).is_file():
            return _read_devkit(folder)
    return None


def wnid_index(places: Iterable[Path]) -> tuple[dict[str, int], Path] | None:
    """Class index by wnid, and the file that says so."""
    for place in places:
        if (place / INDEX_FILE).is_file():
            return _read_index(place / INDEX_FILE), place / INDEX_FILE
        if (place / MAPPING_FILE).is_file():
            lines = (place / MAPPING_FILE).read_text(encoding="utf-8").split("\n")
            wnids = [line.split(" ", 1)[0] for line in lines if line.strip()]
            return {wnid: index for index, wnid in enumerate(wnids)}, place / MAPPING_FILE
    return None


@dataclass(frozen=True)
class _ByFolder:
    """Class index by the name of the picture's folder."""

    index: Mapping[str, int]
    source: Path

    def __call__(self, path: Path) -> int:
        if path.parent.name not in self.index:
            raise UserError(f"{path}: {self.source} knows no class {path.parent.name!r}")
        return self.index[path.parent.name]


@dataclass(frozen=True)
class _ByPath:
    """Class index by the picture's path relative to the table, else by its name, with or without its ending."""

    index: Mapping[str, int]
    source: Path

    def __call__(self, path: Path) -> int:
        home, whole = self.source.resolve().parent, path.resolve()
        relative = whole.relative_to(home).as_posix() if whole.is_relative_to(home) else path.name
        for key in (relative, path.name, path.stem):
            if key in self.index:
                return self.index[key]
        raise UserError(f"{path}: {self.source} has no line for {relative!r}")


@dataclass(frozen=True)
class _ByNumber:
    """Class index by the number in ILSVRC2012_val_00000001.JPEG, the line of the devkit's ground truth."""

    index: tuple[int, ...]
    source: Path

    def __call__(self, path: Path) -> int:
        number = re.search(r"(\d{8})$", path.stem)
        if number is None or not 1 <= int(number[1]) <= len(self.index):
            raise UserError(
                f"{path}: has no line in {self.source}: names like ILSVRC2012_val_00000001.JPEG, numbered "
                f"1 .. {len(self.index)}, were expected"
            )
        return self.index[int(number[1]) - 1]


def _read_index(path: Path) -> dict[str, int]:
    try:
        return {str(entry[0]): int(index) for index, entry in read_json(path).items()}
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        raise UserError(f'{path}: is not of the form {{"0": ["n01440764", "tench"], ...}}') from None


def _table(places: Iterable[Path], known: tuple[dict[str, int], Path] | None) -> Labels | None:
    path = next((place / name for place in places for name in TABLES if (place / name).is_file()), None)
    return None if path is None else _ByPath(_read_table(path, known[0] if known else {}), path)


def _read_table(path: Path, wnids: Mapping[str, int]) -> dict[str, int]:
    """Class index by path: whole numbers 0 .. 999, or wnids where a class index file is there."""
    with path.open(newline="", encoding="utf-8") as stream:
        reader = csv.DictReader(stream)
        key = next((name for name in _PATHS if name in (reader.fieldnames or ())), None)
        label = next((name for name in _LABELS if name in (reader.fieldnames or ())), None)
        if key is None or label is None:
            raise UserError(f"{path}, line 1: expected the columns path and label (or path, wnid, class_index)")
        index = {str(row[key]): _class_of(row[label], wnids, (path, reader.line_num)) for row in reader}
    if index and min(index.values()) > 0 and max(index.values()) == N_CLASSES:
        raise UserError(f"{path}: its labels run from 1 to 1000; class indices are 0 .. 999 (subtract one)")
    high = next((name for name, value in index.items() if value >= N_CLASSES), None)
    if high is not None:
        raise UserError(f"{path}: label {index[high]} of {high!r} is not a class index 0 .. 999")
    return index


def _class_of(text: str | None, wnids: Mapping[str, int], where: tuple[Path, int]) -> int:
    word = (text or "").split(" ", 1)[0]
    if word.isdigit():
        return int(word)
    if word in wnids:
        return wnids[word]
    if _WNID.fullmatch(word):
        raise UserError(f"{where[0]}, line {where[1]}: class {word} needs {INDEX_FILE} beside the table")
    raise UserError(f"{where[0]}, line {where[1]}: {text!r} is no class index 0 .. 999 and no wnid")


def _read_devkit(folder: Path) -> Labels:
    """The devkit's ground truth: a challenge id 1 .. 1000 a line, whose wnid is in meta.mat."""
    truth = folder / TRUTH_FILE
    if not (folder / META_FILE).is_file():
        raise UserError(f"{truth}: {META_FILE}, which tells the classes of its ids, is missing beside it")
    index = _read_meta(folder / META_FILE)
    lines = truth.read_text(encoding="ascii", errors="replace").split()
    try:
        return _ByNumber(tuple(index[int(line)] for line in lines), truth)
    except (KeyError, ValueError) as error:
        raise UserError(f"{truth}: holds {error}, which is no challenge id 1 .. {len(index)}") from None


def _read_meta(path: Path) -> dict[int, int]:
    """Class index of each challenge id: the rank of its wnid among the leaves."""
    from scipy.io import loadmat

    try:
        synsets = loadmat(str(path), squeeze_me=True)["synsets"]
        leaves = {int(one["ILSVRC2012_ID"]): str(one["WNID"]) for one in synsets if int(one["num_children"]) == 0}
    except Exception as error:  # scipy raises many kinds on a damaged file
        raise UserError(f"{path}: cannot be read as the devkit's list of classes ({error})") from error
    rank = {wnid: index for index, wnid in enumerate(sorted(leaves.values()))}
    return {number: rank[wnid] for number, wnid in leaves.items()}
