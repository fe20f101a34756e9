"""Cityscapes semantic segmentation: mIoU from one summed confusion matrix.

ROOT/leftImg8bit/val/CITY/NAME_leftImg8bit.png
ROOT/gtFine/val/CITY/NAME_gtFine_labelTrainIds.png   (made from NAME_gtFine_labelIds.png where it is missing)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from icm_bench.errors import UserError
from icm_bench.task import Evidence, Sample
from icm_bench.tasks._data import DataTask, file_digest
from icm_bench.tasks._nets import mini_names

if TYPE_CHECKING:
    import numpy as np

N_CLASSES = 19
VOID = 255
#: Cityscapes' official labelId of each trainId 0 .. 18 (road, sidewalk, building, ..., bicycle).
LABEL_IDS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
_PICTURE = "_leftImg8bit.png"


@dataclass(frozen=True)
class Cityscapes(DataTask):
    """Cityscapes fine annotations, 19 train ids.

    Evidence: the picture's confusion matrix without void, sparse: rows [label, prediction, pixels]. The
    matrices are summed; IoU of a class = TP / (TP + FP + FN), FP on labelled pixels only. Metrics in percent:

    - ``mIoU_present``: mean over the ``n_classes_present`` classes that occur in the labels. Predictions of
      other classes count as errors of the class they hide. The main metric: the data fixes its classes, so
      that two codecs never average over different ones; on the full set it equals mIoU.
    - ``mIoU``: mean over the ``n_classes`` classes whose union (label or prediction) is not empty, as
      cityscapesScripts (NaN for TP + FP + FN = 0, skipped in the average) and mmseg (nanmean) define it.
    - ``pixel_accuracy``: right pixels of all labelled ones.
    """

    net_kind = "segmentation"
    metrics = ("mIoU_present", "mIoU", "pixel_accuracy")
    mini_nets = mini_names("segmentation")
    expected = 500
    layout = "leftImg8bit/val/CITY/*_leftImg8bit.png and gtFine/val/CITY/*_gtFine_labelTrainIds.png (or labelIds)"
    archives = (
        ("leftImg8bit_trainvaltest.zip", "unzip -q leftImg8bit_trainvaltest.zip"),
        ("gtFine_trainvaltest.zip", "unzip -q gtFine_trainvaltest.zip"),
    )

    @cached_property
    def _samples(self) -> list[Sample]:
        folder = self.root / "leftImg8bit" / "val"
        paths = sorted(folder.glob(f"*/*{_PICTURE}"))
        if not paths or not (self.root / "gtFine" / "val").is_dir():
            raise self.wrong_layout(folder if folder.is_dir() and not paths else None)
        samples = [Sample(path.relative_to(folder).as_posix().removesuffix(_PICTURE), path) for path in paths]
        for index in sorted({0, len(samples) // 2, len(samples) - 1}):
            self._read_label(samples[index])  # wrong labels are told before anything is coded
        return samples

    def samples(self) -> list[Sample]:
        return self._samples

    def label_lines(self) -> Iterable[str]:
        return (file_digest(self._label_path(sample)) for sample in self._samples)

    def _label_path(self, sample: Sample) -> Path:
        """The picture's label file: train ids, or label ids where there are none."""
        stem = f"{sample.id}_gtFine_"
        for kind in ("labelTrainIds", "labelIds"):
            path = self.root / "gtFine" / "val" / f"{stem}{kind}.png"
            if path.is_file():
                return path
        raise UserError(
            f"{sample.path}: has no label; expected {stem}labelTrainIds.png or {stem}labelIds.png "
            f"in {self.root / 'gtFine' / 'val'}"
        )

    def _read_label(self, sample: Sample) -> np.ndarray:
        """The picture's train ids, uint8 (H, W), 255 for void."""
        import numpy as np
        from PIL import Image

        path = self._label_path(sample)
        try:
            with Image.open(path) as opened:
                label = np.asarray(opened)
        except (OSError, ValueError, SyntaxError) as error:
            raise UserError(f"{path}: cannot be read as a label picture ({error})") from error
        if label.ndim != 2 or label.dtype != np.uint8:
            raise UserError(f"{path}: expected one 8-bit channel of ids, found {label.dtype} {label.shape}")
        if path.name.endswith("labelIds.png"):
            return _train_ids(label, path)
        wrong = np.unique(label[(label >= N_CLASSES) & (label != VOID)])
        if wrong.size:
            raise UserError(
                f"{path}: holds id {wrong[0]}, train ids are 0 .. {N_CLASSES - 1} and {VOID}: these look "
                f"like label ids; remove or rename the file (train ids are made from *_gtFine_labelIds.png)"
            )
        return label

    def evidence(self, sample: Sample, output: Any) -> Evidence:
        import numpy as np

        label = self._read_label(sample)
        predicted = np.asarray(output)
        if predicted.shape != label.shape:
            raise UserError(f"picture {sample.id}: prediction is {predicted.shape}, its label {label.shape}")
        valid = label != VOID
        pairs = label[valid].astype(np.int64) * 256 + predicted[valid]
        counts = np.bincount(pairs)
        return [[int(pair // 256), int(pair % 256), int(counts[pair])] for pair in np.flatnonzero(counts)]

    def perfect(self, sample: Sample) -> np.ndarray:
        return self._read_label(sample)

    def score(self, evidence: Mapping[str, Evidence]) -> dict[str, float]:
        """mIoU_present, mIoU, pixel accuracy in percent, and class counts; only the counts without labels."""
        import numpy as np

        confusion = np.zeros((N_CLASSES, 256), np.int64)  # rows: labels, columns: predictions
        for key in self.known(evidence, (sample.id for sample in self._samples)):
            for label, predicted, pixels in evidence[key]:
                confusion[label, predicted] += pixels
        hits = np.diagonal(confusion).astype(np.float64)
        labelled = confusion.sum(1)
        union = labelled + confusion[:, :N_CLASSES].sum(0) - hits
        scores = {"n_classes": float((union > 0).sum()), "n_classes_present": float((labelled > 0).sum())}
        if labelled.sum() == 0:
            return scores
        iou = hits / np.maximum(union, 1)
        return {
            "mIoU_present": 100 * float(iou[labelled > 0].mean()),
            "mIoU": 100 * float(iou[union > 0].mean()),
            "pixel_accuracy": 100 * float(hits.sum() / labelled.sum()),
            **scores,
        }

    def resampled(self, evidence: Mapping[str, Evidence], counts: np.ndarray) -> dict[str, np.ndarray]:
        """Metrics of summed confusion matrices; a class that a draw lacks is left out of its mean."""
        import numpy as np

        confusion = np.zeros((len(evidence), N_CLASSES, N_CLASSES + 1))
        for index, pairs in enumerate(evidence.values()):
            for label, predicted, pixels in pairs:
                confusion[index, label, min(predicted, N_CLASSES)] += pixels
        total = (counts @ confusion.reshape(len(confusion), -1)).reshape(len(counts), N_CLASSES, N_CLASSES + 1)
        hits, labelled = np.diagonal(total, axis1=1, axis2=2), total.sum(2)
        union = labelled + total[:, :, :N_CLASSES].sum(1) - hits
        with np.errstate(invalid="ignore", divide="ignore"):
            iou = hits / union
            return {
                "mIoU_present": 100 * np.where(labelled > 0, iou, 0).sum(1) / (labelled > 0).sum(1),
                "mIoU": 100 * np.where(union > 0, iou, 0).sum(1) / (union > 0).sum(1),
                "pixel_accuracy": 100 * hits.sum(1) / labelled.sum(1),
            }


def _train_ids(label: np.ndarray, path: Path) -> np.ndarray:
    """Train ids from label ids by Cityscapes' official table."""
    import numpy as np

    if label.max(initial=0) > max(LABEL_IDS) and np.any((label > max(LABEL_IDS)) & (label != VOID)):
        raise UserError(f"{path}: holds id {label[label != VOID].max()}, Cityscapes label ids end at 33")
    seen = np.unique(label)
    if VOID in seen and seen[0] < min(LABEL_IDS) and not np.any((seen >= N_CLASSES) & (seen != VOID)):
        raise UserError(
            f"{path}: holds {VOID} and no id from {N_CLASSES} to 33: these look like train ids; name the file "
            f"*_gtFine_labelTrainIds.png"
        )
    table = np.full(256, VOID, np.uint8)
    table[list(LABEL_IDS)] = np.arange(N_CLASSES)
    return table[label]
