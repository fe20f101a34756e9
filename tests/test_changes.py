"""A data set that is not what it was: told between two runs, an error in the midst of one, never mixed in a row."""

import json
import shutil
import signal

import pytest
from command import call
from PIL import Image
from plugin_world import lasting, until

from icm_bench import changes, mini, plan, rows, runner
from icm_bench.engine import Serial
from icm_bench.request import Request
from icm_bench.store import Store

SAME = ("--no-reference", "--rates", "2", "--betas", "1")


def repaint(path):
    Image.new("RGB", (9, 9), (7, 99, 120)).save(path)


def told(err):
    return [line for line in err.splitlines() if "has changed since the last run" in line]


def test_a_changed_set_is_told_and_gets_rows_of_its_own(world, capsys):
    assert told(call(world.arguments(*SAME), capsys)[2]) == []
    first, second, *_ = sorted(world.data.glob("*.png"))
    repaint(first)
    second.unlink()
    repaint(world.data / "q_1.png")
    repaint(world.data / "r_2.png")
    status, _, err = call(world.arguments(*SAME), capsys)
    assert status == 0 and told(err) == [
        f"bright, 7 pictures in {world.data} has changed since the last run into this store (pictures: 1 changed,"
        " 2 new, 1 gone): its rows are made anew from what is there now, the earlier rows stay as they are"
    ]
    assert world.logged("encode") == 6 + 1  # the three that were repainted are one by content
    assert told(call(world.arguments(*SAME), capsys)[2]) == []
    found = rows.load(world.out / "store.sqlite")
    assert sorted(found["n_pictures"]) == [6, 7] and found["samples"].nunique() == 2
    fresh, _ = world.run(store=world.root / "fresh.sqlite", rates=(2,), betas=(1,))
    again, _ = world.run(rates=(2,), betas=(1,))
    assert lasting(again) == lasting(fresh)


def test_a_set_that_changes_between_a_kill_and_the_resumption_is_told(world, capsys):
    process = world.command(*SAME, "--workers", "1", QUANT_PAUSE="0.1")
    until(lambda: world.logged("encode") >= 4, process)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    repaint(sorted(world.data.glob("*.png"))[0])
    status, _, err = call(world.arguments(*SAME), capsys)
    assert status == 0 and "(pictures: 1 changed)" in told(err)[0]
    fresh, _ = world.run(store=world.root / "fresh.sqlite", rates=(2,), betas=(1,))
    again, _ = world.run(rates=(2,), betas=(1,))
    assert lasting(again) == lasting(fresh)


def test_another_number_of_pictures_is_no_change(world, capsys):
    call(world.arguments(*SAME), capsys)
    status, _, err = call(world.arguments(*SAME, "--limit", "3"), capsys)
    assert status == 0 and told(err) == []
    world.add_pictures(8)
    status, _, err = call(world.arguments(*SAME, "--limit", "4"), capsys)
    assert status == 0 and "has changed since the last run into this store: its rows" in told(err)[0]


def test_other_labels_of_the_same_pictures_are_a_change(tmp_path):
    shutil.copytree(mini.ensure("coco"), tmp_path / "coco")
    (labels,) = (tmp_path / "coco").rglob("instances_val2017.json")
    request = Request(("jpeg",), ("coco",), ("mini-fcos",), data=str(tmp_path / "coco"), limit=2, reference=None)
    with Store(None) as store:
        made = plan.build(request, store)
        store.begin(lambda: {"sets": changes.seen(made)}, {c.digest: c.members for c in made.corpora})
        assert changes.since(plan.build(request, store), store) == []
        held = json.loads(labels.read_text())
        held["annotations"][0]["bbox"][0] += 1
        labels.write_text(json.dumps(held))
        (change,) = changes.since(plan.build(request, store), store)
    assert (change.data, change.n_changed, change.n_new, change.n_gone) == (str(tmp_path / "coco"), 0, 0, 0)


@pytest.mark.parametrize("event", ["picture", "set"])
def test_what_changes_in_the_midst_of_a_run_is_an_error(world, event):
    pictures = sorted(world.data.glob("*.png"))
    with Store(world.out / "store.sqlite") as store:
        made = plan.build(world.request(rates=(2,), betas=(1,)), store)
        events = runner.run(made, store, Serial())
        if event == "set":
            repaint(world.data / "q_1.png")
        while not isinstance(next(events), runner.UnitDone):
            pass
        repaint(pictures[4])
        list(events)
        (row,) = rows.rows(store, made)
        n_streams = store.query("SELECT count(*) FROM streams")[0][0]
    assert "has changed since this run began; give the same command again" in row["error"]
    assert n_streams == 5  # none under the name of what the repainted picture was
    assert row["n_pictures"] == (5 if event == "picture" else 0)
    assert sorted(row["errors"]) == ([pictures[4].stem] if event == "picture" else [p.stem for p in pictures])
