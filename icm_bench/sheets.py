"""CSV tables whose text no spreadsheet computes.

Excel, LibreOffice and others take a cell that begins with one of ``= + - @`` for a formula, which can fetch addresses
and start programs. Such text is written with an apostrophe in front, the spreadsheets' own sign for text, and read
without it. Numbers are left alone. After OWASP, "CSV injection".
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

#: First characters that spreadsheets compute or skip, the full-width forms among them.
_COMPUTED = tuple("=+-@\t\r\n＝＋－＠")
_MARK = "'"


def mark(value: Any) -> Any:
    """Text that a spreadsheet would compute, or that begins with an apostrophe, with one more in front."""
    return _MARK + value if isinstance(value, str) and value.startswith((*_COMPUTED, _MARK)) else value


def unmark(value: Any) -> Any:
    """The text that ``mark`` was given."""
    marked = isinstance(value, str) and value.startswith(_MARK) and value[1:].startswith((*_COMPUTED, _MARK))
    return value[1:] if marked else value


def to_csv(table: pd.DataFrame) -> str:
    """A table as CSV without its index; lists and dictionaries in its cells as JSON."""
    import json

    made = table.rename(columns=mark)
    for at in range(made.shape[1]):
        if made.dtypes.iloc[at].kind == "O":
            cells = made.iloc[:, at].map(lambda cell: json.dumps(cell) if isinstance(cell, dict | list) else cell)
            made.isetitem(at, cells.map(mark))
    text: str = made.to_csv(index=False, lineterminator="\n")
    return text


def read_csv(path: Path) -> pd.DataFrame:
    """A table as ``to_csv`` wrote it, or another program. Raises what pandas raises."""
    import pandas as pd

    table = pd.read_csv(path, low_memory=False).rename(columns=unmark)
    for at in range(table.shape[1]):
        if table.dtypes.iloc[at].kind == "O":
            table.isetitem(at, table.iloc[:, at].map(unmark))
    return table
