"""What is coded, decoded and charged; what is never done twice; what a failure costs."""

import signal
import time

import pytest
from plugin_world import lasting, until

from icm_bench import plan, registry, runner
from icm_bench.bitstream import Bitstream
from icm_bench.engine import Pool, Serial
from icm_bench.store import Store


def test_each_picture_is_coded_once_and_decoded_once_for_all_betas(world):
    rows, events = world.run(betas=(0, 0.25, 0.5, 1), nets=("mean", "max"), rates=(2,))
    assert len(rows) == 8
    assert (world.logged("encode"), world.logged("decode")) == (6, 6)
    assert isinstance(events[0], runner.Started)
    assert sum(isinstance(event, runner.UnitDone) for event in events) == 6
    assert events[-1] == runner.Finished(6, 0)


def test_exactly_the_layers_of_a_beta_are_charged(world):
    rows, _ = world.run(rates=(3,))
    method = registry.method("quant")
    with Store(world.out / "store.sqlite") as store:
        streams = [Bitstream.from_bytes(data) for (data,) in store.query("SELECT data FROM streams")]
    for row in rows:
        names = method.layers(row["beta"])
        assert row["n_bytes"] == sum(len(stream.only(names).to_bytes()) for stream in streams)
        assert row["layer_bytes"] == {n: sum(len(stream.layer(n)) for stream in streams) for n in names}
        assert row["bpp"] == 8 * row["n_bytes"] / row["pixels_orig"]
    both, base = rows
    assert (both["beta"], base["beta"]) == (0, 1)
    assert both["n_bytes"] > base["n_bytes"]
    assert both["psnr_mean"] > base["psnr_mean"]


def test_the_same_call_again_is_answered_from_the_store(world):
    first, _ = world.run()
    second, events = world.run()
    assert second == first
    assert world.logged("encode") == 12
    assert all(event.cached for event in events if isinstance(event, runner.CellDone))
    assert events[-1] == runner.Finished(0, 0)


def test_another_net_codes_nothing(world):
    world.run()
    rows, _ = world.run(nets=("max",))
    assert len(rows) == 4
    assert (world.logged("encode"), world.logged("decode")) == (12, 24)


def test_a_net_that_needs_more_memory_than_there_is_says_what_to_try(world):
    rows, _ = world.run(nets=("greedy",), betas=(0, 1), rates=(2,), batch=2)
    assert all(row["n_failed"] == 6 for row in rows)
    assert "can't allocate memory" in rows[0]["error"]
    assert rows[0]["error"].endswith("(not enough memory: --batch 1, --workers 1)")
    rows, _ = world.run(nets=("greedy",), betas=(0, 1), rates=(2,), batch=1)  # and that helps
    assert [row["error"] for row in rows] == [None, None]
    assert world.logged("encode") == 6


def test_batches_change_nothing_but_the_number_of_calls(world):
    default, _ = world.run(nets=("mean",), betas=(0, 0.5, 1))
    batched, _ = world.run(nets=("mean",), betas=(0, 0.5, 1), batch=2, store=world.out / "other.sqlite")
    assert lasting(default) == lasting(batched)


def test_another_beta_only_decodes(world):
    world.run()
    rows, _ = world.run(betas=(0.5,))
    assert [row["beta"] for row in rows] == [0.5, 0.5]
    assert (world.logged("encode"), world.logged("decode")) == (12, 24)


def test_the_uncompressed_line_is_exact(world):
    rows, _ = world.run(reference="identity")
    (line,) = [row for row in rows if row["lossless"]]
    assert line["method"] == "identity"
    assert (line["squared_error"], line["n_exact"], line["psnr_mean"]) == (0, 6, None)
    assert line["hits"] == 100


def test_a_codec_that_fails_on_some_pictures(world):
    world.add_pictures(20)
    rows, events = world.run(methods=("quant(fail_on=3)",), rates=(2,), betas=(1,))
    (row,) = rows
    assert (row["n_pictures"], row["n_expected"], row["n_failed"]) == (18, 20, 2)
    failed = [event for event in events if isinstance(event, runner.UnitFailed)]
    assert [event.sample[:3] for event in failed] == ["p03", "p13"]
    assert all("CodecError: the test codec cannot code this picture" in event.errors[0] for event in failed)
    assert [name[:3] for name in row["errors"]] == ["p03", "p13"]
    assert row["error"].startswith("p03_")
    assert events[-1] == runner.Finished(20, 1)
    assert row["hits"] is not None


def test_failed_units_are_tried_again_and_only_these(world):
    world.run(methods=("quant(fail_on=3)",), rates=(2,))
    assert world.logged("encode") == 6
    world.run(methods=("quant(fail_on=3)",), rates=(2,))
    assert world.logged("encode") == 7


def test_an_unreadable_picture_is_named_and_mended_by_the_next_run(world):
    picture = sorted(world.data.glob("*.png"))[2]
    whole = picture.read_bytes()
    picture.write_bytes(whole[:60])
    (row,), _ = world.run(rates=(2,), betas=(1,))
    assert (row["n_pictures"], row["n_failed"]) == (5, 1)
    assert str(picture) in row["error"]
    picture.write_bytes(whole)
    (row,), _ = world.run(rates=(2,), betas=(1,))
    assert (row["n_pictures"], row["n_failed"], row["error"]) == (6, 0, None)
    assert world.logged("encode") == 6


def test_a_net_that_gives_nan_is_an_error_never_a_mean(world):
    rows, _ = world.run(nets=("broken", "mean"), rates=(4,), betas=(0,))
    broken, mean = rows
    assert (broken["n_pictures"], broken["n_failed"]) == (4, 2)
    assert "not finite" in broken["error"]
    assert broken["distance"] < 8
    assert (mean["n_pictures"], mean["error"]) == (6, None)


def test_a_metric_that_is_infinite_is_an_error_never_a_figure(world):
    (row,), events = world.run(nets=("huge",), rates=(2,), betas=(0,))
    assert row["error"] == "score: ValueError: bright scored distance = inf"
    assert (row["score"], row.get("hits"), row.get("distance")) == (None, None, None)
    assert events[-1].n_failed_cells == 1


@pytest.mark.parametrize("wrong", ["", "bits"])
def test_estimated_bits_that_are_nan_are_an_error_never_a_mean(world, wrong):
    (row,), _ = world.run(methods=(f"quant(wrong={wrong!r})",), rates=(2,), betas=(0,), profile="whole")
    if wrong:
        assert (row["n_pictures"], row["bpp_estimated_mean"], row["bpp"]) == (0, None, None)
        assert "CodecError" in row["error"] and "nan" in row["error"]
    else:
        assert row["n_pictures"] == 6 and row["bpp_estimated_mean"] > 0


@pytest.mark.parametrize(("wrong", "words"), [("float", "float64"), ("crop", "expected uint8 (12, 10, 3)")])
def test_a_decoder_that_gives_no_such_picture(world, wrong, words):
    (row,), _ = world.run(methods=(f"quant(wrong={wrong!r})",), rates=(2,), betas=(1,))
    assert (row["n_pictures"], row["score"]) == (0, None)
    assert words in row["error"]


def test_a_refusal_is_an_event_with_its_reason(world):
    _, events = world.run(methods=("quant", "jpeg"), tasks=("bright", "images"), rates=(4,))
    assert runner.Refused("quant", "images", "it sees no pictures there") in events


def test_two_workers_give_the_rows_of_one(world):
    serial, _ = world.run(store=world.root / "serial.sqlite")
    pooled, _ = world.run(Pool(2), store=world.root / "pooled.sqlite")
    assert lasting(pooled) == lasting(serial)
    assert (pooled[0]["n_workers"], pooled[0]["threads"]) == (2, 1)


def test_stopping_half_way_keeps_finished_units(world):
    with Store(world.out / "store.sqlite") as store:
        made = plan.build(world.request(), store)
        events = runner.run(made, store, Serial())
        while sum(1 for _ in store.query("SELECT 1 FROM streams")) < 5:
            next(events)
        events.close()
    rows, _ = world.run()
    assert len(rows) == 4
    assert world.logged("encode") == 12


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_killed_run_goes_on_where_it_was(world, workers):
    unbroken, _ = world.run(store=world.root / "unbroken.sqlite")
    world.log.unlink()
    process = world.command("--no-reference", "--workers", workers, QUANT_PAUSE="0.1")
    until(lambda: world.logged("encode") >= 5, process)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    settle(world)
    coded = world.logged("encode")
    with Store(world.out / "store.sqlite") as store:
        kept = store.query("SELECT count(*) FROM streams")[0][0]
    assert 0 < kept < 12
    resumed, _ = world.run()
    assert lasting(resumed) == lasting(unbroken)
    assert world.logged("encode") == coded + 12 - kept


def settle(world):
    """Workers whose main process is gone finish the unit in work; wait for the log to stay as it is."""
    before = -1
    while before != world.logged("encode") + world.logged("decode"):
        before = world.logged("encode") + world.logged("decode")
        time.sleep(0.7)
