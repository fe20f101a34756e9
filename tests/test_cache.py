"""What a store keeps of coded pictures: shown, verified, pruned."""

import json
import sqlite3

import pytest
from command import call

from icm_bench import registry
from icm_bench.bitstream import Bitstream
from icm_bench.cli import _cache_text
from icm_bench.errors import UserError


@pytest.fixture
def kept(world):
    """A world whose run is done, and its rows."""
    found, _ = world.run(rates=(2, 4))
    return world, found


def test_what_is_there_is_shown(kept, capsys):
    world, _ = kept
    status, out, _ = call(["cache", "--out", world.out, "--json"], capsys)
    (share,) = json.loads(out)
    streams = sqlite3.connect(world.out / "store.sqlite").execute("SELECT sum(length(data)) FROM streams").fetchone()
    assert status == 0 and (share["n_streams"], share["n_pruned"], share["n_bytes"]) == (12, 0, streams[0])
    assert share["name"].startswith("quant") and share["encode_s"] > 0
    status, out, _ = call(["cache", "--out", world.out], capsys)
    assert status == 0 and "of streams that took" in out and "quant" in out


def test_another_task_on_the_same_pictures_codes_nothing(world):
    world.run(methods=("jpeg",), rates=(40, 60))
    found, events = world.run(methods=("jpeg",), rates=(40, 60), tasks=("images",))
    assert events[0].n_units == events[0].n_cached == 12
    assert {row["task"] for row in found} == {"images"} and all(row["n_bytes"] for row in found)


def test_pruning_keeps_the_rows_and_what_is_coded_again_must_be_the_same(kept, capsys, monkeypatch):
    world, found = kept
    n = world.logged("encode")
    status, out, _ = call(["cache", "--out", world.out, "--prune-to", "0MB"], capsys)
    assert status == 0 and "pruned: 12 streams" in out
    again, _ = world.run(rates=(2, 4))
    assert again == found and world.logged("encode") == n
    seen, _ = world.run(rates=(2, 4), nets=("max",), betas=(0.5,))
    assert world.logged("encode") == n + 12 and all(row["error"] is None for row in seen)
    assert call(["cache", "--out", world.out, "--verify"], capsys)[0] == 0
    call(["cache", "--out", world.out, "--prune-to", "0MB"], capsys)
    quant = registry.load("method", "quant")
    encode = quant.encode
    monkeypatch.setattr(quant, "encode", lambda self, image, rate: encode(self, image // 2, rate))
    seen, _ = world.run(rates=(2,), nets=("max",), betas=(0.25,))
    assert all("two different streams of one picture" in row["error"] for row in seen)


def test_pruning_by_age_and_by_size(kept, capsys):
    world, _ = kept
    db = sqlite3.connect(world.out / "store.sqlite")
    db.execute("UPDATE sessions SET provenance=json_set(provenance, '$.utc', '2020-01-01T00:00:00+00:00')")
    db.commit()
    world.run(rates=(3,))
    total, newer = (
        db.execute(f"SELECT sum(length(data)) FROM streams WHERE {where}").fetchone()[0] for where in ("1", "rate=3")
    )
    status, out, _ = call(["cache", "--out", world.out, "--prune-to", f"{total}"], capsys)
    assert status == 0 and "pruned: 0 streams" in out
    status, out, _ = call(["cache", "--out", world.out, "--prune-to", f"{newer}"], capsys)
    assert "pruned: 12 streams" in out, "the oldest go first"
    status, out, _ = call(["cache", "--out", world.out, "--prune-older", "30d"], capsys)
    assert "pruned: 0 streams" in out
    assert db.execute("SELECT count(*) FROM streams WHERE data IS NOT NULL").fetchone() == (6,)


def test_a_damaged_stream_is_named(kept, capsys):
    world, _ = kept
    db = sqlite3.connect(world.out / "store.sqlite")
    (key, data) = db.execute("SELECT key, data FROM streams WHERE id=3").fetchone()
    db.execute("UPDATE streams SET data=? WHERE id=3", (data[:-1] + bytes([data[-1] ^ 1]),))
    other = db.execute("SELECT data FROM streams WHERE id=4").fetchone()[0]
    stream = Bitstream.from_bytes(other)
    db.execute("UPDATE streams SET width=? WHERE id=4", (stream.width + 1,))
    db.commit()
    status, out, error = call(["cache", "--out", world.out, "--verify"], capsys)
    assert status == 1 and "2 faults" in out and f"stream {key}" in error and "picture of" in error


def test_words_that_are_no_age_or_size():
    assert _cache_text.size("1.5kB") == 1500 and _cache_text.size("2G") == 2 * 10**9
    assert _cache_text.age("2w").days == 14
    for wrong, read in (("soon", _cache_text.age), ("1y", _cache_text.age), ("big", _cache_text.size)):
        with pytest.raises(UserError, match="expected"):
            read(wrong)
