"""A part of a run for one of several machines that know nothing of each other."""

from __future__ import annotations

from dataclasses import dataclass

from icm_bench.errors import UserError


@dataclass(frozen=True)
class Shard:
    """Part ``index`` (from 1) of ``count``. The parts are disjoint, about equal, and the same on every machine."""

    index: int = 1
    count: int = 1

    def has(self, key: str) -> bool:
        """Whether a unit is of this part. key: the stream's, a hex digest and so as good as a draw."""
        return int(key[:16], 16) % self.count == self.index - 1


#: A run that is not shared out.
WHOLE = Shard()


def parse_shard(text: str) -> Shard:
    """"2/8" as a part. Raises UserError."""
    index, _, count = text.partition("/")
    if not (index.isdigit() and count.isdigit() and 1 <= int(index) <= int(count)):
        raise UserError(f"--shard {text!r}: expected I/N with I in 1 .. N, as in 2/8")
    return Shard(int(index), int(count))
