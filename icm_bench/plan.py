"""From what was asked for to the cells of the result table and the units of work that are still missing."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from icm_bench import devices, registry
from icm_bench.bitstream import quantise_rate
from icm_bench.datasets import task_of
from icm_bench.errors import UserError
from icm_bench.method import Beta, Method
from icm_bench.request import Request, betas_of, methods_of, rates_of, weights_of
from icm_bench.store import Store
from icm_bench.task import ORIG, Net, Sample, Task
from icm_bench.units import Coder, Context, Subject


@dataclass(frozen=True)
class Corpus:
    """The pictures of one task that are used. pictures: sha256 of each file; digest: over ids and
    pictures.
    """

    task: Task
    samples: tuple[Sample, ...]
    pictures: tuple[str, ...]

    @cached_property
    def digest(self) -> str:
        """Hex digest of the set, in its order."""
        total = hashlib.sha256()
        for sample, picture in self.members:
            total.update(f"{sample}\t{picture}\n".encode())
        return total.hexdigest()[:32]

    @property
    def members(self) -> list[tuple[str, str]]:
        """(sample id, picture) in the set's order."""
        return [(sample.id, picture) for sample, picture in zip(self.samples, self.pictures, strict=True)]


@dataclass(frozen=True)
class Cell:
    """One row to be: coder and subject are indices into the context."""

    key: str
    coder: int
    subject: int
    rate: float
    beta: Beta


@dataclass(frozen=True)
class Refusal:
    """A method that cannot be used for a task, and why."""

    method: str
    task: str
    reason: str


@dataclass
class Plan:
    """Cells in the order of the table. methods, corpora and nets run along the context's coders and
    subjects.
    """

    request: Request
    context: Context
    methods: list[Method]
    corpora: list[Corpus]
    nets: list[Net | None]
    cells: list[Cell] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    _keys: dict[tuple[str, str], list[str]] = field(default_factory=dict)

    def coding(self, cell: Cell) -> str:
        """What the streams of a cell share, as the text their keys are made from."""
        coder = self.context.coders[cell.coder]
        profile = self.context.profile
        if profile != ORIG:  # each task has its own view of a picture
            profile = f"{profile} {self.corpora[cell.subject].task.name}"
        return json.dumps([coder.key, coder.checkpoint, cell.rate, profile])

    def stream_keys(self, cell: Cell) -> list[str]:
        """The key of each picture's stream, in the corpus's order."""
        corpus = self.corpora[cell.subject]
        place = (self.coding(cell), corpus.digest)
        if place not in self._keys:
            self._keys[place] = stream_keys(place[0], corpus.pictures)
        return self._keys[place]

    def n_units(self, wanted: Callable[[str], bool] = lambda key: True) -> int:
        """Pictures times rates times methods, shared between tasks and nets; betas cost no unit of their
        own. wanted: counts only units with such keys.
        """
        return sum(map(wanted, {key for cell in self.cells for key in self.stream_keys(cell)}))


def stream_keys(coding: str, pictures: Iterable[str]) -> list[str]:
    """Keys of the streams of these pictures: hex digests of all that a stream's bytes depend on."""
    base = hashlib.sha256(coding.encode())
    keys = []
    for picture in pictures:
        one = base.copy()
        one.update(picture.encode())
        keys.append(one.hexdigest()[:32])
    return keys


def build(request: Request, store: Store) -> Plan:
    """Everything that was asked for, checked. Raises UserError for names, rates, betas or paths that do
    not fit.
    """
    for what, given in (("--method", request.methods), ("--task", request.tasks)):
        if not given:
            raise UserError(f"{what} is missing, there is nothing to run (icm-bench list shows what there is)")
    devices.check(request.device)
    methods = methods_of(request)
    corpora, nets, subjects = _subjects(request, store)
    reference = None if request.reference is None else registry.method(request.reference)
    if reference is not None and reference not in methods and any(net is not None for net in nets):
        methods.insert(0, reference)
    coders = tuple(Coder(_method_key(method), method.spec, _made_by(method)) for method in methods)
    asked = request.device, request.seed, request.profile, request.batch, request.verify
    context = Context(coders, tuple(subjects), *asked)
    plan = Plan(request, context, methods, corpora, nets)
    if request.betas is not None and all(method.betas == (None,) for method in methods):
        raise UserError(f"--betas: {', '.join(request.methods)} has no trade-off beta; leave it out")
    for coder, method in enumerate(methods):
        is_extra = method is reference
        rates = method.rate.points if is_extra or request.rates is None else rates_of(method, request.rates)
        _add_cells(plan, coder, rates, is_extra)
    if all(plan.methods[cell.coder] is reference for cell in plan.cells) and plan.refusals:
        raise UserError("; ".join(f"{r.method} cannot be used for {r.task}: {r.reason}" for r in plan.refusals))
    return plan


def _add_cells(plan: Plan, coder: int, rates: Sequence[float], is_extra: bool) -> None:
    method, request = plan.methods[coder], plan.request
    betas: tuple[Beta, ...] = method.betas
    if request.betas is not None and method.betas != (None,):
        betas = betas_of(request.betas)
    usable = []
    for index, corpus in enumerate(plan.corpora):
        reason = method.supports(corpus.task.name)
        if reason:
            refusal = Refusal(method.spec, corpus.task.name, reason)
            plan.refusals += [] if refusal in plan.refusals else [refusal]
        elif not (is_extra and plan.nets[index] is None):
            usable.append(index)
    for rate in rates:
        for index in usable:
            for beta in betas:
                cell = Cell("", coder, index, quantise_rate(rate), beta)
                parts = [
                    plan.coding(cell),
                    beta,
                    plan.context.subjects[index].key,
                    plan.corpora[index].digest,
                ]
                key = hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]
                plan.cells.append(dataclasses.replace(cell, key=key))


def _subjects(request: Request, store: Store) -> tuple[list[Corpus], list[Net | None], list[Subject]]:
    """Every (task, net), with the pictures of the task. A net given by name goes to each task that takes
    it.
    """
    weights = weights_of(request)
    corpora: list[Corpus] = []
    nets: list[Net | None] = []
    subjects: list[Subject] = []
    reasons: dict[str, UserError] = {}
    taken: set[str] = set()
    for spec in dict.fromkeys(request.tasks):
        task = task_of(spec, request.data)
        if request.profile not in task.profiles:
            known = ", ".join(task.profiles)
            raise UserError(f"--profile {request.profile}: task {task.name} has no such profile, only {known}")
        corpus = _corpus(task, request.limit, store)
        found: list[tuple[str | None, Net | None]] = []
        for name in request.nets or task.nets_under(request.profile):
            try:
                found.append((name, task.net(name, weights.get(name))))
                taken.add(name)
            except UserError as error:
                reasons[name] = error
                if not request.nets:
                    raise
        if not found and task.net_kind is not None:
            raise next(iter(reasons.values()), UserError(f"task {task.name} has no net of its own here: give --net"))
        for net_spec, net in found or [(None, None)]:
            fingerprint = net.fingerprint if net is not None else ""
            corpora.append(corpus)
            nets.append(net)
            file = weights.get(net_spec or "")
            subjects.append(Subject(f"{task_key(task)}\n{fingerprint}", task.spec, net_spec, file))
    for name, reason in reasons.items():
        if name not in taken:
            raise reason
    return corpora, nets, subjects


def _corpus(task: Task, limit: int | None, store: Store) -> Corpus:
    if limit is not None and limit < 1:
        raise UserError(f"--limit {limit}: at least one picture is needed")
    samples = tuple(task.samples()[:limit])
    if not samples:
        raise UserError(f"task {task.spec}: its data set holds no picture")
    return Corpus(task, samples, tuple(store.hashes([sample.path for sample in samples])))


def _made_by(method: Method) -> str:
    """The digest of a codec's weights; of a file without weights its own, by which tables tell its versions apart."""
    return method.checkpoint_id or registry.source_of(method.name)


def _method_key(method: Method) -> str:
    """Name and every parameter that can change a stream, defaults too, so that a new default makes new
    streams.

    The path of a checkpoint is left out: its digest stands beside this key. A class may count
    ``stream_version`` up when a change of its code changes its bytes; of a codec that is a file given by its path,
    every change counts.
    """
    params = {
        f.name: getattr(method, f.name)
        for f in dataclasses.fields(method)
        if f.metadata.get("affects_stream", True) and not (f.name == "checkpoint" and method.checkpoint_id)
    }
    told = [method.name, getattr(method, "stream_version", 1), params, *_source(method.name)]
    return json.dumps(told, sort_keys=True, default=repr)


def task_key(task: Task) -> str:
    """Name, parameters and the data's content, and a file's own; where the data lies makes no difference."""
    params = {f.name: getattr(task, f.name) for f in dataclasses.fields(task) if f.name != "data"}
    return json.dumps([task.name, task.fingerprint, params, *_source(task.name)], sort_keys=True, default=repr)


def _source(name: str) -> list[str]:
    """The content of a plug-in that is a file, for keys; nothing for others, whose keys stay as they are."""
    source = registry.source_of(name)
    return [source] if source else []
