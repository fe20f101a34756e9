"""Groups, axes and curves from rows."""

import pandas as pd
import pytest
from synthetic_rows import BOTH, COCO, PRIMARY, rows

from icm_bench.curves import (
    beta_label,
    find_series,
    groups,
    method_labels,
    one_axis,
    series,
    short_spec,
)
from icm_bench.errors import UserError


def test_groups_are_by_task_net_and_data():
    found = groups(rows())
    assert [(group.task, group.net, group.slug) for group in found] == [
        ("cityscapes", "unet-mini", "cityscapes-unet-mini"),
        ("coco", "ssd-mini", "coco-ssd-mini"),
    ]
    assert found[1].data == COCO
    assert found[1].main_metric == "AP" and found[1].metrics == ["AP", "AP50"]
    assert found[0].metrics == ["mIoU"] and found[0].counts == ["n_classes"]


def test_metrics_come_in_the_tasks_own_order():
    coco = rows().query("task == 'coco'")[["AP", "AP50", *rows().columns.drop(["AP", "AP50"])]]
    (known,) = groups(coco.assign(AP_large=1.0, AP75=2.0, other=3.0))
    assert known.metrics == ["AP", "AP50", "AP75", "AP_large", "other"]
    (foreign,) = groups(coco.assign(task="birds", other=3.0))
    assert foreign.metrics == ["AP", "AP50", "other"]


def test_other_pictures_make_another_group():
    few = rows().assign(n_expected=10, n_pictures=10)
    found = groups(pd.concat([rows(), few]))
    assert len(found) == 4
    assert len({group.slug for group in found}) == 4


def test_curves_are_by_method_and_beta():
    coco = groups(rows())[1]
    found = series(coco.rows)
    assert [beta_label(one.label, one.beta) for one in found] == [
        *("jpeg", "rdc β=0", "rdc β=0.25", "rdc β=0.5", "rdc β=0.75", "rdc β=1", "vvc")
    ]
    assert tuple(found[1].rows.bpp) == tuple(point[0] for point in BOTH)
    assert found[5].curve("AP").rates == tuple(point[0] for point in PRIMARY)


def test_points_without_a_value_are_left_out_of_a_curve():
    held = rows()
    held.loc[(held.method == "jpeg") & (held.rate == 10), "AP"] = None
    jpeg = series(groups(held)[1].rows)[0]
    assert len(jpeg.curve("AP").rates) == 3


@pytest.mark.parametrize(
    ("column", "value", "says"),
    [
        ("profile", "transtic", "orig and transtic do not share an axis"),
        ("rate_kind", "estimated", "estimated bits are no real bytes"),
        ("pixels_orig", 1000, "two denominators"),
        ("bpp", 9.0, "not its bytes over original pixels"),
    ],
)
def test_what_does_not_belong_on_one_axis_is_refused(column, value, says):
    held = groups(rows())[1].rows
    one_axis(held, "here")
    held.loc[held.method == "jpeg", column] = value
    with pytest.raises(UserError, match=says):
        one_axis(held, "here")


def test_pictures_that_failed_are_no_other_denominator():
    held = groups(rows())[1].rows
    partial = (held.method == "jpeg") & (held.rate == 10)
    for column, value in (("n_failed", 3), ("pixels_orig", 8000), ("n_bytes", 350)):
        held.loc[partial, column] = value
    one_axis(held, "here")


def test_anchors():
    found = series(groups(rows())[1].rows)
    assert find_series(found, "vvc").method == "vvc"
    assert find_series(found, "rdc@0.5").beta == 0.5
    with pytest.raises(UserError, match="names 5 curves: say which one of rdc@0, "):
        find_series(found, "rdc")
    with pytest.raises(UserError, match="no curve 'bpg' here: there are jpeg, rdc, vvc"):
        find_series(found, "bpg")


def test_a_pattern_pools_curves():
    held = rows()
    half = held[held.method == "vvc"].assign(method="vvc(scale=50)")
    found = series(groups(pd.concat([held, half]))[1].rows)
    assert len(find_series(found, "vvc*").rows) == 10
    assert len(find_series(found, "vvc").rows) == 5
    with pytest.raises(UserError, match="names 6 curves"):
        find_series(found, "*c")


def test_short_names():
    assert short_spec("rdc(checkpoint='/a/b/mine.safetensors', n=3)") == "rdc(checkpoint=mine.safetensors, n=3)"
    assert short_spec("onnx:/models/yolox.onnx") == "onnx:yolox.onnx"
    held = groups(rows())[1].rows
    again = held[held.method == "rdc"].assign(checkpoint="ffff0000")
    names = method_labels(pd.concat([held, again]))
    assert names[("rdc", "ffff0000")] == "rdc #ffff00" and names[("vvc", "")] == "vvc"


def test_two_versions_of_one_spec_go_by_their_labels():
    held = rows()
    again = held[held["method"] == "jpeg"].assign(checkpoint="9f" * 32)
    found = series(pd.concat([held, again]))
    with pytest.raises(UserError, match=r"say which one of jpeg #, jpeg #9f9f9f"):
        find_series(found, "jpeg")
    assert set(find_series(found, "jpeg #9f9f9f").rows["checkpoint"]) == {"9f" * 32}
