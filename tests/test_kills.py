"""A run killed at random moments and given again ends as the unbroken one: a few kills of benchmarks/kills.py."""

import sqlite3
from contextlib import closing


def test_a_run_killed_at_random_moments_loses_nothing_and_makes_nothing_twice(kills, tmp_path):
    case = kills.cases(kills.pictures(tmp_path / "pictures", 40))[0]
    torture = kills.Torture(case, tmp_path, seed=1)
    assert len(torture.unbroken[0]["streams"]) == 160 and len(torture.unbroken[1]) == 1 + 4
    for victim in ("main", "worker", "worker", "main"):
        torture.kill(victim)
    tally = torture.end()
    assert (tally.done["main killed"], tally.done["worker killed"]) == (2, 2)
    assert tally.done["stores compared"] >= 3
    assert tally.wrong == []


def test_a_store_that_lacks_something_or_holds_it_twice_is_found(kills, tmp_path):
    case = kills.cases(kills.pictures(tmp_path / "pictures", 2))[1]
    store = kills.Torture(case, tmp_path, seed=0).folder / "unbroken" / "store.sqlite"
    for name, change in {
        "decodes": "DELETE FROM decodes WHERE stream=1",
        "sets": "INSERT INTO sets SELECT digest || 'x', members FROM sets",
        "streams": "UPDATE streams SET n_bytes=n_bytes+1 WHERE id=2",
        "cells": "UPDATE cells SET row=replace(row, '\"n_pictures\": 2', '\"n_pictures\": 1')",
    }.items():
        before = kills.lasting(store)
        with closing(sqlite3.connect(store)) as db:
            db.execute(change)
            db.commit()
        after = kills.lasting(store)
        assert after[name] != before[name]
