"""The trainer of the mini nets: from a config in ``configs/`` to a job for ``icm-bench train``."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from functools import partial
from pathlib import Path

import torch

from icm_bench import __version__
from icm_bench.config import read_config
from icm_bench.provenance import commit
from icm_bench.tasks import _train_sets
from icm_bench.tasks._mini_nets import WEIGHTS
from icm_bench.tasks._mini_training import TASKS, Config, MiniRecipe
from icm_bench.training.job import Job, Places
from icm_bench.training.loop import Options, Progress, Schedule


def job(path: Path, places: Places) -> Job:
    """The training of a config. Raises UserError for a config or a train split that does not fit."""
    config = read_config(Config, path)
    task = TASKS[config.kind]
    root, fingerprint = _train_sets.root_of(task, places.data)
    recipe = MiniRecipe(config, _train_sets.read_train(task, root), places.device)
    facts = {"data_fingerprint": fingerprint}
    out = places.out or places.runs / path.stem
    if config.init:
        own = places.runs / config.init / f"{config.init}.safetensors"
        start = own if own.is_file() else WEIGHTS / own.name
        recipe.start_from(start)
        facts["init_sha256"] = hashlib.sha256(start.read_bytes()).hexdigest()
    often = max(config.steps // 8 // 25, 1) * 25
    return Job(
        path.stem,
        recipe,
        Schedule(config.steps, config.lr, warmup=min(100, config.steps // 10), final=0.01, clip=5.0),
        Options(places.runs / path.stem, seed=config.seed, save_every=100, log_every=25, evaluate_every=often),
        partial(_release, recipe, out / f"{places.name or config.net}.safetensors", facts),
    )


def _release(recipe: MiniRecipe, path: Path, facts: dict[str, str], last: Progress) -> list[Path]:
    recipe.model.eval()
    card = write_card(recipe, last, path, {**facts, "sha256": write_weights(recipe, path)})
    return [path, card]


def write_weights(recipe: MiniRecipe, path: Path) -> str:
    """Write the weights in half precision (vectors in single) and return the file's SHA-256."""
    from safetensors.torch import save

    state = {}
    for key, value in recipe.model.state_dict().items():
        if not key.endswith("num_batches_tracked"):
            # A variance of a norm can be below what half precision holds.
            wide = value.detach().cpu().contiguous()
            state[key] = wide.half() if wide.ndim > 1 else wide
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    # One entry only: the library writes several in an order that changes from call to call.
    note = json.dumps({"name": recipe.config.net, "labels": recipe.data.labels})
    part.write_bytes(save(state, {"mini_net": note}))
    part.replace(path)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write_card(recipe: MiniRecipe, last: Progress, weights: Path, facts: dict[str, str]) -> Path:
    """The model card beside the weights."""
    card = {
        "net": recipe.config.net,
        "task": TASKS[recipe.config.kind],
        "parameters": sum(p.numel() for p in recipe.model.parameters()),
        "config": dataclasses.asdict(recipe.config),
        "steps_done": last.step,
        "pictures": {"learned": len(recipe.learned), "held_out": len(recipe.held_out)},
        "held_out": {key: round(value, 2) for key, value in last.held_out.items()},
        "versions": {"icm_bench": __version__, "torch": torch.__version__},
        "commit": commit(Path(__file__).parents[1]),
        **facts,
    }
    path = weights.with_suffix(".json")
    path.write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    return path
