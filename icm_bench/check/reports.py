"""Findings as a table for a terminal, as Markdown for a job's summary, as JUnit XML and as JSON."""

from __future__ import annotations

import dataclasses
import json
import math
from collections import Counter
from collections.abc import Sequence
from xml.etree import ElementTree

from icm_bench.check.verdict import VERDICTS, Finding
from icm_bench.table_text import Sheet, one_sheet

#: Findings of one verdict that a table shows; the files hold all.
_MOST = 40
_HEADS = ("verdict", "where", "figure", "now", "difference", "tolerance")


def summary(findings: Sequence[Finding]) -> str:
    """One line: how many of each verdict."""
    counts = Counter(one.verdict for one in findings)
    told = ", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS if counts[verdict])
    return f"{'WORSE' if counts['worse'] else 'OK'}: {told or 'nothing compared'}"


def sheet(findings: Sequence[Finding]) -> Sheet:
    """The findings that are not "same", as a table; of each verdict the first few."""
    lines = []
    for verdict in VERDICTS[:-1]:
        these = [one for one in findings if one.verdict == verdict]
        lines += [_line(one) for one in these[:_MOST]]
        if len(these) > _MOST:
            lines.append((verdict, f"and {len(these) - _MOST} more", "", "", "", ""))
    return Sheet(summary(findings), _HEADS, tuple(lines), (True, True, True, True, False, False))


def _line(one: Finding) -> tuple[str, ...]:
    tolerance = "–" if one.tolerance is None else _number(one.tolerance, one.unit, signed=False)
    difference = "–" if one.difference is None else _number(one.difference, one.unit)
    return one.verdict, one.where, one.what, one.text, difference, tolerance


def _number(value: float, unit: str, signed: bool = True) -> str:
    if math.isinf(value):
        return "∞"
    return f"{value:{'+' if signed else ''}.3g} {unit}"


def terminal(findings: Sequence[Finding]) -> str:
    """What is printed."""
    made = sheet(findings)
    return one_sheet(made, "terminal") if made.cells else made.caption


def markdown(findings: Sequence[Finding]) -> str:
    """A heading, the summary, and the table."""
    made = sheet(findings)
    if not made.cells:
        return f"### icm-bench check\n\n{made.caption}\n"
    return f"### icm-bench check\n\n{one_sheet(made, 'markdown')}\n"


def as_json(findings: Sequence[Finding]) -> str:
    """All findings; what is infinite is null."""
    held = [
        {
            key: None if isinstance(value, float) and not math.isfinite(value) else value
            for key, value in dataclasses.asdict(one).items()
        }
        for one in findings
    ]
    return json.dumps({"summary": summary(findings), "findings": held}, indent=1) + "\n"


def junit(findings: Sequence[Finding]) -> str:
    """One test case for each place, which fails where anything there is worse."""
    places = list(dict.fromkeys(one.where for one in findings))
    suite = ElementTree.Element("testsuite", name="icm-bench check", tests=str(len(places)), errors="0")
    n_failed = 0
    for place in places:
        case = ElementTree.SubElement(suite, "testcase", classname="icm-bench", name=place)
        mine = [one for one in findings if one.where == place]
        worse = [one for one in mine if one.verdict == "worse"]
        if worse:
            n_failed += 1
            message = "; ".join(f"{one.what}: {one.text}" for one in worse)
            ElementTree.SubElement(case, "failure", message=message).text = "\n".join(map(_told, worse))
        others = [one for one in mine if one.verdict not in ("worse", "same")]
        if others:
            ElementTree.SubElement(case, "system-out").text = "\n".join(map(_told, others))
    suite.set("failures", str(n_failed))
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(suite, encoding="unicode") + "\n"


def _told(one: Finding) -> str:
    verdict, _, what, text, difference, tolerance = _line(one)
    return f"{verdict}: {what}: {text} (difference {difference}, tolerance {tolerance})"
