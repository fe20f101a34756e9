"""What every codec must hold to, by icm-bench's conformance kit: python -m pytest, with the package installed."""

import pytest

from icm_bench import registry
from icm_bench.testing import MethodTests


class TestDct8(MethodTests):
    @pytest.fixture
    def method(self):
        return registry.method("dct8")
