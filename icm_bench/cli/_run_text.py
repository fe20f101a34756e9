"""What ``icm-bench run`` shows: progress and errors on stderr, a table per task at the end."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Generator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.table import Table

from icm_bench.backlog import Estimate, missing
from icm_bench.backlog import estimate as guess
from icm_bench.changes import Change
from icm_bench.curves import short_spec
from icm_bench.engine import automatic
from icm_bench.plan import Plan
from icm_bench.rows import Row, complete, failed
from icm_bench.runner import CellDone, Changed, Event, Finished, Refused, Started, UnitDone, UnitFailed
from icm_bench.selection import BPP_INPUT
from icm_bench.shard import Shard
from icm_bench.store import Store
from icm_bench.task import ORIG
from icm_bench.verification import warning

_PLAIN_WIDTH = 160
_MOST_ERRORS = 10
_MOST_METRICS = 3


class Progress:
    """Follows a run's events. Counts n_done units and n_failed rows."""

    def __init__(self) -> None:
        self.console = Console(stderr=True, highlight=False, soft_wrap=True)
        self.n_done = self.n_failed = self._n_errors = self._n_total = 0
        self._cached = 0
        columns = (
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
            TextColumn("{task.fields[speed]}"), TimeRemainingColumn(compact=True), TextColumn("left"),
        )  # fmt: skip
        self._bar = Bar(*columns, console=self.console, transient=True, disable=not self.console.is_terminal)
        self._id = self._bar.add_task("units", total=None, speed="")

    def __enter__(self) -> Progress:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Take the bar away."""
        self._bar.stop()

    def show(self, event: Event) -> None:
        """Show one event."""
        if isinstance(event, Started):
            self._started(event)
        elif isinstance(event, Refused):
            self._say(f"{event.method} is not used for {event.task}: {event.reason}")
        elif isinstance(event, Changed):
            self._say(changed(event.change))
        elif isinstance(event, UnitDone):
            self._unit(event)
        elif isinstance(event, CellDone):
            self.n_failed += failed(event.row) and not event.cached
        elif isinstance(event, Finished) and self._n_errors > _MOST_ERRORS:
            self._say(f"... and {self._n_errors - _MOST_ERRORS} more units with errors")

    def _started(self, event: Started) -> None:
        self._n_total = event.n_units - event.n_cached
        self._bar.update(self._id, total=self._n_total)
        if self._n_total or not self.console.is_terminal:
            cached = f", {event.n_cached} of them in the store" if event.n_cached else ""
            self._say(f"units (pictures x rates x methods): {event.n_units}{cached}; rows: {event.n_cells}")

    def _unit(self, event: UnitDone) -> None:
        self.n_done = event.n_done
        speed = self._bar.tasks[0].finished_speed or self._bar.tasks[0].speed
        self._bar.update(self._id, completed=event.n_done, speed=f"{speed:.1f} units/s" if speed else "")
        if (
            not self.console.is_terminal
            and event.n_done * 10 // self._n_total > (event.n_done - 1) * 10 // self._n_total
        ):
            self._say(f"{event.n_done} of {self._n_total} units")
        if isinstance(event, UnitFailed):
            self._n_errors += 1
            if self._n_errors <= _MOST_ERRORS:
                first = event.errors[0].partition("\n")[0]
                more = f" (and {len(event.errors) - 1} more)" if len(event.errors) > 1 else ""
                self._say(f"error: {event.method} at {event.rate:g}, picture {event.sample}: {first}{more}")

    def _say(self, text: str) -> None:
        self.console.print(escape(text))


def changed(change: Change) -> str:
    """Which data set has changed, how, and what is done about it."""
    counts = ((change.n_changed, "changed"), (change.n_new, "new"), (change.n_gone, "gone"))
    told = ", ".join(f"{n} {what}" for n, what in counts if n)
    how = f" (pictures: {told})" if told else " (its labels)" if change.n_new == 0 else ""
    place = f" in {change.data}" if change.data else ""
    return (
        f"{change.label}{place} has changed since the last run into this store{how}: its rows are made anew from "
        "what is there now, the earlier rows stay as they are"
    )


def data(plan: Plan) -> None:
    """One line on stderr for each real data set: where it lies, and how many of its pictures are there."""
    for task in dict.fromkeys(corpus.task for corpus in plan.corpora):
        if task.data is not None:
            print(f"{task.label}: {task.data}", file=sys.stderr)


def follow(events: Generator[Event], path: Path, command: Sequence[str]) -> bool:
    """Show the events on stderr; whether any row failed. Ctrl-C ends the workers and says what is kept and how to
    go on. command: the words after ``icm-bench`` that this run was called with.
    """
    with Progress() as progress:
        try:
            with closing(events):
                for event in events:
                    progress.show(event)
        except KeyboardInterrupt:
            progress.stop()
            print(
                f"icm-bench: stopped; {progress.n_done} finished units are kept in {path}, "
                f"and the same command goes on from there: {shlex.join(['icm-bench', *command])}",
                file=sys.stderr,
            )
            raise typer.Exit(130) from None
    return progress.n_failed > 0


def foretell(plan: Plan, store: Store, workers: int, shard: Shard) -> None:
    """Print what a run of this part would do. workers: 0 takes as many as the run itself would."""
    done = complete(store, plan)
    todo = missing(plan, store, [index for index in range(len(plan.cells)) if index not in done])
    told = guess(plan, store, todo, shard)
    workers = workers or automatic(told.n_units - told.n_cached, plan.request.device)
    print(estimate(told, (len(done), len(plan.cells)), workers))


def estimate(told: Estimate, cells: tuple[int, int], workers: int) -> str:
    """The lines of a dry run. cells: rows done and rows in all."""
    lines = [
        f"rows: {cells[1]}, of which {cells[0]} are in the store",
        f"units (pictures x rates x methods): {told.n_units}, of which {told.n_cached} need no work",
        f"to do: {told.n_encodes} encodes, {told.n_decodes} decodes, {told.n_predictions} predictions",
    ]
    if told.seconds is None:
        lines.append(f"expected time: unknown, never timed here: {', '.join(told.untimed)}")
    else:
        share = f" with {workers} workers" if workers > 1 else ""
        lines.append(f"expected time: {duration(told.seconds / workers)}{share}, from the seconds in the store")
    return "\n".join(lines)


def duration(seconds: float) -> str:
    """Seconds in the unit that reads best."""
    if seconds < 100:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def tables(rows: Sequence[Row]) -> None:
    """One compact table per task and data set on stdout."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=_PLAIN_WIDTH)
    for data in dict.fromkeys((row["task_spec"], row["data"]) for row in rows):
        these = [row for row in rows if (row["task_spec"], row["data"]) == data]
        nets = list(dict.fromkeys(row["net"] for row in these))
        title = f"{data[1]}, net {nets[0]}" if len(nets) == 1 and nets[0] else data[1]
        console.print(title, markup=False, soft_wrap=True)
        console.print(_table(these))
    first = next((row for row in rows if row["error"]), None)
    if first is not None:
        n_errors = sum(row["error"] is not None for row in rows)
        print(f"{n_errors} of {len(rows)} rows have errors; the first: {first['error']}", file=sys.stderr)
    if (text := warning(rows)) is not None:
        print(text, file=sys.stderr)


def _table(rows: Sequence[Row]) -> Table:
    table = Table()
    nets = dict.fromkeys(row["net"] for row in rows)
    betas = any(row["beta"] is not None for row in rows)
    names = _metrics(rows)
    heads = ["method", *(["net"] if len(nets) > 1 else []), "rate", *(["beta"] if betas else [])]
    bits = "bpp" if all(row["profile"] == ORIG for row in rows) else BPP_INPUT
    verified = any(row["n_verified"] is not None for row in rows)
    heads += [bits, "PSNR dB", *names, "n", *(["verified"] if verified else [])]
    for head in heads:
        table.add_column(head, justify="left" if head in ("method", "net", "rate") else "right", overflow="fold")
    for row in rows:
        rate = "uncompressed" if row["lossless"] else f"{row['rate_name']} {row['rate']:g}"
        table.add_row(
            escape(short_spec(row["method"])),
            *([escape(row["net"] or "")] if len(nets) > 1 else []),
            escape(rate),
            *([_number(row["beta"], 3)] if betas else []),
            _number(row[bits], 3, fixed=True),
            "exact"
            if row["n_pictures"] and row["n_exact"] == row["n_pictures"]
            else _number(row["psnr_mean"], 2, fixed=True),
            *(_number(row.get(name), 1, fixed=True) for name in names),
            f"{row['n_pictures']}" if not row["n_failed"] else f"{row['n_pictures']} of {row['n_expected']}",
            *([_verified(row)] if verified else []),
        )
    return table


def _metrics(rows: Sequence[Row]) -> list[str]:
    """The task's first few metrics, the main one first."""
    from icm_bench import registry

    main = rows[0]["main_metric"]
    if main is None:
        return []
    known: Sequence[Any] = registry.load("task", rows[0]["task"]).metrics  # type: ignore[attr-defined]
    return [name for name in known if any(row.get(name) is not None for row in rows)][:_MOST_METRICS] or [main]


def _verified(row: Row) -> str:
    return "-" if row["n_verified"] is None else f"{row['n_verified']} of {row['n_pictures']}"


def _number(value: float | None, digits: int, fixed: bool = False) -> str:
    if value is None:
        return "-"
    return f"{value:.{digits}f}" if fixed else f"{value:.{digits}g}"
