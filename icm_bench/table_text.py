"""Tables as text: rich for a terminal, Markdown, LaTeX, CSV and JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from icm_bench.bdrate import Delta
from icm_bench.bootstrap import Interval
from icm_bench.resampling import Bounded
from icm_bench.selection import BPP_INPUT
from icm_bench.sheets import to_csv
from icm_bench.tables import INTERVAL, Comparison, Table

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import RenderableType

FORMATS = ("terminal", "markdown", "csv", "json", "latex")

_HEADS = {
    "psnr": "PSNR (dB)",
    "ms_ssim": "MS-SSIM",
    "n_pictures": "pictures",
    "encode_ms": "enc (ms)",
    "decode_ms": "dec (ms)",
    "beta": "β",
    "rate_kind": "bits",
    "bpp": "bpp",
    BPP_INPUT: "mean bpp of the input",
}
_DECIMALS = {"bpp": 3, BPP_INPUT: 3, "psnr": 2, "ms_ssim": 4, "encode_ms": 0, "decode_ms": 0, "beta": None}
_TEXT = {"method", "rate", "profile", "rate_kind", "curve", "metric"}
_ABSENT = "–"
_RATE_HEADS = {_HEADS["bpp"], _HEADS[BPP_INPUT]}
#: Further metrics are left to CSV and JSON.
_MOST_METRICS = 6


@dataclass(frozen=True)
class Sheet:
    """A table of finished strings: caption, heads, cells, and which columns are aligned left."""

    caption: str
    heads: tuple[str, ...]
    cells: tuple[tuple[str, ...], ...]
    left: tuple[bool, ...]


def sheets(table: Table) -> list[Sheet]:
    """The points, the models needed, and BD values per metric, ready to be written."""
    made = [points_sheet(table)]
    if len(table.models):
        made.append(models_sheet(table))
    return made + [bd_sheet(table, column) for column in dict.fromkeys(one.column for one in table.comparisons)]


def points_sheet(table: Table) -> Sheet:
    """One line per point, the first few metrics; pictures as "94", or "91 of 94" where some failed."""
    frame = table.points.drop(columns=["n_expected", *table.group.metrics[_MOST_METRICS:]])
    names = list(frame.columns)
    columns = [[_cell(name, value) for value in frame[name]] for name in names]
    columns[names.index("n_pictures")] = [
        _count(got, expected)
        for got, expected in zip(table.points["n_pictures"], table.points["n_expected"], strict=True)
    ]
    heads = tuple(_HEADS.get(name, name) for name in names)
    return Sheet(table.title, heads, tuple(zip(*columns, strict=True)), tuple(name in _TEXT for name in names))


def models_sheet(table: Table) -> Sheet:
    """One line per method: its grid and what that needs in stored models."""
    names = list(table.models.columns)
    lines = [
        tuple(str(row[name]) if name == "method" else _large(float(row[name])) for name in names)
        for _, row in table.models.iterrows()
    ]
    return Sheet("models needed for the grid", tuple(names), tuple(lines), tuple(name == "method" for name in names))


def bd_sheet(table: Table, column: str) -> Sheet:
    """One line per curve: BD values of a column against the anchor."""
    name = "PSNR" if column == "psnr_mean" else column
    bounded = any(one.rate_bounds or one.metric_bounds for one in table.comparisons)
    heads = ["curve", "BD-rate (%)", INTERVAL, "one point left out", f"BD-{name}", INTERVAL, "one left out"]
    heads = [head for head in heads if bounded or head != INTERVAL] + ["overlap", f"{name} from … to"]
    lines = []
    for one in table.comparisons:
        if one.column == column:
            gain = _ABSENT if one.metric.value is None else f"{one.metric.value:+.2f}"
            spans = _span(one.rate, 1), _span(one.metric, 2)
            low_high = one.rate.interval
            where = f"{low_high[0]:.4g} … {low_high[1]:.4g}" if low_high else _ABSENT
            share = f"{100 * one.rate.overlap:.0f} %"
            ends = _ends(one.rate_bounds, 1), _ends(one.metric_bounds, 2)
            values = zip((one.rate.text(), gain), ends, strict=True)
            rate, metric = ((value, end) if bounded else (value,) for value, end in values)
            lines.append((one.label, *rate, spans[0], *metric, spans[1], share, where))
    return Sheet(f"{name} against {table.anchor}", tuple(heads), tuple(lines), (True,) + (False,) * (len(heads) - 1))


def _ends(bounds: tuple[float, float] | None, decimals: int) -> str:
    return _ABSENT if bounds is None else f"{bounds[0]:+.{decimals}f} … {bounds[1]:+.{decimals}f}"


def _span(delta: Delta, decimals: int) -> str:
    if delta.sensitivity is None:
        return _ABSENT
    low, high = delta.sensitivity
    fragile = f", {delta.n_fragile} undefined" if delta.n_fragile else ""
    return f"{low:+.{decimals}f} … {high:+.{decimals}f}{fragile}"


def difference(one: Interval | Bounded, decimals: int, unit: str = "") -> str:
    """A difference with its interval, and a star where that does not hold zero; or why there is none."""
    value = one.value if isinstance(one, Interval) else one.delta.value
    if value is None:
        return one.delta.text() if isinstance(one, Bounded) else _ABSENT
    if one.low is None or one.high is None:
        return f"{value:+.{decimals}f}{unit}"
    star = " *" if one.low > 0 or one.high < 0 else ""
    return f"{value:+.{decimals}f}{unit} [{one.low:+.{decimals}f}, {one.high:+.{decimals}f}]{star}"


def one_sheet(sheet: Sheet, form: str) -> str:
    """One table as text: "markdown", or "terminal" for a fixed-width one."""
    if form == "markdown":
        return "\n".join([f"{_escaped(sheet.caption)}:", "", *_pipes(sheet), ""])
    every = [sheet.heads, *sheet.cells]
    widths = [max(len(cells[at]) for cells in every) for at in range(len(sheet.heads))]
    aligned = (
        "  ".join(
            cell.ljust(width) if left else cell.rjust(width)
            for cell, width, left in zip(cells, widths, sheet.left, strict=True)
        ).rstrip()
        for cells in every
    )
    return "\n".join([sheet.caption, *aligned, ""])


def terminal(tables: Sequence[Table]) -> RenderableType:
    """Everything as one rich renderable."""
    from rich import box
    from rich.console import Group
    from rich.table import Table as RichTable
    from rich.text import Text

    parts: list[RenderableType] = []
    for table in tables:
        for sheet in sheets(table):
            title = Text(sheet.caption, style="bold")
            drawn = RichTable(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
            for head, left in zip(sheet.heads, sheet.left, strict=True):
                drawn.add_column(head, justify="left" if left else "right", no_wrap=left)
            before = None
            for line in sheet.cells:
                if before not in (None, line[0]) and set(sheet.heads) & _RATE_HEADS:
                    drawn.add_section()
                drawn.add_row(*(Text("" if i == 0 and cell == before else cell) for i, cell in enumerate(line)))
                before = line[0]
            parts.append(drawn)
        parts += [Text(f"{note}", style="dim") for note in table.notes]
        parts.append(Text(""))
    return Group(*parts)


def markdown(tables: Iterable[Table]) -> str:
    """GitHub-flavoured Markdown."""
    out: list[str] = []
    for table in tables:
        out += [f"## {_escaped(table.title)}", ""]
        for sheet in sheets(table):
            if sheet.caption != table.title:
                out += [f"{_escaped(sheet.caption[0].upper() + sheet.caption[1:])}:", ""]
            out += [*_pipes(sheet), ""]
        out += [f"- {_escaped(note)}" for note in table.notes] + [""] * bool(table.notes)
    return "\n".join(out).rstrip() + "\n"


def latex(tables: Iterable[Table]) -> str:
    """LaTeX tabulars with booktabs rules, to be laid into a table environment."""
    out = ["% needs \\usepackage{booktabs}"]
    for table in tables:
        for sheet in sheets(table):
            out += [
                f"% {' '.join(sheet.caption.split())}",
                f"\\begin{{tabular}}{{{''.join('l' if left else 'r' for left in sheet.left)}}}",
            ]
            out += ["\\toprule", _tex_line(sheet.heads), "\\midrule"]
            out += [_tex_line(line) for line in sheet.cells]
            out += ["\\bottomrule", "\\end{tabular}", ""]
        out += [f"% {' '.join(note.split())}" for note in table.notes] + [""] * bool(table.notes)
    return "\n".join(out).rstrip() + "\n"


def csv(tables: Iterable[Table]) -> str:
    """All rows of the tables with every column, as ``icm-bench plot`` reads them back."""
    import pandas as pd

    return to_csv(pd.concat([table.group.rows for table in tables]))


def as_json(tables: Sequence[Table]) -> str:
    """Rows as in ``csv`` and the BD values, as one JSON object."""
    rows = [row for table in tables for row in _records(table.group.rows)]
    deltas = [_comparison(table, one) for table in tables for one in table.comparisons]
    return json.dumps({"format": 1, "rows": rows, "bd": deltas}, indent=1, ensure_ascii=False) + "\n"


def _records(rows: pd.DataFrame) -> list[dict[str, Any]]:
    held: list[dict[str, Any]] = json.loads(rows.to_json(orient="records", double_precision=15))
    return held


def _comparison(table: Table, one: Comparison) -> dict[str, Any]:
    made: dict[str, Any] = {"task": table.group.task, "net": table.group.net, "data": table.group.data}
    made |= {"anchor": table.anchor, "curve": one.label, "column": one.column}
    both = ("bd_rate_percent", one.rate, one.rate_bounds), ("bd_metric", one.metric, one.metric_bounds)
    for name, delta, bounds in both:
        made[name] = {
            "value": delta.value,
            "interval_95": bounds,
            "reason": delta.reason,
            "overlap": delta.overlap,
            "interval": delta.interval,
            "sensitivity": delta.sensitivity,
            "n_fragile": delta.n_fragile,
            "notes": delta.notes,
        }
    return made


def _cell(name: str, value: Any) -> str:
    if isinstance(value, str):
        return value
    if value is None or value != value:
        return _ABSENT
    decimals = _DECIMALS.get(name, 1)
    if name.endswith("_ms") and value < 10:
        decimals = 1
    if name.startswith("n_"):
        decimals = 0
    return f"{value:g}" if decimals is None else f"{value:.{decimals}f}"


def _count(got: Any, expected: Any) -> str:
    if got != got or got is None:
        return _ABSENT
    return f"{got:.0f}" if expected != expected or got == expected else f"{got:.0f} of {expected:.0f}"


def _large(value: float) -> str:
    if value != value:
        return _ABSENT
    return f"{value / 1e6:.1f} M" if value >= 1e6 else f"{value:.0f}"


def _pipes(sheet: Sheet) -> list[str]:
    """The lines of a Markdown table."""
    marks = ["---" if left else "---:" for left in sheet.left]
    return [_pipe(cells) for cells in (sheet.heads, marks, *sheet.cells)]


def _pipe(cells: Iterable[str]) -> str:
    return f"| {' | '.join(_escaped(cell) for cell in cells)} |"


def _escaped(text: str) -> str:
    """On one line, and neither a cell's end nor emphasis, markup, a link or a picture."""
    for sign, shown in (("\\", "\\\\"), ("|", "\\|"), ("*", "\\*"), ("<", "&lt;"), ("](", "]\\(")):
        text = text.replace(sign, shown)
    return " ".join(text.split())


def _tex_line(cells: Iterable[str]) -> str:
    swaps = {"\\": r"\textbackslash{}", "β": r"$\beta$", "…": r"\dots{}", "–": "--", "·": r"$\cdot$"}
    swaps |= {char: f"\\{char}" for char in "&%$#_{}"}
    return " & ".join("".join(swaps.get(char, char) for char in cell) for cell in cells) + r" \\"
