"""The baseline file: what it holds, that it is stable and small, and what is refused."""

import json
from pathlib import Path

import pytest
from command import call

from icm_bench.check import baseline
from icm_bench.errors import UserError

SHIPPED = Path(__file__).parents[2] / "results" / "baseline" / "mini.json"


@pytest.fixture
def made(world, tmp_path, capsys):
    """A world of 12 pictures and the path of its baseline."""
    world.add_pictures(12)
    path = tmp_path / "b.json"
    grid = ["--method", "quant", "--task", "bright", "--data", world.data, "--rates", "2,4"]
    assert call(["check", "--baseline", path, "--update", *grid], capsys)[0] == 0
    return path


def test_a_file_survives_reading_and_writing(made):
    text = made.read_text()
    assert baseline.dump(baseline.load(made)) == text
    assert list(json.loads(text)) == sorted(json.loads(text))
    assert SHIPPED.read_text() == baseline.dump(baseline.load(SHIPPED))


def test_a_second_update_changes_only_when_it_was_made(made, capsys):
    before = json.loads(made.read_text())
    status, out, _ = call(["check", "--baseline", made, "--update"], capsys)
    after = json.loads(made.read_text())
    assert status == 0 and "changed" not in out.partition("\n")[0]
    for held in (before, after):
        del held["made"]
        for grid in held["grids"]:
            for work in grid["work"].values():
                del work["encode_ms"], work["decode_ms"]
    assert before == after


def test_an_update_prints_what_changed(made, world, capsys, monkeypatch):
    from icm_bench import registry

    encode = registry.load("method", "quant").encode
    monkeypatch.setattr(
        registry.load("method", "quant"), "encode", lambda self, image, rate: encode(self, image // 32 * 32, rate)
    )
    status, out, _ = call(["check", "--baseline", made, "--update"], capsys)
    assert status == 0 and "psnr" in out and "streams have other bytes" in out
    status, out, _ = call(["check", "--baseline", made], capsys)
    assert status == 0 and out.startswith("OK")


def test_a_further_grid_is_added_and_the_uncompressed_line_is_measured_once(made, world, capsys):
    grid = ["--method", "jpeg", "--task", "bright", "--data", world.data, "--rates", "20,60"]
    status, out, _ = call(["check", "--baseline", made, "--update", *grid], capsys)
    held = baseline.load(made)
    assert status == 0 and "2 codings are new" in out
    assert [grid.request.methods for grid in held.grids] == [("quant",), ("jpeg",)]
    assert [coding.method for grid in held.grids for coding in grid.codings].count("identity") == 1
    assert call(["check", "--baseline", made, "--method", "jpeg"], capsys)[0] == 0


def test_a_check_can_take_half_the_pictures(made, capsys):
    status, out, _ = call(["check", "--baseline", made, "--limit", 10], capsys)
    assert status == 0 and out.startswith("OK")
    status, _, error = call(["check", "--baseline", made, "--limit", 5], capsys)
    assert status == 2 and "can be cut to 6 pictures at least" in error


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "is no baseline"),
        ("{}", "its format is not"),
        ('{"format": "icm-bench baseline", "version": 99}', "version 99, this program reads version 1"),
        ('{"format": "icm-bench baseline", "version": 1, "grids": [{}]}', "is a damaged baseline"),
    ],
)
def test_a_file_that_is_no_baseline(tmp_path, capsys, text, told):
    path = tmp_path / "b.json"
    path.write_text(text)
    status, _, error = call(["check", "--baseline", path], capsys)
    assert status == 2 and told in error and error.count("\n") == 1


def test_wrong_arguments_are_told_in_one_line(made, tmp_path, capsys):
    for words, told in (
        (["--baseline", tmp_path / "none.json"], "--update makes a baseline"),
        (["--baseline", made, "--method", "jpeg"], "--method jpeg: the baseline has only quant"),
        (["--baseline", made, "--tolerance", "hits"], "expected NAME=NUMBER"),
        (["--baseline", made, "--tolerance", "mAP=1"], "no such figure, there are"),
        (["--baseline", made, "--task", "bright"], "add --update and --method"),
        (["--baseline", made, "--golden", tmp_path], "there are no golden streams here"),
    ):
        status, _, error = call(["check", *words], capsys)
        assert status == 2 and told in error.splitlines()[-1], error


def test_numpy_that_draws_otherwise_is_told(made, capsys):
    held = json.loads(made.read_text())
    held["draws"] = "0" * 16
    made.write_text(json.dumps(held))
    status, _, error = call(["check", "--baseline", made], capsys)
    assert status == 2 and "draws other resamples" in error


def test_failures_are_no_baseline(world, tmp_path, capsys):
    grid = ["--method", "quant(fail_on=0)", "--task", "bright", "--data", world.data, "--rates", "2"]
    path = tmp_path / "b.json"
    status, _, error = call(["check", "--baseline", path, "--update", *grid], capsys)
    assert status == 2 and "no baseline of failures" in error and not path.exists()


def test_the_shipped_baseline_covers_every_shipped_checkpoint():
    from icm_bench import registry

    held = baseline.load(SHIPPED)
    covered = set()
    for spec in (spec for grid in held.grids for spec in grid.methods):
        covered |= {path.stem for path in getattr(registry.method(spec), "files", [])}
    weights = Path(__file__).parents[2] / "methods" / "weights"
    assert covered == {path.stem for path in weights.glob("*.safetensors")}
    assert {task for grid in held.grids for task in grid.data} == {"imagenet", "coco", "cityscapes"}
    assert SHIPPED.stat().st_size < 300_000


def test_a_method_stands_for_itself_then_for_another_checkpoint_then_for_its_name():
    from icm_bench import registry
    from icm_bench.check.run import _stand_ins

    held = baseline.load(SHIPPED)
    candidate = registry.method("hyperprior(variable=True)").files[0]
    for given, expected in (
        ("hyperprior", "hyperprior"),
        ("hyperprior(variable=True)", "hyperprior(variable=True)"),
        (f"hyperprior(variable=True, checkpoint='{candidate}')", "hyperprior(variable=True)"),
        ("task-specific(task='coco')", "task-specific(task='coco')"),
    ):
        stand_ins = _stand_ins(held, [given])
        assert stand_ins == {registry.method(given).spec: registry.method(expected).spec}
    with pytest.raises(UserError, match=r"could stand for .* and "):
        _stand_ins(held, ["jpeg", "task-specific"])
