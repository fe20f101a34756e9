"""The conformance kit: what every codec and every task must hold to, for free. Needs pytest.

    class TestMine(MethodTests):
        @pytest.fixture
        def method(self):
            return registry.method("mine")

``TaskTests`` takes a fixture ``task`` in the same way. Plug-ins are asked for by their spec, so that they are tested
as users will meet them. ``icm-bench test mine`` runs the same checks and prints a verdict.
"""

from icm_bench.testing.methods import MAX_HEADER_BYTES, MethodTests
from icm_bench.testing.pictures import textured_picture
from icm_bench.testing.tasks import TaskTests

__all__ = ["MAX_HEADER_BYTES", "MethodTests", "TaskTests", "textured_picture"]
