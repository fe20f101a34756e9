"""A grid measured now against the baseline's: exact facts, paired differences, each with a tolerance, and BD-rates.

The tolerance of a figure is a multiple of the standard error of its paired difference under the bootstrap over
pictures: so many standard errors that, were nothing changed but chance, one check in a hundred would be wrong
anywhere (Student's t, Bonferroni over all figures of the check). What differs in the same way in all pictures is told
apart at once; what a few pictures decide is not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from icm_bench import bdbatch, bootstrap, metrics
from icm_bench.check.baseline import DRAW_UNIT, N_RESAMPLES, Coding, DataSet, Grid, Scores
from icm_bench.check.measure import SEED
from icm_bench.check.verdict import Figure, Finding
from icm_bench.curves import short_spec
from icm_bench.errors import UserError

if TYPE_CHECKING:
    import numpy as np

_PLAN = bootstrap.Plan(N_RESAMPLES, SEED)
#: Points that a BD-rate needs.
_POINTS = 3


@dataclass(frozen=True)
class Pair:
    """One coding before and now. where: what to call it."""

    where: str
    before: Coding
    now: Coding
    data: DataSet

    @property
    def n(self) -> int:
        """Pictures of both."""
        return len(self.now.n_bytes)


def refuse(before: Grid, now: Grid) -> None:
    """Raise UserError, naming all of them, where data, nets or profile are others than the baseline's."""
    reasons = []
    for task, data in now.data.items():
        known = before.data.get(task)
        n = next(iter(data.samples))
        if known is None:
            reasons.append(f"{task}: the baseline has no such data set")
        elif known.fingerprint != data.fingerprint:
            reasons.append(f"{task}: other data ({data.fingerprint[:8]}, the baseline's {known.fingerprint[:8]})")
        elif known.samples.get(n) != data.samples[n]:
            reasons.append(f"{task}: other pictures, or in another order, than the baseline's {n}")
    for net, fingerprint in now.nets.items():
        known_as = before.nets.get(net, "no such net")
        if known_as != fingerprint:
            reasons.append(f"net {net}: another net ({fingerprint[:8]}, the baseline's {known_as[:12]})")
    if reasons:
        raise UserError("not comparable with the baseline: " + "; ".join(reasons))


def pairs(before: Grid, now: Grid, renamed: Mapping[str, str]) -> list[Pair]:
    """Codings of both grids. renamed: the baseline's spec of methods that another now stands for."""
    n = {task: next(iter(data.samples)) for task, data in now.data.items()}
    known = {coding.place: coding.only(n[coding.task]) for coding in before.codings if coding.task in n}
    found = []
    for coding in now.codings:
        spec = renamed.get(coding.method, coding.method)
        old = known.get((coding.task, spec, *coding.place[2:]))
        if old is None:
            raise UserError(f"{coding.method} at {coding.rate:g}: the baseline has no such point; --update makes it")
        beta = "" if coding.beta is None else f", beta {coding.beta:g}"
        where = f"{short_spec(coding.method)}, {now.rate_names[coding.method]} {coding.rate:g}{beta}"
        found.append(Pair(f"{coding.task}: {where}", old, coding, before.data[coding.task]))
    return found


def figures(pair: Pair) -> Iterator[Figure]:
    """Bytes, PSNR and each net's main metric of a coding that is complete on both sides."""
    if pair.now.failed or len(pair.before.n_bytes) != pair.n:
        return
    counts = bootstrap.draws(pair.n, _PLAN)
    sizes = [bootstrap.ratios(counts, coding.n_bytes, [1] * pair.n) for coding in (pair.before, pair.now)]
    yield Figure(pair.where, "bytes", (sizes[0][0], sizes[1][0]), 100 * (sizes[1] / sizes[0] - 1), pair.n, False, "%")
    quality = [_psnr(coding, pair.data, counts) for coding in (pair.before, pair.now)]
    yield Figure(pair.where, "psnr", (quality[0][0], quality[1][0]), quality[1] - quality[0], pair.n, True, "dB")
    for net, scores in pair.now.nets.items():
        old = pair.before.nets.get(net)
        if old is not None and pair.data.main_metric is not None:
            drawn = [_draws(of, pair.n) for of in (old, scores)]
            better = pair.data.higher_is_better
            values = (drawn[0][0], drawn[1][0])
            where = f"{pair.where} · {net}"
            yield Figure(where, pair.data.main_metric, values, drawn[1] - drawn[0], pair.n, better, "points")


def _psnr(coding: Coding, data: DataSet, counts: np.ndarray) -> np.ndarray:
    """The mean over pictures; all zeros where every picture is exact, which has no PSNR."""
    import numpy as np

    pixels = data.pixels[: len(coding.squared_error)]
    each = [metrics.psnr(error, 3 * n) for error, n in zip(coding.squared_error, pixels, strict=True)]
    return np.zeros(len(counts)) if not any(coding.squared_error) else bootstrap.means(counts, each)


def _draws(scores: Scores, n: int) -> np.ndarray:
    import numpy as np

    return DRAW_UNIT * np.array([np.nan if one is None else one for one in scores.draws[n]], float)


def curves(found: list[Pair]) -> Iterator[Figure]:
    """BD-rate of each method, beta and net over the rates, in PSNR and in the main metric; where it is defined."""
    import numpy as np

    lines: dict[tuple[object, ...], list[Pair]] = {}
    for pair in found:
        if not pair.now.failed and len(pair.before.n_bytes) == pair.n:
            lines.setdefault((pair.now.task, pair.now.method, pair.now.beta), []).append(pair)
    for (task, method, beta), points in lines.items():
        if len(points) < _POINTS:
            continue
        counts = bootstrap.draws(points[0].n, _PLAN)
        ends = [[(pair.before, pair.now)[side] for pair in points] for side in (0, 1)]
        data = points[0].data
        bits = [
            np.stack([bootstrap.ratios(counts, 8 * np.array(c.n_bytes), data.pixels[: points[0].n]) for c in side], 1)
            for side in ends
        ]
        named = {"psnr": [np.stack([_psnr(c, data, counts) for c in side], 1) for side in ends]}
        for net in points[0].now.nets:
            if all(net in pair.before.nets for pair in points):
                named[f"{data.main_metric} · {net}"] = [
                    np.stack([_draws(c.nets[net], points[0].n) for c in side], 1) for side in ends
                ]
        where = f"{task}: {short_spec(str(method))}" + ("" if beta is None else f", beta {beta:g}")
        for name, (old, new) in named.items():
            sign = 1 if data.higher_is_better or name == "psnr" else -1
            delta = bdbatch.bd_rates((bits[0], sign * old), (bits[1], sign * new))
            if np.isfinite(delta[0]):
                yield Figure(where, f"BD-rate {name}", (0.0, delta[0]), delta, points[0].n, False, "%")


def facts(before: Grid, now: Grid, found: list[Pair], renamed: Mapping[str, str]) -> Iterator[Finding]:
    """What changed exactly: checkpoints, streams, decoded pictures, work of networks; and pictures that fail."""
    for spec, checkpoint in now.methods.items():
        mine = [pair for pair in found if pair.now.method == spec]
        old, name = before.methods.get(renamed.get(spec, spec), ""), short_spec(spec)
        same_weights = old == checkpoint
        if not same_weights:
            yield Finding("changed", name, "checkpoint", f"another checkpoint: {checkpoint[:12]}, was {old[:12]}")
        yield from _bytes_and_pixels(name, mine, same_weights)
        yield from _work(spec, before, now, renamed)
        for pair in mine:
            if pair.now.failed and not pair.before.failed:
                first = next(iter(pair.now.failed.items()))
                text = f"{len(pair.now.failed)} pictures fail, the first {first[0]}: {first[1]}"
                yield Finding("worse", pair.where, "failures", text, severity=float("inf"))


def _bytes_and_pixels(name: str, mine: list[Pair], same_weights: bool) -> Iterator[Finding]:
    streams = [(old, new) for pair in mine for old, new in zip(pair.before.streams, pair.now.streams, strict=False)]
    changed = sum(old != new for old, new in streams)
    if changed:
        text = f"{changed} of {len(streams)} streams have other bytes"
        if same_weights and changed > _rounding(len(streams)):
            text += ", from the same weights: bitstream changed, version bump needed"
        yield Finding("changed", name, "streams", text)
    shown = [
        (old, new)
        for pair in mine
        for was, now, old, new in zip(
            pair.before.streams, pair.now.streams, pair.before.pixels, pair.now.pixels, strict=False
        )
        if was == now and old and new
    ]
    changed = sum(old != new for old, new in shown)
    if changed:
        text = f"{changed} of {len(shown)} pictures decode otherwise from the same bytes"
        if changed > _rounding(len(shown)):
            text += ": the decoder changed, version bump needed"
        yield Finding("changed", name, "pixels", text)


def _rounding(n: int) -> int:
    """How many of n may differ where only the order of sums did: another machine, another number of threads."""
    return n // 10


def _work(spec: str, before: Grid, now: Grid, renamed: Mapping[str, str]) -> Iterator[Finding]:
    old, new = before.work.get(renamed.get(spec, spec)), now.work.get(spec)
    if old is None or new is None:
        return
    for name in ("encode", "decode"):
        was, has = (getattr(one, f"{name}_flop") for one in (old, new))
        if was != has:
            percent = 100 * (has / was - 1) if was else float("inf")
            yield Finding(
                "worse" if has > was else "better", short_spec(spec), f"{name} work",
                f"{has} operations per pixel, was {was} ({percent:+.1f} %)", percent, 0.0, "%", severity=abs(percent),
            )  # fmt: skip
