"""The kinds of section that a page of claims may have, each drawn as one Markdown table.

Curves are named METHOD or METHOD@BETA, as for ``icm-bench table --anchor``. A curve that a group does not hold is
left out of its lines; a section that finds none at all says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from icm_bench import bdrate, registry, resampling
from icm_bench.bootstrap import Plan
from icm_bench.curves import Group, Series, find_series, groups, series, short_spec
from icm_bench.errors import UserError
from icm_bench.resampling import Bounded, Sampler
from icm_bench.rows import load
from icm_bench.spec import parse_spec
from icm_bench.store import Store

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Section:
    """One table.

    kind: "bd" (a line per group, curve and anchor), "matrix" (a line per curve, a column per group, against one
    anchor), "beta" (what beta does to the curve ``curves[0]``), "models" (what the grid costs) or "csv" (a file of
    results); stores, tasks: where the groups come from (all tasks when empty); curves, anchors: what is compared;
    metric: "main" or "psnr_mean"; value: "rate" (BD-rate) or "metric" (BD-metric); max_bpp: compare up to this rate
    only, 0 for all; aim: the largest BD-rate (smallest BD-metric) that meets the claim's aim; unseen: only nets that
    the curve's codec did not see; file: of kind "csv", relative to the page's folder.
    """

    title: str
    kind: str
    text: str = ""
    stores: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()
    curves: tuple[str, ...] = ()
    anchors: tuple[str, ...] = ()
    metric: str = "main"
    value: str = "rate"
    max_bpp: float = 0.0
    aim: float | None = None
    unseen: bool = False
    file: str = ""

    def __post_init__(self) -> None:
        choices = {"kind": KINDS, "metric": ("main", "psnr_mean"), "value": ("rate", "metric")}
        for name, known in choices.items():
            if getattr(self, name) not in known:
                raise ValueError(f"{name} = {getattr(self, name)!r}: known are {', '.join(known)}")

    @property
    def options(self) -> bdrate.Options:
        return bdrate.Options(sensitivity=False, max_rate=self.max_bpp or None)


class Desk:
    """Open stores, their groups, and curves resampled once each."""

    def __init__(self, folders: dict[str, Path], plan: Plan) -> None:
        self.folders, self.plan = folders, plan
        self.base = next(iter(folders.values())).parent if folders else Path()
        self._stores: dict[str, Store] = {}
        self._groups: dict[str, list[Group]] = {}
        self._samplers: dict[str, Sampler] = {}

    def __enter__(self) -> Desk:
        for name, folder in self.folders.items():
            path = folder / "store.sqlite"
            if not path.is_file():
                raise UserError(f"{path}: there are no results here; icm-bench run --out {folder} makes some")
            self._stores[name] = Store(path, create=False).__enter__()
            self._groups[name] = groups(load(path))
            self._samplers[name] = Sampler(self._stores[name], self.plan)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for store in self._stores.values():
            store.__exit__(kind, error, trace)

    def groups(self, section: Section) -> Iterator[tuple[str, Group]]:
        """The section's groups with the names of their stores; PSNR, which no net changes, of each data set once."""
        told = set()
        for name in section.stores:
            for group in self._groups[name]:
                if (section.tasks and group.task not in section.tasks) or not _column(group, section):
                    continue
                if section.metric == "main" or (name, group.data) not in told:
                    told.add((name, group.data))
                    yield name, group

    def compare(self, store: str, group: Group, section: Section, names: tuple[str, str]) -> Bounded | None:
        """BD value of a curve against an anchor (their names); None where the group lacks one of them."""
        found = [curve_of(group, name) for name in names]
        if any(one is None for one in found):
            return None
        column = str(_column(group, section))
        test, anchor = (self._samplers[store].curve(one, column) for one in found if one is not None)
        delta = resampling.bd_rate if section.value == "rate" else resampling.bd_metric
        return delta(anchor, test, section.options)


def _column(group: Group, section: Section) -> str | None:
    return group.main_metric if section.metric == "main" else "psnr_mean"


def curve_of(group: Group, name: str) -> Series | None:
    """The group's curve of a name, None where there is none. Points without a score are left out."""
    scored = group.rows[group.rows["error"].isna()]
    try:
        return find_series(series(scored), name)
    except UserError:
        return None


def seen(one: Series, group: Group) -> bool:
    """Whether the codec's model card names the group's net among those it saw in training."""
    told = one.rows["method_provenance"].iloc[0] if "method_provenance" in one.rows else None
    names = told.get("nets_seen", {}) if isinstance(told, dict) else {}
    net = parse_spec(group.net)[0].rpartition(":")[2] if group.net else ""
    return any(net and str(name).split(" ")[0] == net for name in names)


def bd_section(desk: Desk, section: Section) -> str:
    """A line per group, curve and anchor."""
    unit = "%" if section.value == "rate" else ("dB" if section.metric == "psnr_mean" else "points")
    name = "BD-rate" if section.value == "rate" else "BD-metric"
    heads = ["data", "net", "curve", "against", f"{name} ({unit}) [95 %]", "overlap", "in training"]
    heads += ["aim"] if section.aim is not None else []
    lines = []
    for store, group in desk.groups(section):
        for curve in section.curves:
            one = curve_of(group, curve)
            if one is None or (section.unseen and seen(one, group)):
                continue
            for anchor in section.anchors:
                found = desk.compare(store, group, section, (curve, anchor))
                if found is not None:
                    share = f"{100 * found.delta.overlap:.0f} %"
                    line = [group.data, _net(group), curve, anchor, told(found, section.value), share]
                    line += ["–" if group.net is None else "seen" if seen(one, group) else "unseen"]
                    lines.append(line + ([_met(found, section)] if section.aim is not None else []))
    return table(heads, lines, 4)


def matrix_section(desk: Desk, section: Section) -> str:
    """A line per curve, a column per group; a star marks a net that the codec saw in training."""
    (anchor,) = section.anchors
    found = list(desk.groups(section))
    heads = ["codec", *(f"{group.task} · {_net(group)}" for _, group in found)]
    lines = []
    for curve in section.curves:
        cells = []
        for store, group in found:
            one, value = curve_of(group, curve), desk.compare(store, group, section, (curve, anchor))
            star = " *" if one is not None and seen(one, group) else ""
            cells.append("–" if value is None else told(value, section.value) + star)
        lines.append([curve, *cells])
    return table(heads, lines, 1)


def beta_section(desk: Desk, section: Section) -> str:
    """For each group and rate: bits, score and PSNR at the two ends of beta, and whether both go one way."""
    heads = ["data", "net", "rate", "bpp, beta = 1", "bpp, beta < 1", "score, beta 1 → 0", "PSNR, beta 1 → 0 (dB)"]
    heads += ["score along 1 → 0", "PSNR along 1 → 0"]
    lines = []
    for _, group in desk.groups(section):
        for curve in section.curves:
            rows = group.rows[(group.rows["method"] == curve) & group.rows["beta"].notna()]
            for rate, part in rows.groupby("rate"):
                part = part.sort_values("beta", ascending=False)
                score, psnr = part[str(_column(group, section))].tolist(), part["psnr_mean"].tolist()
                bits = part["bpp"].tolist()
                ends = [f"{score[0]:.1f} → {score[-1]:.1f}", f"{psnr[0]:.2f} → {psnr[-1]:.2f}"]
                line = [group.data, _net(group), f"{rate:g}", f"{bits[0]:.3f}", f"{bits[-1]:.3f}", *ends]
                lines.append([*line, _way(score), _way(psnr)])
    return table(heads, lines, 2)


def models_section(desk: Desk, section: Section) -> str:
    """What the whole grid of rates, tasks and trade-offs costs each method."""
    n_tasks = max(1, len(section.tasks))
    heads = ["method", "rates", "tasks", "trade-offs", "checkpoints", "parameters (M)"]
    lines = []
    for spec in section.curves:
        method = registry.method(spec)
        cost = method.footprint(n_tasks)
        axis = "any" if method.rate.continuous else f"{len(method.rate.points)}"
        betas = "1" if method.betas == (None,) else "any"
        lines.append([spec, axis, f"{n_tasks}", betas, f"{cost.checkpoints}", f"{cost.parameters / 1e6:.1f}"])
    return table(heads, lines, 1)


def csv_section(desk: Desk, section: Section) -> str:
    """A CSV file of results as it stands."""
    import pandas as pd

    path = desk.base / section.file
    try:
        frame: pd.DataFrame = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read as a table ({error})") from error
    return table(list(frame.columns), frame.values.tolist(), 1)


def told(found: Bounded, value: str) -> str:
    """A BD value with its interval, or the reason why there is none."""
    decimals = 1 if value == "rate" else 2
    if found.delta.value is None:
        return f"undefined: {found.delta.reason}"
    text = f"{found.delta.value:+.{decimals}f}"
    if found.low is None or found.high is None:
        return f"{text} [undefined]"
    return f"{text} [{found.low:+.{decimals}f}, {found.high:+.{decimals}f}]"


def _met(found: Bounded, section: Section) -> str:
    assert section.aim is not None
    if found.delta.value is None:
        return "undefined"
    met = found.delta.value <= section.aim if section.value == "rate" else found.delta.value >= section.aim
    return f"{'met' if met else 'missed'} ({section.aim:+g})"


def _way(values: Sequence[float]) -> str:
    steps = [b - a for a, b in zip(values, values[1:], strict=False)]
    if all(step >= 0 for step in steps):
        return "rises"
    return "falls" if all(step <= 0 for step in steps) else "turns"


def _net(group: Group) -> str:
    return short_spec(group.net) if group.net else "–"


def table(heads: Sequence[str], lines: Sequence[Sequence[Any]], left: int) -> str:
    """A Markdown table, the first columns aligned left; a sentence where there are no lines."""
    if not lines:
        return "_Nothing measured yet._"
    marks = ["---" if index < left else "---:" for index in range(len(heads))]
    return "\n".join("| " + " | ".join(str(cell) for cell in row) + " |" for row in (heads, marks, *lines))


KINDS: dict[str, Callable[[Desk, Section], str]] = {
    "bd": bd_section,
    "matrix": matrix_section,
    "beta": beta_section,
    "models": models_section,
    "csv": csv_section,
}
