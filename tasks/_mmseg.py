"""Segmenters of mmsegmentation, by the name of a config or its path, with a checkpoint file (extra "mmseg").

    mmseg:deeplabv3plus_r50-d8_4xb2-80k_cityscapes-512x1024  --weights deeplabv3plus_r50-d8_...pth
    mmseg:my_configs/fcn.py                                  --weights work_dirs/iter_80000.pth

Preprocessing, network and the scaling of its logits are mmsegmentation's own (its test pipeline and ``test_step``).
The package index has mmcv only without its compiled operators (mmcv-lite): where they are missing, names are put in
their place that say so when a network really uses one.
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Mapping, Sequence
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from icm_bench.errors import MissingPackage, UserError
from icm_bench.registry import suggest
from icm_bench.spec import format_spec
from icm_bench.task import Net
from icm_bench.tasks._batches import by_shape, finite
from icm_bench.tasks._data import digest, weights_digest
from icm_bench.tasks._nets import check_params
from icm_bench.weights import fit, load_state

if TYPE_CHECKING:
    import numpy as np
    from torch import nn

    from icm_bench.task import Image

N_TRAIN_IDS = 19


def load(kind: str, name: str, params: Mapping[str, Any], weights: str | None) -> Net:
    """The segmenter of this config. Raises UserError for an unknown one, and without a checkpoint."""
    if kind != "segmentation":
        raise UserError(f"net mmseg:{name}: mmsegmentation's nets are segmenters and the task takes {kind} nets")
    check_params(f"mmseg:{name}", params, ())
    with_ops()
    config = find_config(name)
    if weights is None:
        raise UserError(
            f"net mmseg:{name}: give --weights FILE, the checkpoint (.pth) that mmsegmentation's page of this "
            f"model links"
        )
    return Segmenter(name, config, weights)


def find_config(name: str) -> Path:
    """The file of a config: a path as it is, a name among those that mmsegmentation installs. Raises UserError."""
    if name.endswith(".py"):
        if not Path(name).expanduser().is_file():
            raise UserError(f"net mmseg:{name}: there is no such config file")
        return Path(name).expanduser()
    import mmseg

    known = {path.stem: path for path in (Path(mmseg.__file__).parent / ".mim" / "configs").glob("[!_]*/*.py")}
    if name not in known:
        raise UserError(f"unknown mmsegmentation config {name!r}{suggest(name, known) if known else ''}")
    return known[name]


class Segmenter(Net):
    """A segmenter with 19 outputs, Cityscapes' train ids. Pictures of equal size go through it as one batch."""

    kind = "segmentation"

    def __init__(self, name: str, config: Path, weights: str) -> None:
        self.name, self.config, self.weights = name, config, weights
        self.spec = format_spec(f"mmseg:{name}", {})
        self.device = "cpu"
        self._model: nn.Module | None = None

    @cached_property
    def _settings(self) -> Any:
        """The config, its bases merged."""
        from mmengine.config import Config

        try:
            settings = Config.fromfile(self.config)
        except Exception as error:  # a config is Python code, which may raise anything
            raise UserError(f"{self.config}: cannot be read as a config ({error})") from error
        missing = [key for key in ("model", "test_pipeline") if key not in settings]
        if missing:
            raise UserError(f"{self.config}: has no {' and no '.join(missing)}: not a config of a segmenter")
        return settings

    @cached_property
    def fingerprint(self) -> str:
        held = self._settings.to_dict()
        used = json.dumps([held["model"], held["test_pipeline"]], sort_keys=True, default=str)
        return digest(["mmseg", used, weights_digest(self.weights)])

    def setup(self, device: str = "cpu") -> None:
        import torch

        if self._model is None:
            state = load_state(self.weights)
            with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
                warnings.simplefilter("ignore")
                self._model = self._build()
            fit(self._model, state, self.weights, f"mmsegmentation's {self.name}", r"auxiliary_head\..*")
            self._model.requires_grad_(False)
        self.device = device
        self._model.to(device)

    def _build(self) -> nn.Module:
        """The network as mmsegmentation makes it for inference, with plain batch norms."""
        with_ops()
        from mmengine.model import revert_sync_batchnorm
        from mmseg.apis import init_model

        try:
            model = init_model(self._settings.copy(), device="cpu")
        except UserError:
            raise
        except Exception as error:  # the registry reports every mistake of a config in its own way
            reason = str(error).strip().splitlines()[-1:]
            raise UserError(f"{self.config}: cannot be built ({''.join(reason)})") from error
        built: nn.Module = revert_sync_batchnorm(model)
        built.cfg = model.cfg
        return built.eval()

    def outputs(self, pictures: Sequence[Image]) -> list[tuple[np.ndarray, np.ndarray]]:
        """For each picture its logits (classes, H, W) at its own size, and the best class (H, W)."""
        from mmseg.apis import inference_model

        if self._model is None:
            self.setup(self.device)
        bgr = [picture[:, :, ::-1].copy() for picture in pictures]
        return [self._output(result) for result in by_shape(bgr, lambda same: inference_model(self._model, same))]

    def _output(self, result: Any) -> tuple[np.ndarray, np.ndarray]:
        logits = result.seg_logits.data
        if len(logits) != N_TRAIN_IDS:
            raise UserError(f"net {self.spec}: {len(logits)} outputs, Cityscapes has {N_TRAIN_IDS} train ids")
        finite(logits, self.spec)
        return logits.cpu().numpy(), result.pred_sem_seg.data[0].cpu().numpy()

    def predict(self, pictures: Sequence[Image]) -> list[Any]:
        return [best.astype("uint8") for _, best in self.outputs(pictures)]

    def __getstate__(self) -> dict[str, Any]:
        kept = {key: value for key, value in self.__dict__.items() if key != "_settings"}
        return kept | {"_model": None}


def with_ops() -> None:
    """Make ``mmcv.ops`` importable: the compiled operators, or names that raise where one is really used.

    Raises MissingPackage without mmcv.
    """
    if "mmcv.ops" in sys.modules:
        return
    if find_spec("mmcv") is None:
        from icm_bench.registry import EXTRAS

        raise MissingPackage("mmcv", EXTRAS["mmcv"])
    if find_spec("mmcv._ext") is not None:
        import mmcv.ops  # noqa: F401 - the real ones
    else:
        sys.modules["mmcv.ops"] = _MissingOps("mmcv.ops")


class _MissingOps(ModuleType):
    """Stands for ``mmcv.ops`` where mmcv was installed without its compiled operators."""

    __path__: list[str] = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)

        def refuse(*_: Any, **__: Any) -> None:
            raise UserError(
                f"mmcv.ops.{name} is a compiled operator, and mmcv is installed without them (mmcv-lite): this "
                f"net needs the full mmcv package, built for this torch"
            )

        # A class serves callers of a function, makers of a layer and isinstance alike.
        return type(name, (), {"__init__": refuse})
