"""The runner: works off what a plan's cells lack and yields events. It never prints; only it writes to
the store.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Any

from icm_bench import backlog, changes, provenance, rows
from icm_bench.engine import Engine, Serial
from icm_bench.plan import Plan
from icm_bench.shard import WHOLE, Shard
from icm_bench.store import Store
from icm_bench.units import Unit, UnitResult


@dataclass(frozen=True)
class Started:
    """n_units: pictures x rates x methods; n_cached of them need no work; n_cells rows to be, done or not; n_cores:
    processor cores that the work may keep busy.
    """

    n_units: int
    n_cached: int
    n_cells: int
    n_cores: int


@dataclass(frozen=True)
class Refused:
    """A method that cannot be used for a task."""

    method: str
    task: str
    reason: str


@dataclass(frozen=True)
class Changed:
    """A data set is not what the last run into this store saw; its rows are made anew, the old ones stay."""

    change: changes.Change


@dataclass(frozen=True)
class UnitDone:
    """A unit is in the store. n_done counts this run's units, failed ones too."""

    method: str
    rate: float
    sample: str
    n_done: int


@dataclass(frozen=True)
class UnitFailed(UnitDone):
    """A unit with failures; what succeeded of it is in the store too. errors: "stage: Class: message"."""

    errors: tuple[str, ...]


@dataclass(frozen=True)
class CellDone:
    """A row is in the store. cached: it was there before."""

    row: rows.Row
    cached: bool


@dataclass(frozen=True)
class Finished:
    """The end. n_failed_cells: rows with an error or with pictures missing."""

    n_done: int
    n_failed_cells: int


Event = Started | Refused | Changed | UnitDone | CellDone | Finished


def run(
    plan: Plan,
    store: Store,
    engine: Engine | Callable[[int], Engine] | None = None,
    shard: Shard = WHOLE,
) -> Generator[Event]:
    """Make every row of the plan; units and rows that the store holds are not made again.

    Each finished unit is kept at once, so closing the generator, Ctrl-C or a kill lose at most the units in
    work. engine: one, or what makes one for the number of units that are missing; None works serially. shard: only
    units of this part are worked on, and rows made that lack no other.
    """
    done = rows.complete(store, plan)
    todo = [index for index in range(len(plan.cells)) if index not in done]
    work = backlog.missing(plan, store, todo)
    mine = [unit for unit in work.units if shard.has(unit.key)]
    engine = engine(len(mine)) if callable(engine) else engine or Serial()
    total = plan.n_units(shard.has)
    yield Started(total, total - len(mine), len(plan.cells), engine.cores if mine else 0)
    for refusal in plan.refusals:
        yield Refused(refusal.method, refusal.task, refusal.reason)
    for row in done.values():
        yield CellDone(row, cached=True)
    if not todo:
        yield Finished(0, 0)
        return
    for change in changes.since(plan, store):
        yield Changed(change)
    store.remember(plan.request)
    n_failed = 0
    for event in _work_off(plan, store, engine, _Todo(todo, work, mine)):
        n_failed += isinstance(event, CellDone) and rows.failed(event.row)
        yield event
    yield Finished(len(mine), n_failed)


@dataclass(frozen=True)
class _Todo:
    """cells: indices of those without their row; missing: all that they lack; units: what is done of it here."""

    cells: list[int]
    missing: backlog.Missing
    units: list[Unit]


def _work_off(plan: Plan, store: Store, engine: Engine, todo: _Todo) -> Iterator[UnitDone | CellDone]:
    """Units as they finish, and each cell as soon as its last unit has."""
    units = {unit.key: unit for unit in todo.units}
    waits_for = Counter(index for unit in todo.missing.units for index in unit.cells)
    sets = {corpus.digest: corpus.members for corpus in plan.corpora}

    def origin() -> dict[str, Any]:
        told = provenance.gather(plan.request.device, engine.workers, plan.request.seed)
        return told | {"sets": changes.seen(plan)}

    ready = [index for index in todo.cells if not waits_for[index]]
    if ready:
        store.begin(origin, sets)
        yield from (CellDone(rows.finish(store, plan, index), cached=False) for index in ready)
    with_streams = (_with_stream(unit, store, todo.missing) for unit in todo.units)
    for n_done, result in enumerate(engine.map(plan.context, with_streams), 1):
        if n_done == 1 and not ready:
            store.begin(origin, sets)  # only now, when the libraries in use are loaded and say their threads
        unit = units[result.key]
        failures = store.put(result)
        where = (plan.context.coders[unit.coder].spec, unit.rate, unit.sample.id, n_done)
        errors = *(f"{f.stage}: {f.error}" for f in failures), *_unverified(result)
        yield UnitFailed(*where, errors) if errors else UnitDone(*where)
        for index in unit.cells:
            waits_for[index] -= 1
            if not waits_for[index]:
                yield CellDone(rows.finish(store, plan, index), cached=False)


def _unverified(result: UnitResult) -> Iterator[str]:
    """What failed when another process decoded a unit's stream."""
    for one in result.checks:
        if one.error:
            at = "" if one.beta is None else f" at beta {one.beta:g}"
            yield f"verify: stream {result.key}{at}, decoded in another process ({one.by}): {one.error}"


def _with_stream(unit: Unit, store: Store, missing: backlog.Missing) -> Unit:
    """The unit with its stored stream, so that nothing is coded twice; read only when the engine takes
    the unit.
    """
    return dataclasses.replace(unit, stream=store.stream(unit.key)) if unit.key in missing.coded else unit
