"""The pages: every command in them runs or says why not, and what they list is what there is."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from docs_blocks import RUN, alike, blocks

from icm_bench.cli import LazyGroup

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
