"""Engines map ``work`` over units. They know nothing of stores or rows; results come back in any order."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any, Protocol

from icm_bench.errors import UserError
from icm_bench.simd import THREAD_VARIABLES
from icm_bench.units import Context, Failure, Unit, UnitResult
from icm_bench.work import work

#: Names of engines.
ENGINES = ("local", "ray")
_TRIES = 2
#: How long a worker that is told to end may take, for instance to remove its temporary files.
_FAREWELL_S = 5.0
#: Each worker takes some seconds to load its libraries.
_WORTH_A_POOL = 60


class Engine(Protocol):
    """Anything that maps ``work``. ``units`` is lazy: an engine takes no more of it than it can work on."""

    @property
    def workers(self) -> int:
        """Processes at work."""
        ...

    @property
    def cores(self) -> int:
        """Processor cores that they may keep busy."""
        ...

    def map(self, context: Context, units: Iterable[Unit]) -> Iterator[UnitResult]:
        """One result per unit, in any order."""
        ...


@dataclass(frozen=True)
class Serial:
    """One unit after the other, in this process, with the libraries' own threads."""

    workers: int = 1

    @property
    def cores(self) -> int:
        """All that this process may use."""
        return available_cores()

    def map(self, context: Context, units: Iterable[Unit]) -> Iterator[UnitResult]:
        """One result per unit, in order."""
        return (work(context, unit) for unit in units)


@dataclass(frozen=True)
class Pool:
    """Processes with one thread each. Each holds one unit at a time, so nothing queues up.

    A worker that dies (killed, out of memory, a crash in native code) is replaced and its unit tried once
    more; the second death with the same unit becomes that unit's failure.
    """

    workers: int

    @property
    def cores(self) -> int:
        """One for each worker, and no more than there are."""
        return min(self.workers, available_cores())

    def map(self, context: Context, units: Iterable[Unit]) -> Iterator[UnitResult]:
        """One result per unit, in the order they finish."""
        crew = _Crew(context, units)
        try:
            for _ in range(self.workers):
                crew.hire()
            while crew.busy:
                for worker in wait([worker.connection for worker in crew.busy.values()]):
                    result = crew.collect(worker)
                    if result is not None:
                        yield result
        finally:
            crew.dismiss()


def available_cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0))


def automatic(n_units: int, device: str = "cpu") -> int:
    """Workers for so many units: one per core, or one process where starting more does not pay."""
    return available_cores() if n_units >= _WORTH_A_POOL and device == "cpu" else 1


def make(workers: int) -> Engine:
    """The engine of this machine for a number of workers."""
    return Serial() if workers == 1 else Pool(workers)


def engine_of(name: str, workers: int, device: str = "cpu", address: str = "") -> Callable[[int], Engine]:
    """What makes the engine for a number of units. name: local or ray; workers: 0 takes as many as pay. Raises
    UserError for another name, and where Ray or its cluster is not there.
    """
    if name not in ENGINES:
        raise UserError(f"--engine {name}: unknown, there are {' and '.join(ENGINES)}")
    if name == "ray":
        from icm_bench.ray_engine import Ray

        return lambda n_units: Ray(address, workers)
    if address:
        raise UserError(f"--address {address}: is for --engine ray only; add it, or leave the address out")
    return lambda n_units: make(workers or automatic(n_units, device))


@dataclass
class _Worker:
    process: SpawnProcess
    connection: Connection
    unit: Unit


class _Crew:
    """The workers of one run, by connection, and the units they have."""

    def __init__(self, context: Context, units: Iterable[Unit]) -> None:
        self.context = context
        self.units = iter(units)
        self.again: deque[Unit] = deque()
        self.deaths: dict[str, int] = {}
        self.busy: dict[Any, _Worker] = {}

    def _next(self) -> Unit | None:
        return self.again.popleft() if self.again else next(self.units, None)

    def hire(self) -> None:
        """Start a worker, if there is a unit for it."""
        unit = self._next()
        if unit is None:
            return
        ours, theirs = multiprocessing.Pipe()
        process = multiprocessing.get_context("spawn").Process(
            target=_serve, args=(theirs, self.context), daemon=True
        )
        with _one_thread(), _without_interrupt():
            process.start()
        theirs.close()
        worker = _Worker(process, ours, unit)  # type: ignore[arg-type]
        self.busy[ours] = worker
        self._send(worker)

    def _send(self, worker: _Worker) -> None:
        with suppress(OSError):  # a worker that has died meanwhile is found by its end of file
            worker.connection.send(worker.unit)

    def collect(self, connection: Any) -> UnitResult | None:
        """A worker's result, and its next unit to it; None when the worker has died and its unit is tried
        again.
        """
        worker = self.busy[connection]
        try:
            result: UnitResult = connection.recv()
        except (EOFError, OSError):
            return self._bury(worker)
        unit = self._next()
        if unit is None:
            del self.busy[connection]
            self._end(worker)
        else:
            worker.unit = unit
            self._send(worker)
        return result

    def _bury(self, worker: _Worker) -> UnitResult | None:
        del self.busy[worker.connection]
        self._end(worker)
        unit = worker.unit
        self.deaths[unit.key] = self.deaths.get(unit.key, 0) + 1
        result = None
        if self.deaths[unit.key] < _TRIES:
            self.again.append(unit)
        else:
            status = worker.process.exitcode
            advice = " (killed, perhaps for its memory: --batch 1, --workers 1)" if status == -signal.SIGKILL else ""
            text = f"WorkerDied: a worker ended with status {status}, {_TRIES} times with this unit{advice}"
            result = UnitResult(unit.key, failures=(Failure("worker", text),))
        self.hire()
        return result

    def _end(self, worker: _Worker) -> None:
        worker.connection.close()
        worker.process.join()

    def dismiss(self) -> None:
        """Stop the workers that still work: their units are not finished and will be done by the next run."""
        for worker in self.busy.values():
            worker.process.terminate()
        for worker in self.busy.values():
            worker.process.join(_FAREWELL_S)
            worker.process.kill()
            self._end(worker)
        self.busy.clear()


@contextmanager
def _one_thread() -> Iterator[None]:
    """Children started here give their libraries one thread; these read the variables while they are
    loaded.
    """
    before = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def _without_interrupt() -> Iterator[None]:
    """Ctrl-C goes to the whole group, and the main process decides: children started here, and programs that they
    start, never get it, not even while they load their libraries. One that comes in here is delivered at the end.
    """
    resource_tracker.ensure_running()  # the first child would start it, which lets the signal through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT,))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(connection: Connection, context: Context) -> None:
    """A worker: units in, results out, until the other end closes (also when the main process is killed)."""
    with suppress(EOFError, OSError):
        while True:
            connection.send(work(context, connection.recv()))
    # Nothing is left to be saved, and tearing the libraries down would take seconds.
    os._exit(0)
