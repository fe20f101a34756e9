"""The training loop: seeded, resumable after a kill with the same curve, a CSV log.

A ``Recipe`` says what is trained and how one step's loss comes about; the loop does the rest. All randomness of a
step comes from (seed, step), so that a run continued from a checkpoint takes the very steps of an unbroken one.
"""

from __future__ import annotations

import csv
import math
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from icm_bench.errors import UserError
from icm_bench.training.checkpoint import CHECKPOINT, load_checkpoint, save_checkpoint

#: Batches that are made while a step runs, each in a thread of its own.
AHEAD = 3


class Recipe(ABC):
    """What is trained. Subclasses build ``model`` and hold the data."""

    model: nn.Module

    def companions(self) -> dict[str, nn.Module]:
        """Further modules whose state a resumed run needs, such as a queue of negatives."""
        return {}

    def trainable(self) -> list[dict[str, Any]]:
        """Parameter groups for Adam; "scale" multiplies the learning rate."""
        return [{"params": [p for p in self.model.parameters() if p.requires_grad]}]

    @abstractmethod
    def batch(self, step: int) -> Any:
        """The step's data, from (seed, step) alone; made in a background thread, several at a time."""

    @abstractmethod
    def loss(self, batch: Any) -> tuple[Tensor, dict[str, float]]:
        """The step's loss and the numbers to log. Random draws come from torch's seeded default generator."""

    @abstractmethod
    def evaluate(self) -> dict[str, float]:
        """Numbers on held-out pictures."""


@dataclass(frozen=True)
class Schedule:
    """Adam with linear warm-up and cosine decay to ``final`` of the peak rate; gradients clipped to ``clip``."""

    steps: int
    lr: float = 5e-4
    warmup: int = 200
    final: float = 0.02
    clip: float = 1.0

    def factor(self, step: int) -> float:
        """Learning rate at a step relative to the peak."""
        if step < self.warmup:
            return (step + 1) / self.warmup
        done = min(1.0, (step - self.warmup) / max(1, self.steps - self.warmup))
        return self.final + (1 - self.final) * 0.5 * (1 + math.cos(math.pi * done))


@dataclass(frozen=True)
class Options:
    """Where and how long: run folder, minutes at most (None: until done), seed, and how often things happen."""

    folder: Path
    minutes: float | None = None
    seed: int = 1
    log_every: int = 50
    save_every: int = 500
    evaluate_every: int = 5000


@dataclass
class Progress:
    """One event of a run: the step just done, all steps, and the logged numbers (means since the last event)."""

    step: int
    steps: int
    numbers: dict[str, float] = field(default_factory=dict)
    held_out: dict[str, float] = field(default_factory=dict)


def train(recipe: Recipe, schedule: Schedule, options: Options) -> Iterator[Progress]:
    """Train until the schedule or the time ends, from the folder's last checkpoint if there is one.

    Yields a Progress every ``log_every`` steps. Raises UserError when the loss is no longer finite.
    """
    options.folder.mkdir(parents=True, exist_ok=True)
    optimizer = torch.optim.Adam(recipe.trainable(), lr=schedule.lr, fused=True)
    checkpoint = options.folder / CHECKPOINT
    modules = {"model": recipe.model, **recipe.companions()}
    start = load_checkpoint(checkpoint, modules, optimizer) if checkpoint.exists() else 0
    if start >= schedule.steps:
        yield Progress(start, schedule.steps, {}, evaluate(recipe))
        return
    deadline = math.inf if options.minutes is None else time.monotonic() + 60 * options.minutes
    log = _Log(options.folder / "log.csv", start)
    sums: dict[str, float] = {}
    with ThreadPoolExecutor(AHEAD) as background:
        ahead = deque(background.submit(recipe.batch, start + i) for i in range(AHEAD))
        for step in range(start, schedule.steps):
            batch = ahead.popleft().result()
            ahead.append(background.submit(recipe.batch, step + AHEAD))
            for key, value in _step(recipe, optimizer, schedule, step, options.seed, batch).items():
                sums[key] = sums.get(key, 0.0) + value
            done = step + 1
            last = done == schedule.steps or time.monotonic() > deadline
            if done % options.save_every == 0 or last:
                save_checkpoint(checkpoint, done, modules, optimizer)
            if done % options.log_every == 0 or last:
                count = (done - 1) % options.log_every + 1
                means = {key: value / count for key, value in sums.items()}
                sums = {}
                held_out = evaluate(recipe) if done % options.evaluate_every == 0 or last else {}
                log.write(done, means, held_out)
                yield Progress(done, schedule.steps, means, held_out)
            if last:
                break


def evaluate(recipe: Recipe) -> dict[str, float]:
    """The recipe's held-out numbers, with the model in evaluation mode."""
    recipe.model.eval()
    with torch.inference_mode():
        numbers = recipe.evaluate()
    recipe.model.train()
    return numbers


def _step(
    recipe: Recipe, optimizer: torch.optim.Optimizer, schedule: Schedule, step: int, seed: int, batch: Any
) -> dict[str, float]:
    torch.manual_seed(seed * 1_000_003 + step)
    for group in optimizer.param_groups:
        group["lr"] = schedule.lr * schedule.factor(step) * group.get("scale", 1.0)
    recipe.model.train()
    loss, numbers = recipe.loss(batch)
    if not math.isfinite(loss.item()):
        raise UserError(
            f"the loss is {loss.item()} at step {step}: lower the learning rate or resume from an earlier one"
        )
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    torch.nn.utils.clip_grad_norm_(parameters, schedule.clip)
    optimizer.step()
    return {"loss": loss.item(), **numbers}


class _Log:
    """The CSV log; lines after the resumed step are dropped so that a resumed run reads like an unbroken one."""

    def __init__(self, path: Path, start: int) -> None:
        self.path = path
        self.rows: list[dict[str, str]] = []
        if start and path.exists():
            with path.open(newline="") as file:
                self.rows = [row for row in csv.DictReader(file) if int(row["step"]) <= start]

    def write(self, step: int, means: dict[str, float], held_out: dict[str, float]) -> None:
        row = {"step": str(step), **{k: f"{v:.6g}" for k, v in means.items()}}
        row |= {f"held_out_{k}": f"{v:.6g}" for k, v in held_out.items()}
        self.rows.append(row)
        names = list(dict.fromkeys(key for row in self.rows for key in row))
        part = self.path.with_suffix(".part")
        with part.open("w", newline="") as file:
            writer = csv.DictWriter(file, names)
            writer.writeheader()
            writer.writerows(self.rows)
        part.replace(self.path)
