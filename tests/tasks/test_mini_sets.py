"""The built-in mini sets go through the loaders of the real ones."""

import subprocess
import sys

import pytest

from icm_bench import mini, registry


@pytest.mark.parametrize(("name", "n"), [("imagenet", 200), ("coco", 100), ("cityscapes", 60)])
def test_mini_set_is_the_default(name, n):
    task = registry.task(name)
    assert task.label == f"{name} (built-in mini set, synthetic)"
    assert task.fingerprint == mini.fingerprint(name, "val")
    assert len(task.samples()) == len({sample.id for sample in task.samples()}) == n
    assert len(task.nets) == 2
    real = registry.task(name, data=str(task.root))
    assert [sample.id for sample in real.samples()] == [sample.id for sample in task.samples()]
    assert real.label.endswith(f"{n} of {task.expected}")


def test_tasks_load_without_torch():
    code = (
        "import sys; from icm_bench import registry\n"
        "for name in registry.names('task'): registry.load('task', name)\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
