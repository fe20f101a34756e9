"""The runner: works off what a plan's cells lack and yields events. It never prints; only it writes to
the store.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from icm_bench import backlog, provenance, rows
from icm_bench.engine import Engine, Serial
from icm_bench.plan import Plan
from icm_bench.store import Store
from icm_bench.units import Unit, UnitResult


@dataclass(frozen=True)
class Started:
    """n_units: pictures x rates x methods; n_cached of them need no work; n_cells rows to be, done or not."""

    n_units: int
    n_cached: int
    n_cells: int


@dataclass(frozen=True)
class Refused:
    """A method that cannot be used for a task."""

    method: str
    task: str
    reason: str


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


Event = Started | Refused | UnitDone | CellDone | Finished


def run(plan: Plan, store: Store, engine: Engine | Callable[[int], Engine] | None = None) -> Iterator[Event]:
    """Make every row of the plan; units and rows that the store holds are not made again.

    Each finished unit is kept at once, so closing the generator, Ctrl-C or a kill lose at most the units in
    work. engine: one, or what makes one for the number of units that are missing; None works serially.
    """
    done = rows.complete(store, plan)
    todo = [index for index in range(len(plan.cells)) if index not in done]
    work = backlog.missing(plan, store, todo)
    engine = engine(len(work.units)) if callable(engine) else engine or Serial()
    total = plan.n_units()
    yield Started(total, total - len(work.units), len(plan.cells))
    for refusal in plan.refusals:
        yield Refused(refusal.method, refusal.task, refusal.reason)
    for row in done.values():
        yield CellDone(row, cached=True)
    if not todo:
        yield Finished(0, 0)
        return
    n_failed = 0
    for event in _work_off(plan, store, engine, (todo, work)):
        n_failed += isinstance(event, CellDone) and rows.failed(event.row)
        yield event
    yield Finished(len(work.units), n_failed)


def _work_off(
    plan: Plan, store: Store, engine: Engine, work: tuple[list[int], backlog.Missing]
) -> Iterator[UnitDone | CellDone]:
    """Units as they finish, and each cell as soon as its last unit has."""
    todo, missing = work
    units = {unit.key: unit for unit in missing.units}
    waits_for = Counter(index for unit in missing.units for index in unit.cells)
    origin = partial(provenance.gather, plan.request.device, engine.workers, plan.request.seed)
    ready = [index for index in todo if not waits_for[index]]
    if ready:
        store.begin(origin)
        yield from (CellDone(rows.finish(store, plan, index), cached=False) for index in ready)
    with_streams = (_with_stream(unit, store, missing) for unit in missing.units)
    for n_done, result in enumerate(engine.map(plan.context, with_streams), 1):
        if n_done == 1 and not ready:
            store.begin(origin)  # only now, when the libraries in use are loaded and say their threads
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
