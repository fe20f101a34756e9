"""Training resumes with the curve of an unbroken run, and refuses what it cannot continue."""

from pathlib import Path

import numpy as np
import pytest
import torch

from icm_bench.errors import UserError
from icm_bench.training.loop import Options, Progress, Recipe, Schedule, train


class Line(Recipe):
    """Fit a line; noise comes from torch's generator and the batch from the step."""

    def __init__(self, broken_at: int | None = None) -> None:
        torch.manual_seed(0)
        self.model = torch.nn.Linear(3, 1)
        self.broken_at = broken_at

    def batch(self, step: int) -> np.ndarray:
        return np.random.default_rng(step).normal(size=(8, 3)).astype(np.float32)

    def loss(self, batch: np.ndarray) -> tuple[torch.Tensor, dict[str, float]]:
        x = torch.from_numpy(batch)
        loss = (self.model(x + 0.1 * torch.randn_like(x)) - x.sum(1, keepdim=True)).square().mean()
        return loss, {"size": float(len(batch))}

    def evaluate(self) -> dict[str, float]:
        x = torch.ones(1, 3)
        return {"error": (self.model(x) - 3).abs().item()}


def run(recipe: Recipe, schedule: Schedule, where: Options) -> Progress:
    """Train to the end; the last event."""
    return list(train(recipe, schedule, where))[-1]


def options(folder: Path) -> Options:
    return Options(folder, log_every=5, save_every=10, evaluate_every=20)


def test_a_broken_run_continues_as_if_unbroken(tmp_path: Path) -> None:
    whole, parts = Line(), Line()
    run(whole, Schedule(60, warmup=5), options(tmp_path / "whole"))
    for event in train(parts, Schedule(60, warmup=5), options(tmp_path / "parts")):
        if event.step == 25:  # after the checkpoint at 20: the steps 21 to 25 are lost and taken again
            break
    again = Line()
    run(again, Schedule(60, warmup=5), options(tmp_path / "parts"))
    assert torch.equal(whole.model.weight, again.model.weight)
    assert (tmp_path / "whole/log.csv").read_text() == (tmp_path / "parts/log.csv").read_text()


def test_it_learns_and_reports_held_out_numbers(tmp_path: Path) -> None:
    recipe = Line()
    before = recipe.evaluate()["error"]
    last = run(recipe, Schedule(200, lr=0.05, warmup=5), options(tmp_path))
    assert last.step == 200 and last.numbers["size"] == 8
    assert last.held_out["error"] < before / 4


def test_a_checkpoint_of_another_model_is_refused(tmp_path: Path) -> None:
    run(Line(), Schedule(10), options(tmp_path))
    other = Line()
    other.model = torch.nn.Linear(4, 1)
    with pytest.raises(UserError, match="another configuration"):
        run(other, Schedule(20), options(tmp_path))


def test_a_loss_that_is_not_finite_stops_the_run(tmp_path: Path) -> None:
    recipe = Line()
    recipe.model.weight.data.fill_(float("nan"))
    with pytest.raises(UserError, match="the loss is nan at step 0"):
        run(recipe, Schedule(10), options(tmp_path))
