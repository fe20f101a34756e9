"""A codec for tests whose decoder knows more than the bytes: where it runs, or what this process has coded."""

import os
import time
import zlib
from dataclasses import dataclass

import numpy as np

from icm_bench.bitstream import Bitstream
from icm_bench.method import Method, RateAxis


@dataclass(frozen=True)
class Moody(Method):
    """minds: "threads", "simd", "level" (one level off on another SIMD level), "memory", "dies", "hangs".

    Only pictures whose first value is even are treated badly. MOODY_CURED in the environment ends it all.
    """

    minds: str = ""

    rate = RateAxis("depth", (8,), "none", 8, 8)

    def encode(self, image, rate):
        data = zlib.compress(image.tobytes())
        self.__dict__.setdefault("_memory", set()).add(data)
        return Bitstream.of(self, image.shape[:2], rate, {"main": data})

    def decode(self, bitstream, betas):
        data = bitstream.layer("main")
        picture = np.frombuffer(zlib.decompress(data), np.uint8).reshape(bitstream.height, bitstream.width, 3)
        is_treated_badly = picture[0, 0, 0] % 2 == 0 and "MOODY_CURED" not in os.environ
        off = self._off(data) if is_treated_badly else 0
        for _ in betas:
            yield picture + np.uint8(off)

    def _off(self, data):
        """Levels that a picture comes out too bright."""
        elsewhere = "ATEN_CPU_CAPABILITY" in os.environ
        if self.minds == "threads":
            import torch

            return 9 * torch.get_num_threads()
        if self.minds == "memory":
            return 0 if data in self.__dict__.get("_memory", ()) else 50
        if self.minds == "dies" and elsewhere:
            os._exit(3)
        if self.minds == "hangs" and elsewhere:
            time.sleep(600)
        return elsewhere * {"simd": 2, "level": 1}.get(self.minds, 0)
