"""The pages: every command in them runs or says why not, and what they list is what there is."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from docs_blocks import RUN, alike, blocks

from icm_bench import __version__, registry
from icm_bench.bitstream import Bitstream
from icm_bench.cli import LazyGroup
from icm_bench.store import Store

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.glob("*.md"))
#: A page outside of docs/ joins in when it carries this line.
JOINS = "<!-- commands: tests/test_docs.py -->"


def pages():
    readme = ROOT / "README.md"
    return [*PAGES, *([readme] if JOINS in readme.read_text(encoding="utf-8") else [])]


class Folder:
    """The working folder of one page."""

    def __init__(self, root):
        self.root = root
        venv = Path(sys.executable).parent
        self.environment = {
            **os.environ, "PATH": os.pathsep.join([str(venv), os.environ["PATH"]]), "COLUMNS": "120",
            "ICM_BENCH_CONFIG": str(root / ".config"), "OMP_NUM_THREADS": "1",
        }  # fmt: skip
        self.told = ""

    def run(self, command, text):
        done = subprocess.run(
            [*command, text], cwd=self.root, env=self.environment, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
        self.told = done.stdout

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def compare(self, shown):
        lines = iter(alike(self.told))
        for wanted in alike(shown):
            assert wanted == "..." or any(wanted == line for line in lines), f"{wanted!r} is not in\n{self.told}"


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.stem)
def test_the_commands_of_a_page_run_in_their_order(page, tmp_path):
    folder, known = Folder(tmp_path), LazyGroup().list_commands(None)
    for block in blocks(page):
        where = f"{page.name}:{block.line}"
        needs = block.says("needs command")
        if block.says("not run") is not None or (needs and needs not in known):
            continue
        if (name := block.says("file")) is not None:
            folder.write(name, block.text)
        elif block.says("output") is not None:
            folder.compare(block.text)
        elif block.language in RUN:
            assert not block.mark or needs, f"{where}: unknown mark {block.mark!r}"
            is_python = block.language == "python"
            folder.run([sys.executable, "-c"] if is_python else ["bash", "-euo", "pipefail", "-c"], block.text)


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.stem)
def test_what_is_not_run_says_why(page):
    for block in blocks(page):
        reason = block.says("not run")
        assert reason is None or len(reason.split()) > 1, f"{page.name}:{block.line}: say why it is not run"
        if reason is None and not block.mark and block.language not in RUN:
            commands = re.findall(r"^\s*(?:\$ )?(icm-bench .*)$", block.text, re.M)
            assert not commands, f"{page.name}:{block.line}: {commands[0]} is in no block that is run"


def streams_shown():
    """The hex dumps of the page on formats, by the name that the comment in front gives."""
    dumps = {block.says("stream"): block.text for block in blocks(DOCS / "formats.md") if block.says("stream")}
    return {name: bytes.fromhex("".join(line[2:] for line in text.splitlines())) for name, text in dumps.items()}


def test_the_streams_shown_are_streams():
    shown = streams_shown()
    held = Bitstream.from_bytes(shown["identity"])
    assert held.to_bytes() == shown["identity"] and (held.width, held.height, held.rate) == (2, 1, 0)
    (picture,) = registry.method("identity").decode(held, [None])
    assert picture.tolist() == [[[255, 0, 0], [0, 128, 255]]]
    named = Bitstream.of(registry.method("jpeg"), (200, 300), 2.5, {"base": b"\1\2\3", "rest": b"\4\5"})
    assert named.to_bytes() == shown["named"]


def columns_shown(heading):
    """Names in the first column of the table below a heading of the page on formats."""
    part = re.split(rf"^#+ {heading}$", (DOCS / "formats.md").read_text(encoding="utf-8"), flags=re.M)[1]
    lines = re.split(r"^#", part, maxsplit=1, flags=re.M)[0].splitlines()
    return [name for line in lines if line.startswith("| `") for name in re.findall(r"`(\w+)`", line.split("|")[1])]


def test_every_table_and_column_of_a_store_is_described():
    with Store(None) as store:
        for (table,) in store.query("SELECT name FROM sqlite_master WHERE type='table'"):
            found = [column[1] for column in store.query(f"PRAGMA table_info({table})")]
            assert columns_shown(table) == found, table


def test_every_column_of_a_row_is_described(world):
    found, _ = world.run(rates=(1,))
    metrics = set(registry.task("bright").metrics)
    assert set(found[0]) - metrics == set(columns_shown("Columns of a row"))


def test_the_page_of_commands_is_what_the_command_line_says(monkeypatch):
    monkeypatch.syspath_prepend(str(DOCS))
    import cli_page

    assert cli_page.PAGE.read_text(encoding="utf-8") == cli_page.page(), "make docs writes it anew"
    shown = cli_page.page()
    for name in LazyGroup().list_commands(None):
        for parameter in LazyGroup().get_command(None, name).params:
            assert all(f"`{option}" in shown for option in parameter.opts if option.startswith("--"))


def test_the_citation_is_of_this_version():
    held = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= set(held) and held["cff-version"] == "1.2.0"
    assert str(held["version"]) == __version__
    for one in [held, *held["references"]]:
        assert one["title"] and all(author.get("name") or author.get("family-names") for author in one["authors"])
