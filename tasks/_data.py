"""What the tasks share: where a data set lies, what was found there, and what it is called."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from icm_bench.errors import UserError
from icm_bench.task import Net, Task, Teacher

#: File name endings that are taken for pictures.
PICTURE_SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".pnm", ".gif"}
)
_SHOWN = 6


@dataclass(frozen=True)
class DataTask(Task):
    """A task over a folder in a known layout. Subclasses name the data set and say what lies in the folder.

    data: the data set's root; None takes the built-in mini set, which has the same layout and is read by the
    same code.
    """

    #: What the layout looks like, for the message about a wrong path.
    layout: ClassVar[str] = ""
    #: Archives that are often left packed: (name or pattern, the command that unpacks it).
    archives: ClassVar[tuple[tuple[str, str], ...]] = ()

    @cached_property
    def root(self) -> Path:
        """The data set's folder. Raises UserError when there is none."""
        if self.data is None:
            from icm_bench.mini import ensure

            return ensure(self.name)
        path = Path(self.data).expanduser()
        if not path.exists():
            raise UserError(f"{path}: there is no such folder; {self.name} expects {self.layout}")
        return path

    @property
    def split(self) -> str:
        """The split's plain name for the label, such as "val2017"."""
        return "val"

    @property
    def label(self) -> str:
        if self.data is None:
            return f"{self.name} (built-in mini set, synthetic)"
        n = len(self.samples())
        if n > self.expected:
            return f"{self.name} {self.split}, {n} pictures"
        return f"{self.name} {self.split}" + ("" if n == self.expected else f", subset {n} of {self.expected}")

    @cached_property
    def fingerprint(self) -> str:
        """Hex digest of the data set: picture names and sizes, labels. Decodes no picture."""
        if self.data is None:
            return mini_fingerprint(self.root)
        pictures = (f"{sample.id}\t{sample.path.stat().st_size}" for sample in self.samples())
        return digest([self.name, *pictures, *self.label_lines()])

    def label_lines(self) -> Iterable[str]:
        """The labels as lines of text, for the fingerprint."""
        return ()

    def wrong_layout(self, where: Path | None = None) -> UserError:
        """The error for a folder that is not in the layout: what was expected and what was found."""
        where = where or self.root
        return self.packed() or UserError(f"{where}: expected {self.layout}; found {found(where)}")

    def packed(self) -> UserError | None:
        """The error for archives that were downloaded and not unpacked; None where there are none."""
        if not self.root.is_dir():
            return self._one_archive()
        there = [command for name, command in self.archives if any(self.root.glob(name))]
        if not there:
            return None
        names = ", ".join(path.name for name, _ in self.archives for path in sorted(self.root.glob(name)))
        return UserError(f"{self.root}: {names} not unpacked yet: cd {self.root} && {' && '.join(there)}")

    def _one_archive(self) -> UserError | None:
        if not self.root.name.endswith((".zip", ".tar", ".tar.gz", ".tgz")):
            return None
        return UserError(f"{self.root}: is an archive; unpack it and give the folder that holds {self.layout}")

    def net(self, spec: str, weights: str | None = None) -> Net:
        """The network of this spec, of this task's kind. Raises UserError for an unsuitable one."""
        from icm_bench.tasks._nets import resolve

        if self.net_kind is None:
            return super().net(spec, weights)
        return resolve(self.net_kind, spec, weights)

    def teacher(self, spec: str, weights: str | None, side: int) -> Teacher:
        from icm_bench.tasks._teacher import TrainSplit

        return TrainSplit(self.name, self.data, self.net(spec, weights), side)

    def known(self, evidence: Mapping[str, Any], known: Iterable[str]) -> list[str]:
        """The ids of the evidence, in the data set's order. Raises UserError for one it does not have."""
        order = [key for key in known if key in evidence]
        if len(order) != len(evidence):
            stranger = next(key for key in evidence if key not in set(order))
            raise UserError(f"{self.root}: has no picture {stranger!r}, which a net has seen: are the data the same?")
        return order

    def __getstate__(self) -> dict[str, Any]:
        return {"data": self.data}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)


def found(folder: Path) -> str:
    """What lies in a folder, in few words: ``folders a, b; 3 files (.json, .txt)``."""
    if not folder.exists():
        return "no such folder"
    if not folder.is_dir():
        return "a file"
    entries = sorted(folder.iterdir())
    folders = [entry.name + "/" for entry in entries if entry.is_dir()]
    files = [entry.name for entry in entries if not entry.is_dir()]
    return ", ".join(part for part in (_some(folders, "folders"), _some(files, "files")) if part) or "an empty folder"


def _some(names: list[str], what: str) -> str:
    if len(names) <= _SHOWN:
        return ", ".join(names)
    return f"{len(names)} {what} ({', '.join(names[:3])}, ...)"


def pictures_in(folder: Path) -> list[Path]:
    """The picture files directly in a folder, sorted by name; hidden files are left out."""
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in PICTURE_SUFFIXES and not path.name.startswith(".") and path.is_file()
    )


def digest(lines: Iterable[str]) -> str:
    """Hex sha256 over lines of text."""
    total = hashlib.sha256()
    for line in lines:
        total.update(line.encode() + b"\n")
    return total.hexdigest()


def file_digest(path: Path) -> str:
    """Hex sha256 of a file. Raises UserError naming the file when it cannot be read."""
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from error


def weights_digest(path: str | None) -> str:
    """Hex sha256 of a net's weights file; "" where it has none of its own."""
    return file_digest(Path(path)) if path else ""


def read_json(path: Path) -> Any:
    """A JSON file's content. Raises UserError naming the file."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from error
    except ValueError as error:
        raise UserError(f"{path}: is not JSON: {error}") from error


def mini_fingerprint(root: Path) -> str:
    """The fingerprint that the mini world wrote beside its pictures."""
    path = root / "mini-val.json"
    try:
        return str(read_json(path)["fingerprint"])
    except (KeyError, TypeError):
        raise UserError(f"{path}: holds no fingerprint; remove {root} and it is written anew") from None
