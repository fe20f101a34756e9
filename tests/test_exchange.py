"""Results to and from the forms of other tools."""

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from command import call
from synthetic_rows import JPEG, rows

from icm_bench import curves, plan, plots, registry, runner, selection, tables
from icm_bench.request import Request
from icm_bench.store import Store

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """JPEG at three qualities on four pictures, a detector looking."""
    path = tmp_path_factory.mktemp("run")
    with Store(path / "store.sqlite") as store:
        request = Request(("jpeg",), ("coco",), ("mini-fcos",), rates=(10.0, 30.0, 80.0), limit=4, data="mini")
        for _ in runner.run(plan.build(request, store), store):
            pass
    return path


def there_and_back(form, folder, tmp_path, capsys, *more):
    """Export a run, import its one curve, and both tables."""
    assert call(["export", form, tmp_path / "out", "--out", folder], capsys)[0] == 0
    (file,) = [path for path in (tmp_path / "out").rglob("*.*") if path.name in ("jpeg.json", "summary.csv")]
    words = ["import", form, file, "-o", tmp_path / "in.csv", "--data", "the same", "--source", "a paper", *more]
    status, out, err = call(words, capsys)
    assert status == 0 and "3 points of 1 curves" in out, err
    from icm_bench import rows as stored

    return stored.load(folder / "store.sqlite").query("method == 'jpeg'").sort_values("bpp"), pd.read_csv(
        tmp_path / "in.csv"
    ).sort_values("bpp")


def test_compressai_there_and_back(folder, tmp_path, capsys):
    ours, theirs = there_and_back("compressai", folder, tmp_path, capsys, "--metric", "AP")
    for name in ("bpp", "psnr_mean", "AP"):
        assert theirs[name].tolist() == pytest.approx(ours[name].tolist())
    assert set(theirs["source"]) == {"a paper"} and set(theirs["method"]) == {"jpeg"}
    held = json.loads((tmp_path / "out" / "coco-mini-fcos" / "jpeg.json").read_text())["results"]
    assert held["encoding_time"] == pytest.approx((ours["encode_s"] / 4).tolist())  # seconds a picture
    assert all(0 < value < 1 for value in held.get("ms-ssim-rgb", []))  # linear


def test_compressais_own_plot_tool_draws_ours(folder, tmp_path, capsys):
    call(["export", "compressai", tmp_path, "--out", folder], capsys)
    files = ["-f", str(tmp_path / "coco-mini-fcos" / "jpeg.json"), "-o", str(tmp_path / "theirs.png")]
    command = [sys.executable, "-W", "ignore", "-m", "compressai.utils.plot", "-m", "psnr-rgb", *files]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "theirs.png").stat().st_size > 5000


def test_compressai_vision_there_and_back(folder, tmp_path, capsys):
    ours, theirs = there_and_back("compressai-vision", folder, tmp_path, capsys, "--metric", "AP", "--name", "jpeg")
    assert theirs["AP"].tolist() == pytest.approx(ours["AP"].tolist())
    table = pd.read_csv(next((tmp_path / "out").rglob("summary.csv")))
    assert list(table.columns) == ["Dataset", "qp", "bpp", "end_accuracy", "enc_time", "dec_time"]
    assert table["end_accuracy"].max() <= 1
    (tmp_path / "kbps.csv").write_text("Dataset,qp,bitrate (kbps),end_accuracy\na,22,10,0.5\n")
    words = ["import", "compressai-vision", tmp_path / "kbps.csv", "-o", tmp_path / "x.csv"]
    status, _, err = call([*words, "--data", "d", "--source", "s"], capsys)
    assert status == 2 and "no column bpp" in err


def test_codec_compare_there_and_back(folder, tmp_path, capsys):
    ours, theirs = there_and_back("codec-compare", folder, tmp_path, capsys)
    assert theirs["bpp"].tolist() == pytest.approx(ours["bpp"].tolist())
    assert theirs["psnr_mean"].tolist() == pytest.approx(ours["psnr_mean"].tolist())
    listed = json.loads((tmp_path / "out" / "batches.json").read_text())
    batch = json.loads((tmp_path / "out" / listed[0][0]).read_text())
    assert len(batch["field_values"]) == 12 and len(batch["field_values"][0]) == len(batch["field_descriptions"])
    assert len(batch["constant_values"]) == len(batch["constant_descriptions"])


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_tidy_tables_of_rows_and_records(folder, tmp_path, ending, capsys):
    if ending == "parquet":
        pytest.importorskip("pyarrow", reason="pyarrow is not installed: pip install 'icm-bench[parquet]'")
    read = {"csv": pd.read_csv, "parquet": pd.read_parquet}[ending]
    for form, n in (("rows", 4), ("records", 16)):
        status, _, err = call(["export", form, tmp_path, "--out", folder, "--table", ending], capsys)
        assert status == 0, err
        assert len(read(tmp_path / f"{form}.{ending}")) == n
    records = read(tmp_path / f"records.{ending}")
    assert {"sample", "n_bytes", "psnr", "encode_s"} <= set(records.columns)
    row = read(tmp_path / f"rows.{ending}").query("rate == 30").iloc[0]
    assert records.query("rate == 30")["n_bytes"].sum() == row["n_bytes"]
    made = selection.read_rows(tmp_path / f"records.{ending}").query("rate == 30").iloc[0]
    for name in ("bpp", "psnr_mean", "ms_ssim_mean", "n_pictures", "encode_s"):
        assert made[name] == pytest.approx(row[name], nan_ok=True), name
    assert call(["table", "--out", tmp_path / f"records.{ending}"], capsys)[0] == 0


def test_imported_curves_are_drawn_and_told_as_such():
    held = rows().query("task == 'coco'").assign(source=None)
    held.loc[held.method == "jpeg", "source"] = "a paper"
    (table,) = tables.build(held, "vvc")
    assert "jpeg †: not measured here, from a paper" in table.notes
    (plot,) = plots.draw(held, kinds=("rate-metric",))
    first = [one for one in plot.figure.axes[0].lines if one.get_xdata()[0] == JPEG[0][0]]
    (line,) = [one for one in first if len(one.get_xdata()) == len(JPEG)]
    assert line.is_dashed()


def test_the_published_kodak_curves_give_the_known_deltas():
    held = selection.select(selection.read_rows(ROOT / "results" / "reference" / "kodak.csv"), selection.Filter())
    (table,) = tables.build(held, "vtm")
    found = {one.label: one.rate.value for one in table.comparisons}
    assert found[f"bmshj2018-hyperprior{curves.IMPORTED}"] == pytest.approx(30.5, abs=0.3)
    assert found[f"mbt2018-mean{curves.IMPORTED}"] == pytest.approx(21.3, abs=0.3)
    assert any("colour-converted source" in note for note in table.notes)


def test_mistakes_are_one_line(folder, tmp_path, capsys):
    (tmp_path / "bad.json").write_text("[]")
    same = ["-o", tmp_path / "x.csv", "--data", "d", "--source", "s"]
    for words, said in (
        (["export", "compressay", tmp_path, "--out", folder], "unknown format 'compressay'"),
        (["import", "compressai", tmp_path / "bad.json", *same], "cannot be read as results of compressai"),
        (["import", "compressai", tmp_path / "gone.json", *same], "cannot be read as results of compressai"),
        (["import", "compressai", "a", "b", "--name", "n", *same], "names one curve, and 2 files"),
    ):
        status, _, err = call(words, capsys)
        assert status == 2 and said in err and len(err.splitlines()) == 1, err
    assert not (tmp_path / "x.csv").exists()
    assert registry.names("method")
