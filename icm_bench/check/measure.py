"""A grid measured: run what it asks for, then take from the store what a baseline keeps."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from icm_bench import bootstrap, metrics, records
from icm_bench.check.baseline import DRAW_UNIT, N_RESAMPLES, Coding, DataSet, Grid, Scores, Work
from icm_bench.check.effort import flop_per_pixel
from icm_bench.plan import Cell, Plan
from icm_bench.records import Record
from icm_bench.store import Store

if TYPE_CHECKING:
    import numpy as np

#: Seed of the resamples.
SEED = 0
#: Fewest pictures that a cut data set keeps.
_FEWEST = 6


def sizes(n: int) -> list[int]:
    """To how many of its first pictures a set of n may be cut in a check: all, or a half."""
    return [n, n // 2] if n // 2 >= _FEWEST else [n]


def outline(plan: Plan, all_sizes: bool) -> Grid:
    """What a plan will run on, known before it is run. all_sizes: for every size that a check may cut to."""
    grid = Grid(plan.request)
    grid.methods = {coder.spec: coder.checkpoint for coder in plan.context.coders}
    grid.rate_names = {method.spec: method.rate.name for method in plan.methods}
    grid.nets = {net.spec: net.fingerprint for net in plan.nets if net is not None}
    for corpus in plan.corpora:
        n = len(corpus.samples)
        digests = {
            size: dataclasses.replace(corpus, samples=corpus.samples[:size], pictures=corpus.pictures[:size]).digest
            for size in (sizes(n) if all_sizes else [n])
        }
        task = corpus.task
        grid.data[task.spec] = DataSet(
            task.label, task.fingerprint, digests, [], task.main_metric, task.higher_is_better
        )
    return grid


def fill(grid: Grid, plan: Plan, store: Store) -> Grid:
    """The outlined grid with all that its run has left in the store."""
    gathered = _Gathered(grid, plan, store)
    for cell in plan.cells:
        gathered.add(cell)
    grid.codings = list(gathered.codings.values())
    for method in plan.methods:
        coded = gathered.first_coded.get(method.spec)
        if coded is not None and not method.lossless:
            spent = [metrics.mean(each) or 0.0 for each in gathered.ms[method.spec]]
            grid.work[method.spec] = Work(*_flop(plan, *coded), *(float(f"{ms:.2g}") for ms in spent))
    return grid


class _Gathered:
    """Codings and seconds of a plan's cells; what several nets see of one coding is read once."""

    def __init__(self, grid: Grid, plan: Plan, store: Store) -> None:
        self.grid, self.plan, self.store = grid, plan, store
        self.codings: dict[tuple[Any, ...], Coding] = {}
        self.ms: dict[str, tuple[list[float], list[float]]] = defaultdict(lambda: ([], []))
        self.first_coded: dict[str, tuple[Cell, str]] = {}
        self._counts: dict[int, np.ndarray] = {}

    def add(self, cell: Cell) -> None:
        """Take in a cell."""
        corpus, net = self.plan.corpora[cell.subject], self.plan.nets[cell.subject]
        found = records.read(self.store, records.where_of(self.store, cell.key))
        fresh = Coding(self.plan.context.coders[cell.coder].spec, cell.rate, cell.beta, corpus.task.spec)
        coding = self.codings.get(fresh.place)
        if coding is None:
            coding = self.codings[fresh.place] = self._pictures(fresh, cell, found)
        if len(found) < len(corpus.samples):
            (row,) = self.store.query("SELECT row FROM cells WHERE key=?", cell.key)[0]
            coding.failed |= json.loads(row)["errors"]
        elif net is not None:
            coding.nets[net.spec] = self._scores(cell, {one.sample: one.evidence for one in found})

    def _pictures(self, coding: Coding, cell: Cell, found: list[Record]) -> Coding:
        corpus = self.plan.corpora[cell.subject]
        there = {one.sample for one in found}
        if found:
            self.first_coded.setdefault(coding.method, (cell, found[0].sample))
        streams = dict(zip((sample.id for sample in corpus.samples), self.plan.stream_keys(cell), strict=True))
        pixels = self.grid.data[coding.task].pixels
        if not pixels and len(there) == len(streams):
            pixels += [one.n_pixels for one in found]
        for spent, name in zip(self.ms[coding.method], ("encode_s", "decode_s"), strict=True):
            spent += [1000 * getattr(one, name) for one in found]
        return dataclasses.replace(
            coding,
            streams=[(self.store.stream_digest(key) or "")[:8] for name, key in streams.items() if name in there],
            pixels=[one.pixels[:8] for one in found],
            n_bytes=[one.n_bytes for one in found],
            squared_error=[one.squared_error for one in found],
        )

    def _scores(self, cell: Cell, evidence: dict[str, Any]) -> Scores:
        task = self.plan.corpora[cell.subject].task
        draws = {}
        for size in self.grid.data[task.spec].samples:
            if size not in self._counts:
                self._counts[size] = bootstrap.draws(size, bootstrap.Plan(N_RESAMPLES, SEED))
            drawn = task.resampled(dict(list(evidence.items())[:size]), self._counts[size])
            draws[size] = _hundredths(drawn[task.main_metric or ""])
        return Scores({name: round(float(value), 4) for name, value in task.score(evidence).items()}, draws)


def _hundredths(drawn: np.ndarray) -> list[int | None]:
    return [None if value != value else round(float(value) / DRAW_UNIT) for value in drawn]


def _flop(plan: Plan, cell: Cell, name: str) -> tuple[int, int]:
    """Of the method of a cell, at its rate, on a picture."""
    method, corpus = plan.methods[cell.coder], plan.corpora[cell.subject]
    sample = next(sample for sample in corpus.samples if sample.id == name)
    view = corpus.task.view(sample.read(), plan.context.profile)
    return flop_per_pixel(method, view.coded, cell.rate)


def draws_digest() -> str:
    """A digest of the resamples' counts, by which two machines know that they draw alike."""
    counts = bootstrap.draws(_FEWEST, bootstrap.Plan(N_RESAMPLES, SEED))
    return hashlib.sha256(counts.astype("<i8").tobytes()).hexdigest()[:16]
