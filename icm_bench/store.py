"""The store: coded streams, decoded quality and evidence, kept by content in one SQLite file.

    streams (method, checkpoint, rate, picture) --< decodes (beta)
                                                --< evidence (task, net, beta, sample)   -> cells (rows)
                                                --< checks (beta): decoded again by another process

Every record is found by what it was made from, so resuming a killed run and using its streams for another
task, net or trade-off are the same look-up. One transaction per finished unit; only the main process writes.
A beta of None (a codec without the axis) is kept as -1.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import sqlite3
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from icm_bench.database import Database
from icm_bench.method import Beta
from icm_bench.units import Failure, UnitResult


@dataclass(frozen=True)
class Known:
    """What the store already holds of some streams: keys of those with bytes, (key, beta), (subject, key, beta,
    sample).

    decodes: with the squared error of each; verified: those that passed.
    """

    streams: frozenset[str]
    decodes: dict[tuple[str, Beta], int]
    evidence: frozenset[tuple[str, str, Beta, str]]
    verified: frozenset[tuple[str, Beta]]


def beta_out(beta: Beta) -> float:
    """A beta as the store keeps it."""
    return -1.0 if beta is None else float(beta)


def beta_in(value: float) -> Beta:
    """A beta as the harness uses it."""
    return None if value < 0 else value


def store_of(out: Path) -> Path:
    """The store of a results folder; any other path as it is."""
    return out / "store.sqlite" if out.is_dir() else out


def pack(value: Any) -> bytes:
    """JSON, deflated. Raises ValueError for a number that is not finite, TypeError for what JSON cannot
    hold.
    """
    return zlib.compress(json.dumps(value, allow_nan=False, separators=(",", ":")).encode(), 1)


def unpack(data: bytes) -> Any:
    """The inverse of ``pack``."""
    return json.loads(zlib.decompress(data))


class Store(Database):
    """What runs have made so far. ``Store(None)`` lives in memory. Raises UserError for a file it cannot
    use.
    """

    def __init__(self, path: Path | str | None, create: bool = True) -> None:
        self._session: int | None = None
        self._subjects: dict[str, int] = {}
        super().__init__(path, create)

    def _rolled_back(self) -> None:
        self._subjects.clear()

    def begin(
        self, provenance: Callable[[], dict[str, Any]], sets: Mapping[str, list[tuple[str, str]]] | None = None
    ) -> None:
        """Note who writes from now on: machine, versions, device. Called before the first ``put``.

        sets: the pictures that the run is about, by their digest.
        """
        with self.told(), self.transaction():
            self._put_sets(sets or {})
            text = json.dumps(provenance(), sort_keys=True)
            self._session = self.db.execute("INSERT INTO sessions (provenance) VALUES (?)", (text,)).lastrowid

    def put(self, result: UnitResult) -> tuple[Failure, ...]:
        """Store all that was made of one unit, and its failures, in one transaction. Returns the failures
        stored.

        A second, different stream of what one key names is not taken: that unit then holds this failure only.
        """
        with self.told(), self.transaction():
            kept = None if result.stream is None else self.stream_digest(result.key)
            if result.stream is not None and kept and kept != hashlib.sha256(result.stream.data).hexdigest():
                text = f"CodecError: {result.stream.method} has made two different streams of one picture"
                result = UnitResult(result.key, failures=(Failure("encode", text),))
            self._put(result)
        return result.failures

    def _put(self, result: UnitResult) -> None:
        key, session = result.key, self._session
        self._forgive(result)
        if result.stream is not None:
            s = result.stream
            maker = self._id("makers", (s.method, s.checkpoint, json.dumps(s.provenance, sort_keys=True)))
            self.db.execute(
                "INSERT INTO streams (key, maker, session, rate, picture, profile, width, height,"
                " n_bytes, encode_s, data, pixels_orig, pixels_seen) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)"
                " ON CONFLICT (key) DO UPDATE SET data=excluded.data WHERE data IS NULL",
                (
                    key,
                    maker,
                    session,
                    s.rate,
                    s.picture,
                    s.profile,
                    s.width,
                    s.height,
                    len(s.data),
                    s.encode_s,
                    s.data,
                    s.pixels_orig,
                    s.pixels_seen,
                ),
            )
        row = self.db.execute("SELECT id FROM streams WHERE key=?", (key,)).fetchone()
        for d in result.decodes:
            self.db.execute(
                "INSERT OR IGNORE INTO decodes (stream, beta, session, n_bytes, layer_bytes, squared_error, ms_ssim,"
                " decode_s, bits_estimated, pixels) VALUES (?,?,?,?,?,?,?,?,?,?)",
                (row[0], beta_out(d.beta), session, d.n_bytes, json.dumps(d.layer_bytes), d.squared_error,
                 d.ms_ssim, d.decode_s, d.bits_estimated, d.pixels),
            )  # fmt: skip
        for c in result.checks:
            self.db.execute(
                "INSERT OR REPLACE INTO checks VALUES (?,?,?,?,?,?,?)",
                (row[0], beta_out(c.beta), session, c.levels, c.n_off, c.by, c.error),
            )
        for e in result.evidence:
            self.db.execute(
                "INSERT OR IGNORE INTO evidence VALUES (?,?,?,?,?,?,?)",
                (row[0], self._subject(e.subject), beta_out(e.beta), e.sample, session, e.predict_s, e.data),
            )
        for f in result.failures:
            self.db.execute(
                "INSERT OR REPLACE INTO errors VALUES (?,?,?,?,?,?,?)",
                (key, f.subject, beta_out(f.beta), f.sample, session, f.stage, f.error),
            )

    def _forgive(self, result: UnitResult) -> None:
        """Forget the errors of an earlier try of this unit."""
        self.db.execute("DELETE FROM errors WHERE stream_key=? AND subject=''", (result.key,))
        for e in result.evidence:
            self.db.execute("DELETE FROM errors WHERE stream_key=? AND subject=?", (result.key, e.subject))

    def _subject(self, text: str) -> int:
        """The row id of a subject: "task key\\nnet fingerprint"."""
        if text not in self._subjects:
            task, _, net = text.partition("\n")
            self._subjects[text] = self._id("subjects", (task, net))
        return self._subjects[text]

    def _id(self, table: str, values: tuple[str, ...]) -> int:
        columns = {"makers": ("method", "checkpoint", "provenance"), "subjects": ("task", "net")}[table]
        marks = ",".join("?" * len(columns))
        self.db.execute(f"INSERT OR IGNORE INTO {table} ({','.join(columns)}) VALUES ({marks})", values)
        where = " AND ".join(f"{column}=?" for column in columns)
        return int(self.db.execute(f"SELECT id FROM {table} WHERE {where}", values).fetchone()[0])

    def put_cell(self, columns: tuple[Any, ...], members: list[tuple[str, str]]) -> None:
        """Store a scored row: (key, version, n_failed, members' digest, coding, beta, subject, row) and
        its pictures.
        """
        with self.told(), self.transaction():
            self._put_sets({columns[3]: members})
            self.db.execute("INSERT OR REPLACE INTO cells VALUES (?,?,?,?,?,?,?,?)", columns)

    def _put_sets(self, sets: Mapping[str, list[tuple[str, str]]]) -> None:
        for digest, members in sets.items():
            if not self.db.execute("SELECT 1 FROM sets WHERE digest=?", (digest,)).fetchone():
                self.db.execute("INSERT INTO sets VALUES (?,?)", (digest, pack(members)))

    def draws(self, row: str, plan: str) -> bytes | None:
        """What ``put_draws`` kept of a row."""
        found = self.query("SELECT data FROM draws WHERE row=? AND plan=?", row, plan)
        return found[0][0] if found else None

    def put_draws(self, row: str, plan: str, data: bytes) -> None:
        """Keep a row's resampled figures, so that the next table is quick. What cannot be written, as on a full disk,
        is made again then.
        """
        if self.is_writable:
            with self.told(), suppress(sqlite3.OperationalError), self.transaction():
                self.db.execute("INSERT OR REPLACE INTO draws VALUES (?,?,?)", (row, plan, data))

    def hashes(self, paths: Sequence[Path]) -> list[str]:
        """sha256 of each file, from memory where size and times are as they were. "unreadable:PATH" where
        it fails.
        """
        full = [str(path.absolute()) for path in paths]
        told = json.dumps(full)
        rows = self.query("SELECT * FROM files WHERE path IN (SELECT value FROM json_each(?))", told)
        kept = {row[0]: row[1:] for row in rows}
        fresh: list[tuple[Any, ...]] = []
        digests = []
        for name in full:
            try:
                state = os.stat(name)  # noqa: PTH116
                stamp = (state.st_size, state.st_mtime_ns, state.st_ctime_ns)
                known = kept.get(name)
                if known is None or known[:3] != stamp:
                    with open(name, "rb") as stream:  # noqa: PTH123 - ten thousand Path objects cost a second
                        known = (*stamp, hashlib.file_digest(stream, "sha256").hexdigest())
                    fresh.append((name, *known))
                digests.append(known[3])
            except OSError:
                digests.append(f"unreadable:{name}")
        if fresh:
            with self.told(), self.transaction():
                self.db.executemany("INSERT OR REPLACE INTO files VALUES (?,?,?,?,?)", fresh)
        return digests

    def stream(self, key: str) -> bytes | None:
        """The container's bytes of a coded picture; None where it is not there, or its bytes were pruned."""
        found = self.query("SELECT data FROM streams WHERE key=?", key)
        return found[0][0] if found else None

    def stream_digest(self, key: str) -> str | None:
        """sha256 of the container's bytes, also where they were pruned."""
        found = self.query("SELECT data, sha256 FROM streams WHERE key=?", key)
        if not found:
            return None
        data, digest = found[0]
        return digest if data is None else hashlib.sha256(data).hexdigest()

    def remember(self, request: Any) -> None:
        """Note what was asked for, a dataclass, so that its rows can be made where stores are merged."""
        with self.told(), self.transaction():
            text = json.dumps(dataclasses.asdict(request), sort_keys=True)
            self.db.execute("INSERT OR IGNORE INTO requests VALUES (?)", (text,))

    def known(self, keys: Iterable[str]) -> Known:
        """What is there of these streams, in a few queries however many they are."""
        wanted = json.dumps(list(keys))
        among = "FROM streams s {} WHERE s.key IN (SELECT value FROM json_each(?))"
        streams = self.query("SELECT s.key " + among.format("") + " AND s.data IS NOT NULL", wanted)
        decodes = self.query(
            "SELECT s.key, d.beta, d.squared_error " + among.format("JOIN decodes d ON d.stream=s.id"), wanted
        )
        passed = "JOIN checks c ON c.stream=s.id AND c.error=''"
        checks = self.query("SELECT s.key, c.beta " + among.format(passed), wanted)
        subjects = self.query("SELECT id, task || char(10) || net FROM subjects")
        names: dict[int, str] = dict(subjects)  # type: ignore[arg-type]
        evidence = self.query(
            "SELECT e.subject, s.key, e.beta, e.sample " + among.format("JOIN evidence e ON e.stream=s.id"),
            wanted,
        )
        return Known(
            frozenset(key for (key,) in streams),
            {(key, beta_in(beta)): error for key, beta, error in decodes},
            frozenset((names[subject], key, beta_in(beta), sample) for subject, key, beta, sample in evidence),
            frozenset((key, beta_in(beta)) for key, beta in checks),
        )

    def failures(self, keys: Sequence[str]) -> dict[str, list[Failure]]:
        """Errors of the last try, by stream key."""
        found: dict[str, list[Failure]] = {}
        for key, subject, beta, sample, stage, error in self.query(
            "SELECT stream_key, subject, beta, sample, stage, error FROM errors"
            " WHERE stream_key IN (SELECT value FROM json_each(?))",
            json.dumps(list(keys)),
        ):
            found.setdefault(key, []).append(Failure(stage, error, subject, beta_in(beta), sample))
        return found
