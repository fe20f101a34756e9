"""Rows of results: one per (method, rate, beta, task, net), made from the store and kept there once complete.

Raw counts come first and stay whole numbers; derived values carry names that say what they are. A row's
seconds are sums over its pictures, whichever run coded them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from icm_bench import __version__, metrics
from icm_bench.method import Method
from icm_bench.plan import Cell, Plan, stream_keys
from icm_bench.records import Record, Where, read, where_of
from icm_bench.store import Store, beta_out
from icm_bench.task import Task
from icm_bench.units import Failure

if TYPE_CHECKING:
    import pandas as pd

Row = dict[str, Any]

#: Columns that tell two runs of the same content apart.
VOLATILE = frozenset(("encode_s", "decode_s", "predict_s", "utc", "threads", "n_workers", "n_sessions", "commit"))
#: What makes a stored row a finished one: our version, and a count that goes up when a row's content changes.
SCORED_BY = f"{__version__} rows 3"
_MOST_ERRORS = 100


def rows(store: Store, *plans: Plan) -> list[Row]:
    """The rows of plans that the store holds, complete or not, in the plans' order, each once."""
    keys = list(dict.fromkeys(cell.key for plan in plans for cell in plan.cells))
    found = _rows(store, keys)
    return [found[key][0] for key in keys if key in found]


def complete(store: Store, plan: Plan) -> dict[int, Row]:
    """Rows by cell index that need no work: every picture is there, verified where that is asked, and this version
    has scored them.
    """
    found = _rows(store, [cell.key for cell in plan.cells])
    return {
        index: found[cell.key][0]
        for index, cell in enumerate(plan.cells)
        if cell.key in found
        and found[cell.key][1:] == (0, SCORED_BY)
        and not (plan.context.verify and found[cell.key][0]["verified"] != "yes")
    }


def failed(row: Row) -> bool:
    """Whether a row is not what it should be: an error, pictures missing, or a stream that failed verification."""
    return row["error"] is not None or row["verified"] == "no"


def _rows(store: Store, keys: list[str]) -> dict[str, tuple[Row, int, str]]:
    found = store.query(
        "SELECT key, row, n_failed, version FROM cells WHERE key IN (SELECT value FROM json_each(?))",
        json.dumps(keys),
    )
    return {key: (json.loads(row), n_failed, version) for key, row, n_failed, version in found}


def load(path: Path | str) -> pd.DataFrame:
    """Every row that past runs left in a store file. Raises UserError when there is none."""
    import pandas as pd

    with Store(path, create=False) as store:
        found = [json.loads(row) for (row,) in store.query("SELECT row FROM cells")]
    found.sort(
        key=lambda r: (
            r["task_spec"],
            r["net"] or "",
            r["method"],
            r["rate"],
            -1 if r["beta"] is None else r["beta"],
        )
    )
    return pd.DataFrame(found)


def records(store: Store, row_key: str) -> pd.DataFrame:
    """One line per picture of a row: sample, n_bytes, n_pixels, squared_error, psnr, ms_ssim, seconds."""
    import pandas as pd

    names = (
        "sample",
        "n_bytes",
        "n_pixels",
        "squared_error",
        "psnr",
        "ms_ssim",
        "encode_s",
        "decode_s",
        "predict_s",
    )
    found = read(store, where_of(store, row_key))
    return pd.DataFrame([{name: getattr(one, name) for name in names} for one in found], columns=list(names))


def evidence(store: Store, row_key: str) -> dict[str, Any]:
    """What the net saw in each picture of a row, by sample id: what ``Task.score`` takes."""
    return {one.sample: one.evidence for one in read(store, where_of(store, row_key))}


def finish(store: Store, plan: Plan, index: int) -> Row:
    """Score a cell whose units are done, and store its row. Pictures that failed are counted, never
    averaged.
    """
    cell, corpus = plan.cells[index], plan.corpora[plan.cells[index].subject]
    members = corpus.members
    subject = plan.context.subjects[cell.subject].key
    where = Where(members, plan.coding(cell), beta_out(cell.beta), subject)
    found = read(store, where)
    errors = {} if len(found) == len(members) else _errors(store, where, {one.sample for one in found})
    row = _identity(plan, cell) | _counts(found, len(members), plan.methods[cell.coder])
    try:
        row |= _score(plan, cell, {one.sample: one.evidence for one in found} if where.has_net else {})
    except Exception as error:
        errors["score"] = f"{type(error).__name__}: {error}"
    row |= {
        "error": next((f"{sample}: {text}" for sample, text in errors.items()), None),
        "errors": dict(list(errors.items())[:_MOST_ERRORS]),
    }
    row |= _origin(store, found)
    failed = len(members) - len(found) + ("score" in errors)
    store.put_cell(
        (cell.key, SCORED_BY, failed, corpus.digest, where.coding, where.beta, subject, json.dumps(row)),
        members,
    )
    return row


def _identity(plan: Plan, cell: Cell) -> Row:
    """What was measured."""
    method, task = plan.methods[cell.coder], plan.corpora[cell.subject].task
    net, coder = plan.nets[cell.subject], plan.context.coders[cell.coder]
    footprint = method.footprint()
    return {
        "key": cell.key,
        "method": coder.spec,
        "method_name": method.name,
        "checkpoint": coder.checkpoint,
        "rate_name": method.rate.name,
        "rate": cell.rate,
        "beta": cell.beta,
        "lossless": method.lossless,
        "profile": plan.context.profile,
        "rate_kind": "real",
        "task": task.name,
        "task_spec": task.spec,
        "data": _label(task, plan.request.limit),
        "data_fingerprint": task.fingerprint,
        "samples": plan.corpora[cell.subject].digest,
        "net": None if net is None else net.spec,
        "net_fingerprint": None if net is None else net.fingerprint,
        "main_metric": task.main_metric,
        "higher_is_better": task.higher_is_better,
        "checkpoints": footprint.checkpoints,
        "parameters": footprint.parameters,
    }


def _label(task: Task, limit: int | None) -> str:
    """What the data is, and that it is not all of it."""
    if limit is None or limit >= len(task.samples()):
        return task.label
    return f"{task.label}, the first {limit} only"


def _counts(found: list[Record], n_expected: int, method: Method) -> Row:
    """Raw sums, then what follows from them. psnr_mean leaves out pictures without any error (n_exact of them).

    pixels_orig: of the files; pixels_coded: of what the codec codes in their place, where it scales; pixels_input:
    that were compared and shown to nets (the same as pixels_orig but under a profile that resizes).
    """
    n_bytes, n_pixels = sum(one.n_bytes for one in found), sum(one.n_pixels for one in found)
    seen, coded = sum(one.pixels_seen for one in found), sum(math.prod(method.coded_size(one.coded)) for one in found)
    squared = sum(one.squared_error for one in found)
    layers: dict[str, int] = {}
    for one in found:
        for name, size in one.layer_bytes.items():
            layers[name] = layers.get(name, 0) + size
    return {
        "n_pictures": len(found),
        "n_expected": n_expected,
        "n_failed": n_expected - len(found),
        "n_exact": sum(one.squared_error == 0 for one in found),
        "n_ms_ssim": sum(one.ms_ssim is not None for one in found),
        "pixels_orig": n_pixels,
        "pixels_coded": coded,
        "pixels_input": seen,
        "n_bytes": n_bytes,
        "layer_bytes": layers,
        "squared_error": squared,
        "bpp": metrics.bpp(n_bytes, n_pixels) if n_pixels else None,
        "bpp_mean": metrics.bpp_mean([one.n_bytes for one in found], [one.n_pixels for one in found]),
        "bpp_coded": metrics.bpp(n_bytes, coded) if coded else None,
        "bpp_input": metrics.bpp(n_bytes, seen) if seen else None,
        "bpp_input_mean": metrics.bpp_mean([one.n_bytes for one in found], [one.pixels_seen for one in found]),
        "bpp_estimated_mean": _estimated(found),
        "psnr_mean": metrics.mean(one.psnr for one in found),
        "psnr_global": metrics.psnr(squared, 3 * seen) if seen else None,
        "ms_ssim_mean": metrics.mean(one.ms_ssim for one in found),
        "encode_s": math.fsum(one.encode_s for one in found),
        "decode_s": math.fsum(one.decode_s for one in found),
        "predict_s": math.fsum(one.predict_s for one in found),
        "score": None,
    } | _verified(found)


def _verified(found: list[Record]) -> Row:
    """How many streams another process decodes to the same pictures, how many not; blank where none was asked."""
    checked = [one for one in found if one.verified is not None]
    if not checked:
        return dict.fromkeys(("verified", "n_verified", "n_verify_failed", "levels_apart"))
    passed = sum(bool(one.verified) for one in checked)
    answer = "no" if passed < len(checked) else "yes" if passed == len(found) else None
    return {
        "verified": answer,
        "n_verified": passed,
        "n_verify_failed": len(checked) - passed,
        "levels_apart": max((one.levels_apart for one in checked if one.levels_apart is not None), default=None),
    }


def _estimated(found: list[Record]) -> float | None:
    """Mean over pictures of estimated bits per input pixel; None unless the codec told them of every picture."""
    bits = [(one.bits_estimated, one.pixels_seen) for one in found if one.bits_estimated is not None]
    return metrics.mean(value / pixels for value, pixels in bits) if len(bits) == len(found) else None


def _score(plan: Plan, cell: Cell, seen: Mapping[str, Any]) -> Row:
    """The task's metrics under their names, the main one as ``score`` too. Raises ValueError for one not
    finite.
    """
    task = plan.corpora[cell.subject].task
    if not seen:
        return {}
    scores = {name: float(value) for name, value in task.score(seen).items()}
    for name, value in scores.items():
        if not math.isfinite(value):
            raise ValueError(f"{task.name} scored {name} = {value}")
    return scores | {"score": scores.get(task.main_metric or "")}


def _errors(store: Store, where: Where, done: set[str]) -> dict[str, str]:
    """Why pictures are missing, by sample id."""
    missing = [(s, p) for s, p in where.members if s not in done]
    keys = stream_keys(where.coding, [picture for _, picture in missing])
    told = store.failures(keys)

    def fits(failure: Failure, sample: str) -> bool:
        return (
            failure.subject in ("", where.subject)
            and (failure.beta is None or beta_out(failure.beta) == where.beta)
            and failure.sample in ("", sample)
        )

    return {
        sample: next((f"{f.stage}: {f.error}" for f in told.get(key, []) if fits(f, sample)), "not finished")
        for (sample, _), key in zip(missing, keys, strict=True)
    }


def _origin(store: Store, found: list[Record]) -> Row:
    """Provenance: of the latest run that made any of these records, and of the codec's programs."""
    sessions = {one.session for one in found}
    newest = "SELECT provenance FROM sessions {} ORDER BY json_extract(provenance, '$.utc') DESC, id DESC LIMIT 1"
    among = "WHERE id IN (SELECT value FROM json_each(?))"
    told = store.query(newest.format(among), json.dumps([*sessions])) if sessions else store.query(newest.format(""))
    makers = store.query(
        "SELECT provenance FROM makers WHERE id IN (SELECT value FROM json_each(?)) ORDER BY id",
        json.dumps(sorted({one.maker for one in found})),
    )
    programs = [json.loads(text) for (text,) in makers]
    session = json.loads(told[0][0]) if told else {}
    session.pop("sets", None)  # of all tasks of the run; the row says which data it is of
    return {
        **session,
        "n_sessions": len(sessions),
        "method_provenance": programs[0] if len(programs) == 1 else programs,
    }
