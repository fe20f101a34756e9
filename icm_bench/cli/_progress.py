"""Progress of a run on stderr: a bar on a terminal, else a line for each tenth; units a second, time left, cost."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from icm_bench.changes import Change
from icm_bench.rows import failed
from icm_bench.runner import CellDone, Changed, Event, Finished, Refused, Started, UnitDone, UnitFailed

_MOST_ERRORS = 10


class Progress:
    """Follows the events of a run, or of several one after the other. Counts n_done units and n_failed rows."""

    def __init__(self) -> None:
        self.console = Console(stderr=True, highlight=False, soft_wrap=True)
        self.n_done = self.n_failed = self._n_errors = self._n_total = self._n_before = self._n_cores = 0
        columns = (
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
            TextColumn("{task.fields[speed]}"), TimeRemainingColumn(compact=True), TextColumn("left"),
            TextColumn("{task.fields[cost]}"),
        )  # fmt: skip
        self._bar = Bar(*columns, console=self.console, transient=True, disable=not self.console.is_terminal)
        self._id = self._bar.add_task("units", total=None, speed="", cost="")

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
        self._n_total, self._n_before = event.n_units - event.n_cached, self.n_done
        self._n_cores = event.n_cores
        self._bar.reset(self._id, total=self._n_total)
        if self._n_total or not self.console.is_terminal:
            cached = f", {event.n_cached} of them in the store" if event.n_cached else ""
            self._say(f"units (pictures x rates x methods): {event.n_units}{cached}; rows: {event.n_cells}")

    def _unit(self, event: UnitDone) -> None:
        self.n_done = self._n_before + event.n_done
        bar = self._bar.tasks[0]
        spent = bar.elapsed or 0.0
        whole = spent * self._n_total / event.n_done
        recent = bar.finished_speed or bar.speed
        self._bar.update(
            self._id,
            completed=event.n_done,
            speed=f"{recent:.1f} units/s" if recent else "",
            cost=f"{cost(spent, self._n_cores)} of about {cost(whole, self._n_cores)} core-hours",
        )
        tenths = event.n_done * 10 // self._n_total
        if not self.console.is_terminal and tenths > (event.n_done - 1) * 10 // self._n_total:
            pace = f"{event.n_done / spent:.1f} units/s, {duration(whole - spent)} left, " if spent else ""
            hours = f"{cost(spent, self._n_cores)} core-hours so far"
            self._say(f"{event.n_done} of {self._n_total} units: {pace}{hours}")
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


def cost(seconds: float, n_cores: int) -> str:
    """Hours that so many cores are taken for."""
    hours = seconds * n_cores / 3600
    return f"{hours:.3f}" if hours < 0.1 else f"{hours:.1f}"


def duration(seconds: float) -> str:
    """Seconds in the unit that reads best."""
    if seconds < 100:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
