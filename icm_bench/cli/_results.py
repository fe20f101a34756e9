"""Options that commands on results share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from icm_bench.cli import _complete
from icm_bench.errors import MissingPackage, UserError
from icm_bench.registry import EXTRAS, suggest
from icm_bench.selection import TEXT_TABLES
from icm_bench.sheets import to_csv

if TYPE_CHECKING:
    import pandas as pd

    from icm_bench.resampling import Sampler
    from icm_bench.selection import Filter
    from icm_bench.store import Store

Out = Annotated[Path, typer.Option("--out", help="Results folder of the run, its store, or a CSV or JSON table.")]
Tasks = Annotated[
    list[str] | None,
    typer.Option("--task", help="Only this task (may be repeated).", autocompletion=_complete.tasks),
]
Nets = Annotated[
    list[str] | None, typer.Option("--net", help="Only this net (may be repeated).", autocompletion=_complete.nets)
]
Methods = Annotated[
    list[str] | None,
    typer.Option(
        "--method", help="Only this method: a spec, its name, or a pattern with *.", autocompletion=_complete.methods
    ),
]
Profile = Annotated[str | None, typer.Option("--profile", help="Only rows measured under this profile.")]
With = Annotated[
    list[Path] | None, typer.Option("--with", help="Text table whose curves are shown too (may be repeated).")
]
Pareto = Annotated[
    bool, typer.Option("--pareto", help="Only points on the front over rates and scales, the scales as one curve.")
]
RateKind = Annotated[str | None, typer.Option("--rate-kind", help="Only rows with real or estimated bits.")]


Resamples = Annotated[
    int, typer.Option("--resamples", help="Of the bootstrap behind intervals; 0: none. Kept in the store.", min=0)
]


@contextmanager
def opened(out: Path | None) -> Iterator[Store | None]:
    """The store of a results folder or of its path; None for a text table, and for no path."""
    from icm_bench.store import Store, store_of

    path = None if out is None else store_of(out)
    if path is None or path.suffix in TEXT_TABLES or not path.is_file():
        yield None
        return
    with Store(path, create=False) as store:
        yield store


@contextmanager
def doing() -> Iterator[Callable[[str], None]]:
    """Shows on stderr what is being done, where somebody looks at it."""
    from rich.console import Console

    console = Console(stderr=True)
    with console.status("") as status:
        yield lambda text: status.update(text)


@contextmanager
def sampler(out: Path, resamples: int) -> Iterator[Sampler | None]:
    """The sampler of a results folder's store; None for a text table or where no intervals are wanted."""
    from icm_bench.bootstrap import Plan
    from icm_bench.resampling import Sampler

    plan = Plan(resamples) if resamples else None
    with opened(out if resamples else None) as store:
        yield None if store is None or plan is None else Sampler(store, plan)


def write_table(content: str | pd.DataFrame, ending: str, path: Path) -> None:
    """Write text, or a table as CSV or Parquet. Raises MissingPackage where Parquet's package is absent."""
    if isinstance(content, str):
        path.write_text(content, encoding="utf-8")
    elif ending == ".parquet":
        try:
            content.to_parquet(path, index=False)
        except ImportError as error:
            raise MissingPackage("pyarrow", EXTRAS["pyarrow"]) from error
    else:
        path.write_text(to_csv(content), encoding="utf-8")


def joined(out: Path, files: list[Path] | None) -> pd.DataFrame:
    """The rows of a run with those of text tables beside them: imported curves, published ones."""
    import pandas as pd

    from icm_bench import selection

    rows = selection.read_rows(out)
    if not files:
        return rows
    return pd.concat([rows, *(selection.complete(selection.read_rows(path)) for path in files)], ignore_index=True)


def bounded(rows: pd.DataFrame, sampler: Sampler | None) -> pd.DataFrame:
    """Rows with the intervals of their figures; progress on stderr, where somebody looks at it."""
    if sampler is None:
        return rows
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("resampling rows", total=len(rows))
        return sampler.with_bounds(rows, lambda done, _: bar.update(task, completed=done))


def chosen(
    tasks: list[str] | None,
    nets: list[str] | None,
    methods: list[str] | None,
    profile: str | None,
    kind: str | None,
) -> Filter:
    """The filter that these options make."""
    from icm_bench.selection import Filter

    return Filter(tuple(tasks or ()), tuple(nets or ()), tuple(methods or ()), profile, kind)


def one_of(value: str, known: tuple[str, ...], what: str) -> str:
    """The value, if it is a known one. Raises UserError with the nearest, or all."""
    if value not in known:
        raise UserError(f"unknown {what} {value!r}{suggest(value, known)}")
    return value
