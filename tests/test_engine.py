"""A worker that dies is replaced; its unit is tried once more and then fails; the others are not harmed."""

import os
import signal

import pytest
from plugin_world import lasting

from icm_bench import runner
from icm_bench.engine import Pool, Serial, make


def test_one_worker_is_this_process():
    assert make(1) == Serial()
    assert make(3) == Pool(3)


@pytest.mark.parametrize("always", [False, True])
def test_a_worker_killed_in_a_unit(world, monkeypatch, always):
    monkeypatch.setenv("QUANT_DEADLY", "102")
    monkeypatch.setenv("QUANT_DEADLY_ONCE", "" if always else str(world.root / "died"))
    rows, events = world.run(Pool(2), rates=(2,), betas=(1,))
    (row,) = rows
    failed = [event for event in events if isinstance(event, runner.UnitFailed)]
    if always:
        assert [event.sample[:3] for event in failed] == ["p02"]
        assert f"status {-signal.SIGKILL}" in row["error"]
        assert (row["n_pictures"], row["n_failed"]) == (5, 1)
    else:
        assert (row["n_pictures"], failed) == (6, [])
        monkeypatch.delenv("QUANT_DEADLY")
        again, _ = world.run(store=world.root / "other.sqlite", rates=(2,), betas=(1,))
        assert lasting(again) == lasting(rows)


def test_threads_variables_are_as_before(world):
    before = dict(os.environ)
    world.run(Pool(1), rates=(2,), betas=(1,))
    assert dict(os.environ) == before
