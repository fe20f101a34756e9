"""The fenced blocks of a Markdown page, each with what the comment in front of it says.

Comments, alone in front of a block:

    <!-- not run: WHY -->             the block is not run
    <!-- needs command: NAME -->      the block is skipped where icm-bench has no command NAME
    <!-- file: NAME -->               the block is the file NAME, written into the page's folder
    <!-- output -->                   what the shell block in front printed; numbers may differ
    <!-- set-up                       shell commands that are run and not shown
    ... -->
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_FENCE = r"^(?P<fence>```+)(?P<language>[\w{}-]*)[^\n]*\n(?P<body>.*?)^(?P=fence)\s*$"
_PARTS = re.compile(_FENCE + r"|<!--\s*(?P<comment>.*?)-->", re.M | re.S)
#: Languages of blocks that are run, or marked.
RUN = ("sh", "bash", "shell", "console", "python")


@dataclass(frozen=True)
class Block:
    """One block: its language, text, line in the page, and the comment in front ("not run: WHY") or ""."""

    language: str
    text: str
    line: int
    mark: str = ""

    def says(self, word: str) -> str | None:
        """What the comment says behind a word, None where it says something else."""
        found = re.fullmatch(rf"{re.escape(word)}:?\s*(.*)", self.mark, re.S)
        return found[1].strip() if found else None


def blocks(page: Path) -> list[Block]:
    """All blocks of a page in their order; hidden set-ups are blocks of the language "sh"."""
    text = page.read_text(encoding="utf-8")
    found: list[Block] = []
    mark, mark_end = "", 0
    for part in _PARTS.finditer(text):
        line = text.count("\n", 0, part.start()) + 1
        if (comment := part["comment"]) is not None:
            if comment.startswith("set-up\n"):
                found.append(Block("sh", comment.removeprefix("set-up\n"), line))
            else:
                mark, mark_end = comment.strip(), part.end()
            continue
        is_before = mark_end and not text[mark_end : part.start()].strip()
        found.append(Block(part["language"], part["body"], line, mark if is_before else ""))
        mark, mark_end = "", 0
    return found


def alike(told: str) -> list[str]:
    """Lines of output without what may differ: numbers, lines of boxes, widths."""
    plain = re.sub(r"[^\S\n]+", " ", re.sub(r"[┏┳┓┡╇┩└┴┘━─┃│]+", " ", told))
    return [line.strip() for line in re.sub(r"[-+]?\d[\d.,]*", "0", plain).splitlines() if line.strip()]
