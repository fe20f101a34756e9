"""What a plan's cells still lack in the store: the units of work, how many of each kind, and how long
they may take.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from icm_bench.method import Beta
from icm_bench.plan import Cell, Plan
from icm_bench.shard import WHOLE, Shard
from icm_bench.store import Store
from icm_bench.task import Sample
from icm_bench.units import Unit, Want


@dataclass
class _Draft:
    """A unit while its parts are collected."""

    cell: Cell
    sample: Sample
    picture: str
    betas: set[Beta] = field(default_factory=set)
    measure: set[Beta] = field(default_factory=set)
    wants: dict[tuple[int, str], tuple[Sample, list[Beta]]] = field(default_factory=dict)
    cells: list[int] = field(default_factory=list)
    verify: dict[Beta, int | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Missing:
    """The units still to be worked on, without their streams, and the streams that are in the store
    already.
    """

    units: list[Unit]
    coded: frozenset[str]


def missing(plan: Plan, store: Store, cells: Sequence[int]) -> Missing:
    """What these cells (indices) lack in the store: bulk look-ups, no query per unit."""
    keys = {index: plan.stream_keys(plan.cells[index]) for index in cells}
    known = store.known({key for one in keys.values() for key in one})
    drafts: dict[str, _Draft] = {}
    for index in cells:
        cell, corpus = plan.cells[index], plan.corpora[plan.cells[index].subject]
        subject, has_net = plan.context.subjects[cell.subject].key, plan.nets[cell.subject] is not None
        for key, sample, picture in zip(keys[index], corpus.samples, corpus.pictures, strict=True):
            unmeasured = (key, cell.beta) not in known.decodes
            unseen = has_net and (subject, key, cell.beta, sample.id) not in known.evidence
            unverified = plan.context.verify and (key, cell.beta) not in known.verified
            if not (unmeasured or unseen or unverified):
                continue
            draft = drafts.setdefault(key, _Draft(cell, sample, picture))
            draft.betas.add(cell.beta)
            draft.cells.append(index)
            if unmeasured:
                draft.measure.add(cell.beta)
            if unverified:
                draft.verify[cell.beta] = known.decodes.get((key, cell.beta))
            if unseen:
                draft.wants.setdefault((cell.subject, sample.id), (sample, []))[1].append(cell.beta)
    return Missing([_unit(key, draft) for key, draft in drafts.items()], known.streams)


def _unit(key: str, draft: _Draft) -> Unit:
    wants = tuple(Want(subject, sample, tuple(betas)) for (subject, _), (sample, betas) in draft.wants.items())
    betas = tuple(sorted(draft.betas, key=lambda beta: -1.0 if beta is None else beta))
    return Unit(
        key, draft.cell.coder, draft.cell.subject, draft.cell.rate, draft.picture, draft.sample, betas,
        frozenset(draft.measure),
        wants=wants,
        cells=tuple(dict.fromkeys(draft.cells)),
        verify=draft.verify,
    )  # fmt: skip


@dataclass(frozen=True)
class Estimate:
    """What a run would do. seconds is None where a method or net has never been timed; untimed names them."""

    n_units: int
    n_cached: int
    n_encodes: int
    n_decodes: int
    n_predictions: int
    seconds: float | None
    untimed: tuple[str, ...]


def estimate(plan: Plan, store: Store, todo: Missing, shard: Shard = WHOLE) -> Estimate:
    """Count the work of a part and guess its time in one process, from the mean seconds in the store."""
    todo = Missing([unit for unit in todo.units if shard.has(unit.key)], todo.coded)
    pace = _Pace(store)
    untimed: dict[str, None] = {}
    seconds, predictions = 0.0, 0
    for unit in todo.units:
        coder = plan.context.coders[unit.coder]
        parts = [(coder.spec, pace.coder(coder.key, unit.key not in todo.coded), len(unit.betas))]
        for want in unit.wants:
            subject = plan.context.subjects[want.subject]
            parts.append((subject.net or subject.task, (0.0, pace.subject(subject.key)), len(want.betas)))
            predictions += len(want.betas)
        for name, (once, each), times in parts:
            if once is None or each is None:
                untimed[name] = None
            else:
                seconds += once + each * times
    n_encodes = sum(unit.key not in todo.coded for unit in todo.units)
    total = plan.n_units(shard.has)
    return Estimate(
        total, total - len(todo.units), n_encodes, len(todo.units), predictions, None if untimed else seconds,
        tuple(untimed),
    )  # fmt: skip


class _Pace:
    """Mean seconds in the store, each asked for once."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._known: dict[tuple[str, str], float | None] = {}

    def coder(self, key: str, encodes: bool) -> tuple[float | None, float | None]:
        """Seconds once per unit, and for each beta."""
        streams = "FROM streams s JOIN makers m ON s.maker=m.id {} WHERE m.method=?"
        once = self._mean("SELECT avg(s.encode_s) " + streams.format(""), key)
        each = self._mean("SELECT avg(d.decode_s) " + streams.format("JOIN decodes d ON d.stream=s.id"), key)
        return (once if encodes else 0.0), each

    def subject(self, key: str) -> float | None:
        """Seconds for each picture seen."""
        return self._mean(
            "SELECT avg(e.predict_s) FROM evidence e JOIN subjects u ON e.subject=u.id"
            " WHERE u.task || char(10) || u.net = ?",
            key,
        )

    def _mean(self, sql: str, key: str) -> float | None:
        if (sql, key) not in self._known:
            self._known[sql, key] = self.store.query(sql, key)[0][0]
        return self._known[sql, key]
