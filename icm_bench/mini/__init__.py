"""The built-in mini world: small synthetic street scenes in the formats of ImageNet, COCO and Cityscapes.

`ensure` generates a split once; every picture follows from (data set, split, index) and is the
same on every machine.
"""

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import platformdirs

from icm_bench.errors import UserError
from icm_bench.mini import writers
from icm_bench.mini.scenes import DATASETS, SPLITS

__all__ = ["DATASETS", "SPLITS", "VERSION", "ensure", "fingerprint", "verify"]

VERSION = 1
_FINGERPRINTS: dict[tuple[str, str], str] = {
    ("imagenet", "val"): "7f141ae15d37919c8b6c960a55acefa9a82c0c6ece8005c41c02031515850001",
    ("imagenet", "train"): "1238b173ee18ff8da1a7bea46ebd1877794264373dee39d822185c061773077e",
    ("coco", "val"): "56abc3004f74cd3d7cf5e65e81c31377ed074519e33edcb34952c7c138e16ed3",
    ("coco", "train"): "00c4c49446d5197f4ff347427dc84ea25017d45abf475af3dcc5ea860907b998",
    ("cityscapes", "val"): "c10b3dc418f5c857fed7fb8229e64be9db4eb7898adff17ae94d39ec87063bf9",
    ("cityscapes", "train"): "c1d14d55a55463fab1d414c372ea95dd49592cec6fa2bbad4290700342f4f677",
}


def fingerprint(dataset: str, split: str = "val") -> str:
    """SHA-256 (hex) that the pixels and labels of a split must have. Raises UserError for an unknown name."""
    if (dataset, split) not in _FINGERPRINTS:
        choice = f"choose from {', '.join(DATASETS)} and {', '.join(SPLITS)}"
        raise UserError(f"no mini set {dataset!r} {split!r}: {choice}")
    return _FINGERPRINTS[dataset, split]


def verify(root: Path, dataset: str, split: str = "val") -> str:
    """SHA-256 (hex) of the pixels and labels of a split on disk. Raises UserError where files are missing."""
    try:
        return writers.digest(dataset, split, root)
    except OSError as error:
        message = f"mini set {dataset} {split} in {root} is damaged ({error}): delete that folder"
        raise UserError(message) from error


def ensure(dataset: str, split: str = "val", root: Path | None = None,
           progress: Callable[[int, int], None] | None = None) -> Path:
    """The root folder of a data set, its `split` generated if it is not there.

    `root` defaults to `<cache>/mini-v1/<dataset>`; <cache> is $ICM_BENCH_CACHE or the user's cache folder.
    `progress(done, total)` is called after each picture. A killed run leaves no split that counts as
    finished, and of two processes one waits for the other. Raises UserError for an unknown name, a folder
    that cannot be written, or pixels that differ from the fingerprint.
    """
    expected = fingerprint(dataset, split)
    home = root if root is not None else _cache() / dataset
    if _finished(home, dataset, split):
        return home
    try:
        home.mkdir(parents=True, exist_ok=True)
        with _lock(home / ".lock"):
            if not _finished(home, dataset, split):
                _generate(home, (dataset, split), expected, progress)
    except OSError as error:
        raise UserError(f"cannot write the mini set to {home} ({error}): set ICM_BENCH_CACHE") from error
    return home


def _cache() -> Path:
    cache = os.environ.get("ICM_BENCH_CACHE") or platformdirs.user_cache_dir("icm-bench")
    return Path(cache) / f"mini-v{VERSION}"


def _marker(dataset: str, split: str) -> dict[str, object]:
    return {"name": dataset, "split": split, "version": VERSION, "fingerprint": fingerprint(dataset, split)}


def _finished(home: Path, dataset: str, split: str) -> bool:
    path = home / f"mini-{split}.json"
    try:
        return bool(json.loads(path.read_text("utf-8")) == _marker(dataset, split))
    except (OSError, ValueError):
        return False


def _generate(home: Path, name: tuple[str, str], expected: str,
              progress: Callable[[int, int], None] | None) -> None:
    """Write into a temporary folder inside `home`, check, move into place, and mark as finished last."""
    dataset, split = name
    for remains in home.glob(".part-*"):  # of a killed run: the lock is ours
        shutil.rmtree(remains)
    part = Path(tempfile.mkdtemp(prefix=".part-", dir=home))
    try:
        pieces = writers.write(dataset, split, part, progress)
        found = writers.digest(dataset, split, part)
        if found != expected:
            raise UserError(f"mini set {dataset} {split} came out as {found[:12]}, expected {expected[:12]}: "
                            "report it with the processor and the versions of numpy and Pillow")
        for piece in pieces:
            target = home / piece
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.is_dir():
                shutil.rmtree(target)
            (part / piece).replace(target)
        (part / "marker").write_text(json.dumps(_marker(dataset, split)), encoding="utf-8")
        (part / "marker").replace(home / f"mini-{split}.json")
    finally:
        shutil.rmtree(part, ignore_errors=True)


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Hold `path` locked; the system frees it when the process ends, however it ends."""
    with path.open("a+b") as file:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        yield
