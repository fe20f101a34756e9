"""Task-specific codecs: the conformance kit, one checkpoint a task, and the net that each saw."""

import pytest

from icm_bench import registry
from icm_bench.errors import UserError
from icm_bench.method import Method
from icm_bench.testing import MethodTests


@pytest.fixture(scope="module")
def method() -> Method:
    return registry.method('task-specific(task="cityscapes")')


class TestTaskSpecific(MethodTests):
    pass


SEEN = [("imagenet", "mini-resnet"), ("coco", "mini-fcos"), ("cityscapes", "mini-fcn")]


@pytest.mark.parametrize(("task", "net"), SEEN)
def test_each_task_has_its_checkpoint_and_says_which_net_it_saw(task: str, net: str) -> None:
    made = registry.method(f"task-specific(task={task!r})")
    assert list(made.provenance()["nets_seen"]) == [f"{net} ({task})"]
    one = made.footprint()
    assert one.checkpoints == 1 and one.parameters > 1e6
    assert made.footprint(3).parameters == 3 * one.parameters


def test_an_unknown_task_names_what_there_is() -> None:
    with pytest.raises(UserError, match=r"no built-in checkpoint .*task-specific-coco-mini"):
        registry.method('task-specific(task="cocoa")').setup()
    with pytest.raises(UserError, match="of which task"):
        registry.method("task-specific").setup()
