"""The variable-rate hyperprior: the conformance kit on the shipped checkpoint."""

import pytest

from icm_bench import registry
from icm_bench.method import Method
from icm_bench.testing import MethodTests


@pytest.fixture(scope="module")
def method() -> Method:
    return registry.method("hyperprior")


class TestHyperprior(MethodTests):
    pass
