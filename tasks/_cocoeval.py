"""Box and mask AP and AR as pycocotools' COCOeval defines them, on data in memory, by faster-coco-eval."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

AREAS = ("", "_small", "_medium", "_large")  # the order of COCOeval's area ranges, the first is all


def box_metrics(
    truth: Mapping[str, Sequence[Mapping[str, Any]]],
    boxes: Mapping[str, Sequence[Sequence[Any]]],
    categories: Sequence[int],
) -> dict[str, float]:
    """COCO's box metrics in percent.

    truth: annotations (bbox [x, y, w, h], area, category_id, iscrowd) by picture; boxes: rows
    [x, y, w, h, score, category_id, ...] for the same pictures. Metrics without any label to find are left out.
    """
    if not truth:
        return {}
    with _no_collection():
        dataset, results = dataset_of(truth, boxes, categories, sorted(truth))
        evaluated = _evaluate(dataset, {**dataset, "annotations": results}, "bbox")
    recall = evaluated["recall"]  # (10 IoU, categories, 4 areas, 3 limits)
    values = _precisions(evaluated["precision"])
    values |= {f"AR_{limit}": recall[:, :, 0, m] for m, limit in enumerate((1, 10, 100))}
    values |= {f"AR{area}": recall[:, :, a, 2] for a, area in enumerate(AREAS) if area}
    return _means(values)


def mask_metrics(
    truth: Mapping[str, Sequence[Mapping[str, Any]]],
    rows: Mapping[str, Sequence[Sequence[Any]]],
    categories: Sequence[int],
    sizes: Mapping[str, tuple[int, int]],
) -> dict[str, float]:
    """COCO's mask AP in percent, under names that begin with ``segm_``.

    truth: annotations with "segmentation" too; rows: [x, y, w, h, score, category_id, run lengths] where the last is
    COCO's compressed text; sizes: (height, width) by picture.
    """
    if not truth:
        return {}
    with _no_collection():
        evaluated = _evaluate(*_with_masks(truth, rows, categories, sizes), "segm")
    found = _means(_precisions(evaluated["precision"]))
    return {f"segm_{name}": value for name, value in found.items()}


def _with_masks(
    truth: Mapping[str, Sequence[Mapping[str, Any]]],
    rows: Mapping[str, Sequence[Sequence[Any]]],
    categories: Sequence[int],
    sizes: Mapping[str, tuple[int, int]],
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """As ``dataset_of``, with masks in place of boxes."""
    order = sorted(truth)
    dataset, results = dataset_of(truth, rows, categories, order)
    for number, key in enumerate(order, 1):
        dataset["images"][number - 1] |= {"id": number, "height": sizes[key][0], "width": sizes[key][1]}
    shapes = (annotation["segmentation"] for key in order for annotation in truth[key])
    for label, shape in zip(dataset["annotations"], shapes, strict=True):
        label["segmentation"] = shape
    masks = ((key, row[6]) for key in order for row in rows[key])
    for result, (key, counts) in zip(results, masks, strict=True):
        del result["id"], result["area"], result["iscrowd"], result["bbox"]
        result["segmentation"] = {"size": list(sizes[key]), "counts": counts}
    return dataset, results


def _precisions(precision: Any) -> dict[str, Any]:
    """Each AP's share of the precision array (10 IoU, 101 recalls, categories, 4 areas, 3 limits)."""
    values = {f"AP{area}": precision[:, :, :, a, 2] for a, area in enumerate(AREAS)}
    return values | {"AP50": precision[0, :, :, 0, 2], "AP75": precision[5, :, :, 0, 2]}


def _means(values: Mapping[str, Any]) -> dict[str, float]:
    """Means in percent over what has a label; -1 marks what has none."""
    return {key: 100 * float(value[value > -1].mean()) for key, value in values.items() if (value > -1).any()}


@contextmanager
def _no_collection() -> Iterator[None]:
    """Python's cycle collector looks again and again at half a million dictionaries, without a cycle among them."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _evaluate(dataset: dict[str, Any], results: dict[str, Any] | list[dict[str, Any]], kind: str) -> dict[str, Any]:
    """The precision and recall arrays of COCOeval. results: a whole dataset, or a list of what ``loadRes`` completes;
    kind: "bbox" or "segm".
    """
    from faster_coco_eval import COCO, COCOeval_faster

    known = COCO(dataset, print_function=_silent)
    found = COCO(results, print_function=_silent) if isinstance(results, dict) else known.loadRes(results)
    evaluator = COCOeval_faster(known, found, kind, print_function=_silent, separate_eval=True)
    evaluator.evaluate()
    evaluator.accumulate()
    return dict(evaluator.eval)


def dataset_of(
    truth: Mapping[str, Sequence[Mapping[str, Any]]],
    boxes: Mapping[str, Sequence[Sequence[float]]],
    categories: Sequence[int],
    order: Sequence[str],
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The annotations as COCO's dictionary and the boxes as its list of results, pictures numbered in this order."""
    keys = {key: number for number, key in enumerate(order, 1)}
    labels = [
        {
            "id": number,  # from 1: COCOeval takes 0 for "not matched"
            "image_id": keys[key],
            "category_id": int(annotation["category_id"]),
            "iscrowd": int(annotation.get("iscrowd", 0)),
            "bbox": list(annotation["bbox"]),
            "area": float(annotation["area"]),
        }
        for number, (key, annotation) in enumerate(((key, a) for key in keys for a in truth[key]), 1)
    ]
    results: list[dict[str, Any]] = [
        {
            "id": number,
            "image_id": keys[key],
            "category_id": int(row[5]),
            "bbox": list(row[:4]),
            "area": float(row[2]) * float(row[3]),
            "iscrowd": 0,
            "score": float(row[4]),
        }
        for number, (key, row) in enumerate(((key, row) for key in keys for row in boxes[key]), 1)
    ]
    dataset = {
        "images": [{"id": number} for number in keys.values()],
        "annotations": labels,
        "categories": [{"id": category, "name": str(category)} for category in categories],
    }
    return dataset, results


def _silent(*_: object) -> None:
    """Swallows the evaluator's progress lines."""
