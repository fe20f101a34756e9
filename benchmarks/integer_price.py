"""What exact whole numbers cost: the integer hyper-synthesis against the same network in float32.

    python benchmarks/integer_price.py --photos FOLDER [--n 12] [--out results/integer_price.md]

For each shipped checkpoint, on photographs and on pictures of the mini world, held out of the trainings: bytes and
seconds of encoding and decoding with either path, turn about on the same pictures. The float path has the released
weights, which lie within 2^-15 of the trained ones, in float32; its bytes decode on the machine that made them. Aims:
at most 1 % of rate and 10 % of time.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from icm_bench import provenance
from icm_bench.methods._checkpoints import WEIGHTS
from icm_bench.methods._codec import BranchCodec, Codec
from icm_bench.methods._integer import ACTIVATION_BITS, IntegerHyperSynthesis
from icm_bench.methods._networks import CONTEXT_LIMIT
from icm_bench.training.data import PicturePool, folder_pictures, mini_pictures

_TURNS = 5


class FloatHyperSynthesis:
    """h_s in float32, as a codec without whole numbers has it; takes and gives what the integer one does."""

    def __init__(self, exact: IntegerHyperSynthesis) -> None:
        self.top, self.slope, self.offset = exact.top, exact.slope, exact.offset
        self.layers = {
            name: (
                (layer.weight * 2.0**-layer.shift).float(),
                (layer.bias * 2.0 ** -(ACTIVATION_BITS + layer.shift)).float(),
            )
            for name, layer in exact.layers.items()
        }

    def __call__(
        self, z: Tensor, context: Tensor | None, size: tuple[int, int], gain: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        x = z.float() if gain is None else z.float() * gain.float()[:, None, None] * 2.0**-ACTIVATION_BITS
        for name in ("up.0", "up.1"):
            x = F.relu(F.conv_transpose2d(x, *self.layers[name], stride=2, padding=2, output_padding=1))
        x = x[..., : size[0], : size[1]]
        if "mix.0" in self.layers:
            assert context is not None
            seen = (context.float() * 2.0**-ACTIVATION_BITS).clamp(-CONTEXT_LIMIT, CONTEXT_LIMIT)
            x = F.relu(F.conv2d(torch.cat([x, seen], 1), *self.layers["mix.0"], padding=1))
        mean, raw = F.conv2d(x, *self.layers["head"], padding=1).chunk(2, 1)
        index = (raw * self.slope + self.offset).round().clamp(0, self.top)
        return (mean * 2**ACTIVATION_BITS).round().long(), index.long()


def price(path: Path, pictures: Sequence[np.ndarray]) -> tuple[int, int, np.ndarray]:
    """Bytes by the integer and by the float path, and the fastest seconds of each, encoding and decoding (2, 2)."""
    codec = Codec(path)
    branches: list[BranchCodec] = [one for one in (codec.primary, codec.auxiliary) if one is not None]
    paths = [[one.h_s for one in branches], [FloatHyperSynthesis(one.h_s) for one in branches]]
    n_bytes, seconds = [0, 0], np.zeros((2, 2))
    for number, picture in enumerate(pictures):
        rate = float(number % codec.config.levels)
        spent = np.full((2, 2), np.inf)
        for turn in range(_TURNS):
            for which in (0, 1) if turn % 2 else (1, 0):
                for branch, h_s in zip(branches, paths[which], strict=True):
                    branch.h_s = h_s  # type: ignore[assignment]
                start = perf_counter()
                layers = codec.encode(picture, rate)
                middle = perf_counter()
                codec.decode(layers, (picture.shape[0], picture.shape[1]), rate)
                spent[which] = np.minimum(spent[which], (middle - start, perf_counter() - middle))
                n_bytes[which] += sum(map(len, layers.values())) if turn == 0 else 0
        seconds += spent
    return n_bytes[0], n_bytes[1], seconds


def table(sets: dict[str, list[np.ndarray]]) -> list[str]:
    """The lines of a Markdown table."""
    head = "| checkpoint | pictures | bytes, integer | bytes, float | rate | encode | decode | both |"
    lines, total, n_bytes = [head, "|---|---|" + "---:|" * 6], np.zeros((2, 2)), np.zeros(2, int)
    for path in sorted(WEIGHTS.glob("*.safetensors")):
        for name, pictures in sets.items():
            ours, floats, seconds = price(path, pictures)
            lines.append(f"| {path.stem} | {len(pictures)} {name} | {_cells((ours, floats), seconds)} |")
            print(lines[-1], flush=True)
            n_bytes += (ours, floats)
            total += seconds
    return [*lines, f"| all | | {_cells((n_bytes[0], n_bytes[1]), total)} |"]


def _cells(n_bytes: tuple[int, int], seconds: np.ndarray) -> str:
    ratios = [*(seconds[0] / seconds[1]), seconds[0].sum() / seconds[1].sum()]
    shares = " | ".join(f"{100 * (ratio - 1):+.1f} %" for ratio in ratios)
    return f"{n_bytes[0]} | {n_bytes[1]} | {100 * (n_bytes[0] / n_bytes[1] - 1):+.3f} % | {shares}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--n", type=int, default=12)
    parser.add_argument("--out", type=Path, default=Path("results/integer_price.md"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    sets = {}
    for name, paths in (("photographs", folder_pictures(options.photos)), ("mini", mini_pictures())):
        held_out = PicturePool(paths).held_out
        step = max(1, len(held_out) // options.n)
        sets[name] = [held_out[at * step] for at in range(min(options.n, len(held_out)))]
    made = provenance.gather()
    where = f"Machine: {made['machine']}, one thread; torch {made['libraries']['torch']}"
    about = f"{where}; {datetime.now(UTC):%Y-%m-%d}."
    out = ["# The price of exact whole numbers", "", *_TEXT, "", about, "", *table(sets)]
    options.out.write_text("\n".join(out) + "\n", encoding="utf-8")
    print(options.out)


_TEXT = (
    "The integer hyper-synthesis against the same network in float32:",
    "`python benchmarks/integer_price.py --photos FOLDER`. Real bytes; seconds are the",
    "fastest of five turns per picture, summed. Rates go round the gain levels.",
    "Aims: at most +1 % of rate, +10 % of time.",
    "Single rows scatter with whatever else the machine does; the last line is all of them.",
)


if __name__ == "__main__":
    main()
