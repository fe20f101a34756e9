"""Findings as text: the worst first, in a form that each reader takes."""

import json
from xml.etree import ElementTree

from icm_bench.check import reports
from icm_bench.check.verdict import Finding

FOUND = [
    Finding("worse", "coco: rdc, gain 3, beta 1 · a|b", "AP", "30, was 34", -4.0, 1.5, "points", 2.7),
    Finding("worse", "rdc", "golden", "no longer <decodes>", severity=float("inf")),
    Finding("changed", "rdc", "checkpoint", "another checkpoint"),
    *(Finding("better", f"place {n}", "bytes", "fewer", -2.0, 1.0, "%") for n in range(50)),
    Finding("same", "rdc", "psnr", "30, was 30", 0.0, float("inf"), "dB"),
]


def test_the_terminal_shows_all_but_what_is_the_same():
    lines = reports.terminal(FOUND).splitlines()
    assert lines[0] == "WORSE: 2 worse, 1 changed, 50 better, 1 same"
    assert lines[2].startswith("worse") and "-4 points" in lines[2] and "1.5 points" in lines[2]
    assert any("and 10 more" in line for line in lines) and "30, was 30" not in "\n".join(lines)
    assert reports.terminal(FOUND[-1:]) == "OK: 1 same"


def test_markdown_escapes_what_would_break_its_table():
    text = reports.markdown(FOUND)
    assert text.startswith("### icm-bench check\n\nWORSE: 2 worse")
    assert "a\\|b" in text and "&lt;decodes" in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert {line.replace("\\|", "").count("|") for line in rows} == {7}


def test_junit_fails_the_places_where_anything_is_worse():
    suite = ElementTree.fromstring(reports.junit(FOUND))
    cases = {case.get("name"): case for case in suite}
    assert (suite.get("tests"), suite.get("failures")) == (str(len(cases)), "2")
    assert "30, was 34" in cases["coco: rdc, gain 3, beta 1 · a|b"].find("failure").get("message")
    assert cases["place 3"].find("failure") is None and "better: bytes" in cases["place 3"].find("system-out").text


def test_json_holds_everything_as_plain_numbers():
    held = json.loads(reports.as_json(FOUND), parse_constant=lambda name: 1 / 0)
    assert len(held["findings"]) == len(FOUND)
    assert held["findings"][0]["difference"] == -4.0 and held["findings"][-1]["tolerance"] is None
