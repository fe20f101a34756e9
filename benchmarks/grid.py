"""The full grid (six rates, five betas, three nets) against the plain loop that codes every cell anew.

    python benchmarks/grid.py --data IMAGENET_FOLDER --weights squeezenet1_1.pth [--pictures 32] [--cells 9]
    python benchmarks/grid.py --task coco --data COCO_FOLDER --nets "onnx:yolox_nano.onnx;..."

The plain loop is what evaluation scripts do: for every rate, beta and net, and every picture: encode, decode at that
beta, predict; then score. Its time is measured on every tenth of the 90 cells (--cells) and multiplied up, as all
cells do the same; bytes, squared errors and scores of those cells must equal the harness's. The plain loop uses one
process with torch's own threads; the harness once the same, and once the workers that ``icm-bench run`` takes by
itself. The nets, if none are given, are SqueezeNet 1.1 under three preprocessings.
"""

from __future__ import annotations

import argparse
import time

from icm_bench import metrics, plan, registry, rows, runner
from icm_bench.bitstream import Bitstream
from icm_bench.engine import Serial, automatic, make
from icm_bench.request import Request
from icm_bench.rows import Row
from icm_bench.store import Store
from icm_bench.task import Task

NETS = ("torchvision:squeezenet1_1", "torchvision:squeezenet1_1(resize=232)", "torchvision:squeezenet1_1(crop=None)")


def plain(task: Task, weights: str | None, row: Row, n: int) -> tuple[float, dict[str, float]]:
    """Seconds of one cell as a script would do it, and what it found."""
    method, net = registry.method(row["method"]), task.net(row["net"], weights)
    method.setup()
    net.setup()
    samples = task.samples()[:n]
    start = time.perf_counter()
    n_bytes, error, evidence = 0, 0, {}
    for sample in samples:
        picture = sample.read()
        data = method.encode(picture, row["rate"]).to_bytes()
        stream = Bitstream.from_bytes(data)
        (decoded,) = method.decode(stream, [row["beta"]])
        n_bytes += len(stream.only(method.layers(row["beta"])).to_bytes())
        error += metrics.squared_error(picture, decoded)
        (evidence[sample.id],) = task.predict(net, [sample], [decoded])
    score = task.score(evidence)[task.main_metric or ""]
    return time.perf_counter() - start, {"n_bytes": n_bytes, "squared_error": error, "score": score}


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--task", default="imagenet")
    options.add_argument("--data", required=True)
    options.add_argument("--nets", default=";".join(NETS))
    options.add_argument("--weights")
    options.add_argument("--pictures", type=int, default=32)
    options.add_argument("--cells", type=int, default=9)
    given = options.parse_args()
    nets = tuple(given.nets.split(";"))
    weights = (given.weights,) * len(nets) if given.weights else ()
    request = Request(
        ("rdc",), (given.task,), nets, weights, data=given.data, limit=given.pictures, reference=None
    )  # fmt: skip
    ours = {}
    for label, engine in {"the default workers": lambda n: make(automatic(n)), "one process": Serial()}.items():
        with Store(None) as store:
            made = plan.build(request, store)
            start = time.perf_counter()
            for _ in runner.run(made, store, engine):
                pass
            ours[label] = time.perf_counter() - start
            found = rows.rows(store, made)  # of the last, with the threads that the plain loop has
    task = made.corpora[0].task
    chosen = found[:: len(found) // given.cells]
    spent = []
    for row in chosen:
        seconds, told = plain(task, given.weights, row, given.pictures)
        spent.append(seconds)
        different = {name: (row[name], value) for name, value in told.items() if row[name] != value}
        where = f"{row['net']}, gain {row['rate']:g}, beta {row['beta']:g}"
        print(f"{where}: {seconds:.1f} s", different or "same", flush=True)
    whole = sum(spent) / len(spent) * len(found)
    print(f"{len(found)} cells of {given.pictures} pictures: the plain loop {whole:.0f} s (from {len(spent)} cells)")
    for label, seconds in ours.items():
        print(f"ours with {label}: {seconds:.0f} s, {whole / seconds:.1f} times less")


if __name__ == "__main__":
    main()
