"""A small real codec for tests: coarse levels in one layer, the rest in a second; beta leaves the rest out."""

import os
import signal
import time
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from icm_bench.bitstream import Bitstream
from icm_bench.errors import CodecError
from icm_bench.method import Method, RateAxis


@dataclass(frozen=True)
class Quant(Method):
    """fail_on: pictures whose first value modulo fail_mod is this cannot be coded. Environment: see below."""

    fail_on: int = -1
    fail_mod: int = 10
    wrong: str = ""

    rate = RateAxis("bits", (2, 4), low=1, high=6)
    betas = (0.0, 1.0)
    layer_names = ("base", "rest")

    def encode(self, image, rate):
        _log("encode")
        time.sleep(float(os.environ.get("QUANT_PAUSE", "0")))
        _die(int(image[0, 0, 0]))
        if int(image[0, 0, 0]) % self.fail_mod == self.fail_on:
            raise CodecError("the test codec cannot code this picture")
        step = 1 << (8 - int(rate))
        coarse = image // step
        layers = {"base": zlib.compress(coarse.tobytes()), "rest": zlib.compress(((image % step) // 4).tobytes())}
        return Bitstream.of(self, image.shape[:2], rate, layers)

    def decode(self, bitstream, betas):
        _log("decode")
        shape = (bitstream.height, bitstream.width, 3)
        step = 1 << (8 - int(bitstream.rate))
        base = np.frombuffer(zlib.decompress(bitstream.layer("base")), np.uint8).reshape(shape) * step
        for beta in betas:
            fill = np.full(shape, step / 2)
            if beta < 1:
                rest = np.frombuffer(zlib.decompress(bitstream.layer("rest")), np.uint8).reshape(shape) * 4.0
                fill = beta * fill + (1 - beta) * rest
            picture = np.clip(np.rint(base + fill), 0, 255).astype(np.uint8)
            yield {"float": picture.astype(float), "crop": picture[1:]}.get(self.wrong, picture)

    def layers(self, beta):
        return ("base",) if beta == 1 else self.layer_names

    def estimated_bits(self, bitstream):
        bits = {name: 8.0 * len(data) for name, data in bitstream.layers}
        return bits | {"rest": float("nan")} if self.wrong == "bits" else bits

    def supports(self, task):
        return "it sees no pictures there" if task == "images" else None


def _die(value):
    """End the process on the picture that QUANT_DEADLY names, only once where QUANT_DEADLY_ONCE names a file."""
    once = os.environ.get("QUANT_DEADLY_ONCE", "")
    if str(value) == os.environ.get("QUANT_DEADLY") and not (once and Path(once).exists()):
        if once:
            Path(once).touch()
        os.kill(os.getpid(), signal.SIGKILL)


def _log(what):
    if "QUANT_LOG" in os.environ:
        with Path(os.environ["QUANT_LOG"]).open("a") as stream:
            stream.write(f"{what}\n")
