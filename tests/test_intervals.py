"""Intervals in tables: of each figure, of each BD value; kept in the store; absent where they cannot be."""

import json
import shutil

import pandas as pd
import pytest
from command import call

from icm_bench import plan, rows, runner, table_text, tables
from icm_bench.bootstrap import Plan
from icm_bench.request import Request
from icm_bench.resampling import Sampler
from icm_bench.store import Store


@pytest.fixture(scope="module")
def once(tmp_path_factory):
    """A store with two codecs' curves of four points on twelve pictures of the mini world."""
    path = tmp_path_factory.mktemp("measured") / "store.sqlite"
    with Store(path) as store:
        for method, rates in (("jpeg", (5, 10, 20, 40)), ("hyperprior(variable=True)", (0, 1.5, 3, 5))):
            request = Request((method,), ("imagenet",), ("mini-mobilenet",), rates=rates, limit=12, data="mini")
            for _ in runner.run(plan.build(request, store), store):
                pass
    return path


@pytest.fixture
def measured(once, tmp_path):
    shutil.copy(once, tmp_path / "store.sqlite")
    return tmp_path / "store.sqlite"


def test_every_figure_of_a_row_is_within_its_interval(measured):
    with Store(measured) as store:
        found = Sampler(store, Plan(200)).with_bounds(rows.load(measured))
    for name in ("bpp", "top1", "top5"):
        assert (found[f"{name}_low"] <= found[name]).all() and (found[name] <= found[f"{name}_high"]).all(), name
    assert (found["bpp_low"] < found["bpp_high"]).all()


def test_what_was_drawn_is_kept_and_gives_the_same(measured, monkeypatch):
    held = rows.load(measured)
    with Store(measured) as store:
        first = Sampler(store, Plan(200)).with_bounds(held)
    with Store(measured) as store:
        monkeypatch.setattr("icm_bench.records.read", None)  # nothing is read again
        again = Sampler(store, Plan(200)).with_bounds(held)
    numbers = first.select_dtypes("number").columns
    pd.testing.assert_frame_equal(first[numbers], again[numbers], rtol=1e-6)
    with Store(measured) as store, pytest.raises(TypeError):
        Sampler(store, Plan(300)).with_bounds(held)  # another plan needs them


def test_a_table_shows_them_and_its_csv_holds_them(measured, capsys):
    status, text, _ = call(["table", "--out", measured.parent, "--anchor", "jpeg", "--format", "markdown"], capsys)
    assert status == 0 and text.count("| 95 % |") >= 2
    status, text, _ = call(["table", "--out", measured.parent, "--format", "csv"], capsys)
    (measured.parent / "rows.csv").write_text(text)
    held = pd.read_csv(measured.parent / "rows.csv")
    assert {"top1_low", "top1_high", "bpp_low", "psnr_mean_high"} <= set(held.columns)
    status, text, _ = call(["table", "--out", measured.parent / "rows.csv", "--format", "markdown"], capsys)
    assert status == 0 and "95 %" in text and "top1_low" not in text  # read back, and no metric of its own
    status, text, _ = call(["table", "--out", measured.parent, "--format", "markdown", "--resamples", 0], capsys)
    assert status == 0 and "95 %" not in text
    assert call(["table", "--out", measured.parent, "--resamples", 20], capsys)[0] == 2


def test_bd_values_come_with_intervals_that_hold_them(measured):
    held = rows.load(measured)
    with Store(measured) as store:
        made = tables.build(held, "jpeg", sampler=Sampler(store, Plan(200)))
    (table,) = made
    psnr = [one for one in table.comparisons if one.column == "psnr_mean" and one.rate.value is not None]
    assert psnr
    for one in psnr:
        assert one.rate_bounds[0] <= one.rate.value <= one.rate_bounds[1]
    told = json.loads(table_text.as_json(made))["bd"]
    assert any(one["bd_rate_percent"]["interval_95"] for one in told)


def test_a_row_with_pictures_missing_has_none(measured):
    held = rows.load(measured)
    held.loc[0, "n_failed"] = 1
    with Store(measured) as store:
        found = Sampler(store, Plan(200)).with_bounds(held)
    assert found["bpp_low"].isna().tolist() == [True] + [False] * (len(held) - 1)
