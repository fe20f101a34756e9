"""Fronts over the scales of a codec: which points stay, in tables, BD values and figures."""

import pandas as pd
import pytest
from synthetic_rows import row, rows
from typer.testing import CliRunner

from icm_bench import plots, tables
from icm_bench.bdrate import Curve, bd_rate
from icm_bench.cli import app
from icm_bench.curves import find_series, groups, series
from icm_bench.pareto import fronts, joined

#: bpp, PSNR, AP of the same codec at half the side: better below 0.2 bpp, worse above.
HALF = [(0.05, 23.0, 21.0), (0.1, 24.5, 25.5), (0.23, 25.5, 26.0), (0.4, 26.0, 26.2)]


def scaled() -> pd.DataFrame:
    """The detector's rows, with VVC at two scales."""
    held = rows().query("task == 'coco'")
    like = held[held.method == "vvc"].iloc[0].to_dict()
    half = [
        like | row("vvc(scale=50)", "qp", qp, None, point) | {"AP": point[2], "score": point[2]}
        for qp, point in zip((42, 37, 32, 27), HALF, strict=True)
    ]
    return pd.concat([held, pd.DataFrame.from_records(half)], ignore_index=True)


@pytest.fixture
def group():
    (made,) = groups(scaled())
    return made


def test_the_front_is_what_no_other_point_of_the_codec_beats(group) -> None:
    front = find_series(fronts(group, "AP"), "vvc")
    assert front.label == "vvc, 2 scales"
    assert front.curve("AP") == Curve((0.05, 0.1, 0.225, 0.439, 0.782, 1.309), (21.0, 25.5, 28.4, 28.7, 29.0, 29.2))
    assert list(front.rows.method) == ["vvc(scale=50)"] * 2 + ["vvc"] * 4


def test_each_column_has_its_own_front(group) -> None:
    front = find_series(fronts(group, "psnr_mean"), "vvc")
    assert list(front.rows.psnr_mean) == [23.0, 24.5, 25.9, 28.3, 30.6, 33.0, 35.2]


def test_a_metric_that_falls_has_its_front_below() -> None:
    (group,) = groups(scaled().assign(AP=lambda held: 100 - held.AP, higher_is_better=False))
    front = find_series(fronts(group, "AP"), "vvc")
    assert list(front.rows.AP) == [79.0, 74.5, 71.6, 71.3, 71.0, 70.8]


def test_curves_that_differ_in_more_than_scale_stay_apart(group) -> None:
    other = scaled().assign(method=lambda held: held.method.replace("vvc(scale=50)", "vvc(preset='fast',scale=50)"))
    (apart,) = groups(other)
    assert len(joined(series(apart.rows))) == len(joined(series(group.rows))) + 1
    assert sum(one.method.startswith("rdc") for one in fronts(group, "AP")) == 5, "each beta is a curve of its own"


def test_tables_show_the_front_and_compare_with_it() -> None:
    (made,) = tables.build(scaled(), "vvc", pareto=True)
    vvc = made.points[made.points.method.str.startswith("vvc")]
    assert list(vvc.method) == ["vvc"] * 4 + ["vvc(scale=50)"] * 2
    assert made.points.rate[0] == "lossless"
    assert any("Pareto fronts over rate and scale: 31 of 34 points" in note for note in made.notes)
    jpeg = next(one for one in made.comparisons if (one.label, one.column) == ("jpeg", "AP"))
    (group,) = groups(scaled())
    curves = [find_series(fronts(group, "AP"), name).curve("AP") for name in ("vvc", "jpeg")]
    assert jpeg.rate.value == bd_rate(*curves).value
    (plain,) = tables.build(scaled(), "vvc")
    assert jpeg.rate.value != next(one for one in plain.comparisons if one.label == "jpeg").rate.value


def test_figures_name_one_curve_for_all_scales() -> None:
    drawn = plots.draw(scaled(), plots.Look(anchor="vvc", pareto=True), ("rate-metric", "difference"))
    assert len(drawn) == 3
    text = {one.get_text() for plot in drawn for one in plot.figure.findobj() if hasattr(one, "get_text")}
    assert any("vvc, 2 scales" in one for one in text) and not any("scale=50" in one for one in text)
    assert any("Pareto fronts" in one for one in text)


def test_both_commands_take_the_flag(tmp_path) -> None:
    path = tmp_path / "rows.csv"
    scaled().to_csv(path, index=False)
    run = CliRunner().invoke
    shown = run(app, ["table", "--out", str(path), "--pareto", "--format", "csv"])
    assert shown.exit_code == 0, shown.output
    drawn = run(app, ["plot", "--out", str(path), "--pareto", "--kind", "rate-metric", "--to", str(tmp_path / "p")])
    assert drawn.exit_code == 0 and ".png" in drawn.output, drawn.output
