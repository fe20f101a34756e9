"""COCO object detection: box AP (and mask AP, for nets with masks) with the semantics of pycocotools.

ROOT/val2017/000000000139.jpg
ROOT/annotations/instances_val2017.json
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from icm_bench.errors import UserError
from icm_bench.task import ORIG, Evidence, Sample, View
from icm_bench.tasks import _views
from icm_bench.tasks._cocoeval import box_metrics, mask_metrics
from icm_bench.tasks._data import DataTask, digest, read_json
from icm_bench.tasks._nets import mini_names

if TYPE_CHECKING:
    import numpy as np

    from icm_bench.task import Image

MAX_BOXES = 100
_KEYS = ("images", "annotations", "categories")


@dataclass(frozen=True)
class Coco(DataTask):
    """COCO val2017 detection.

    Evidence: at most 100 rows [x, y, w, h, score, category_id], best first, in pixels rounded to 0.01; a net with
    masks adds each one's run lengths as COCO's compressed text.
    Metrics in percent: ``AP`` (mean over IoU 0.50:0.95 and categories), ``AP50``, ``AP75``, ``AP_small`` (area under
    32x32), ``AP_medium``, ``AP_large`` (over 96x96), ``AR_1``, ``AR_10``, ``AR_100`` (boxes per picture),
    ``AR_small``, ``AR_medium``, ``AR_large``; ``segm_AP`` and so on for masks. Crowd regions are matched but never
    counted. An area range without labels is left out.
    """

    net_kind = "detection"
    metrics = (
        "AP", "AP50", "AP75", "AP_small", "AP_medium", "AP_large",
        "AR_1", "AR_10", "AR_100", "AR_small", "AR_medium", "AR_large",
        "segm_AP", "segm_AP50", "segm_AP75", "segm_AP_small", "segm_AP_medium", "segm_AP_large",
    )  # fmt: skip
    mini_nets = mini_names("detection")
    default_nets = ("torchvision:fasterrcnn_resnet50_fpn",)
    profiles = (ORIG, _views.PROFILE)
    expected = 5000
    layout = "val2017/ with pictures and annotations/instances_val2017.json"
    archives = (
        ("val2017.zip", "unzip -q val2017.zip"),
        ("annotations_trainval2017.zip", "unzip -q annotations_trainval2017.zip"),
    )

    @property
    def split(self) -> str:
        return "val2017"

    @cached_property
    def _labels(self) -> dict[str, Any]:
        """The annotation file: images, annotations, categories."""
        path = self.root / "annotations" / "instances_val2017.json"
        if not path.is_file() or not (self.root / "val2017").is_dir():
            raise self.wrong_layout()
        labels = read_json(path)
        missing = [key for key in _KEYS if not isinstance(labels, dict) or not isinstance(labels.get(key), list)]
        if missing:
            raise UserError(f"{path}: expected COCO's lists {', '.join(_KEYS)}; {', '.join(missing)} missing")
        return {key: labels[key] for key in _KEYS}

    @cached_property
    def _samples(self) -> list[Sample]:
        folder = self.root / "val2017"
        images = sorted(self._labels["images"], key=lambda image: image["id"])
        samples = [Sample(str(image["id"]), folder / image["file_name"]) for image in images]
        present = [sample for sample in samples if sample.path.is_file()]
        if not present:
            raise UserError(
                f"{folder}: none of the {len(samples)} pictures that instances_val2017.json names is there "
                f"(the first is {samples[0].path.name})"
                if samples
                else f"{folder}: the annotations name no picture"
            )
        return present

    def samples(self) -> list[Sample]:
        return self._samples

    def label_lines(self) -> Iterable[str]:
        for a in self._labels["annotations"]:
            yield f"{a['image_id']}\t{a['category_id']}\t{a['bbox']}\t{a['area']}\t{a.get('iscrowd', 0)}"
        yield digest(str(category["id"]) for category in self._labels["categories"])

    @cached_property
    def _truth(self) -> dict[str, list[dict[str, Any]]]:
        """Annotations by sample id."""
        truth: dict[str, list[dict[str, Any]]] = {sample.id: [] for sample in self._samples}
        for annotation in self._labels["annotations"]:
            truth.setdefault(str(annotation["image_id"]), []).append(annotation)
        return truth

    def view(self, picture: Image, profile: str) -> View:
        return _views.detector_input(picture) if profile == _views.PROFILE else super().view(picture, profile)

    def restore(self, output: Any, view: View) -> Any:
        return output if view.size == view.original else _views.boxes_restored(output, view)

    def evidence(self, sample: Sample, output: Any) -> Evidence:
        best = sorted(range(len(output["scores"])), key=lambda index: -float(output["scores"][index]))[:MAX_BOXES]
        rows: list[list[Any]] = [
            _row(output["scores"][index], output["boxes"][index], output["labels"][index], sample.id)
            for index in best
        ]
        if "masks" in output:
            for row, index in zip(rows, best, strict=True):
                row.append(_run_lengths(output["masks"][index]))
        return rows

    def perfect(self, sample: Sample) -> dict[str, Any]:
        truth = [one for one in self._truth[sample.id] if not one.get("iscrowd", 0)]
        boxes = [(x, y, x + width, y + height) for x, y, width, height in (one["bbox"] for one in truth)]
        return {"boxes": boxes, "scores": [1.0] * len(boxes), "labels": [one["category_id"] for one in truth]}

    def score(self, evidence: Mapping[str, Evidence]) -> dict[str, float]:
        """Metrics in percent over the pictures in the evidence; ranges without labels are left out."""
        order = self.known(evidence, (sample.id for sample in self._samples))
        truth = {key: self._truth[key] for key in order}
        found = {key: evidence[key] for key in order}
        categories = [int(category["id"]) for category in self._labels["categories"]]
        scores = box_metrics(truth, found, categories)
        if any(len(row) > 6 for rows in found.values() for row in rows):
            scores |= mask_metrics(truth, found, categories, self._sizes)
        return scores

    @cached_property
    def _sizes(self) -> dict[str, tuple[int, int]]:
        """(height, width) of each picture, as the annotations say."""
        return {str(image["id"]): (image["height"], image["width"]) for image in self._labels["images"]}

    def resampled(self, evidence: Mapping[str, Evidence], counts: np.ndarray) -> dict[str, np.ndarray]:
        """The box metrics; boxes are matched once."""
        from icm_bench.tasks._resampled_ap import resampled_metrics

        categories = [int(category["id"]) for category in self._labels["categories"]]
        return resampled_metrics({key: self._truth[key] for key in evidence}, evidence, categories, counts)


def _row(score: Any, box: Any, label: Any, sample_id: str) -> list[float]:
    x1, y1, x2, y2 = (float(value) for value in box)
    if not all(math.isfinite(value) for value in (x1, y1, x2, y2, float(score))):
        raise UserError(f"picture {sample_id}: the network gave a box that is not finite")
    return [
        round(x1, 2),
        round(y1, 2),
        round(x2 - x1, 2),
        round(y2 - y1, 2),
        round(float(score), 6),
        int(label),
    ]


def _run_lengths(mask: Any) -> str:
    """COCO's compressed run lengths of a boolean (H, W) mask."""
    import numpy as np
    from pycocotools.mask import encode

    return str(encode(np.asfortranarray(mask, dtype=np.uint8))["counts"].decode("ascii"))
