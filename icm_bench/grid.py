"""Grids of numbers as they are typed: "0,1,2" or "start:stop:step"."""

from __future__ import annotations

import math

from icm_bench.errors import UserError

_LONGEST_GRID = 10_000


def parse_grid(text: str, option: str) -> tuple[float, ...]:
    """Numbers from "0,1,2" or "start:stop:step" (stop included). Raises UserError naming the option and
    the text.
    """
    try:
        parts = [float(part) for part in text.split(":" if ":" in text else ",")]
        if not all(math.isfinite(part) for part in parts):
            raise ValueError
        if ":" not in text:
            return tuple(dict.fromkeys(parts))
        start, stop, step = parts
        count = math.floor((stop - start) / step + 1e-9) + 1
        if not 1 <= count <= _LONGEST_GRID:
            raise ValueError
        return tuple(round(start + index * step, 10) for index in range(count))
    except (ValueError, ZeroDivisionError):
        raise UserError(f'{option} {text!r}: expected numbers such as "0,1,2" or "start:stop:step"') from None


def optional_grid(text: str, option: str) -> tuple[float, ...] | None:
    """``parse_grid``, or None for an empty text: the default."""
    return parse_grid(text, option) if text else None
