"""Units on the machines of a Ray cluster: actors that hold codec and nets, results back to the one store.

Nodes need this package and see the data set under the same paths (a shared file system). Weights that a user named by
path travel through Ray's object store, once to each node.
"""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import os
import socket
import tempfile
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from icm_bench.errors import MissingPackage, UserError
from icm_bench.registry import EXTRAS
from icm_bench.spec import parse_spec
from icm_bench.temporary import part_of
from icm_bench.units import Context, Failure, Unit, UnitResult
from icm_bench.work import work

try:
    import ray
except ImportError as missing:
    raise MissingPackage("ray", EXTRAS["ray"]) from missing

#: A unit whose actors die so often is a failure; the loss of a node may cost it one or two tries.
_TRIES = 3
#: Seconds without one working actor, and starts that fail one after the other, before a run gives up.
_PATIENCE_S, _FAILED_STARTS = 180.0, 8
_WAIT_S = 5.0


@dataclass(frozen=True)
class Ray:
    """One actor per core of the cluster (or ``workers`` of them), one unit each, so that nothing queues up.

    address: of a running cluster, HOST:PORT or "auto"; "" starts one on this machine alone. Raises UserError,
    when first used, where no cluster answers.
    """

    address: str = ""
    wanted: int = 0

    @property
    def workers(self) -> int:
        """Actors at work."""
        self._connect()
        return self.wanted or max(1, int(ray.cluster_resources().get("CPU", 1)))

    @property
    def cores(self) -> int:
        """One for each actor."""
        return self.workers

    def _connect(self) -> None:
        if ray.is_initialized():
            return
        try:
            self._answers()
            ray.init(self.address or "local", logging_level=logging.ERROR, log_to_driver=False)
        except Exception as error:
            reason = str(error).strip().partition("\n")[0]
            if "AuthToken" in f"{error}{error.__cause__}":
                reason = "it asks for a token: set RAY_AUTH_MODE=token, or start it with RAY_AUTH_MODE=disabled"
            raise UserError(f"--engine ray: no cluster at {self.address or 'this machine'} ({reason})") from error

    def _answers(self) -> None:
        """Raise OSError where nothing listens: Ray itself would try for many minutes."""
        host, _, port = self.address.rpartition(":")
        if host and port.isdigit() and "://" not in self.address:
            socket.create_connection((host, int(port)), timeout=_WAIT_S).close()

    def map(self, context: Context, units: Iterable[Unit]) -> Iterator[UnitResult]:
        """One result per unit, in the order they finish; those of lost actors and nodes are tried again."""
        crew = _Crew(context, units, self.workers)
        try:
            yield from crew.results()
        finally:
            crew.dismiss()


class _Crew:
    """Actors and what each has: a unit, or None while it starts."""

    def __init__(self, context: Context, units: Iterable[Unit], n_actors: int) -> None:
        self._units = iter(units)
        self._again: deque[Unit] = deque()
        self._deaths: dict[str, int] = {}
        self._busy: dict[Any, tuple[Any, Unit | None]] = {}
        self._idle: list[Any] = []
        self._failed_starts = 0
        self._files = {path: ray.put(Path(path).read_bytes()) for path in files_of(context)}
        # Given as values: an actor finds the references inside, and fetches what its node does not have yet.
        self._context = ray.put(context)
        gpus = 1 if context.device.startswith("cuda") else 0
        self._kind: Any = ray.remote(num_cpus=1, num_gpus=gpus, max_restarts=0)(_Actor)
        self._n_actors = n_actors

    def _hire(self) -> None:
        actor = self._kind.remote(self._context, self._files)
        self._busy[actor.ready.remote()] = (actor, None)

    def _next(self) -> Unit | None:
        return self._again.popleft() if self._again else next(self._units, None)

    def results(self) -> Iterator[UnitResult]:
        """As they come."""
        first = self._next()
        if first is None:
            return
        self._again.append(first)
        for _ in range(self._n_actors):
            self._hire()
        last_alive = time.monotonic()
        while self._again or self._at_work:
            done, _ = ray.wait([*self._busy], num_returns=1, timeout=_WAIT_S)
            for ref in done:
                result = self._collect(ref)
                if result is not None:
                    yield result
            if done or self._at_work:
                last_alive = time.monotonic()
            elif time.monotonic() - last_alive > _PATIENCE_S:
                raise UserError(
                    f"--engine ray: for {_PATIENCE_S:.0f} s no node has had a free core; give the same command again "
                    "when there is one: what is finished is kept"
                )

    @property
    def _at_work(self) -> bool:
        return any(unit is not None for _, unit in self._busy.values())

    def _assign(self) -> None:
        while self._idle and (unit := self._next()) is not None:
            actor = self._idle.pop()
            self._busy[actor.work.remote(unit)] = (actor, unit)

    def _collect(self, ref: Any) -> UnitResult | None:
        """A result, and the actor's next unit to it; None for an actor that has started, or has died."""
        actor, unit = self._busy.pop(ref)
        result = None
        try:
            result = ray.get(ref)
            self._failed_starts = 0
            self._idle.append(actor)
        except ray.exceptions.RayError as error:
            result = self._lost(unit, error)
        self._assign()
        return result

    def _lost(self, unit: Unit | None, error: Exception) -> UnitResult | None:
        reason = str(error).strip().rpartition("\n")[2]
        self._hire()
        if unit is None:
            self._failed_starts += 1
            if self._failed_starts >= _FAILED_STARTS:
                raise UserError(f"--engine ray: actors do not start on the cluster's nodes ({reason})") from error
            return None
        self._deaths[unit.key] = self._deaths.get(unit.key, 0) + 1
        if self._deaths[unit.key] < _TRIES:
            self._again.append(unit)
            return None
        text = f"WorkerDied: an actor was lost {_TRIES} times with this unit ({reason})"
        return UnitResult(unit.key, failures=(Failure("worker", text),))

    def dismiss(self) -> None:
        """End all actors; what they still had will be done by the next run."""
        for actor in [*self._idle, *(actor for actor, _ in self._busy.values())]:
            ray.kill(actor)


class _Actor:
    """One process of one thread, with a context of its own."""

    def __init__(self, context: Context, files: Mapping[str, Any]) -> None:
        self.context = localised(context, {path: kept(path, ray.get(ref)) for path, ref in files.items()})

    def ready(self) -> None:
        """Answers when the actor has started."""

    def work(self, unit: Unit) -> UnitResult:
        """The unit's result."""
        return work(self.context, unit)


def files_of(context: Context) -> list[str]:
    """Paths of weights that specs name, as they stand there; what lies in the package is on every node."""
    found: dict[str, None] = {}
    for spec in [*(coder.spec for coder in context.coders), *(one.net for one in context.subjects if one.net)]:
        name, params = parse_spec(spec)
        for value in [name.partition(":")[2], *params.values()]:
            if isinstance(value, str) and value and Path(value).is_file():
                found[value] = None
    found |= dict.fromkeys(subject.weights for subject in context.subjects if subject.weights)
    return [*found]


def kept(path: str, data: bytes) -> str:
    """The path of a file on this node with these bytes, written if it is not there."""
    folder = Path(tempfile.gettempdir()) / f"icm-bench-weights-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise UserError(f"{folder}: belongs to somebody else")
    place = folder / f"{hashlib.sha256(data).hexdigest()}{Path(path).suffix}"
    if not place.is_file():
        with part_of(place) as part:
            part.write_bytes(data)
    return str(place)


def localised(context: Context, places: Mapping[str, str]) -> Context:
    """The context with the paths of files as they are on this node."""

    def moved(text: str) -> str:
        for path, place in places.items():
            text = text.replace(path, place)
        return text

    coders = tuple(dataclasses.replace(one, spec=moved(one.spec)) for one in context.coders)
    subjects = tuple(
        dataclasses.replace(one, net=one.net and moved(one.net), weights=one.weights and moved(one.weights))
        for one in context.subjects
    )
    return dataclasses.replace(context, coders=coders, subjects=subjects)
