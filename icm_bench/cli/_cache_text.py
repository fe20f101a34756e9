"""What ``icm-bench cache`` reads and shows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from icm_bench.errors import UserError

if TYPE_CHECKING:
    from icm_bench.cache import Share

_HOURS = {"h": 1, "d": 24, "w": 168}
_UNITS = {"T": 10**12, "G": 10**9, "M": 10**6, "k": 10**3, "": 1}
_MOST_FAULTS = 20


def age(text: str) -> timedelta:
    """36h, 30d or 8w. Raises UserError."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([hdw])", text.strip())
    if found is None:
        raise UserError(f"--prune-older {text!r}: expected hours, days or weeks, as in 36h, 30d, 8w")
    return timedelta(hours=float(found[1]) * _HOURS[found[2]])


def size(text: str) -> int:
    """500MB or 2GB in bytes. Raises UserError."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kMGT]?)B?", text.strip())
    if found is None:
        raise UserError(f"--prune-to {text!r}: expected a size, as in 500MB or 2GB")
    return round(float(found[1]) * _UNITS[found[2]])


def told(n_bytes: int) -> str:
    """Bytes in the unit that reads best."""
    for prefix, unit in _UNITS.items():
        if prefix and n_bytes >= unit:
            return f"{n_bytes / unit:.3g} {prefix}B"
    return f"{n_bytes} bytes"


def table(shares: Sequence[Share], evidence: int, path: Path) -> str:
    """A line for each codec, and what all takes."""
    from icm_bench.cli._progress import duration
    from icm_bench.table_text import Sheet, one_sheet

    lines = tuple(
        (
            one.name, str(one.n_streams), str(one.n_pruned), told(one.n_bytes), duration(one.encode_s),
            (one.oldest or "")[:10], (one.newest or "")[:10],
        )
        for one in shares
    )  # fmt: skip
    n_bytes, seconds = sum(one.n_bytes for one in shares), sum(one.encode_s for one in shares)
    caption = (
        f"{path}: {told(path.stat().st_size)} on disk; {told(n_bytes)} of streams that took {duration(seconds)} to "
        f"code, {told(evidence)} of what nets saw"
    )
    heads = ("codec", "streams", "pruned", "bytes", "coding took", "oldest", "newest")
    return one_sheet(Sheet(caption, heads, lines, (True, *[False] * 6)), "terminal")


def looked_through(found: Iterable[tuple[int, str | None]]) -> int:
    """Follow a verification on stderr; how many faults there are."""
    from rich.console import Console

    console = Console(stderr=True, highlight=False)
    n_faults = 0
    with console.status("") as status:
        for n, fault in found:
            status.update(f"{n} streams")
            if fault is not None:
                n_faults += 1
                if n_faults <= _MOST_FAULTS:
                    console.print(fault, markup=False, soft_wrap=True)
    return n_faults
