"""Messages of errors have one form: one line, no capital letter and no full stop around it, no Python inside."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
#: CodecError is left out: it carries what a program has printed.
KINDS = {"UserError", "BitstreamError", "PictureError"}
#: Words of the language that a reader of a message need not know ("state dict" is the field's own).
PYTHON = re.compile(r"\b(NoneType|isinstance|kwargs|(?<!state )dict|tuple|bool|str|int|float|ndarray)\b")


@cache
def messages() -> list[tuple[str, str]]:
    """Where each error is made, and its text with {} for values."""
    return list(_messages())


def _messages() -> Iterator[tuple[str, str]]:
    for folder in ("icm_bench", "methods", "tasks"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in KINDS:
                    for text in map(_text, node.args[:1]):
                        if text is not None:
                            yield f"{path.relative_to(ROOT)}:{node.lineno}", text


def _text(node: ast.expr) -> str | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(part.value if isinstance(part, ast.Constant) else "{}" for part in node.values)
    return None


def test_there_are_messages_to_look_at() -> None:
    assert len(messages()) > 150


@pytest.mark.parametrize(
    ("fault", "form"),
    [
        ("more than a line", re.compile(r"\n")),
        ("a capital letter at the start", re.compile(r"^(?!CompressAI|Pillow)[A-Z][a-z]")),
        ("a full stop or mark at the end", re.compile(r"[.!]$")),
        ("Python's own words", PYTHON),
        ("words that blame or beg", re.compile(r"\b([Pp]lease|invalid|illegal|sorry|failed to)\b")),
    ],
)
def test_messages_have_one_form(fault: str, form: re.Pattern) -> None:
    found = [f"{where}: {text}" for where, text in messages() if form.search(text)]
    assert not found, f"{fault}:\n" + "\n".join(found)
