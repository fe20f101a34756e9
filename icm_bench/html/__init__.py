"""One HTML file that shows a store's results and opens from disk, offline: curves, tables, and a picture viewer.

    document(...)            this file: everything into one page
    facts                    groups, curves, tables as plain data
    gallery                  which pictures, decoded at every rate and beta, and what the nets saw in them
    assets/                  page.html, page.css, page.js

Numbers and names travel as one block of JSON and reach the page as text only, so that nothing in a results file can
become markup; should it do so all the same, the page's policy runs no script but its own and loads nothing from
anywhere. The charts are plotly's, whose script is embedded from its Python package.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from icm_bench import __version__
from icm_bench.errors import MissingPackage, UserError
from icm_bench.html import facts, gallery
from icm_bench.registry import EXTRAS

if TYPE_CHECKING:
    from collections.abc import Callable

    from icm_bench.store import Store
    from icm_bench.tables import Table


@dataclass(frozen=True)
class Wanted:
    """What the page should hold. n_pictures: most of them for each data set; max_mb: of the whole file; programs:
    whether programs that the rows name may be started to decode them.
    """

    title: str = "icm-bench results"
    n_pictures: int = 6
    max_mb: float = 15.0
    programs: bool = False


def document(
    tables: list[Table],
    store: Store | None,
    wanted: Wanted,
    progress: Callable[[str], None] = lambda _: None,
) -> str:
    """The page as one string. store: None leaves the pictures out. progress is told what is being done.

    Raises MissingPackage without plotly, UserError when the numbers alone are larger than max_mb.
    """
    script = _plotly()
    data: dict[str, Any] = {
        "title": wanted.title,
        "made": f"icm-bench {__version__}, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "groups": [facts.group(table) for table in tables],
    }
    room = int(wanted.max_mb * 1e6) - len(script) - len(_json(data)) - 60_000  # of bytes, for the pictures
    if room < 0:
        raise UserError(f"--max-mb {wanted.max_mb:g}: the curves and tables alone are larger; choose fewer rows")
    limits = (wanted.n_pictures, room)
    data["sets"] = [] if store is None else gallery.collect(tables, store, limits, progress, wanted.programs)
    assets = files("icm_bench.html") / "assets"
    page = (assets / "page.html").read_text(encoding="utf-8")
    own = (assets / "page.js").read_text(encoding="utf-8")
    for mark, text in (
        ("policy", _policy(script, own)),
        ("title", html.escape(wanted.title)),
        ("style", (assets / "page.css").read_text(encoding="utf-8")),
        ("plotly", script),
        ("data", _json(data)),
        ("script", own),
    ):
        page = page.replace(f"<!--{mark}-->", text, 1)
    return page


def _policy(*scripts: str) -> str:
    """What the page may do: run these scripts, show what is inside of it, and ask no address for anything."""
    hashes = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    allowed = " ".join(f"'sha256-{one}'" for one in hashes)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def _json(data: object) -> str:
    """JSON that may stand inside of a script element."""
    text = json.dumps(data, allow_nan=False, separators=(",", ":"), ensure_ascii=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _plotly() -> str:
    try:
        from plotly.offline import get_plotlyjs
    except ModuleNotFoundError as error:
        raise MissingPackage("plotly", EXTRAS["plotly"]) from error
    script: str = get_plotlyjs()
    return script.replace("</script", "<\\/script")
