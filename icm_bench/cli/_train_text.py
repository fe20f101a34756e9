"""What ``icm-bench train`` shows: the list of configs, and a line of progress."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING

from icm_bench import registry
from icm_bench.config import opening

if TYPE_CHECKING:
    from icm_bench.training.loop import Progress

#: Numbers of a step that are shown, in this order; the log holds all.
SHOWN = ("loss", "bpp", "psnr", "accuracy")


def configs() -> list[str]:
    """A line for each shipped config: its name, and what the second line of its opening comment says."""
    known = registry.training_configs()
    width = max(map(len, known), default=0)
    return [f"{name:{width}}  {''.join(opening(path)[1:2])}" for name, path in known.items()]


class Bar:
    """A bar with the numbers of the last steps on a terminal; elsewhere a line per event."""

    def __init__(self, name: str, steps: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        console = Console(stderr=True, highlight=False)
        self.name, self.steps, self.started = name, steps, time.monotonic()
        columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.fields[told]}"))
        self.bar = Progress(TextColumn("{task.description}"), *columns, console=console)
        self.plain = not console.is_terminal
        self.task = self.bar.add_task(name, total=steps, told="")

    def __enter__(self) -> Bar:
        if not self.plain:
            self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bar.stop()

    def show(self, event: Progress) -> None:
        """One event; held-out numbers get a line of their own."""
        told = numbers(event.numbers, SHOWN)
        self.bar.update(self.task, completed=event.step, told=told)
        if self.plain:
            minutes = (time.monotonic() - self.started) / 60
            sys.stderr.write(f"{self.name} {event.step}/{event.steps} {minutes:.1f} min {told}\n")
        if event.held_out:
            line = f"held out at step {event.step}: {numbers(event.held_out)}"
            self.bar.console.print(line, soft_wrap=True)


def numbers(values: dict[str, float], keys: tuple[str, ...] = ()) -> str:
    """"loss 0.53 bpp 0.38"; keys: those shown, all when empty."""
    return " ".join(f"{key} {values[key]:.4g}" for key in keys or values if key in values)
