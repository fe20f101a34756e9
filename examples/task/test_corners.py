"""What every task must hold to, by icm-bench's conformance kit: python -m pytest, with the package installed."""

import pytest

from icm_bench import registry
from icm_bench.testing import TaskTests


class TestCorners(TaskTests):
    @pytest.fixture
    def task(self):
        return registry.task("corners")
