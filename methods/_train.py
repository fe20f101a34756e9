"""Train a learned codec: ``python -m icm_bench.methods._train rdc-mini-stage2 --photos FOLDER``.

A config names a stage, and may start from the run of another config. A run that is killed goes on from its last
checkpoint when called again. Codecs are released to ``--out``: weights (safetensors) and a model card.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import time
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from icm_bench import __version__
from icm_bench.errors import UserError
from icm_bench.methods._checkpoints import WEIGHTS
from icm_bench.methods._codec_training import (
    AuxiliaryRecipe,
    CognitionLoss,
    CognitionRecipe,
    MseRecipe,
    RateRange,
    start_auxiliary,
)
from icm_bench.methods._moco import Backbone, MocoConfig, MocoRecipe
from icm_bench.methods._networks import CodecConfig
from icm_bench.methods._release import release
from icm_bench.methods._trainable import CodecNet
from icm_bench.provenance import commit
from icm_bench.registry import suggest
from icm_bench.training.data import CropSampler, PicturePool, folder_pictures, mini_pictures
from icm_bench.training.loop import Options, Progress, Recipe, Schedule, train

CONFIGS = Path(__file__).with_name("configs")


@dataclass(frozen=True)
class Config:
    """One training, as the TOML file gives it.

    stage: "moco", "mse" (rate and distortion), "cognition" (stage I) or "auxiliary" (stage II); steps, batch, crop
    (pixels a side), lr, seed; photos, mini: shares of the two sources; init: the config whose run gives the start;
    mse: the config whose run gives the auxiliary branch its start; backbone: the config whose run gives the judge.
    """

    stage: str
    steps: int
    batch: int = 8
    crop: int = 128
    lr: float = 5e-4
    seed: int = 1
    photos: float = 0.75
    mini: float = 0.25
    init: str = ""
    mse: str = ""
    backbone: str = ""
    net: CodecConfig = field(default_factory=CodecConfig)
    rates: RateRange = field(default_factory=RateRange)
    cognition: CognitionLoss = field(default_factory=CognitionLoss)
    moco: MocoConfig = field(default_factory=MocoConfig)

    @classmethod
    def read(cls, path: Path) -> Config:
        """Raises UserError for a file that is missing, not TOML, or has keys that are not ours."""
        try:
            values = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, tomllib.TOMLDecodeError) as error:
            raise UserError(f"{path}: not a readable TOML file ({error})") from error
        tables = {"net": CodecConfig, "rates": RateRange, "cognition": CognitionLoss, "moco": MocoConfig}
        try:
            for key, made in tables.items():
                if key in values:
                    values[key] = _filled(made, values[key], f"{path} [{key}]")
            config: Config = _filled(cls, values, str(path))
        except TypeError as error:
            raise UserError(f"{path}: {error}") from error
        if config.stage not in STAGES:
            raise UserError(f"{path}: unknown stage {config.stage!r}{suggest(config.stage, STAGES)}")
        return config


def _filled(cls: Any, values: dict[str, Any], where: str) -> Any:
    known = [item.name for item in dataclasses.fields(cls)]
    for key in values:
        if key not in known:
            raise UserError(f"{where}: unknown key {key!r}{suggest(key, known)}")
    return cls(**values)


@dataclass
class Workshop:
    """Everything a stage needs beside its config: the pictures and the runs of other configs."""

    config: Config
    photos: Path | None
    runs: Path
    device: str

    def pools(self, max_side: int = 640) -> dict[str, tuple[PicturePool, float]]:
        pools = {}
        if self.config.photos:
            if self.photos is None:
                raise UserError(
                    "this config learns from photographs too: give a folder of them with --photos"
                )
            pools["photos"] = (PicturePool(folder_pictures(self.photos), max_side), self.config.photos)
        if self.config.mini:
            pools["mini"] = (PicturePool(mini_pictures()), self.config.mini)
        return pools

    def crops(self) -> CropSampler:
        return CropSampler(self.pools(), self.config.batch, self.config.crop, self.config.seed)

    def weights_of(self, name: str, prefix: str = "") -> dict[str, Any]:
        """Model tensors below a prefix from the last checkpoint of another config's run."""
        path = self.runs / name / "last.pt"
        if not path.is_file():
            raise UserError(f"{path}: not there; run the training {name!r} first")
        state = torch.load(path, map_location="cpu", weights_only=True)["model"]
        return {key[len(prefix) :]: value for key, value in state.items() if key.startswith(prefix)}

    def net(self) -> CodecNet:
        torch.manual_seed(self.config.seed)
        net = CodecNet(self.config.net)
        if self.config.init:
            net.primary.load_state_dict(self.weights_of(self.config.init, "primary."))
        return net


def _moco(shop: Workshop) -> Recipe:
    torch.manual_seed(shop.config.seed)
    pools = list(shop.pools(400).values())
    return MocoRecipe(pools, shop.config.moco, shop.config.batch, shop.config.seed)


def _mse(shop: Workshop) -> Recipe:
    return MseRecipe(shop.net(), shop.crops(), shop.config.rates, shop.device)


def _cognition(shop: Workshop) -> Recipe:
    backbone = Backbone(shop.config.moco.dim)
    backbone.load_state_dict(shop.weights_of(shop.config.backbone, "query."))
    return CognitionRecipe(shop.net(), shop.crops(), backbone, shop.config.cognition, shop.device)


def _auxiliary(shop: Workshop) -> Recipe:
    net = shop.net()
    if shop.config.mse:
        trained = CodecNet(dataclasses.replace(shop.config.net, auxiliary=False))
        trained.load_state_dict(shop.weights_of(shop.config.mse))
        start_auxiliary(net, trained)
    return AuxiliaryRecipe(net, shop.crops(), shop.config.rates, shop.device)


STAGES = {"moco": _moco, "mse": _mse, "cognition": _cognition, "auxiliary": _auxiliary}


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m icm_bench.methods._train", description=__doc__)
    parser.add_argument("config", help="a built-in config's name, or a TOML file")
    parser.add_argument("--photos", type=Path, help="folder of photographs")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder for checkpoints and logs")
    parser.add_argument("--out", type=Path, default=WEIGHTS, help="folder for the released weights and card")
    parser.add_argument("--release", default="", help="name under which to release (default: not at all)")
    parser.add_argument("--minutes", type=float, help="stop after this time; the same call goes on")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args(arguments)
    try:
        _train(options)
    except UserError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


def _train(options: argparse.Namespace) -> None:
    path = Path(options.config) if options.config.endswith(".toml") else CONFIGS / f"{options.config}.toml"
    config = Config.read(path)
    torch.set_num_threads(options.threads)
    shop = Workshop(config, options.photos, options.runs, options.device)
    recipe = STAGES[config.stage](shop)
    started = time.monotonic()
    settings = Options(options.runs / path.stem, options.minutes, config.seed, evaluate_every=2000)
    last = Progress(0, config.steps)
    for last in train(recipe, Schedule(config.steps, config.lr), settings):
        numbers = " ".join(f"{key} {value:.4g}" for key, value in (last.numbers | last.held_out).items())
        minutes = (time.monotonic() - started) / 60
        sys.stderr.write(f"{path.stem} {last.step}/{last.steps} {minutes:.1f} min {numbers}\n")
    if options.release and isinstance(recipe, MseRecipe):
        recipe.model.eval()
        release(
            recipe.model,
            options.out / f"{options.release}.safetensors",
            _card(config, path.stem, recipe, last),
        )


def _card(config: Config, name: str, recipe: MseRecipe, last: Progress) -> dict[str, Any]:
    return {
        "training": name,
        "training_config": dataclasses.asdict(config),
        "steps_done": last.step,
        "data": recipe.crops.fingerprints,
        "nets_seen": [config.backbone] if config.backbone else [],
        "held_out": {key: round(value, 4) for key, value in last.held_out.items()},
        "versions": {"icm_bench": __version__, "torch": torch.__version__},
        "commit": commit(CONFIGS.parents[1]),
    }


if __name__ == "__main__":
    sys.exit(main())
