"""Any image model of CompressAI, from a checkpoint in CompressAI's own format.

Begaint, Racape, Feltman, Pushparaja, "CompressAI: a PyTorch library and evaluation platform for end-to-end
compression research", arXiv 2011.03029. The entropy parameters are computed in floating point, as CompressAI does:
its streams decode on the machine and the library versions that made them; elsewhere nothing is promised.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from icm_bench.bitstream import Bitstream
from icm_bench.errors import BitstreamError, UserError
from icm_bench.method import Beta, Footprint, Method, RateAxis
from icm_bench.methods._checkpoints import digest
from icm_bench.methods._packed import pack, unpack
from icm_bench.registry import suggest
from icm_bench.weights import load_state

if TYPE_CHECKING:
    import numpy as np
    import torch

#: Sides are padded to multiples of this, as in CompressAI's own evaluation.
STRIDE = 64
#: Symbols in one string for each 64x64 pixels, more than any model of the zoo has (16 x 320).
_MOST_SYMBOLS = 2**13
#: Gains of the zoo's models of variable rate.
_GAINS = 8


@dataclass(frozen=True)
class CompressAI(Method):
    """model: any name of CompressAI's zoo ("mbt2018-mean"); quality: the label of the rate point; weights: a file
    with the state dict as CompressAI trains it; "" downloads the zoo's own.

    The models of variable rate ("mbt2018-mean-vbr") hold eight gains: their rate axis is the gain's number, 0 to 7.
    Those with a context model ("mbt2018", "cheng2020-...") code one place of the latent after another, slowly.
    """

    model: str = "mbt2018-mean"
    quality: int = 3
    weights: str = ""

    def __post_init__(self) -> None:
        if self._variable and self.quality != type(self).quality:
            raise ValueError(f"{self.model} has all its rates in one checkpoint: give no quality, choose by --rates")

    @property
    def _variable(self) -> bool:
        return self.model.endswith("-vbr")

    @property
    def rate(self) -> RateAxis:  # type: ignore[override]
        if self._variable:
            return RateAxis("gain", tuple(map(float, range(_GAINS))), "up", 0, _GAINS - 1)
        return RateAxis("quality", (float(self.quality),), "none", self.quality, self.quality)

    @cached_property
    def checkpoint_id(self) -> str:
        if not self.weights:
            return ""
        path = Path(self.weights).expanduser()
        if not path.is_file():
            raise UserError(f"{self.weights}: there is no such weights file")
        return digest(path)

    def setup(self, device: str = "cpu") -> None:
        if self.__dict__.get("_device") != device:
            self.__dict__["_net"], self.__dict__["_device"] = self._build().to(device), device

    def _build(self) -> torch.nn.Module:
        """The model with its integer tables. Raises UserError for an unknown model or weights that do not fit."""
        from compressai import zoo

        if self.model not in zoo.image_models:
            raise UserError(f"compressai: unknown model {self.model!r}{suggest(self.model, zoo.image_models)}")
        try:
            if self.weights:
                net = self._from_state(zoo.load_state_dict(load_state(Path(self.weights).expanduser())))
            else:
                net = zoo.image_models[self.model](quality=self.quality, metric="mse", pretrained=True)
        except (RuntimeError, KeyError, ValueError, OSError) as error:
            reason = str(error).splitlines()[-1].strip()
            raise UserError(f"{self.spec}: its weights do not fit or cannot be had ({reason})") from error
        net.update()  # type: ignore[operator]
        return net.eval()

    def _from_state(self, state: dict[str, Any]) -> torch.nn.Module:
        from compressai import zoo
        from compressai.models.google import FactorizedPriorReLU

        known = {**zoo.image.model_architectures, **zoo.image_vbr.model_architectures}
        made = known.get(self.model, FactorizedPriorReLU)  # the only one of the zoo that its tables leave out
        gained = {"vr_entbttlnck": True} if any(key.startswith("gayn2zqstep") for key in state) else {}
        net: torch.nn.Module = made.from_state_dict(state, **gained)
        return net

    def _gain(self, rate: float) -> dict[str, int]:
        """What the models of variable rate are told of it; tables that depend on it are made anew."""
        if not self._variable:
            return {}
        gain = int(rate)
        if getattr(self.net, "vr_entbttlnck", False) and self.__dict__.get("_tables_of") != (self.net, gain):
            self.net.update(force=True, scale=self.net.Gain[gain].detach().abs())
            self.__dict__["_tables_of"] = (self.net, gain)
        return {"s": gain}

    @property
    def net(self) -> Any:
        """The loaded model."""
        if "_net" not in self.__dict__:
            self.setup()
        return self.__dict__["_net"]

    def encode(self, image: np.ndarray, rate: float) -> Bitstream:
        import torch

        from icm_bench.methods._networks import pad_to

        if reason := self.rate.reason_against(rate):
            raise UserError(reason)
        with torch.inference_mode():
            x = torch.from_numpy(image.copy()).to(self.__dict__.get("_device", "cpu"))
            padded = pad_to(x.permute(2, 0, 1)[None].float() / 255, STRIDE)
            made = self.net.compress(padded, **self._gain(rate))
        layer = pack([int(side) for side in made["shape"]], [strings[0] for strings in made["strings"]])
        return Bitstream.of(self, (image.shape[0], image.shape[1]), rate, {"main": layer})

    def decode(self, bitstream: Bitstream, betas: Sequence[Beta]) -> Iterator[np.ndarray]:
        import torch

        from icm_bench.methods._codec import quantise_picture
        from icm_bench.methods._entropy import guard

        if reason := self.rate.reason_against(bitstream.rate):
            raise BitstreamError(f"the stream declares a rate of another codec: {reason}")
        shape, strings = unpack(bitstream.layer("main"))
        coarse = [-(-side // STRIDE) for side in (bitstream.height, bitstream.width)]
        if shape not in ([side * finer for side in coarse] for finer in (1, 2, 4, 8)):
            raise BitstreamError(f"the stream's latent of shape {shape} does not fit its picture")
        n_symbols = _MOST_SYMBOLS * coarse[0] * coarse[1]
        strings = [guard(one, n_symbols, n_symbols) for one in strings]
        try:
            with torch.inference_mode():
                made = self.net.decompress([[one] for one in strings], shape, **self._gain(bitstream.rate))
                x = made["x_hat"][0]
        except (RuntimeError, ValueError, IndexError, AssertionError) as error:
            raise BitstreamError(f"the stream cannot be decoded ({error})") from error
        if x.shape[-2] < bitstream.height or x.shape[-1] < bitstream.width:
            raise BitstreamError("the stream's latent is too small for its picture")
        picture = quantise_picture((255 * x).permute(1, 2, 0).cpu().numpy())
        for _ in betas:
            yield picture[: bitstream.height, : bitstream.width]

    def footprint(self, n_tasks: int = 1) -> Footprint:
        return Footprint(1, sum(parameter.numel() for parameter in self.net.parameters()))

    def provenance(self) -> dict[str, Any]:
        return {"model": self.model, "weights": self.checkpoint_id or "CompressAI's own", "entropy_path": "float"}
