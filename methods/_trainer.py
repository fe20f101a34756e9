"""The trainer of the learned codecs: from a config in ``configs/`` to a job for ``icm-bench train``.

A config names a stage, and may start from the run of another config.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch

from icm_bench import __version__, registry
from icm_bench.config import read_config
from icm_bench.errors import UserError
from icm_bench.methods._checkpoints import digest
from icm_bench.methods._codec_training import AuxiliaryRecipe, MseRecipe, RateRange, start_auxiliary
from icm_bench.methods._cognition import CognitionLoss, CognitionRecipe
from icm_bench.methods._judges import JudgeConfig, make_judge
from icm_bench.methods._moco import MocoConfig, MocoRecipe
from icm_bench.methods._networks import CodecConfig
from icm_bench.methods._release import release
from icm_bench.methods._task_training import TaskLoss, TaskRecipe
from icm_bench.methods._trainable import CodecNet
from icm_bench.provenance import commit
from icm_bench.training.checkpoint import CHECKPOINT, below, read_checkpoint
from icm_bench.training.data import CropSampler, PicturePool, folder_pictures, mini_pictures
from icm_bench.training.job import Job, Places
from icm_bench.training.loop import Options, Progress, Recipe, Schedule

EVALUATE_EVERY = 2000
#: The card of a training that releases nothing, in its run folder.
CARD = "card.json"


@dataclass(frozen=True)
class Config:
    """One training, as the TOML file gives it.

    stage: "moco", "mse" (rate and distortion), "cognition" (stage I), "auxiliary" (stage II) or "task"; releases:
    name of the checkpoint that it makes, "" for none; steps, batch, crop (pixels a side), lr, warmup (steps), seed;
    photos, mini: shares of the two sources; init: the config whose run gives the start, at its gain level init_level
    for a codec of one rate; mse: the config whose run gives the auxiliary branch its start.
    """

    stage: str
    steps: int
    releases: str = ""
    batch: int = 8
    crop: int = 128
    lr: float = 5e-4
    warmup: int = 200
    seed: int = 1
    photos: float = 0.7
    mini: float = 0.3
    init: str = ""
    init_level: float = 0.0
    mse: str = ""
    net: CodecConfig = field(default_factory=CodecConfig)
    rates: RateRange = field(default_factory=RateRange)
    cognition: CognitionLoss = field(default_factory=CognitionLoss)
    judge: tuple[JudgeConfig, ...] = ()
    task: TaskLoss = field(default_factory=TaskLoss)
    moco: MocoConfig = field(default_factory=MocoConfig)

    def __post_init__(self) -> None:
        if self.stage not in STAGES:
            raise ValueError(f"unknown stage {self.stage!r}{registry.suggest(self.stage, STAGES)}")
        if (self.stage == "cognition") != bool(self.judge):
            raise ValueError("[[judge]] goes with stage = 'cognition', and only with it")
        if self.net.auxiliary != (self.stage == "auxiliary"):
            raise ValueError("auxiliary = true in [net] goes with stage = 'auxiliary', and only with it")


@dataclass
class Workshop:
    """Everything a stage needs beside its config: the pictures and the runs of other configs."""

    config: Config
    places: Places

    def pools(self, max_side: int = 640) -> dict[str, tuple[PicturePool, float]]:
        pools = {}
        if self.config.photos:
            if self.places.photos is None:
                raise UserError(
                    "this config learns from photographs too: give a folder of them with --photos"
                )
            pools["photos"] = (PicturePool(folder_pictures(self.places.photos), max_side), self.config.photos)
        if self.config.mini:
            pools["mini"] = (PicturePool(mini_pictures(), max_side), self.config.mini)
        return pools

    def crops(self) -> CropSampler:
        return CropSampler(self.pools(), self.config.batch, self.config.crop, self.config.seed)

    def weights_of(self, name: str, prefix: str = "") -> dict[str, Any]:
        """Model tensors below a prefix from the last checkpoint of another config's run."""
        path = self.places.runs / name / CHECKPOINT
        if not path.is_file():
            raise UserError(f"{path}: not there; run the training {name!r} first (icm-bench train {name})")
        return below(read_checkpoint(path)[1], f"model.{prefix}")

    def net(self) -> CodecNet:
        torch.manual_seed(self.config.seed)
        net = CodecNet(self.config.net)
        if self.config.init:
            _start(net, self.weights_of(self.config.init, "primary."), self.config)
        return net


def _start(net: CodecNet, tensors: dict[str, Any], config: Config) -> None:
    """Start the primary branch from another run's.

    A codec of one rate takes the gains of one level; gains on the hyper-latent that the other lacks begin at one.
    """
    if config.net.levels == 1:
        low, part = int(config.init_level), config.init_level % 1
        for key in [key for key in tensors if "gains." in key]:
            rows = tensors[key]
            tensors[key] = torch.lerp(rows[low], rows[min(low + 1, len(rows) - 1)], part)[None]
    own = net.primary.state_dict()
    tensors = {key: value for key, value in own.items() if key.startswith("hyper_gains.")} | tensors
    try:
        net.primary.load_state_dict(tensors)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise UserError(f"the run {config.init!r} does not fit this config's [net] ({reason})") from error


def _moco(shop: Workshop) -> Recipe:
    torch.manual_seed(shop.config.seed)
    pools = list(shop.pools(400).values())
    return MocoRecipe(pools, shop.config.moco, shop.config.batch, shop.config.seed, shop.places.device)


def _mse(shop: Workshop) -> Recipe:
    return MseRecipe(shop.net(), shop.crops(), shop.config.rates, shop.places.device)


def _cognition(shop: Workshop) -> Recipe:
    judges = [
        (one, make_judge(one.net, partial(shop.weights_of, one.run, "query."), shop.places.weights.get(one.net)))
        for one in shop.config.judge
    ]
    return CognitionRecipe(shop.net(), shop.crops(), judges, shop.config.cognition, shop.places.device)


def _auxiliary(shop: Workshop) -> Recipe:
    net = shop.net()
    if shop.config.mse:
        trained = CodecNet(dataclasses.replace(shop.config.net, auxiliary=False))
        trained.load_state_dict(shop.weights_of(shop.config.mse))
        start_auxiliary(net, trained)
    return AuxiliaryRecipe(net, shop.crops(), shop.config.rates, shop.places.device)


def _task(shop: Workshop) -> Recipe:
    wanted, places = shop.config.task, shop.places
    task = registry.task(wanted.task, **({"data": str(places.data)} if places.data else {}))
    weights = places.weights.get(wanted.net)
    teacher = task.teacher(wanted.net, None if weights is None else str(weights), shop.config.crop)
    teacher.setup(places.device)
    return TaskRecipe(shop.net(), shop.crops(), teacher, wanted, places.device)


STAGES = {"moco": _moco, "mse": _mse, "cognition": _cognition, "auxiliary": _auxiliary, "task": _task}


def job(path: Path, places: Places) -> Job:
    """The training of a config. Raises UserError for a config that does not fit, and for missing pictures or runs."""
    config = read_config(Config, path)
    recipe = STAGES[config.stage](Workshop(config, places))
    options = Options(places.runs / path.stem, seed=config.seed, evaluate_every=EVALUATE_EVERY)
    return Job(
        path.stem,
        recipe,
        Schedule(config.steps, config.lr, config.warmup),
        options,
        partial(_release, config, path.stem, recipe, places),
    )


def _release(config: Config, name: str, recipe: Recipe, places: Places, last: Progress) -> list[Path]:
    """Write the checkpoint and its card; of a training that releases nothing, the card in its run folder."""
    card = _card(config, name, recipe, places, last)
    released = places.name or config.releases
    if not released or not isinstance(recipe, MseRecipe):
        path = places.runs / name / CARD
        path.write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
        return [path]
    recipe.model.eval()
    path = (places.out or places.runs / name) / f"{released}.safetensors"
    release(recipe.model, path, card)
    return [path, path.with_suffix(".json")]


def _card(config: Config, name: str, recipe: Recipe, places: Places, last: Progress) -> dict[str, Any]:
    return {
        "training": name,
        "training_config": _told(config),
        "steps_done": last.step,
        "data": recipe.crops.fingerprints if isinstance(recipe, MseRecipe) else {},
        "nets_seen": _nets_seen(config, places),
        "held_out": {key: round(value, 4) for key, value in last.held_out.items()},
        "versions": {"icm_bench": __version__, "torch": torch.__version__},
        "commit": commit(Path(__file__).parents[1]),
    }


def _nets_seen(config: Config, places: Places) -> dict[str, str]:
    """Networks that looked at pictures in this training and in those it starts from.

    By name, each with the sha256 of its weights where it has a file.
    """
    before = places.runs / config.init / CARD
    seen: dict[str, str] = {}
    if config.init and before.is_file():
        seen |= json.loads(before.read_text(encoding="utf-8"))["nets_seen"]
    names = {one.net if one.net != "moco" else f"moco (run {one.run})": one.net for one in config.judge}
    if config.stage == "task":
        names[f"{config.task.net} ({config.task.task})"] = config.task.net
    return seen | {
        shown: digest(places.weights[net]) if net in places.weights else "" for shown, net in names.items()
    }


def _told(config: Config) -> dict[str, Any]:
    """The config with the tables that its stage reads."""
    tables = {
        "moco": ("moco",),
        "mse": ("net", "rates"),
        "cognition": ("net", "cognition", "judge"),
        "auxiliary": ("net", "rates"),
        "task": ("net", "task"),
    }
    every = {name for names in tables.values() for name in names}
    told = dataclasses.asdict(config)
    return {key: value for key, value in told.items() if key not in every - {*tables[config.stage]}}
