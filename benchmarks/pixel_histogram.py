"""How far x1 strays outside of 0 .. 1: a histogram of its values before clipping, one line per checkpoint.

    python benchmarks/pixel_histogram.py OUT.png FOLDER LABEL=CHECKPOINT [LABEL=CHECKPOINT ...] [--rate 2]

FOLDER holds pictures that are not scored. Prints the share of values outside and their mean squared excess. After
the comparison in the paper of RDC between no measure, clipping while training, and the local MSE.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib
import numpy as np

from icm_bench.images import read_picture
from icm_bench.methods._checkpoints import find
from icm_bench.methods._codec import Codec
from icm_bench.training.data import folder_pictures

matplotlib.use("Agg")
from matplotlib import pyplot

EDGES = np.linspace(-0.25, 1.25, 301)


def values(codec: Codec, pictures: list[Path], rate: float) -> np.ndarray:
    """All values of x1, in 0 .. 1 where they belong."""
    found = []
    for path in pictures:
        picture = read_picture(path)
        layers = {"primary": codec.encode(picture, rate)["primary"]}
        x1, _ = codec.decode(layers, (picture.shape[0], picture.shape[1]), rate)
        found.append(x1.ravel() / 255)
    return np.concatenate(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("checkpoints", nargs="+", help="LABEL=CHECKPOINT")
    parser.add_argument("--rate", type=float, default=2.0, help="gain level")
    parser.add_argument("--limit", type=int, default=20, help="pictures at most")
    options = parser.parse_args()
    pictures = folder_pictures(options.folder)[: options.limit]
    figure, axes = pyplot.subplots(figsize=(7, 4), layout="constrained")
    print(f"{'checkpoint':24} {'outside, %':>10} {'excess squared':>15}")
    for text in options.checkpoints:
        label, _, name = text.partition("=")
        x1 = values(Codec(find(name)), pictures, options.rate)
        excess = x1 - x1.clip(0, 1)
        print(f"{label:24} {100 * np.mean(excess != 0):10.3f} {np.mean(excess**2):15.3e}")
        axes.hist(x1.clip(EDGES[0], EDGES[-1]), EDGES, histtype="step", density=True, label=label)
    axes.axvspan(0, 1, color="0.95", zorder=0)
    axes.set(xlabel="value of x1 before clipping (outermost bins: all beyond)", ylabel="density", yscale="log")
    axes.set_title(f"gain {options.rate:g}")
    axes.legend()
    figure.savefig(options.out, dpi=150)
    print(options.out)


if __name__ == "__main__":
    main()
