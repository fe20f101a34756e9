"""TransTIC from a checkout of its repository: how a research codec with a package of its own becomes a method.

Chen, Weng, Kao, Chien, Chiu, Peng, "TransTIC: Transferring Transformer-based Image Compression from Human Perception
to Machine Perception", ICCV 2023. Nothing of the repository is copied here: its networks are built by its own code.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np

from icm_bench.bitstream import Bitstream
from icm_bench.errors import BitstreamError, UserError
from icm_bench.method import Beta, Method, RateAxis
from icm_bench.methods._entropy import guard
from icm_bench.weights import load_state

#: Sides are padded to multiples of this, so that the windows of every level fit; a latent of z stands for 64 pixels.
STRIDE, Z_STRIDE, Y_IN_Z = 256, 64, 4


@dataclass(frozen=True)
class TransTic(Method):
    """picture -> g_a with prompts -> y; y -> h_a -> z; z, then y given z, as strings -> g_s -> picture.

    checkout: the folder of the repository, whose package is a fork of CompressAI; its code is run, so let it be one
    you trust. checkpoint: a file as its training saves it. config: its YAML file with the settings of the prompts.
    model: a name of its zoo; quality: the rate point that the checkpoint was trained for, which the network's size
    follows.
    """

    checkout: str = ""
    checkpoint: str = ""
    config: str = "config/classification.yaml"
    model: str = "tic_promptmodel_first2"
    quality: int = 1

    layer_names: ClassVar[tuple[str, ...]] = ("z", "y")
    program_parameters: ClassVar[tuple[str, ...]] = ("checkout", "config")

    @property
    def rate(self) -> RateAxis:  # type: ignore[override]
        return RateAxis("quality", (float(self.quality),), "none", self.quality, self.quality)

    @cached_property
    def checkpoint_id(self) -> str:
        path = Path(self.checkpoint).expanduser()
        if not path.is_file():
            raise UserError(f"transtic: checkpoint {self.checkpoint!r}: there is no such file")
        return sha256(path.read_bytes()).hexdigest()

    def setup(self, device: str = "cpu") -> None:
        self.__dict__["_net"] = self._build().to(device)

    def _build(self) -> Any:
        import yaml

        home = Path(self.checkout).expanduser().absolute()
        if not self.checkout or not (home / "compressai" / "__init__.py").is_file():
            raise UserError(f"transtic: checkout={self.checkout!r} holds no package compressai: give its folder")
        try:
            settings = SimpleNamespace(**yaml.safe_load((home / self.config).read_text(encoding="utf-8")))
            with its_compressai(home):
                models = importlib.import_module("compressai.zoo").image_models
                net = models[self.model](quality=self.quality, prompt_config=settings)
            net.load_state_dict(load_state(Path(self.checkpoint).expanduser()))
        except (OSError, KeyError, ValueError, TypeError, ImportError, RuntimeError) as error:
            reason = " ".join(str(error).split())[:200]
            raise UserError(f"transtic: {type(error).__name__} when it was built: {reason}") from error
        net.update(force=True)
        return net.eval()

    @property
    def net(self) -> Any:
        """The loaded model."""
        if "_net" not in self.__dict__:
            self.setup()
        return self.__dict__["_net"]

    def encode(self, image: np.ndarray, rate: float) -> Bitstream:
        import torch
        from torch.nn.functional import pad

        size = (image.shape[0], image.shape[1])
        with torch.inference_mode():
            x = torch.from_numpy(image.copy()).permute(2, 0, 1)[None].to(self._device).float() / 255
            made = self.net.compress(pad(x, (0, -size[1] % STRIDE, 0, -size[0] % STRIDE), mode="replicate"))
        y_strings, z_strings = made["strings"]
        return Bitstream.of(self, size, rate, {"z": z_strings[0], "y": y_strings[0]})

    def decode(self, bitstream: Bitstream, betas: Sequence[Beta]) -> Iterator[np.ndarray]:
        import torch

        # The shape of z is not sent: it follows from the size that the container holds.
        shape = [-(-side // STRIDE) * (STRIDE // Z_STRIDE) for side in (bitstream.height, bitstream.width)]
        try:
            with torch.inference_mode():
                x = self._synthesis(bitstream.layer("z"), bitstream.layer("y"), shape)
        except (RuntimeError, ValueError, IndexError, AssertionError) as error:
            raise BitstreamError(f"the stream cannot be decoded ({error})") from error
        values = (255 * x[0]).permute(1, 2, 0).cpu().numpy()
        if not np.isfinite(values).all():
            raise BitstreamError("the stream decodes to values that are not finite")
        picture = np.rint(values.clip(0, 255)).astype(np.uint8)
        for _ in betas:
            yield picture[: bitstream.height, : bitstream.width].copy()

    def _synthesis(self, z_string: bytes, y_string: bytes, shape: list[int]) -> Any:
        """The picture (1, 3, H, W) by the steps of the repository's ``decompress``, one by one.

        Its own fails: it clamps what ``g_s`` returns, which is a picture and attention maps.
        """
        net, places = self.net, shape[0] * shape[1]
        n_z = net.entropy_bottleneck.channels * places
        z_hat = net.entropy_bottleneck.decompress([guard(z_string, n_z, n_z)], shape)
        scales, means = net.h_s(z_hat).chunk(2, 1)
        n_y = means.shape[1] * Y_IN_Z**2 * places
        indexes = net.gaussian_conditional.build_indexes(scales)
        y_hat = net.gaussian_conditional.decompress([guard(y_string, n_y, n_y)], indexes, means=means)
        return net.g_s(y_hat)[0]

    @property
    def _device(self) -> Any:
        return next(self.net.parameters()).device

    def provenance(self) -> dict[str, Any]:
        return {"model": self.model, "code": "the repository's own", "entropy_path": "float"}


@contextmanager
def its_compressai(checkout: Path) -> Iterator[None]:
    """Inside, ``compressai`` is the checkout's package; afterwards it is the installed one, and sys.path as before.

    The compiled range coder stays the installed one: two copies of it do not live in one process, and its interface
    has not changed. So the checkout needs no build.
    """
    ans, coder = (importlib.import_module(f"compressai.{name}") for name in ("ans", "_CXX"))
    ours = {name: sys.modules.pop(name) for name in _loaded()}
    sys.modules |= {"compressai.ans": ans, "compressai._CXX": coder}
    sys.path.insert(0, str(checkout))
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path.remove(str(checkout))
        for name in _loaded():
            del sys.modules[name]
        sys.modules.update(ours)


def _loaded() -> list[str]:
    return [name for name in sys.modules if name.partition(".")[0] == "compressai"]
