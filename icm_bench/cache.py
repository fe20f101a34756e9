"""The store seen as a cache of coded pictures: what it holds, what is sound, what may go.

Coding is what costs; a stream is kept so that another net, task or trade-off codes nothing again. Pruning takes
the bytes of streams away and leaves every result made from them: rows, intervals and plots stay as they are.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from icm_bench.bitstream import Bitstream
from icm_bench.errors import BitstreamError
from icm_bench.store import Store

_MADE = "(SELECT json_extract(provenance, '$.utc') FROM sessions WHERE id=s.session)"


@dataclass(frozen=True)
class Share:
    """What one codec (or, under its heading, all nets) takes. n_bytes: of streams that are there; n_pruned: of the
    streams, those whose bytes are gone; encode_s: what coding all of them took; oldest, newest: UTC.
    """

    name: str
    n_streams: int
    n_pruned: int
    n_bytes: int
    encode_s: float
    oldest: str
    newest: str


def shares(store: Store) -> list[Share]:
    """By codec and checkpoint, the largest first."""
    found = store.query(
        "SELECT m.method, m.checkpoint, count(*), sum(s.data IS NULL), coalesce(sum(length(s.data)), 0),"
        f" sum(s.encode_s), min({_MADE}), max({_MADE})"
        " FROM streams s JOIN makers m ON s.maker=m.id GROUP BY m.method, m.checkpoint ORDER BY 5 DESC, 1, 2"
    )
    return [Share(_name(method, checkpoint), *rest) for method, checkpoint, *rest in found]


def _name(method: str, checkpoint: str) -> str:
    """The codec as its spec would be written, with the first digits of its weights' digest."""
    name, _, params = json.loads(method)
    told = ", ".join(f"{key}={value}" for key, value in params.items() if value not in (None, ""))
    return (f"{name}({told})" if told else name) + (f" {checkpoint[:8]}" if checkpoint else "")


def evidence_bytes(store: Store) -> int:
    """Of what nets saw, deflated."""
    return int(store.query("SELECT coalesce(sum(length(data)), 0) FROM evidence")[0][0])


def prune(store: Store, older: timedelta | None = None, keep_bytes: int | None = None) -> tuple[int, int]:
    """Take away bytes of streams: of those made longer ago than ``older``, and then of the oldest until at most
    ``keep_bytes`` are left. Returns how many streams, and how many bytes. Their digests stay: what is coded again
    must be the same.
    """
    found = store.query(
        f"SELECT s.id, length(s.data), {_MADE} FROM streams s WHERE s.data IS NOT NULL ORDER BY 3 DESC, 1 DESC"
    )
    limit = None if older is None else (datetime.now(UTC) - older).isoformat(timespec="seconds")
    kept, gone, freed = 0, [], 0
    for stream, n_bytes, made in found:
        if (limit is not None and (made or "") < limit) or (keep_bytes is not None and kept + n_bytes > keep_bytes):
            gone.append(stream)
            freed += n_bytes
        else:
            kept += n_bytes
    with store.told(), store.transaction():
        for stream in gone:
            (data,) = store.db.execute("SELECT data FROM streams WHERE id=?", (stream,)).fetchone()
            digest = hashlib.sha256(data).hexdigest()
            store.db.execute("UPDATE streams SET data=NULL, sha256=? WHERE id=?", (digest, stream))
    if gone:
        with store.told():
            store.db.execute("VACUUM")
    return len(gone), freed


def faults(store: Store) -> Iterator[tuple[int, str | None]]:
    """Look at the file, then at every stream: (streams looked at, what is wrong or None)."""
    for (text,) in store.query("PRAGMA integrity_check"):
        if text != "ok":
            yield 0, f"the file: {text}"
    ids = [stream for (stream,) in store.query("SELECT id FROM streams WHERE data IS NOT NULL ORDER BY id")]
    for n, stream in enumerate(ids, 1):
        row = store.query("SELECT key, data, n_bytes, width, height, sha256 FROM streams WHERE id=?", stream)
        yield (n, _fault(*row[0]) if row else None)


def _fault(key: str, data: bytes, n_bytes: int, width: int, height: int, digest: str | None) -> str | None:
    try:
        stream = Bitstream.from_bytes(data)
    except BitstreamError as error:
        return f"stream {key}: {error}"
    if (stream.width, stream.height, len(data)) != (width, height, n_bytes):
        return f"stream {key}: is not the {width}x{height} picture of {n_bytes} bytes that was noted"
    if digest is not None and digest != hashlib.sha256(data).hexdigest():
        return f"stream {key}: its bytes have changed"
    return None
