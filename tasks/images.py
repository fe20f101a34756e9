"""Any folder of pictures: bpp, PSNR and MS-SSIM only, no networks.

    icm-bench run --method jpeg --task images --data kodak/

Takes the pictures directly in the folder, or, where there are none, those of all its sub-folders.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from icm_bench.errors import UserError
from icm_bench.task import Evidence, Sample
from icm_bench.tasks._data import PICTURE_SUFFIXES, DataTask, pictures_in


@dataclass(frozen=True)
class Images(DataTask):
    """Pictures without labels (the Kodak set, say). ``data`` is required: there is no mini set of it."""

    layout = "a folder of pictures (PNG, JPEG, WebP, TIFF, PPM, ...)"

    @cached_property
    def root(self) -> Path:
        if self.data is None:
            raise UserError("task images needs a folder: give --data FOLDER, or the task as images(data='FOLDER')")
        path = Path(self.data).expanduser()
        if not path.exists():
            raise UserError(f"{path}: there is no such folder; {self.name} expects {self.layout}")
        return path

    @property
    def label(self) -> str:
        n = len(self.samples())
        return f"images {self.root.resolve().name}, {n} picture{'' if n == 1 else 's'}"

    def samples(self) -> list[Sample]:
        return self._samples

    @cached_property
    def _samples(self) -> list[Sample]:
        if self.root.is_file() and self.root.suffix.lower() in PICTURE_SUFFIXES:
            return [Sample(self.root.name, self.root)]
        if not self.root.is_dir():
            raise self.wrong_layout()
        paths = pictures_in(self.root)
        if not paths:
            folders = sorted(path for path in self.root.rglob("*") if path.is_dir())
            paths = [path for folder in folders for path in pictures_in(folder)]
        if not paths:
            raise self.wrong_layout()
        return [Sample(path.relative_to(self.root).as_posix(), path) for path in paths]

    def score(self, evidence: Mapping[str, Evidence]) -> dict[str, float]:
        """No metrics: rate and distortion are the harness's."""
        return {}
