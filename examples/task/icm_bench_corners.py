"""corners: are the corners of the original found again, at the same place, in the decoded picture?

Corners are what matching, tracking and mapping begin with. The detector is that of Shi and Tomasi, "Good features to
track" (CVPR 1994); needing no labels, the task runs on any folder of pictures.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F

from icm_bench import registry
from icm_bench.errors import UserError
from icm_bench.task import Net, Sample, Task

#: Corners may move by so many pixels, as in measures of repeatability.
TOLERANCE = 2.0
MOST_CORNERS = 100


class ShiTomasi(Net):
    """The strongest corners of a picture, as (x, y): peaks of the smaller eigenvalue of the structure tensor."""

    kind = "corners"
    spec = "shi-tomasi"
    #: The share of the strongest corner's response that a corner must have.
    least = 0.05

    @property
    def fingerprint(self):
        return hashlib.sha256(f"shi-tomasi 1 {self.least} {MOST_CORNERS}".encode()).hexdigest()

    def setup(self, device="cpu"):
        self.device = device
        across = torch.tensor([[1.0, 0.0, -1.0], [2.0, 0.0, -2.0], [1.0, 0.0, -1.0]], device=device)
        self.gradients = torch.stack([across, across.T])[:, None]

    def predict(self, pictures):
        return [self._corners(torch.from_numpy(np.array(one)).to(self.device)) for one in pictures]

    def _corners(self, picture):
        """uint8 (H, W, 3) -> float (n, 2), the strongest first."""
        grey = picture.float().mean(2)[None, None] / 255
        dx, dy = F.conv2d(F.pad(grey, (1, 1, 1, 1), "replicate"), self.gradients)[0]
        products = torch.stack([dx * dx, dy * dy, dx * dy])[None]
        xx, yy, xy = F.avg_pool2d(products, 5, 1, 2, count_include_pad=False)[0]
        smaller = (xx + yy) / 2 - torch.sqrt(((xx - yy) / 2) ** 2 + xy**2)
        peak = F.max_pool2d(smaller[None, None], 7, 1, 3)[0, 0]
        y, x = torch.nonzero((smaller == peak) & (smaller > self.least * smaller.max() + 1e-6), as_tuple=True)
        order = torch.argsort(smaller[y, x], descending=True, stable=True)[:MOST_CORNERS]
        return torch.stack([x[order], y[order]], dim=1).float().cpu().numpy()


@dataclass(frozen=True)
class Corners(Task):
    """data: a folder of PNG pictures; without one, those of the built-in coco set."""

    net_kind: ClassVar[str] = "corners"
    metrics: ClassVar[tuple[str, ...]] = ("repeatability",)
    mini_nets: ClassVar[tuple[str, ...]] = ("shi-tomasi",)
    default_nets: ClassVar[tuple[str, ...]] = ("shi-tomasi",)

    @property
    def label(self):
        return f"corners of {self.data or 'the built-in mini set, synthetic'}, {len(self.samples())} pictures"

    @property
    def fingerprint(self):
        files = [f"{sample.id} {sample.path.stat().st_size}" for sample in self.samples()]
        return hashlib.sha256("\n".join(files).encode()).hexdigest()

    def samples(self):
        if self.data is None:
            return registry.task("coco").samples()
        found = [Sample(path.stem, path) for path in sorted(Path(self.data).expanduser().glob("*.png"))]
        if not found:
            raise UserError(f"task {self.name}: there are no PNG pictures in {self.data}")
        return found

    def net(self, spec, weights=None):
        if spec != "shi-tomasi" or weights is not None:
            raise UserError(f"task {self.name} has one net, shi-tomasi, without weights; {spec!r} was asked for")
        return ShiTomasi()

    def perfect(self, sample):
        """The corners of the original."""
        detector = ShiTomasi()
        detector.setup()
        return detector.predict([sample.read()])[0]

    def evidence(self, sample, output):
        """How many corners there are in the original and in the decoded picture, and how many are the same."""
        truth = self.perfect(sample)
        return {"expected": len(truth), "found": len(output), "same": _pairs(truth, output)}

    def score(self, evidence):
        """Twice the pairs over all corners of both pictures, in per cent; 100 where there are none in either."""
        both = sum(one["expected"] + one["found"] for one in evidence.values())
        same = sum(one["same"] for one in evidence.values())
        return {"repeatability": 200 * same / both if both else 100.0, "n_corners": both}


def _pairs(truth, found):
    """Corners that are nearest to each other and no further apart than the tolerance; (n, 2) and (m, 2)."""
    if not len(truth) or not len(found):
        return 0
    apart = np.linalg.norm(truth[:, None] - found[None], axis=2)
    nearest = apart.argmin(axis=1)
    is_mutual = apart.argmin(axis=0)[nearest] == np.arange(len(truth))
    return int((is_mutual & (apart[np.arange(len(truth)), nearest] <= TOLERANCE)).sum())
