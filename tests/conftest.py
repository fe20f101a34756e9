"""Fixtures that several test files share."""

import pytest


@pytest.fixture
def world(tmp_path, monkeypatch):
    """A small data set with a test codec and a test task; the registry is as before afterwards."""
    from plugin_world import World

    from icm_bench import registry

    yield World(tmp_path, monkeypatch)
    registry._plugins.cache_clear()
