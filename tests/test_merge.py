"""Parts of a run on several machines, and the store they are merged into."""

import itertools
import shutil
import sqlite3

import pytest
from command import call
from plugin_world import lasting

from icm_bench import merge, plan, rows
from icm_bench.errors import UserError
from icm_bench.shard import Shard, parse_shard
from icm_bench.store import Store


def test_parts_are_disjoint_and_together_all():
    keys = [f"{number * 0x9E3779B97F4A7C15 % 2**64:016x}" for number in range(1000)]
    parts = [{key for key in keys if Shard(index, 3).has(key)} for index in (1, 2, 3)]
    assert sum(map(len, parts)) == 1000 and set.union(*parts) == set(keys)
    assert all(250 < len(part) < 420 for part in parts)


@pytest.mark.parametrize("text", ["", "3", "0/2", "3/2", "a/b", "1/2/3", "-1/2"])
def test_a_part_that_is_none_is_refused(text):
    with pytest.raises(UserError, match="expected I/N"):
        parse_shard(text)


@pytest.fixture
def parts(world, capsys):
    """Stores of three parts of one run, each with a picture that fails, and the rows of the whole run."""
    world.add_pictures(12)
    spec = "quant(fail_on=3)"
    words = [*world.arguments("--net", "mean", "--net", "max"), "--method", spec, "--rates", "2,4"]
    whole, _ = world.run(methods=("quant", spec), nets=("mean", "max"), rates=(2, 4), reference="identity")
    world.log.unlink()
    folders = []
    for index in (1, 2, 3):
        folder = world.root / f"part{index}"
        status, out, error = call([*words, "--out", folder, "--shard", f"{index}/3", "--workers", 1], capsys)
        assert status in (0, 1) and "next: icm-bench merge" in out, error
        folders.append(folder)
    assert world.logged("encode") == 48, "each unit was coded on one machine only"
    return folders, whole


def test_any_order_gives_the_rows_of_the_whole_run(parts, world, capsys):
    folders, whole = parts
    assert any(row["error"] for row in whole)
    for number, order in enumerate(itertools.permutations(folders)):
        out = world.root / f"merged{number}"
        status, text, error = call(["merge", *order, "--out", out], capsys)
        assert status == 0 and f"{len(whole)} rows" in text, error
        with Store(out / "store.sqlite") as store:
            request = world.request(
                methods=("quant", "quant(fail_on=3)"), nets=("mean", "max"), rates=(2.0, 4.0), reference="identity"
            )
            made = plan.build(request, store)
            assert lasting(rows.rows(store, made)) == lasting(whole)


def test_a_part_that_is_not_there_yet_is_told(parts, world, capsys):
    folders, _ = parts
    status, text, _ = call(["merge", *folders[:2], "--out", world.root / "two"], capsys)
    assert status == 1 and "units are in none of the stores" in text
    status, text, _ = call(["merge", folders[2], "--out", world.root / "two"], capsys)
    assert status == 0 and "none of the stores" not in text


def test_merging_again_brings_nothing(parts, world, capsys):
    folders, _ = parts
    call(["merge", *folders, "--out", world.root / "all"], capsys)
    status, text, _ = call(["merge", *folders, "--out", world.root / "all"], capsys)
    assert status == 0 and text.count("0 new streams, 0 new predictions") == 3


def test_of_two_streams_of_one_picture_the_earlier_stays(world):
    world.run(rates=(2,))
    first, second = world.out / "store.sqlite", world.root / "later.sqlite"
    shutil.copy(first, second)
    db = sqlite3.connect(second)
    db.execute("UPDATE streams SET data=data || x'00', n_bytes=n_bytes+1 WHERE id=1")
    db.execute("UPDATE decodes SET n_bytes=n_bytes+1 WHERE stream=1")
    db.execute("UPDATE sessions SET provenance=json_set(provenance, '$.utc', '2999-01-01')")
    db.commit()
    db.close()
    expected = sqlite3.connect(first).execute("SELECT key, data FROM streams ORDER BY key").fetchall()
    decoded = sqlite3.connect(first).execute("SELECT n_bytes FROM decodes ORDER BY n_bytes").fetchall()
    for order in ((first, second), (second, first)):
        with Store(None) as store:
            brought = [merge.take_in(store, path) for path in order]
            assert [one.n_conflicts for one in brought] == [0, 1]
            assert store.query("SELECT key, data FROM streams ORDER BY key") == expected
            assert store.query("SELECT n_bytes FROM decodes ORDER BY n_bytes") == decoded


def test_wrong_paths_are_told_and_nothing_is_lost(world, capsys):
    world.run(rates=(2,))
    (world.root / "text.sqlite").write_text("no store")
    for path, told in (("none", "there is no store here"), ("text.sqlite", "not a store"), ("out", "to merge into")):
        status, _, error = call(["merge", world.root / path, "--out", world.out], capsys)
        assert status == 2 and told in error and error.count("\n") == 1
    with Store(world.out / "store.sqlite") as store:
        assert store.query("SELECT count(*) FROM streams") == [(6,)]
