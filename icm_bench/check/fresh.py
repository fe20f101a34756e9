"""Whether a store that was kept still holds what this code makes: a few of its units, made again and compared.

A store finds its records by what they were asked for, not by the code that made them. An edited codec or net would
go unseen behind the results of the old one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from icm_bench import backlog
from icm_bench.engine import Engine
from icm_bench.errors import UserError
from icm_bench.plan import Plan
from icm_bench.store import Store, beta_out, unpack
from icm_bench.units import Unit, UnitResult

#: Units made again for each method.
_UNITS = 3
#: What the order of sums may change, as on another machine: share of bytes, of squared error, of evidence.
_ROUNDING = 0.01


def refuse_stale(plan: Plan, store: Store, engine: Callable[[int], Engine]) -> None:
    """Raise UserError when most of the units made again differ by more than rounding from what the store holds."""
    cells = range(len(plan.cells))
    missing = {unit.key for unit in backlog.missing(plan, store, cells).units}
    with Store(None) as empty:
        every = backlog.missing(plan, empty, cells).units
    for coder, method in enumerate(plan.context.coders):
        mine = [unit for unit in every if unit.coder == coder and unit.key not in missing]
        chosen = sorted(mine, key=lambda unit: unit.key)[:_UNITS]  # keys are digests: as good as drawn
        units = {unit.key: unit for unit in chosen}
        results = engine(len(units)).map(plan.context, chosen)
        reasons = [reason for one in results if (reason := _difference(units[one.key], one, store))]
        if len(reasons) > len(units) / 2:
            raise UserError(
                f"stale store {store.path}: {len(reasons)} of {len(units)} units of {method.spec}, made again, "
                f"{reasons[0]}; remove it, or count up stream_version where the codec has changed"
            )


def _difference(unit: Unit, made: UnitResult, store: Store) -> str | None:
    """How a unit made again differs from the store's, or None."""
    if made.stream is None:
        return f"fail ({made.failures[0].error})" if made.failures else None
    kept = store.stream(unit.key) or b""
    if abs(len(kept) - len(made.stream.data)) > _ROUNDING * len(kept):
        return f"have other streams ({len(made.stream.data)} bytes, {len(kept)} are kept)"
    query = "SELECT d.squared_error FROM streams s JOIN decodes d ON d.stream=s.id WHERE s.key=? AND d.beta=?"
    for one in made.decodes:
        (error,) = store.query(query, unit.key, beta_out(one.beta))[0]
        if abs(error - one.squared_error) > _ROUNDING * error:
            return f"decode to other pictures (squared error {one.squared_error}, {error} is kept)"
    query = (
        "SELECT e.data FROM streams s JOIN evidence e ON e.stream=s.id JOIN subjects u ON e.subject=u.id"
        " WHERE s.key=? AND e.beta=? AND e.sample=? AND u.task || char(10) || u.net=?"
    )
    seen = [
        _alike(unpack(store.query(query, unit.key, beta_out(e.beta), e.sample, e.subject)[0][0]), unpack(e.data))
        for e in made.evidence
    ]
    if seen.count(False) > len(seen) / 2:
        return "are seen otherwise by the nets"
    return None


def _alike(kept: Any, made: Any) -> bool:
    """Whether two records of evidence are the same but for rounding."""
    if isinstance(kept, dict) and isinstance(made, dict):
        return kept.keys() == made.keys() and all(_alike(kept[key], made[key]) for key in kept)
    if isinstance(kept, list) and isinstance(made, list):
        return len(kept) == len(made) and all(map(_alike, kept, made))
    if isinstance(kept, float | int) and isinstance(made, float | int):
        return abs(kept - made) <= _ROUNDING * max(1.0, abs(kept))
    return bool(kept == made)
