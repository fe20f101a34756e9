"""Fixtures that several test files share."""

from pathlib import Path

import pytest


@pytest.fixture
def world(tmp_path, monkeypatch):
    """A small data set with a test codec and a test task; the registry is as before afterwards."""
    from plugin_world import World

    from icm_bench import registry

    yield World(tmp_path, monkeypatch)
    registry._plugins.cache_clear()


@pytest.fixture(autouse=True)
def no_remembered_data(tmp_path_factory, monkeypatch):
    """What the user's ``icm-bench data add`` has remembered is of no concern to a test."""
    monkeypatch.setenv("ICM_BENCH_CONFIG", str(tmp_path_factory.getbasetemp() / "no-config"))


@pytest.fixture
def kills(monkeypatch):
    """The module benchmarks/kills.py."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent.parent / "benchmarks"))
    import kills

    return kills
