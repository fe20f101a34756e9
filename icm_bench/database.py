"""The file below the store: SQLite with a schema version, transactions, and errors that a user can act on."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import disk_usage
from typing import Any, Self

from icm_bench.errors import UserError

SCHEMA_VERSION = 5
_APPLICATION = 0x49434D42  # "ICMB"
_BUSY_S = 60.0
_SCHEMA = """
CREATE TABLE sessions (id INTEGER PRIMARY KEY, provenance TEXT NOT NULL);
CREATE TABLE files (path TEXT PRIMARY KEY, size INTEGER, mtime_ns INTEGER, ctime_ns INTEGER, sha256 TEXT);
CREATE TABLE makers (id INTEGER PRIMARY KEY, method TEXT, checkpoint TEXT, provenance TEXT,
    UNIQUE (method, checkpoint, provenance));
CREATE TABLE streams (id INTEGER PRIMARY KEY, key TEXT UNIQUE NOT NULL, maker INTEGER, session INTEGER, rate
REAL,
    picture TEXT, profile TEXT, width INTEGER, height INTEGER, n_bytes INTEGER, encode_s REAL, data BLOB,
    pixels_orig INTEGER, pixels_seen INTEGER, sha256 TEXT);
CREATE TABLE decodes (stream INTEGER, beta REAL, session INTEGER, n_bytes INTEGER, layer_bytes TEXT,
    squared_error INTEGER, ms_ssim REAL, decode_s REAL, bits_estimated REAL, pixels TEXT, PRIMARY KEY (stream, beta))
    WITHOUT ROWID;
CREATE TABLE subjects (id INTEGER PRIMARY KEY, task TEXT, net TEXT, UNIQUE (task, net));
CREATE TABLE evidence (stream INTEGER, subject INTEGER, beta REAL, sample TEXT, session INTEGER, predict_s
REAL,
    data BLOB, PRIMARY KEY (stream, subject, beta, sample)) WITHOUT ROWID;
CREATE TABLE errors (stream_key TEXT, subject TEXT, beta REAL, sample TEXT, session INTEGER, stage TEXT, error
TEXT,
    PRIMARY KEY (stream_key, subject, beta, sample)) WITHOUT ROWID;
CREATE TABLE sets (digest TEXT PRIMARY KEY, members BLOB NOT NULL);
CREATE TABLE cells (key TEXT PRIMARY KEY, version TEXT, n_failed INTEGER, members TEXT, coding TEXT, beta
REAL,
    subject TEXT, row TEXT NOT NULL);
CREATE TABLE draws (row TEXT, plan TEXT, data BLOB, PRIMARY KEY (row, plan)) WITHOUT ROWID;
CREATE TABLE requests (request TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE checks (stream INTEGER, beta REAL, session INTEGER, levels INTEGER, n_off INTEGER, decoded_by TEXT,
    error TEXT NOT NULL, PRIMARY KEY (stream, beta)) WITHOUT ROWID;
"""
#: What turns a store of each version into one of the next.
_STEPS = {
    1: (
        "ALTER TABLE streams ADD COLUMN pixels_orig INTEGER",
        "ALTER TABLE streams ADD COLUMN pixels_seen INTEGER",
        "ALTER TABLE decodes ADD COLUMN bits_estimated REAL",
        "UPDATE streams SET pixels_orig = width * height, pixels_seen = width * height",
    ),
    2: ("CREATE TABLE draws (row TEXT, plan TEXT, data BLOB, PRIMARY KEY (row, plan)) WITHOUT ROWID",),
    3: ("ALTER TABLE decodes ADD COLUMN pixels TEXT",),
    4: (
        "ALTER TABLE streams ADD COLUMN sha256 TEXT",
        "CREATE TABLE requests (request TEXT PRIMARY KEY) WITHOUT ROWID",
        "CREATE TABLE checks (stream INTEGER, beta REAL, session INTEGER, levels INTEGER, n_off INTEGER,"
        " decoded_by TEXT, error TEXT NOT NULL, PRIMARY KEY (stream, beta)) WITHOUT ROWID",
    ),
}


class Database:
    """One SQLite file; a path of None lives in memory. Raises UserError, one line, for a file it cannot
    use.
    """

    def __init__(self, path: Path | str | None, create: bool = True) -> None:
        self.path = None if path is None else Path(path)
        with self.told():
            if self.path is not None and not self.path.is_file() and not create:
                raise UserError(f"{self.path}: there is no store here; icm-bench run makes one")
            if self.path is not None and create:
                self.path.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._open(_where(self.path, create))
            except sqlite3.OperationalError as error:
                if create or self.path is None or "locked" in str(error) or not _is_whole(self.path):
                    raise
                # A full disk has no room for the index of SQLite's log, but all results are in the file.
                self._open(f"{self.path.resolve().as_uri()}?mode=ro&immutable=1")

    def _open(self, address: str) -> None:
        self.db = sqlite3.connect(address, timeout=_BUSY_S, isolation_level=None, uri=True)
        try:
            self._prepare()
        except BaseException:
            self.db.close()  # which takes away the files that SQLite has put beside it
            raise

    def _prepare(self) -> None:
        self.db.execute("PRAGMA synchronous=NORMAL")
        if self._version() != SCHEMA_VERSION:
            self._journal()
            with self.transaction():
                version = self._version()  # again: another process may have been here first
                if version == 0:
                    for statement in _SCHEMA.split(";\n"):
                        self.db.execute(statement)
                    self.db.execute(f"PRAGMA application_id={_APPLICATION}")
                for step in range(version, SCHEMA_VERSION) if version else ():
                    for statement in _STEPS[step]:
                        self.db.execute(statement)
                self.db.execute(f"PRAGMA user_version={SCHEMA_VERSION}")

    def _journal(self) -> None:
        # Switching to WAL does not honour the busy timeout, so that two first runs could meet here.
        for attempt in range(50):
            try:
                self.db.execute("PRAGMA journal_mode=WAL")
                return
            except sqlite3.OperationalError:
                if attempt == 49:
                    raise
                time.sleep(0.05)

    def _version(self) -> int:
        """The schema's version: 0 for an empty file. Raises UserError for a foreign or newer one."""
        # Tables first: another first run may finish in between, and then the later readings are the stamped ones.
        n_tables = int(self.db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0])
        application = int(self.db.execute("PRAGMA application_id").fetchone()[0])
        version = int(self.db.execute("PRAGMA user_version").fetchone()[0])
        if n_tables and application != _APPLICATION:
            raise UserError(f"{self.path}: an SQLite file, but not a store of icm-bench; choose another --out")
        if version > SCHEMA_VERSION:
            raise UserError(
                f"{self.path}: made by a newer icm-bench (store version {version}, this program knows "
                f"{SCHEMA_VERSION}); update icm-bench or choose another --out"
            )
        return version

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self.db.close()

    @property
    def is_writable(self) -> bool:
        """Whether anything may be kept here."""
        return self.path is None or (os.access(self.path, os.W_OK) and os.access(self.path.parent, os.W_OK))

    @contextmanager
    def told(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.DatabaseError, OSError) as error:
            raise UserError(f"{self.path}: {_reason(error, self.path)}") from error

    @contextmanager
    def transaction(self) -> Iterator[None]:
        self.db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.db.execute("COMMIT")
        except BaseException:
            if self.db.in_transaction:  # SQLite has rolled back by itself after a full disk
                self.db.execute("ROLLBACK")
            self._rolled_back()
            raise

    def query(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """All rows of a SELECT. Raises UserError for a damaged or locked store."""
        with self.told():
            return self.db.execute(sql, parameters).fetchall()

    def _rolled_back(self) -> None:
        """Hook: forget what was noted about rows that are gone again."""


def _is_whole(path: Path) -> bool:
    """Whether all is in the file itself, and nothing in a log beside it."""
    log = path.with_name(f"{path.name}-wal")
    return not log.exists() or log.stat().st_size == 0


def _where(path: Path | None, create: bool) -> str:
    """The address SQLite opens: for reading only where the file or its folder cannot be written."""
    if path is None:
        return ":memory:"
    address = path.resolve().as_uri()
    if create or (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)):
        return address
    log = path.with_name(f"{path.name}-wal")
    return f"{address}?mode=ro" + ("" if log.exists() else "&immutable=1")


def _reason(error: Exception, path: Path | None) -> str:
    """What happened to the file and what to do about it."""
    text = (error.strerror if isinstance(error, OSError) else None) or str(error)
    if "disk I/O" in text and path is not None and not disk_usage(path.parent).free:
        text = "disk is full"  # SQLite says so only where it was the file itself that could not grow
    unwritable = "make the folder writable or choose another --out"
    full = "the disk is full; free some space and give the same command again: what is finished is kept"
    for mark, reason in (
        ("malformed", "the store is damaged or cut short; put back a copy of it or choose another --out"),
        ("not a database", "not a store of icm-bench (or its beginning is damaged); choose another --out"),
        ("readonly", f"cannot be written (read-only); {unwritable}"),
        ("Read-only", f"cannot be written (read-only); {unwritable}"),
        ("Permission denied", f"cannot be written (no permission); {unwritable}"),
        (
            "unable to open",
            "cannot be opened or written here; check the folder's permissions or choose another --out",
        ),
        ("is full", full),
        ("No space left", full),
        (
            "disk I/O",
            "the disk refuses to read or write; check its space and state, then give the same command again",
        ),
        ("locked", f"another run has held the store for more than {_BUSY_S:g} s; try again when it is done"),
    ):
        if mark in text:
            return reason
    return f"cannot be used as a store ({text})"
