"""Streams decoded under other thread counts, SIMD levels, batch sizes and devices: what changes, and in whose codec.

    python benchmarks/portability.py --photos FOLDER [--compressai TWIN.pth] [--n 200] [--out results/portability.md]

Codes n crops of photographs with the shipped codecs (every checkpoint, several rates), decodes them in processes held
to a SIMD level and a thread count, one by one and four at a time, and compares every symbol and every pixel with
what a process like the encoder's reads. --compressai does the same with a model of CompressAI as it is, through its
own compress and decompress (compressai_twin.py makes one with our transforms): its entropy parameters are floats.
"""

from __future__ import annotations

import argparse
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from portability_decode import compressai_net, padded
from portability_report import Outcome, Place, outcome, written

from icm_bench import images, registry, simd
from icm_bench.training.data import folder_pictures

#: Sides of no multiple, so that padding takes part.
_HEIGHT, _WIDTH = 187, 250
_CODECS: dict[str, tuple[float, ...]] = {
    "hyperprior": (1, 2, 3, 4),
    "hyperprior(variable=True)": (0, 2.5, 5),
    "rdc": (0, 1.5, 3, 5),
    "task-specific(task='imagenet')": (0, 2.5, 5),
    "task-specific(task='coco')": (0, 2.5, 5),
    "task-specific(task='cityscapes')": (0, 2.5, 5),
}
_BATCHES = (1, 4)


#: Streams of one codec at one rate: its spec or weights; containers, or what CompressAI's compress returned.
Group = tuple[str, list]


def crops(photos: Path, n: int) -> list[np.ndarray]:
    """The middle of each of the first n photographs that are large enough, uint8 (187, 250, 3)."""
    made: list[np.ndarray] = []
    for path in folder_pictures(photos):
        picture = images.read_picture(path)
        top, left = (picture.shape[0] - _HEIGHT) // 2, (picture.shape[1] - _WIDTH) // 2
        if top >= 0 and left >= 0:
            made.append(picture[top : top + _HEIGHT, left : left + _WIDTH])
        if len(made) == n:
            return made
    raise SystemExit(f"{photos}: {len(made)} photographs of {_WIDTH}x{_HEIGHT} or more, {n} are needed")


def ours(pictures: Sequence[np.ndarray]) -> list[Group]:
    """The pictures dealt out to the shipped codecs and their rates."""
    points = [(spec, rate) for spec, rates in _CODECS.items() for rate in rates]
    made = []
    for number, (spec, rate) in enumerate(points):
        method = registry.method(spec)
        made.append((spec, [method.encode(one, rate).to_bytes() for one in pictures[number :: len(points)]]))
    return made


def theirs(pictures: Sequence[np.ndarray], weights: Path) -> list[Group]:
    """The same pictures coded by a CompressAI model, each by itself."""
    net = compressai_net(weights)
    with torch.inference_mode():
        return [(str(weights), [net.compress(padded(one)) for one in pictures])]


def decoded(groups: list[Group], place: Place, folder: Path) -> list:
    """What a process at that place reads of every stream. A process that dies costs the batch it was at."""
    work, found = folder / "work.pickle", folder / "found.pickle"
    work.write_bytes(pickle.dumps((groups, place.batch, place.device)))
    found.write_bytes(b"")
    total = sum(len(streams) for _, streams in groups)
    readings: list = []
    script = str(Path(__file__).with_name("portability_decode.py"))
    while len(readings) < total:
        words = [sys.executable, "-W", "ignore", script, str(work), str(found), str(len(readings))]
        done = subprocess.run(words, env=simd.environment(place.level, place.threads), check=False)
        if done.returncode > 0:
            raise SystemExit("the decoding process has a fault of its own")
        readings = list(_kept(found))
        if len(readings) < total:
            lost = min(place.batch, total - len(readings))
            with found.open("ab") as stream:
                pickle.dump([f"the process ended with status {done.returncode}"] * lost, stream)
            readings = list(_kept(found))
    return readings


def _kept(path: Path) -> Iterator:
    with path.open("rb") as stream:
        while True:
            try:
                yield from pickle.load(stream)
            except EOFError:
                return


def places() -> list[Place]:
    """Every level x threads x batch, the encoder's own place first; CUDA where it is present."""
    made = [Place(level, n, batch) for level in simd.LEVELS for n in (1, 2) for batch in _BATCHES]
    if torch.cuda.is_available():
        made += [Place("native", 1, batch, "cuda") for batch in _BATCHES]
    else:
        print("no CUDA here")
    return made


def measured(groups: list[Group]) -> list[tuple[Place, Outcome]]:
    """Each place against the first one, where the streams were made."""
    made, reference = [], None
    with tempfile.TemporaryDirectory() as folder:
        for place in places():
            found = decoded(groups, place, Path(folder))
            reference = reference or found
            made.append((place, outcome(reference, found)))
            print(place, made[-1][1], flush=True)
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--compressai", type=Path, help="checkpoint of an mbt2018-mean in CompressAI's own format")
    parser.add_argument("--n", type=int, default=200)
    parser.add_argument("--out", type=Path, default=Path("results/portability.md"))
    options = parser.parse_args()
    torch.set_num_threads(1)  # the encoder's place: native, one thread
    pictures = crops(options.photos, options.n)
    results = {"ours": measured(ours(pictures))}
    if options.compressai is not None:
        results["compressai"] = measured(theirs(pictures, options.compressai))
    options.out.write_text(written(results, options.n), encoding="utf-8")
    print(options.out)


if __name__ == "__main__":
    main()
