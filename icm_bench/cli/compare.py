"""Compare two codecs of a run, or two runs, by paired differences with intervals."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from icm_bench.cli import _results

if TYPE_CHECKING:
    from icm_bench.compare import CurveDifference, PointDifference
    from icm_bench.table_text import Sheet

_FORMATS = ("terminal", "markdown")


def compare(
    a: Annotated[str, typer.Argument(help="METHOD or METHOD@BETA, or the results folder of a run: the anchor.")],
    b: Annotated[str, typer.Argument(help="What is compared with it, of the same kind.")],
    out: _results.Out = Path("results"),
    format: Annotated[str, typer.Option("--format", help="terminal or markdown.")] = "terminal",
    task: _results.Tasks = None,
    net: _results.Nets = None,
    method: _results.Methods = None,
    resamples: _results.Resamples = 1000,
) -> None:
    """Compare two codecs of a run, or two runs, by paired differences with 95 % intervals.

    Differences are B - A over the same pictures; a star marks those that the interval tells from zero.
    """
    from icm_bench import compare as comparing
    from icm_bench import selection, table_text
    from icm_bench.errors import UserError

    _results.one_of(format, _FORMATS, "format")
    if not resamples:
        raise UserError("--resamples 0: a comparison is made of resamples")
    folders = [Path(name) for name in (a, b) if Path(name).exists()]
    if len(folders) == 1:
        raise UserError(f"{folders[0]} is a run and the other is none: give two methods, or two results folders")
    chosen = _results.chosen(task, net, method, None, None)
    with ExitStack() as stack:
        places = folders or [out]
        samplers = [stack.enter_context(_results.sampler(place, resamples)) for place in places]
        rows = [selection.select(selection.read_rows(place), chosen) for place in places]
        first, second = samplers[0], samplers[-1]
        if first is None or second is None:
            raise UserError("a comparison needs the stores of its runs, a text table holds no pictures")
        found: list[CurveDifference | PointDifference] = []
        if folders:
            found += comparing.runs((rows[0], rows[1]), (first, second))
        else:
            found += comparing.curves(rows[0], first, (a, b))
    typer.echo(f"A = {a}, B = {b}; B - A, 95 % intervals of {resamples} resamples, * told from zero\n")
    for sheet in _sheets(found):
        typer.echo(table_text.one_sheet(sheet, format))


def _sheets(found: list[CurveDifference | PointDifference]) -> list[Sheet]:
    """A table of whole curves and one of points, for each group."""
    from icm_bench.compare import CurveDifference
    from icm_bench.table_text import Sheet, difference

    made = []
    for where in dict.fromkeys(one.where for one in found):
        whole = [one for one in found if one.where == where and isinstance(one, CurveDifference)]
        if whole:
            lines: list[tuple[str, ...]] = [
                (one.column, difference(one.rate, 1, " %"), difference(one.metric, 2)) for one in whole
            ]
            heads: tuple[str, ...] = ("figure", "BD-rate", "BD of the figure")
            made.append(Sheet(f"{where}: whole curves", heads, tuple(lines), (True, False, False)))
        points = [one for one in found if one.where == where and not isinstance(one, CurveDifference)]
        if points:
            names = list(points[0].figures)
            lines = [
                (one.point, difference(one.bits, 1, " %"), *(difference(one.figures[name], 2) for name in names))
                for one in points
            ]
            heads = ("point", "bits", *names)
            made.append(Sheet(f"{where}: points", heads, tuple(lines), (True,) + (False,) * (len(heads) - 1)))
    return made
