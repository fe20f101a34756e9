"""Streams decoded again in another process: what differs there is caught, stored, shown, and not asked twice."""

import json

import matplotlib.pyplot as plt
import pytest
from command import call
from PIL import Image

from icm_bench import html, plots, rows, tables, verification
from icm_bench.bootstrap import Plan
from icm_bench.engine import Pool
from icm_bench.html import facts
from icm_bench.store import Store
from icm_bench.testing import textured_picture


@pytest.fixture
def here(monkeypatch):
    """A run of one thread on the processor's own SIMD level, whatever the tests' own environment says."""
    monkeypatch.delenv("ATEN_CPU_CAPABILITY", raising=False)
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("minds", "levels", "error"),
    [
        ("", 0, None),
        ("level", 1, None),
        ("simd", 2, "values differ, by up to 2"),
        ("threads", 9, "values differ, by up to 9"),
        ("memory", 50, "values differ, by up to 50"),
        ("dies", None, "the decoding process ended with status 3"),
    ],
)
def test_a_decoder_that_minds_where_it_runs_is_caught(world, here, minds, levels, error):
    (row,), _ = world.run(methods=(f"moody(minds={minds!r})",), verify=True)
    assert (row["n_pictures"], row["error"]) == (6, None)
    assert (row["verified"], row["n_verified"]) == (("yes", 6) if error is None else ("no", 3))
    assert row["n_verify_failed"] == 6 - row["n_verified"]
    assert row["levels_apart"] == (0 if minds == "dies" else levels)
    with Store(world.out / "store.sqlite") as store:
        found = store.query("SELECT levels, decoded_by, error FROM checks")
    assert len(found) == 6
    assert {by.partition(", ")[2] for _, by, _ in found} == {"2 threads"}
    assert {by.partition(", ")[0] for _, by, _ in found} <= {"avx2", "sse"}
    assert sum(error is not None and error in one for _, _, one in found) == row["n_verify_failed"]
    assert max((one for one, _, _ in found if one is not None), default=None) == row["levels_apart"]


def test_a_decoder_that_hangs_is_given_up(world, here, monkeypatch):
    monkeypatch.setattr(verification, "_PATIENCE_S", 1.0)
    (row,), _ = world.run(methods=("moody(minds='hangs')",), verify=True, limit=3)
    assert (row["verified"], row["error"]) == ("no", None)
    with Store(world.out / "store.sqlite") as store:
        errors = [error for (error,) in store.query("SELECT error FROM checks ORDER BY stream")]
    assert errors[0] == errors[2] == "no answer in 1 s"


def test_a_failure_is_one_line_and_status_one(world, here, capsys):
    arguments = world.arguments("--no-reference", "--verify")
    arguments[2] = "moody(minds='simd')"
    status, out, err = call(arguments, capsys)
    assert status == 1
    named = [line for line in err.splitlines() if line.startswith("error: ")]
    assert len(named) == 3
    with Store(world.out / "store.sqlite") as store:
        bad = store.query("SELECT s.key FROM streams s JOIN checks c ON c.stream=s.id AND c.error>''")
    keys = {key for (key,) in bad}
    for line, picture in zip(named, ("p00", "p02", "p04"), strict=True):
        assert line.startswith(f"error: moody(minds='simd') at 8, picture {picture}_")
        assert sum(key in line for key in keys) == 1 and "in another process (avx2, 2 threads)" in line
    assert "verified" in out and "3 of 6" in out
    warning = (
        "not verified: 3 of 6 streams of moody(minds='simd') at depth 8 decode to other pictures in another process"
    )
    assert warning in err
    status, out, _ = call(["table", "--out", world.out, "--format", "markdown"], capsys)
    assert status == 0 and warning in out
    assert "| verified |" in out and "| 3 of 6 |" in out


def test_plots_and_the_report_warn(world, here):
    world.run(methods=("moody(minds='simd')",), verify=True)
    found = rows.load(world.out / "store.sqlite")
    warning = verification.warning(found.to_dict("records"))
    assert warning is not None
    (table,) = tables.build(found)
    assert warning in facts.group(table)["notes"]
    assert warning in html.document([table], None, html.Wanted())
    for plot in plots.draw(rows.load(world.out / "store.sqlite")):
        assert warning in [" ".join(text.get_text().split()) for text in plot.figure.axes[0].texts]
        plt.close(plot.figure)


def test_without_verification_nothing_is_said(world):
    made, _ = world.run(methods=("moody(minds='simd')",))
    assert {row["verified"] for row in made} == {row["n_verified"] for row in made} == {None}
    (table,) = tables.build(rows.load(world.out / "store.sqlite"))
    assert "n_verified" not in table.points.columns and table.notes == ()


def test_stored_streams_are_verified_once_and_not_coded_again(world):
    before, _ = world.run()
    n_coded, n_decoded = world.logged("encode"), world.logged("decode")
    after, _ = world.run(verify=True)
    assert {row["verified"] for row in after} == {"yes"}
    assert world.logged("encode") == n_coded
    assert world.logged("decode") == n_decoded + 2 * n_coded  # here and there, both betas at once
    for old, new in zip(before, after, strict=True):
        assert all(old[name] == new[name] for name in ("n_bytes", "squared_error", "score", "encode_s"))
    n_decoded = world.logged("decode")
    again, _ = world.run(verify=True)
    assert again == after and world.logged("decode") == n_decoded
    assert world.run()[0] == after  # and a run that does not ask keeps the answer


def test_only_what_is_new_is_verified(world):
    world.run(verify=True, limit=4)
    n_decoded = world.logged("decode")
    made, _ = world.run(verify=True)
    assert {row["n_verified"] for row in made} == {6}
    assert world.logged("decode") == n_decoded + 2 * 2 * 2  # two pictures at two rates, here and there


def test_a_stream_that_failed_is_tried_again(world, here, monkeypatch):
    made, _ = world.run(methods=("moody(minds='simd')",), verify=True)
    assert made[0]["n_verify_failed"] == 3
    monkeypatch.setenv("MOODY_CURED", "1")
    from icm_bench import work

    work._bench.cache_clear()
    made, _ = world.run(methods=("moody(minds='simd')",), verify=True)
    assert (made[0]["verified"], made[0]["levels_apart"]) == ("yes", 0)


def test_a_stored_picture_that_nobody_decodes_any_more_is_caught(world):
    """The row was measured on pictures that the bytes do not give: the decoder had seen the original."""
    world.run(methods=("moody(minds='memory')",))
    from icm_bench import work

    work._bench.cache_clear()
    (row,), _ = world.run(methods=("moody(minds='memory')",), verify=True)
    assert (row["verified"], row["n_verify_failed"]) == ("no", 3)
    with Store(world.out / "store.sqlite") as store:
        errors = [error for (error,) in store.query("SELECT error FROM checks WHERE error > ''")]
    assert all("the picture measured was another one (squared error 0, now" in error for error in errors)


def test_workers_verify_too(world):
    made, _ = world.run(engine=Pool(2), verify=True, rates=(2,))
    assert {row["verified"] for row in made} == {"yes"}
    with Store(world.out / "store.sqlite") as store:
        assert {by.partition(", ")[2] for (by,) in store.query("SELECT decoded_by FROM checks")} == {"2 threads"}


def test_the_shipped_codecs_pass(world, here, tmp_path, capsys):
    folder = tmp_path / "photos"
    folder.mkdir()
    Image.fromarray(textured_picture(70, 90)).save(folder / "one.png")
    methods = ["--method", "rdc", "--method", "hyperprior", "--rates", "2"]
    arguments = ["run", *methods, "--task", f"images(data={str(folder)!r})", "--out", world.out, "--verify", "--json"]
    status, out, _ = call(arguments, capsys)
    found = json.loads(out)
    assert status == 0 and len(found) == 6
    assert {row["verified"] for row in found} == {"yes"}
    assert max(row["levels_apart"] for row in found) <= verification.LEVELS_APART


def test_intervals_leave_the_columns_alone(world):
    world.run(verify=True, rates=(2,))
    from icm_bench.resampling import Sampler

    with Store(world.out / "store.sqlite") as store:
        bounded = Sampler(store, Plan(100)).with_bounds(rows.load(world.out / "store.sqlite"), lambda *_: None)
    (table,) = tables.build(bounded)
    assert table.group.counts == [] and list(table.points["n_verified"]) == [6, 6]
