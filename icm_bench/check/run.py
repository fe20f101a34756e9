"""Checks and updates of a baseline: which grids to run, on which store, and what came of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from icm_bench import plan, provenance, registry, runner
from icm_bench.check import compare, fresh, golden, measure
from icm_bench.check.baseline import Baseline, Grid
from icm_bench.check.verdict import Figure, Finding, judge, ordered, parse_tolerances
from icm_bench.datasets import task_of
from icm_bench.engine import Engine
from icm_bench.errors import UserError
from icm_bench.plan import Plan
from icm_bench.request import Request
from icm_bench.spec import parse_spec
from icm_bench.store import Store

if TYPE_CHECKING:
    import numpy as np

#: Pictures of a data set that is not built in lie elsewhere on every machine.
_BUILT_IN = "mini"
#: (height, width) of what golden streams code.
_PIECE = (32, 48)


@dataclass(frozen=True)
class How:
    """How a check works. note: is told the events of every run; data: folder in place of the grids' own."""

    store: Store
    engine: Callable[[int], Engine]
    note: Callable[[Any], None] = lambda event: None
    limit: int | None = None
    data: str | None = None
    device: str = "cpu"


def check(baseline: Baseline, how: How, methods: Iterable[str] = (), tolerances: Iterable[str] = ()) -> list[Finding]:
    """Run the baseline's grids and compare, the worst first.

    methods: only these, or in place of those of their names; tolerances: texts such as "AP=0.5". Raises UserError
    where nothing can be compared.
    """
    if baseline.draws != measure.draws_digest():
        raise UserError("this machine's numpy draws other resamples than the baseline's: make it anew with --update")
    renamed = _stand_ins(baseline, methods)
    figures: list[Figure] = []
    findings: list[Finding] = []
    for before in baseline.grids:
        request = _with(before, renamed, keep=not renamed)
        if request.methods:
            now, pairs = _measured(before, request, renamed, how)
            findings += compare.facts(before, now, pairs, renamed)
            figures += [figure for pair in pairs for figure in compare.figures(pair)]
            figures += compare.curves(pairs)
    allowed = parse_tolerances(tolerances, [one.what.partition(" · ")[0] for one in figures])
    return ordered([*findings, *judge(figures, allowed)])


def _measured(
    before: Grid, request: Request, renamed: Mapping[str, str], how: How
) -> tuple[Grid, list[compare.Pair]]:
    made = plan.build(_on_this_machine(request, how, before), how.store)
    outlined = measure.outline(made, all_sizes=False)
    compare.refuse(before, outlined)
    fresh.refuse_stale(made, how.store, how.engine)
    now = _filled(outlined, made, how)
    return now, compare.pairs(before, now, renamed)


def _filled(outlined: Grid, made: Plan, how: How) -> Grid:
    for event in runner.run(made, how.store, how.engine):
        how.note(event)
    return measure.fill(outlined, made, how.store)


def update(baseline: Baseline | None, how: How, request: Request | None, methods: Iterable[str] = ()) -> Baseline:
    """Every grid of the baseline measured anew, with that of the request too: a baseline of this moment.

    methods: take the place of those of their names. Raises UserError for a grid in which a picture fails: what is
    broken is no baseline.
    """
    requests = []
    if baseline is not None:
        stand_ins = _stand_ins(baseline, methods)
        requests = [_with(grid, stand_ins, keep=True) for grid in baseline.grids]
    if request is not None and request not in requests:
        requests.append(_once_uncompressed(request, requests))
    grids = []
    for one in requests:
        made = plan.build(_on_this_machine(one, how, None), how.store)
        fresh.refuse_stale(made, how.store, how.engine)
        grid = _filled(measure.outline(made, all_sizes=True), made, how)
        broken = next((coding for coding in grid.codings if coding.failed), None)
        if broken is not None:
            sample, error = next(iter(broken.failed.items()))
            raise UserError(f"no baseline of failures: {broken.method} at {broken.rate:g}, {sample}: {error}")
        grid.request = one
        grids.append(grid)
    return Baseline(grids, provenance.gather(how.device, 1, 0), measure.draws_digest())


def _once_uncompressed(request: Request, others: list[Request]) -> Request:
    """The request, without the uncompressed line of tasks for which another grid has it already."""
    same = [one for one in others if one.reference and (one.nets, one.data, one.limit) == (
        request.nets, request.data, request.limit)]
    known = {task for one in same for task in one.tasks}
    return dataclasses.replace(request, reference=None) if known.issuperset(request.tasks) else request


def differences(before: Baseline, after: Baseline) -> list[Finding]:
    """What an update changed, the worst first."""
    found: list[Finding] = []
    figures: list[Figure] = []
    known = {_nameless(grid.request): grid for grid in before.grids}
    for now in after.grids:
        names = ", ".join((*now.request.methods, *now.request.tasks))
        old = known.get(_nameless(now.request))
        if old is None:
            found.append(Finding("changed", names, "grid", f"{len(now.codings)} codings are new"))
            continue
        renamed = dict(zip(now.request.methods, old.request.methods, strict=True))
        try:
            compare.refuse(old, now)
            pairs = compare.pairs(old, now, renamed)
        except UserError as error:
            found.append(Finding("changed", names, "grid", str(error)))
            continue
        found += compare.facts(old, now, pairs, renamed)
        figures += [figure for pair in pairs for figure in compare.figures(pair)]
        figures += compare.curves(pairs)
    return ordered([*found, *judge(figures, {})])


def _nameless(request: Request) -> Request:
    """The request with the names of its methods alone: what two updates of one grid share."""
    return dataclasses.replace(request, methods=tuple(parse_spec(spec)[0] for spec in request.methods))


def record_golden(baseline: Baseline, folder: Path) -> int:
    """Record golden streams that are not there yet, of every method and rate of the baseline. Returns how many.

    What is coded is a small piece from the middle of the first picture.
    """
    n_new = 0
    for grid in baseline.grids:
        picture = _piece(task_of(grid.request.tasks[0], grid.request.data).samples()[0].read())
        for spec in grid.methods:
            rates = sorted({coding.rate for coding in grid.codings if coding.method == spec})
            n_new += golden.record(folder, picture, registry.method(spec), rates)
    return n_new


def _piece(picture: np.ndarray) -> np.ndarray:
    top, left = (max(0, (size - side) // 2) for size, side in zip(picture.shape, _PIECE, strict=False))
    return picture[top : top + _PIECE[0], left : left + _PIECE[1]].copy()


def _specs(baseline: Baseline) -> list[str]:
    """Of all its methods, in full."""
    return list(dict.fromkeys(registry.method(spec).spec for grid in baseline.grids for spec in grid.request.methods))


def _stand_ins(baseline: Baseline, methods: Iterable[str]) -> dict[str, str]:
    """For each method given, which of the baseline's it stands for: itself, itself with another checkpoint, or the
    only one of its name. Raises UserError where there is none, or several.
    """
    known = _specs(baseline)
    found: dict[str, str] = {}
    for given in methods:
        method = registry.method(given)
        same = [spec for spec in known if parse_spec(spec)[0] == method.name]
        for closer in (lambda spec: spec, _without_checkpoint):
            same = [spec for spec in same if closer(spec) == closer(method.spec)] or same
        if len(same) != 1:
            told = f"could stand for {' and '.join(same)}" if same else f"the baseline has only {', '.join(known)}"
            raise UserError(f"--method {given}: {told}")
        found[method.spec] = same[0]
    return found


def _with(grid: Grid, stand_ins: Mapping[str, str], keep: bool) -> Request:
    """The grid's request with other methods in place of those that they stand for. keep: the others stay too."""
    replaced = {old: new for new, old in stand_ins.items()}
    own = [registry.method(spec).spec for spec in grid.request.methods]
    kept = tuple(replaced.get(spec, spec) for spec in own if keep or spec in replaced)
    return dataclasses.replace(grid.request, methods=kept)


def _without_checkpoint(spec: str) -> tuple[str, dict[str, Any]]:
    name, params = parse_spec(spec)
    return name, {key: value for key, value in params.items() if key != "checkpoint"}


def _on_this_machine(request: Request, how: How, before: Grid | None) -> Request:
    """The request on this machine's device and data, and cut to --limit."""
    data = request.data if request.data == _BUILT_IN or how.data is None else how.data
    limit = request.limit
    if how.limit is not None and before is not None:
        fits = [size for one in before.data.values() for size in one.samples if size <= how.limit]
        if not fits:
            least = min(size for one in before.data.values() for size in one.samples)
            raise UserError(f"--limit {how.limit}: this baseline can be cut to {least} pictures at least")
        limit = max(fits)
    return dataclasses.replace(request, data=data, limit=limit, device=how.device)
