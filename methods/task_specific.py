"""Task-specific ICM: the hyperprior with gain units, trained end to end through one frozen network of one task.

"Image Coding for Machines: an End-to-End Learned Approach", Le et al., ICASSP 2021; "End-to-End Optimized Image
Compression for Machines, a Study", Chamain et al., DCC 2021. A checkpoint per task; which network it saw stands in
the model card and in every row.
"""

from __future__ import annotations

from dataclasses import dataclass

from icm_bench.errors import UserError
from icm_bench.method import Footprint
from icm_bench.methods._learned import LearnedCodec


@dataclass(frozen=True)
class TaskSpecific(LearnedCodec):
    """task: the task whose codec it is ("imagenet", "coco", "cityscapes"); it may be run on others.

    checkpoint: a built-in name or the path of a released checkpoint (.safetensors); "" takes the task's built-in one.
    """

    checkpoint: str = ""
    task: str = ""

    @property
    def checkpoints(self) -> tuple[str, ...]:
        if not (self.checkpoint or self.task):
            raise UserError("task-specific: of which task? Say task-specific(task='coco'), or give a checkpoint")
        return (self.checkpoint or f"task-specific-{self.task}-mini",)

    def footprint(self, n_tasks: int = 1) -> Footprint:
        """One checkpoint for every task."""
        one = super().footprint()
        return Footprint(n_tasks * one.checkpoints, n_tasks * one.parameters)
