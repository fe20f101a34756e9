"""A small task for tests: is a picture brighter than the label's level? Its nets are plain arithmetic."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from icm_bench.errors import UserError
from icm_bench.task import ORIG, Net, Sample, Task


class Level(Net):
    """Mean or maximum of a picture; "broken" gives NaN for dark pictures, "huge" numbers whose sum is infinite,
    "greedy" asks for far too much memory when it is given two at once.
    """

    kind = "level"

    def __init__(self, spec):
        self.spec = spec

    @property
    def fingerprint(self):
        return hashlib.sha256(self.spec.encode()).hexdigest()

    def setup(self, device="cpu"):
        self.function = {"max": np.max}.get(self.spec, np.mean)

    def predict(self, pictures):
        if self.spec == "greedy" and len(pictures) > 1:
            import torch

            torch.empty(2**46)
        found = [float(self.function(picture)) for picture in pictures]
        if self.spec == "huge":
            return [1e308 for _ in pictures]
        return [float("nan") if self.spec == "broken" and value < 80 else value for value in found]


@dataclass(frozen=True)
class Bright(Task):
    """``data`` holds PNG pictures; a picture's label is the number in its name."""

    net_kind = "level"
    metrics = ("hits", "distance")
    default_nets = ("mean",)
    profiles = (ORIG, "whole")

    @property
    def label(self):
        return f"bright, {len(self.samples())} pictures"

    @property
    def fingerprint(self):
        return hashlib.sha256(" ".join(sample.id for sample in self.samples()).encode()).hexdigest()

    def samples(self):
        return [Sample(path.stem, path) for path in sorted(Path(self.data).glob("*.png"))]

    def net(self, spec, weights=None):
        if spec not in ("mean", "max", "broken", "huge", "greedy"):
            raise UserError(f"unknown net {spec!r}")
        return Level(spec)

    def evidence(self, sample, output):
        return {"level": output, "label": int(sample.id.partition("_")[2])}

    def score(self, evidence):
        distances = [abs(one["level"] - one["label"]) for one in evidence.values()]
        return {
            "hits": 100 * sum(d < 8 for d in distances) / len(distances),
            "distance": sum(distances) / len(distances),
        }
