"""``icm-bench table`` and ``icm-bench plot`` on a store that a run has left, and on text tables."""

import json

import pytest
from command import call


@pytest.fixture
def done(world):
    world.run(reference="identity", rates=(1, 2, 3, 4, 5))
    return world


def test_a_table_of_a_run(done, capsys):
    status, out, _ = call(["table", "--out", done.out], capsys)
    assert status == 0
    assert "bright, 6 pictures · mean" in out and "lossless" in out
    assert out.count("bits 4") == 2


def test_bd_values_against_one_beta(done, capsys):
    status, out, _ = call(["table", "--out", done.out, "--anchor", "quant@1", "--format", "json"], capsys)
    found = json.loads(out)
    assert status == 0 and len(found["rows"]) == 11
    assert {one["curve"] for one in found["bd"]} == {"quant β=0"}
    (psnr,) = [one for one in found["bd"] if one["column"] == "psnr_mean"]
    assert (psnr["bd_rate_percent"]["value"] is None) == (psnr["bd_rate_percent"]["reason"] is not None)


@pytest.mark.parametrize("form", ["csv", "json"])
def test_a_text_table_serves_as_results(done, capsys, tmp_path, form):
    _, text, _ = call(["table", "--out", done.out, "--format", form], capsys)
    held = tmp_path / f"rows.{form}"
    held.write_text(text)
    _, direct, _ = call(["table", "--out", done.out, "--format", "markdown"], capsys)
    status, again, _ = call(["table", "--out", held, "--format", "markdown"], capsys)
    assert status == 0 and again == direct


def test_plots_are_written_and_their_paths_printed(done, capsys):
    status, out, _ = call(["plot", "--out", done.out], capsys)
    assert status == 0
    names = {path.relative_to(done.out / "plots").as_posix() for path in (done.out / "plots").iterdir()}
    assert names == {
        f"bright-{name}.{extension}"
        for name in ("mean-rate-metric", "mean-metric-psnr", "mean-surface-quant", "rate-psnr", "histogram")
        for extension in ("png", "svg")
    }
    assert sorted(out.split()) == sorted(str(done.out / "plots" / name) for name in names)


def test_filters_and_formats_of_plots(done, capsys, tmp_path):
    words = ["plot", "--out", done.out, "--to", tmp_path / "p", "--format", "pdf", "--beta", "1"]
    status, out, _ = call([*words, "--width", "double", "--net", "mean"], capsys)
    assert status == 0 and all(line.endswith(".pdf") for line in out.split())


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["table", "--format", "xml"], "unknown format 'xml': known are csv, json, latex, markdown, terminal"),
        (["table", "--method", "bpg"], "no results for method 'bpg': there are identity, quant"),
        (["table", "--anchor", "bpg"], "no curve 'bpg' here: there are quant"),
        (["table", "--anchor", "quant"], "say which one of quant@0, quant@1"),
        (["table", "--bd", "spline"], "unknown interpolation 'spline'"),
        (["plot", "--format", "gif"], "unknown format 'gif': known are pdf, png, svg"),
        (["plot", "--beta", "0.3"], "no results at beta 0.3: there are 0, 1"),
        (["plot", "--width", "wide"], "known are single, double"),
    ],
)
def test_mistakes_are_one_line(done, capsys, words, says):
    status, out, err = call([*words, "--out", done.out], capsys)
    assert status == 2 and out == ""
    assert says in err and err.count("\n") == 1


def test_no_results_yet(tmp_path, capsys):
    status, _, err = call(["table", "--out", tmp_path], capsys)
    assert (
        status == 2
        and err == f"icm-bench: {tmp_path}/store.sqlite: there are no results here; icm-bench run makes some\n"
    )
