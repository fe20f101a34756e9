"""Several stores made one: those of the parts of a run, or a colleague's.

Records are found by what they were made from, so that most of two stores is either the same or disjoint. Where both
hold another version of one record (an encoder that is not repeatable, sums taken in another order), that of the
earlier session stays, whichever store is merged first.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from icm_bench import backlog, own_files, plan, rows
from icm_bench.errors import UserError
from icm_bench.request import Request
from icm_bench.store import Store

_UTC = "CREATE TEMP TABLE when_{0} AS SELECT id, json_extract(provenance, '$.utc') AS utc FROM {0}.sessions"
_EARLIER = "(SELECT utc FROM when_other WHERE id=o.session) < (SELECT utc FROM when_main WHERE id=m.session)"
#: Ids of the other store as they are called in this one.
_MAPS = (
    "INSERT INTO main.sessions (provenance) SELECT provenance FROM other.sessions o"
    " WHERE NOT EXISTS (SELECT 1 FROM main.sessions m WHERE m.provenance=o.provenance) ORDER BY id",
    "CREATE TEMP TABLE session_map AS SELECT o.id AS old, min(m.id) AS new FROM other.sessions o"
    " JOIN main.sessions m ON m.provenance=o.provenance GROUP BY o.id",
    "INSERT OR IGNORE INTO main.makers (method, checkpoint, provenance)"
    " SELECT method, checkpoint, provenance FROM other.makers ORDER BY id",
    "CREATE TEMP TABLE maker_map AS SELECT o.id AS old, m.id AS new FROM other.makers o"
    " JOIN main.makers m USING (method, checkpoint, provenance)",
    "INSERT OR IGNORE INTO main.subjects (task, net) SELECT task, net FROM other.subjects ORDER BY id",
    "CREATE TEMP TABLE subject_map AS SELECT o.id AS old, m.id AS new FROM other.subjects o"
    " JOIN main.subjects m USING (task, net)",
)
#: Streams of both stores whose bytes differ, and whether the other's are the earlier ones.
_CONFLICTS = (
    f"SELECT m.id, o.id, {_EARLIER} FROM main.streams m JOIN other.streams o USING (key)"
    " WHERE m.n_bytes != o.n_bytes OR m.data != o.data"
)
_RESTORE = (
    "UPDATE main.streams AS m SET data=o.data FROM other.streams o"
    " WHERE m.key=o.key AND m.data IS NULL AND o.data IS NOT NULL"
)
_SCRATCH = ("session_map", "maker_map", "subject_map", "stream_map", "when_main", "when_other")


@dataclass(frozen=True)
class Merged:
    """What a store has brought. n_conflicts: streams whose bytes were others than those already there."""

    path: Path
    n_streams: int
    n_evidence: int
    n_conflicts: int


def take_in(store: Store, path: Path) -> Merged:
    """Take in all of another store, or nothing where it fails. Raises UserError for a file that is no store."""
    if store.path is not None and path.resolve() == store.path.resolve():
        raise UserError(f"{path}: is the store to merge into")
    Store(path, create=False).close()  # brings one of an older version up to date
    before = _counts(store)
    with store.told():
        store.db.execute("ATTACH ? AS other", (f"{path.resolve().as_uri()}?mode=ro",))
    try:
        with store.told(), store.transaction():
            n_conflicts = _all(store)
    finally:
        for name in _SCRATCH:
            store.db.execute(f"DROP TABLE IF EXISTS temp.{name}")
        store.db.execute("DETACH other")
    after = _counts(store)
    return Merged(path, after[0] - before[0], after[1] - before[1], n_conflicts)


def _counts(store: Store) -> tuple[int, int]:
    return store.query("SELECT (SELECT count(*) FROM main.streams), (SELECT count(*) FROM main.evidence)")[0]  # type: ignore[return-value]


def _all(store: Store) -> int:
    for statement in _MAPS:
        store.db.execute(statement)
    for schema in ("main", "other"):
        store.db.execute(_UTC.format(schema))
    conflicts = store.db.execute(_CONFLICTS).fetchall()
    for ours, _, theirs_is_earlier in conflicts:
        if theirs_is_earlier:
            for table in ("decodes", "evidence", "checks"):
                store.db.execute(f"DELETE FROM main.{table} WHERE stream=?", (ours,))
            store.db.execute("DELETE FROM main.streams WHERE id=?", (ours,))
    store.db.execute(_RESTORE)
    _streams(store)
    later = json.dumps([theirs for _, theirs, is_earlier in conflicts if not is_earlier])
    store.db.execute(
        "CREATE TEMP TABLE stream_map AS SELECT o.id AS old, m.id AS new FROM other.streams o"
        " JOIN main.streams m USING (key) WHERE o.id NOT IN (SELECT value FROM json_each(?))",
        (later,),
    )
    store.db.execute("CREATE UNIQUE INDEX temp.stream_old ON stream_map (old)")
    _dependents(store, "decodes", ("stream", "beta"))
    _dependents(store, "checks", ("stream", "beta"))
    _dependents(store, "evidence", ("stream", "subject", "beta", "sample"))
    for table in ("errors", "sets", "requests"):
        store.db.execute(f"INSERT OR IGNORE INTO main.{table} SELECT * FROM other.{table}")
    store.db.execute(
        "INSERT OR REPLACE INTO main.cells SELECT o.* FROM other.cells o LEFT JOIN main.cells m USING (key)"
        " WHERE m.key IS NULL OR (o.n_failed, o.row) < (m.n_failed, m.row)"
    )
    return len(conflicts)


def _columns(store: Store, table: str) -> list[str]:
    return [name for _, name, *_ in store.db.execute(f"PRAGMA main.table_info({table})")]


def _streams(store: Store) -> None:
    names = [name for name in _columns(store, "streams") if name != "id"]
    renamed = {"maker": "maker_map.new", "session": "session_map.new"}
    values = ", ".join(renamed.get(name, f"o.{name}") for name in names)
    store.db.execute(
        f"INSERT OR IGNORE INTO main.streams ({', '.join(names)}) SELECT {values} FROM other.streams o"
        " JOIN maker_map ON maker_map.old=o.maker LEFT JOIN session_map ON session_map.old=o.session ORDER BY o.id"
    )


def _dependents(store: Store, table: str, key: tuple[str, ...]) -> None:
    """Records that hang on streams: the earlier of two with one key."""
    names = _columns(store, table)
    renamed = {"stream": "stream_map.new", "session": "session_map.new", "subject": "subject_map.new"}
    maps = "JOIN stream_map ON stream_map.old=o.stream LEFT JOIN session_map ON session_map.old=o.session"
    if "subject" in names:
        maps += " JOIN subject_map ON subject_map.old=o.subject"
    same = " AND ".join(f"m.{name}={renamed.get(name, f'o.{name}')}" for name in key)
    chosen = ", ".join(f"m.{name}" for name in key)
    store.db.execute(
        f"DELETE FROM main.{table} WHERE ({', '.join(key)}) IN"
        f" (SELECT {chosen} FROM other.{table} o {maps} JOIN main.{table} m ON {same} WHERE {_EARLIER})"
    )
    values = ", ".join(renamed.get(name, f"o.{name}") for name in names)
    store.db.execute(
        f"INSERT OR IGNORE INTO main.{table} ({', '.join(names)}) SELECT {values} FROM other.{table} o {maps}"
    )


@dataclass(frozen=True)
class Scored:
    """What became of a request's rows. n_missing: units that no store has brought; reason: why none could be made."""

    request: Request
    n_rows: int
    n_units: int
    n_missing: int
    reason: str = ""


def score(store: Store) -> Iterator[Scored]:
    """Make the rows of every run that the merged stores came from, as far as their units are all there."""
    for (text,) in store.query("SELECT request FROM requests ORDER BY request"):
        request = Request.of(json.loads(text))
        try:
            for spec in (*request.methods, *request.tasks, *request.nets):
                own_files.check(spec)
            made = plan.build(dataclasses.replace(request, device="cpu"), store)
        except UserError as error:
            yield Scored(request, 0, 0, 0, str(error))
            continue
        done = rows.complete(store, made)
        todo = [index for index in range(len(made.cells)) if index not in done]
        missing = backlog.missing(made, store, todo).units
        tried = store.failures([unit.key for unit in missing])
        missing = [unit for unit in missing if unit.key not in tried]
        lacking = {index for unit in missing for index in unit.cells}
        for index in todo:
            if index not in lacking:
                rows.finish(store, made, index)
        yield Scored(request, len(made.cells) - len(lacking), made.n_units(), len(missing))
