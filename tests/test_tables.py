"""Tables of points and BD values, and their text."""

import csv
import io
import json

import pandas as pd
import pytest
from rich.console import Console
from synthetic_rows import JPEG, VVC, rows

from icm_bench import table_text
from icm_bench.bdrate import Curve, Options, bd_rate
from icm_bench.errors import UserError
from icm_bench.tables import build


@pytest.fixture(scope="module")
def made():
    return build(rows(), "vvc")


def coco():
    """The detector's rows."""
    return rows().query("task == 'coco'")


def test_points_are_ordered_and_complete(made):
    points = made[1].points
    assert len(points) == 30
    assert list(points.columns) == [
        *("method", "rate", "beta", "bpp", "psnr", "ms_ssim", "AP", "AP50"),
        *("n_classes", "n_pictures", "n_expected", "encode_ms", "decode_ms"),
    ]
    assert points.method[0] == "identity" and points.rate[0] == "lossless"
    assert list(points[points.method == "vvc"].rate) == ["qp 47", "qp 42", "qp 37", "qp 32", "qp 27"]
    rdc = points[points.method == "rdc"]
    assert list(rdc.rate)[:5] == ["gain 0"] * 5
    assert list(rdc.beta)[:5] == [0, 0.25, 0.5, 0.75, 1]
    assert points.encode_ms[0] == pytest.approx(1000 * 9.4 / 94)


def test_bd_values_are_those_of_the_curves(made):
    found = {(one.label, one.column): one for one in made[1].comparisons}
    jpeg = Curve(tuple(p[0] for p in JPEG), tuple(p[2] for p in JPEG))
    vvc = Curve(tuple(p[0] for p in VVC), tuple(p[2] for p in VVC))
    assert found["jpeg", "AP"].rate == bd_rate(vvc, jpeg)
    assert ("vvc", "AP") not in found
    assert found["rdc β=1", "psnr_mean"].rate.text() == "undefined: overlap 0 %"
    assert len(found) == 2 * 6


def test_options_reach_the_values():
    (akima,) = build(coco(), "vvc", Options("akima", sensitivity=False))
    (pchip,) = build(coco(), "vvc", Options("pchip", sensitivity=False))
    assert akima.comparisons[0].rate.value != pchip.comparisons[0].rate.value


def test_a_metric_that_falls_is_compared_the_right_way_round():
    falling = coco().assign(AP=lambda rows: 100 - rows.AP, higher_is_better=False)
    (down,), (up,) = build(falling, "vvc"), build(coco(), "vvc")
    for one, other in zip(down.comparisons, up.comparisons, strict=True):
        assert one.rate.value == pytest.approx(other.rate.value, abs=1e-6)
    assert any("lower is better" in note for note in down.notes)


def test_two_checkpoints_of_one_codec_are_two_curves():
    again = coco().query("method == 'rdc'").assign(checkpoint="ffff0000")
    (table,) = build(pd.concat([coco(), again]), "vvc")
    labels = {one.label for one in table.comparisons}
    assert {"rdc #ffff00 β=0", "rdc #a1b2c3 β=0"} <= labels


def test_an_anchor_may_be_one_beta():
    (found,) = build(coco(), "rdc@0")
    labels = {one.label for one in found.comparisons}
    assert "rdc β=0" not in labels and "rdc β=1" in labels
    with pytest.raises(UserError, match="no curve 'bpg'"):
        build(coco(), "bpg")


def test_an_anchor_need_not_be_in_every_group():
    held = rows()
    held = held[~((held.method == "vvc") & (held.task == "coco"))]
    cities, coco = build(held, "vvc")
    assert cities.comparisons and not coco.comparisons and coco.anchor is None


def test_real_and_estimated_bits_do_not_stand_in_one_table():
    held = coco()
    held.loc[held.method == "jpeg", "rate_kind"] = "estimated"
    for anchor in ("vvc", None):
        with pytest.raises(UserError, match="estimated and real do not share an axis"):
            build(held, anchor)


def test_models_count_what_the_grid_needs(made):
    models = made[0].models.set_index("method")
    assert models.loc["rdc", "rates"] == 4 and models.loc["rdc", "betas"] == 5
    assert models.loc["rdc", "checkpoints"] == 1 and models.loc["rdc", "parameters"] == 1_800_000
    assert "identity" not in models.index


def test_missing_pictures_and_errors_show():
    held = rows()
    partial = (held.method == "jpeg") & (held.rate == 10) & (held.task == "coco")
    held.loc[partial, ["n_pictures", "n_failed"]] = [91, 3]
    held.loc[partial, "error"] = "p1: encode: the program\nwas stopped"
    table = build(held)[1]
    assert "91 of 94" in table_text.markdown([table])
    assert table.notes == ("jpeg at quality 10: p1: encode: the program was stopped (and 2 more)",)


def test_a_cell_that_failed_altogether_stays_a_row():
    held = coco()
    gone = (held.method == "vvc") & (held.rate == 27)
    held.loc[gone, ["bpp", "psnr_mean", "AP", "mIoU", "score", "n_pictures"]] = [None] * 5 + [0]
    held.loc[gone, "error"] = "every picture failed"
    (table,) = build(held, "jpeg")
    assert "| vvc | qp 27 | – | – | – |" in table_text.markdown([table])
    assert "0 of 94" in table_text.markdown([table])


def test_curves_that_turn_back_are_named_below():
    held = coco()
    held.loc[(held.method == "jpeg") & (held.rate == 40), "AP"] = 20.0
    (table,) = build(held, "vvc")
    assert "jpeg, BD-rate (AP): test: not monotone, Pareto front of 3 of 4 points" in table.notes


def test_markdown_has_one_column_count(made):
    lines = table_text.markdown(made).splitlines()
    assert "## coco (built-in mini set, synthetic) · ssd-mini" in lines
    block = [line for line in lines if line.startswith("| jpeg | quality")]
    assert len(block) == 8 and len({line.count("|") for line in block[:4]}) == 1
    assert "AP against vvc:" in table_text.markdown(made)


def test_text_shows_the_first_metrics_and_csv_all():
    many = coco().assign(**{f"m{i}": float(i) for i in range(8)})
    (table,) = build(many)
    head = next(line for line in table_text.markdown([table]).splitlines() if "| method | rate |" in line)
    assert "| AP | AP50 | m0 | m1 | m2 | m3 | n_classes |" in head and "m4" not in head
    assert "m7" in table_text.csv([table]).partition("\n")[0]


def test_terminal_text_holds_every_point(made):
    console = Console(width=200, file=io.StringIO())
    console.print(table_text.terminal(made))
    text = console.file.getvalue()
    assert text.count("gain ") == 2 * 20
    assert "undefined: overlap 0 %" in text and "…" in text


def test_csv_and_json_give_the_rows_back(made):
    read = list(csv.DictReader(io.StringIO(table_text.csv(made))))
    assert len(read) == 60
    assert {float(row["bpp"]) for row in read if row["method"] == "jpeg"} == {p[0] for p in JPEG}
    held = json.loads(table_text.as_json(made))
    assert len(held["rows"]) == 60 and len(held["bd"]) == 24
    undefined = [one for one in held["bd"] if one["bd_rate_percent"]["value"] is None]
    assert undefined and all(one["bd_rate_percent"]["reason"] for one in undefined)


def test_nested_values_survive_csv():
    held = rows()
    held["layer_bytes"] = [{"main": 3}] * len(held)
    (first, *_) = csv.DictReader(io.StringIO(table_text.csv(build(held))))
    assert json.loads(first["layer_bytes"]) == {"main": 3}


def test_latex_is_escaped_and_ruled(made):
    text = table_text.latex(made)
    assert text.count("\\toprule") == text.count("\\bottomrule") == text.count("\\begin{tabular}")
    assert "$\\beta$" in text and "\\%" in text and "β" not in text
    odd = build(rows().replace({"method": {"jpeg": "a_b(c='x&y')"}}))
    assert "a\\_b(c=x\\&y)" in table_text.latex(odd)


def test_text_in_a_row_cannot_break_the_markdown():
    odd = build(rows().replace({"method": {"jpeg": "a(b='x|<script>')"}}))
    text = table_text.markdown(odd)
    assert "x\\|&lt;script>" in text and "<script" not in text


def test_rows_of_one_codec_without_any_number():
    empty = pd.DataFrame([{"method": "m", "rate": 1, "task": "t", "net": None, "data": "d", "error": "failed"}])
    (table,) = build(empty)
    assert table.notes == ("m at nan 1: failed",) or "failed" in table.notes[0]
    assert "| m |" in table_text.markdown([table])
