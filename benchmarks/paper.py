"""A paper's grid on many machines, from what one machine measures: units, hours, bytes moved, where it saturates.

    OMP_NUM_THREADS=1 python benchmarks/paper.py --data IMAGENET_FOLDER --net torchvision:squeezenet1_1 \
        --weights squeezenet1_1.pth [--pictures 8] [--nodes 100] [--cores 32]

Runs every method at its six rates (and trade-offs, where it has them) on a few pictures in one process of one thread,
and takes from it the seconds of a unit, the bytes of a unit and its result as an engine sends them, and the bytes
that the store grows by. How many results a second come through each engine, and into the store, is measured with
units that cost next to nothing. Everything else is multiplication, for --paper-pictures pictures.
"""

from __future__ import annotations

import argparse
import pickle
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from start import small_pictures, writes

from icm_bench import plan, registry, runner
from icm_bench.engine import Engine, Pool
from icm_bench.request import Request
from icm_bench.store import Store
from icm_bench.units import Context, Unit, UnitResult
from icm_bench.work import work

METHODS = (
    "jpeg;webp;avif;vvc(preset='fast');hyperprior;hyperprior(variable=true);task-specific(task='imagenet');rdc"
)
N_RATES = 6
TRIVIAL_UNITS = 2000


@dataclass
class Weighed:
    """A serial engine that notes seconds and bytes of what it maps. The first unit, which loads libraries, is not
    counted.
    """

    workers: int = 1
    cores: int = 1
    n: int = -1
    seconds: float = 0.0
    picture_bytes: int = 0
    sent: list[int] = field(default_factory=lambda: [0, 0])

    def map(self, context: Context, units: Iterable[Unit]) -> Iterator[UnitResult]:
        """One result per unit, in order."""
        for unit in units:
            start = time.perf_counter()
            result = work(context, unit)
            self.n += 1
            if self.n > 0:
                self.seconds += time.perf_counter() - start
                self.picture_bytes += unit.sample.path.stat().st_size
                self.sent[0] += len(pickle.dumps(unit))
                self.sent[1] += len(pickle.dumps(result))
            yield result


@dataclass(frozen=True)
class Cost:
    """Means of one method's units: seconds, bytes read, sent, received, kept."""

    seconds: float
    read: float
    sent: float
    received: float
    kept: float
    predictions: int


def measure(spec: str, given: argparse.Namespace) -> Cost:
    """What a unit of a method costs."""
    method = registry.method(spec)
    points = method.rate.points
    rates = tuple(points[round(i * (len(points) - 1) / (N_RATES - 1))] for i in range(N_RATES))
    request = Request(
        (spec,), ("imagenet",), (given.net,), (given.weights,), rates=tuple(dict.fromkeys(rates)), data=given.data,
        limit=given.pictures, reference=None,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as home:
        path, engine = Path(home) / "store.sqlite", Weighed()
        with Store(path) as store:
            for event in runner.run(plan.build(request, store), store, engine):
                if isinstance(event, runner.UnitFailed):
                    raise SystemExit(f"{spec}: {event.errors[0]}")
        kept = sum(part.stat().st_size for part in Path(home).iterdir())
    n = engine.n
    means = (engine.seconds / n, engine.picture_bytes / n, engine.sent[0] / n, engine.sent[1] / n, kept / (n + 1))
    return Cost(*means, predictions=len(method.betas))


def through(engine: Engine) -> float:
    """Results a second that an engine and the store take together, of units that cost next to nothing."""
    with tempfile.TemporaryDirectory() as home, Store(Path(home) / "store.sqlite") as store:
        small_pictures(Path(home) / "pictures", TRIVIAL_UNITS)
        request = Request(("jpeg",), ("images",), data=f"{home}/pictures", rates=(50.0,), reference=None)
        done = [
            time.perf_counter()
            for event in runner.run(plan.build(request, store), store, engine)
            if isinstance(event, runner.UnitDone)
        ]
    skip = TRIVIAL_UNITS // 10
    return (len(done) - 1 - skip) / (done[-1] - done[skip])


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--data", required=True)
    options.add_argument("--net", required=True)
    options.add_argument("--weights", required=True)
    options.add_argument("--methods", default=METHODS)
    options.add_argument("--pictures", type=int, default=8)
    options.add_argument("--nodes", type=int, default=100)
    options.add_argument("--cores", type=int, default=32)
    options.add_argument("--paper-pictures", type=int, default=50_000)
    given = options.parse_args()
    measured = {}
    for spec in given.methods.split(";"):
        one = measured[spec] = measure(spec, given)
        print(f"{spec}: {one.seconds * 1000:.0f} ms a unit with {one.predictions} prediction(s); picture "
              f"{one.read / 1e3:.0f} kB, unit {one.sent / 1e3:.1f} kB out, result {one.received / 1e3:.1f} kB back, "
              f"{one.kept / 1e3:.1f} kB kept", flush=True)  # fmt: skip
    n_each = given.paper_pictures * N_RATES
    n_units = n_each * len(measured)
    core_s = n_each * sum(one.seconds for one in measured.values())
    cores = given.nodes * given.cores
    print(f"units: {n_units:,}; predictions: {n_each * sum(one.predictions for one in measured.values()):,}")
    print(f"core-hours: {core_s / 3600:,.0f}; {core_s / cores / 60:.0f} min on {given.nodes} nodes of "
          f"{given.cores} cores")  # fmt: skip
    for name, label in (("read", "pictures read"), ("sent", "units sent"), ("received", "results received"),
                        ("kept", "store")):  # fmt: skip
        print(f"{label}: {n_each * sum(getattr(one, name) for one in measured.values()) / 1e9:.1f} GB")
    asked = n_units / core_s * cores
    print(f"results a second at full speed: {asked:,.0f}")
    rates = {"store alone": writes(10_000), "local workers (2)": through(Pool(2)), "Ray (2 actors)": ray_rate()}
    for name, rate in rates.items():
        print(f"{name}: {rate:,.0f} results/s; enough for {rate / (n_units / core_s):,.0f} cores")


def ray_rate() -> float:
    """Results a second through Ray, on a cluster of this machine alone."""
    from icm_bench.ray_engine import Ray

    return through(Ray("", 2))


if __name__ == "__main__":
    main()
