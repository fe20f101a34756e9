"""Per-picture records of a row, read back from the store."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

from icm_bench import metrics
from icm_bench.plan import stream_keys
from icm_bench.store import Store, unpack


@dataclass(frozen=True)
class Record:
    """One picture of a cell. n_bytes: what a receiver needs; squared_error over 3 pixels_seen values.

    n_pixels: of the original; pixels_seen: of what is compared and shown to nets; coded: (height, width) coded;
    pixels: digest of the decoded picture, "" where an older version did not note it; verified: whether another
    process decodes the same, None where none was asked, and levels_apart: the largest difference there.
    """

    sample: str
    n_bytes: int
    n_pixels: int
    pixels_seen: int
    coded: tuple[int, int]
    squared_error: int
    ms_ssim: float | None
    encode_s: float
    decode_s: float
    predict_s: float
    layer_bytes: dict[str, int]
    bits_estimated: float | None
    pixels: str
    maker: int
    session: int
    verified: bool | None = None
    levels_apart: int | None = None
    evidence: Any = None

    @property
    def psnr(self) -> float | None:
        """PSNR in dB; None for a picture without error."""
        return metrics.psnr(self.squared_error, 3 * self.pixels_seen)


@dataclass(frozen=True)
class Where:
    """What finds a cell's records: (sample id, picture) in order, coding, beta, subject key."""

    members: list[tuple[str, str]]
    coding: str
    beta: float
    subject: str

    @property
    def has_net(self) -> bool:
        return bool(self.subject.partition("\n")[2])

    def only(self, sample: str) -> Where:
        """The same for one picture."""
        return replace(self, members=[member for member in self.members if member[0] == sample])


def where_of(store: Store, row_key: str) -> Where:
    """Where a stored row's records lie. Raises KeyError for a key that is no row."""
    found = store.query(
        "SELECT s.members, c.coding, c.beta, c.subject FROM cells c JOIN sets s ON c.members=s.digest WHERE c.key=?",
        row_key,
    )
    if not found:
        raise KeyError(row_key)
    return Where([(sample, picture) for sample, picture in unpack(found[0][0])], *found[0][1:])


def read(store: Store, where: Where) -> list[Record]:
    """Records of all pictures that are there, in the set's order."""
    keys = stream_keys(where.coding, [picture for _, picture in where.members])
    told = json.dumps(keys)
    among = "WHERE s.key IN (SELECT value FROM json_each(?))"
    decodes = {
        row[0]: row[1:]
        for row in store.query(
            "SELECT s.key, d.n_bytes, s.pixels_orig, s.pixels_seen, s.height, s.width, d.squared_error, d.ms_ssim,"
            " s.encode_s, d.decode_s, d.layer_bytes, d.bits_estimated, d.pixels, s.maker, d.session,"
            " c.error, c.levels"
            " FROM streams s JOIN decodes d ON d.stream=s.id AND d.beta=?"
            " LEFT JOIN checks c ON c.stream=s.id AND c.beta=d.beta"
            f" {among}",
            where.beta, told,
        )
    }  # fmt: skip
    seen = {
        row[:2]: row[2:]
        for row in store.query(
            "SELECT s.key, e.sample, e.predict_s, e.session, e.data FROM subjects u, streams s"
            " JOIN evidence e ON e.stream=s.id AND e.subject=u.id AND e.beta=?"
            f" {among} AND u.task || char(10) || u.net = ?",
            where.beta, told, where.subject,
        )
    }  # fmt: skip
    found = []
    for (sample, _), key in zip(where.members, keys, strict=True):
        decode = decodes.get(key)
        predicted = seen.get((key, sample)) if where.has_net else (0.0, 0, None)
        if decode is None or predicted is None:
            continue
        n_bytes, n_pixels, seen_pixels, height, width, squared_error, ms_ssim, encode_s, decode_s = decode[:9]
        layer_bytes, bits_estimated, pixels, maker, session, check_error, levels = decode[9:]
        predict_s, predicted_in, data = predicted
        found.append(
            Record(
                sample, n_bytes, n_pixels, seen_pixels, (height, width), squared_error, ms_ssim, encode_s, decode_s,
                predict_s, json.loads(layer_bytes), bits_estimated, pixels or "", maker, max(session, predicted_in),
                None if check_error is None else not check_error, levels, None if data is None else unpack(data),
            )
        )  # fmt: skip
    return found


def stream_of(where: Where, sample: str) -> str:
    """The key of a picture's stream. Raises KeyError for a picture that is no member."""
    return stream_keys(where.coding, [dict(where.members)[sample]])[0]


def sizes(store: Store, where: Where) -> list[tuple[int, int]]:
    """(n_bytes, pixels of the original) of each picture that is there; evidence is left alone."""
    keys = json.dumps(stream_keys(where.coding, [picture for _, picture in where.members]))
    return [
        (int(n_bytes), int(pixels))
        for n_bytes, pixels in store.query(
            "SELECT d.n_bytes, s.pixels_orig FROM streams s JOIN decodes d ON d.stream=s.id AND d.beta=?"
            " WHERE s.key IN (SELECT value FROM json_each(?))",
            where.beta, keys,
        )
    ]  # fmt: skip
