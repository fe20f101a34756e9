"""From rows to what tables and plots share: groups that may be compared, and curves.

Rows are one per method, rate, beta, task and net, as ``icm_bench.rows.load`` gives them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from icm_bench.bdrate import Curve
from icm_bench.errors import UserError
from icm_bench.selection import BOUNDS, BPP_INPUT, PLAIN_COLUMNS, complete, lossless, matches
from icm_bench.spec import format_spec, parse_spec
from icm_bench.task import ORIG

if TYPE_CHECKING:
    import pandas as pd

#: What must be one and the same along a rate axis, and why two of them do not mix.
_ONE_AXIS = {
    "profile": "they code different pictures",
    "rate_kind": "estimated bits are no real bytes",
}


#: What marks the name of a curve that was not measured here.
IMPORTED = " †"


@dataclass(frozen=True)
class Group:
    """Rows that share task, net and data set, so that their scores may be compared."""

    task: str
    net: str | None
    data: str
    rows: pd.DataFrame
    #: Lower-case name for files and headings, unique among the groups made together.
    slug: str

    @property
    def main_metric(self) -> str | None:
        """The column that curves are drawn of."""
        found = self.rows["main_metric"].dropna()
        return str(found.iloc[0]) if len(found) else None

    @property
    def higher_is_better(self) -> bool:
        """Whether a larger main metric is the better one; so it is where the rows do not say."""
        if "higher_is_better" not in self.rows.columns:
            return True
        return not (self.rows["higher_is_better"].astype(str).str.lower() == "false").any()

    @property
    def bits(self) -> str:
        """The column of the rate axis."""
        return bits_column(self.rows)

    @property
    def metrics(self) -> list[str]:
        """All metric columns of the task, the main one first, then in the task's own order."""
        declared = [name for name in (self.main_metric, *_declared(self.task)) if name]
        found = [name for name in self._scored if not name.startswith("n_")]
        return sorted(found, key=lambda name: declared.index(name) if name in declared else len(declared))

    @property
    def counts(self) -> list[str]:
        """Columns that say over how much a metric was taken, such as n_classes."""
        return [name for name in self._scored if name.startswith("n_")]

    @property
    def _scored(self) -> list[str]:
        return [
            name
            for name in self.rows.columns
            if name not in PLAIN_COLUMNS
            and not name.endswith(BOUNDS)
            and self.rows[name].notna().any()
            and self.rows[name].dtype.kind in "if"
        ]


@dataclass(frozen=True)
class Series:
    """One curve: the points of a method, and of one beta where it has them, by rising bits (a column of rows)."""

    method: str
    label: str
    beta: float | None
    rows: pd.DataFrame
    bits: str = "bpp"

    def curve(self, column: str) -> Curve:
        """Bits per pixel against a column; points that lack either are left out."""
        import numpy as np

        points = self.rows[[self.bits, column]].astype(float)
        kept = points[np.isfinite(points).all(axis=1)]
        return Curve(tuple(kept[self.bits].tolist()), tuple(kept[column].tolist()))


def groups(rows: pd.DataFrame) -> list[Group]:
    """Rows by task, net and data set (the same pictures, equally many), sorted; empty nets stay a group."""
    import pandas as pd

    rows = complete(rows)
    keys = ["task", "net", "data", "data_fingerprint", "samples", "n_expected"]
    made: list[tuple[str, str | None, str, pd.DataFrame]] = []
    for values, part in rows.groupby(keys, dropna=False, sort=True):
        task, net, data = values[:3]
        made.append((str(task), None if pd.isna(net) else str(net), str(data), part))
    slugs = [slug_of(task, net) for task, net, _, _ in made]
    return [
        Group(task, net, data, part, slug if slugs.count(slug) == 1 else f"{slug}-{slugs[:i].count(slug) + 1}")
        for i, ((task, net, data, part), slug) in enumerate(zip(made, slugs, strict=True))
    ]


def _declared(task: str) -> tuple[str, ...]:
    """The metrics that a task names; none for one that is not known here, or may not run."""
    from icm_bench import own_files, registry

    try:
        own_files.check(task)
        names: tuple[str, ...] = registry.load("task", parse_spec(task)[0]).metrics  # type: ignore[attr-defined]
    except UserError:
        return ()
    return names


def bits_column(rows: pd.DataFrame) -> str:
    """The column of the rate axis: bits per original pixel, or what the profile of the rows is reported in."""
    profiles = set(rows["profile"].dropna()) if "profile" in rows.columns else set()
    return BPP_INPUT if profiles and ORIG not in profiles else "bpp"


def one_kind(rows: pd.DataFrame, what: str) -> None:
    """Refuse rows of two profiles, or of real and estimated bits, side by side. Raises UserError saying why."""
    if reason := _two_kinds(rows):
        raise UserError(f"{what}: {reason}")


def one_axis(rows: pd.DataFrame, what: str) -> None:
    """Refuse to put rows on one rate axis that do not belong there. Raises UserError saying why."""
    if reason := why_not_one_axis(rows):
        raise UserError(f"{what}: {reason}")


def why_not_one_axis(rows: pd.DataFrame) -> str | None:
    """Why these rows do not belong on one rate axis, or None."""
    return _two_kinds(rows) or _two_denominators(rows[~lossless(rows)])


def _two_kinds(rows: pd.DataFrame) -> str | None:
    coded = rows[~lossless(rows)]
    for column, why in _ONE_AXIS.items():
        found = sorted(coded[column].dropna().astype(str).unique())
        if len(found) > 1:
            choice = f"--{column.replace('_', '-')} {found[0]}"
            return f"{' and '.join(found)} do not share an axis ({why}): choose one, as with {choice}"
    return None


def _two_denominators(coded: pd.DataFrame) -> str | None:
    complete = coded[(coded["n_failed"].fillna(0) == 0) & coded["bpp"].notna()]
    pixels = sorted(complete["pixels_orig"].dropna().unique())
    if len(pixels) > 1:
        return (
            f"bpp over {pixels[0]:,.0f} and over {pixels[-1]:,.0f} pixels do not share an axis "
            f"(two denominators): draw the methods apart with --method"
        )
    ratio = 8 * complete["n_bytes"] / complete["pixels_orig"]
    wrong = complete[((ratio - complete["bpp"]).abs() > 0.01 * ratio) & (complete["rate_kind"] != "estimated")]
    if len(wrong):
        row = wrong.iloc[0]
        return (
            f"the bpp of {row['method']} at {row['rate']:g} is not its bytes over original pixels, "
            f"so it does not share an axis with others (another denominator): leave it out with --method"
        )
    return None


def beta_of(value: float | None) -> float | None:
    """A beta as a row of a table holds it (None or NaN for a codec without the axis)."""
    return None if value is None or value != value else float(value)


def series(rows: pd.DataFrame) -> list[Series]:
    """All curves of a group's coded rows, by method and beta, without the lossless ones."""

    bits = bits_column(rows)
    coded = rows[~lossless(rows) & rows[bits].notna()]
    labels = method_labels(coded)
    made = []
    keys = ["method", "checkpoint", "beta"]
    for (method, checkpoint, beta), part in coded.groupby(keys, dropna=False, sort=True):
        label = labels[(str(method), _text(checkpoint))]
        if "source" in part.columns and part["source"].notna().any():
            label += IMPORTED
        made.append(Series(str(method), label, beta_of(beta), part.sort_values(bits), bits))
    return made


def method_labels(rows: pd.DataFrame) -> dict[tuple[str, str], str]:
    """Short names for (method spec, checkpoint), telling two checkpoints of one spec apart."""
    pairs = sorted({(str(m), _text(c)) for m, c in zip(rows["method"], rows["checkpoint"], strict=True)})
    specs = [method for method, _ in pairs]
    return {
        (method, checkpoint): short_spec(method) + (f" #{checkpoint[:6]}" if specs.count(method) > 1 else "")
        for method, checkpoint in pairs
    }


def short_spec(spec: str) -> str:
    """A spec with the folders of its files left out; a codec that is a file goes by its name without .py."""
    name, params = parse_spec(spec)
    if name.endswith(".py"):
        name = Path(name).stem
    elif ":" in name:
        kind, _, path = name.partition(":")
        name = f"{kind}:{_base(path)}"
    return format_spec(name, {key: _base(value) for key, value in params.items()}).replace("'", "")


def beta_label(label: str, beta: float | None) -> str:
    """The name of a curve."""
    return label if beta is None else f"{label} β={beta:g}"


def find_series(all_series: Iterable[Series], wanted: str) -> Series:
    """The curve that ``METHOD`` or ``METHOD@BETA`` names, or its label; a pattern with ``*`` pools all that fit.

    Raises UserError when it names none, or several.
    """
    import pandas as pd

    every = list(all_series)
    method, _, beta = wanted.rpartition("@") if re.search(r"@[\d.]+$", wanted) else (wanted, "", "")
    found = [s for s in every if method in (s.method, s.label)] or [s for s in every if matches(s.method, method)]
    if beta:
        found = [s for s in found if s.beta == float(beta)]
    if not found:
        known = ", ".join(dict.fromkeys(s.method for s in every)) or "none"
        raise UserError(f"no curve {wanted!r} here: there are {known}")
    if len(found) == 1 or ("*" in method and len({s.beta for s in found}) == 1):
        first = found[0]
        pooled = pd.concat([s.rows for s in found]).sort_values(first.bits)
        return first if len(found) == 1 else Series(wanted, wanted, first.beta, pooled, first.bits)
    called = [s.label if len({one.label for one in found if one.method == s.method}) > 1 else s.method for s in found]
    names = [name if s.beta is None else f"{name}@{s.beta:g}" for name, s in zip(called, found, strict=True)]
    raise UserError(f"{wanted!r} names {len(found)} curves: say which one of {', '.join(dict.fromkeys(names))}")


def _base(value: object) -> object:
    return value.rstrip("/").rpartition("/")[2] if isinstance(value, str) else value


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def slug_of(task: str, net: str | None) -> str:
    """Task and net as a lower-case name of at most 100 letters, digits and dashes."""
    text = short_spec(task) if net is None else f"{short_spec(task)}-{short_spec(net)}"
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:100] or "unnamed"
