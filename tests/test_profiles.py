"""Profiles: what is coded, what it is counted over, and what may stand side by side."""

import math

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from icm_bench import curves, plan, plots, registry, rows, runner, tables
from icm_bench.errors import UserError
from icm_bench.request import Request
from icm_bench.store import Store
from icm_bench.task import View
from icm_bench.tasks import _views
from icm_bench.testing import textured_picture


@pytest.fixture(scope="module")
def found():
    """Rows of two tasks and two codecs under both profiles, three pictures each."""
    held = []
    with Store(None) as store:
        for profile in ("orig", "transtic"):
            request = Request(("hyperprior", "jpeg"), ("coco", "imagenet"), rates=(2.0,), limit=3, profile=profile)
            made = plan.build(request, store)
            for _ in runner.run(made, store):
                pass
            held += rows.rows(store, made)
    assert [row["error"] for row in held] == [None] * len(held)
    return held


def pick(found, **wanted):
    return [row for row in found if all(row[key] == value for key, value in wanted.items())]


def test_orig_counts_over_the_pictures_as_they_are(found):
    for row in pick(found, profile="orig"):
        assert row["pixels_input"] == row["pixels_coded"] == row["pixels_orig"]
        assert row["bpp_input"] == row["bpp"] and row["bpp_input_mean"] == row["bpp_mean"]
        assert row["bpp_estimated_mean"] is None


def test_transtic_says_over_which_pixels(found):
    task = registry.task("coco")
    for row in pick(found, profile="transtic", task="coco"):
        sizes = [sample.read().shape[:2] for sample in task.samples()[:3]]
        views = [_views.detector_size(*size) for size in sizes]
        assert row["pixels_orig"] == sum(map(math.prod, sizes))
        assert row["pixels_input"] == sum(map(math.prod, views))
        assert row["pixels_coded"] == sum(math.prod(-(-side // 256) * 256 for side in view) for view in views) or (
            row["lossless"] or row["pixels_coded"] > row["pixels_input"]
        )
        assert row["bpp"] == pytest.approx(8 * row["n_bytes"] / row["pixels_orig"])
        assert row["bpp_input"] == pytest.approx(8 * row["n_bytes"] / row["pixels_input"])
    for row in pick(found, profile="transtic", task="imagenet"):
        assert row["pixels_input"] == row["pixels_coded"] == 3 * 256 * 256


def test_boxes_come_back_in_pixels_of_the_original():
    """The net sees pictures enlarged three times; its boxes lie in the file's own."""
    with Store(None) as store:
        request = Request(("identity",), ("coco",), ("mini-ssdlite",), limit=2, profile="transtic")
        made = plan.build(request, store)
        for _ in runner.run(made, store):
            pass
        (row,) = rows.rows(store, made)
        evidence = rows.evidence(store, row["key"])
    assert row["psnr_mean"] is None and row["n_exact"] == 2
    for sample in made.corpora[0].samples:
        height, width = sample.read().shape[:2]
        boxes = np.array([box[:4] for box in evidence[sample.id]])
        ends = (boxes[:, :2] + boxes[:, 2:]).max(0)
        assert len(boxes) > 5 and 0.4 < ends[0] / width < 1.01 and 0.4 < ends[1] / height < 1.01


def test_estimated_bits_stand_beside_the_real_ones_and_near_them(found):
    for row in pick(found, profile="transtic", method="hyperprior"):
        assert row["bpp_estimated_mean"] == pytest.approx(row["bpp_input_mean"], rel=0.03)
        assert row["bpp_estimated_mean"] < row["bpp_input_mean"]  # no header, no rounding to whole words
        assert row["rate_kind"] == "real"
    assert all(row["bpp_estimated_mean"] is None for row in pick(found, method="jpeg"))


def test_two_profiles_in_one_table_or_plot_are_refused(found):
    held = pd.DataFrame(found)
    with pytest.raises(UserError, match=r"orig and transtic do not share an axis .*--profile orig"):
        tables.build(held)
    with pytest.raises(UserError, match="orig and transtic do not share an axis"):
        plots.draw(held)
    one = held[held["profile"] == "transtic"]
    (table, *_) = tables.build(one)
    assert "bpp_input_mean" in table.points.columns and "bpp" not in table.points.columns
    labels = {plot.figure.axes[0].get_xlabel() for plot in plots.draw(one) if "rate" in plot.name}
    assert labels == {"rate (bits per input pixel, mean over pictures, log scale)"}
    assert {curves.bits_column(part) for part in (one, held[held["profile"] == "orig"])} == {"bpp_input_mean", "bpp"}


def test_a_task_without_the_profile_says_which_it_has():
    with Store(None) as store, pytest.raises(UserError, match="task cityscapes has no such profile, only orig"):
        plan.build(Request(("jpeg",), ("cityscapes",), profile="transtic"), store)


@pytest.mark.parametrize(
    ("size", "expected"),
    [((480, 640), (800, 1067)), ((640, 480), (1067, 800)), ((427, 640), (800, 1199)), ((300, 900), (444, 1333))],
)
def test_the_detectors_input_is_detectron2s(size, expected):
    assert _views.detector_size(*size) == expected
    detectron2 = pytest.importorskip("detectron2", reason="detectron2 is not installed")
    assert detectron2
    from detectron2.data.transforms import ResizeShortestEdge

    picture = textured_picture(*size)
    own = ResizeShortestEdge([800, 800], 1333).get_transform(picture).apply_image(picture)
    view = _views.detector_input(picture)
    np.testing.assert_array_equal(view.shown, own)
    assert view.coded.shape[0] % 256 == view.coded.shape[1] % 256 == 0 and view.original == size
    assert not view.coded[view.size[0] :].any() and not view.coded[:, view.size[1] :].any()


def test_the_square_is_torchvisions():
    from torchvision import transforms

    picture = textured_picture(200, 301)
    own = transforms.Compose([transforms.Resize(256), transforms.CenterCrop(256)])(Image.fromarray(picture))
    np.testing.assert_array_equal(_views.square(picture).coded, np.asarray(own))


def test_masks_and_boxes_are_scaled_back():
    view = View(np.zeros((256, 512, 3), np.uint8), (200, 400), (100, 100))
    mask = np.zeros((200, 400), bool)
    mask[50:150, 100:300] = True
    output = {"boxes": np.array([[100.0, 50.0, 300.0, 150.0]]), "masks": mask[None], "scores": [1], "labels": [1]}
    back = _views.boxes_restored(output, view)
    np.testing.assert_allclose(back["boxes"], [[25, 25, 75, 75]])
    expected = np.zeros((100, 100), bool)
    expected[25:75, 25:75] = True
    np.testing.assert_array_equal(back["masks"][0], expected)
    assert _views.boxes_restored({"boxes": np.zeros((0, 4))}, view)["boxes"].shape == (0, 4)


def test_scales_of_the_vcm_conditions_are_methods_of_their_own():
    request = Request(("vvc",), ("imagenet",), rates=(47.0,), limit=1, coded_scales=(100, 50), reference=None)
    with Store(None) as store:
        made = plan.build(request, store)
        assert [method.spec for method in made.methods] == ["vvc", "vvc(scale=50)"]
        for _ in runner.run(made, store):
            pass
        full, half, *_ = {row["method"]: row for row in rows.rows(store, made)}.values()
    assert full["pixels_coded"] / full["pixels_orig"] == pytest.approx(1, rel=0.03)  # padded to even sides
    assert half["pixels_coded"] / half["pixels_orig"] == pytest.approx(0.25, rel=0.05)
    assert half["bpp_coded"] == pytest.approx(8 * half["n_bytes"] / half["pixels_coded"])
    assert half["bpp"] < full["bpp"]
    for scales, said in (((33,), "--coded-scale: 33 is not one of 100, 75, 50, 25"), ((75.5,), r"75\.5 is not one")):
        with Store(None) as store, pytest.raises(UserError, match=said):
            plan.build(Request(("vvc",), ("imagenet",), coded_scales=scales), store)
    with Store(None) as store, pytest.raises(UserError, match="--coded-scale: jpeg does not scale pictures"):
        plan.build(Request(("jpeg",), ("imagenet",), coded_scales=(50,)), store)
