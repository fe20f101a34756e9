"""Starting files of plug-ins: a whole small codec or task under a name of one's own, to be changed into it."""

from __future__ import annotations

import keyword
import re
from importlib.resources import files
from importlib.util import find_spec

from icm_bench import registry
from icm_bench.errors import UserError

KINDS = ("method", "task")


def file_name(name: str) -> str:
    """The file of a plug-in that is to be called "my-codec": "my_codec.py"."""
    return f"{name.replace('-', '_')}.py"


def starting_file(kind: str, name: str) -> str:
    """The text of a starting file. kind: "method" or "task"; name: as the plug-in is to be called, "my-codec".

    Raises UserError for a kind there is not, and for a name that is taken or cannot be one.
    """
    if kind not in KINDS:
        raise UserError(f"unknown kind {kind!r}{registry.suggest(kind, KINDS)}")
    stem = file_name(name).removesuffix(".py")
    _check(kind, name, stem)
    text = (files("icm_bench") / "templates" / f"{kind}.py.txt").read_text(encoding="utf-8")
    title = "".join(part.capitalize() for part in stem.split("_"))
    if re.search(rf"\b{title}\b", text):  # a class "Method" would hide what the file imports under that name
        title += kind.capitalize()
    return text.replace("CLASS", title).replace("NAME", name)


def _check(kind: str, name: str, stem: str) -> None:
    """Refuse a name that cannot be imported, or that something else bears."""
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", stem) or keyword.iskeyword(stem):
        form = "a letter, then letters, digits, - and _, and no word of the language"
        raise UserError(f"{name!r} cannot name a {kind}: a name is {form}, such as my-{kind}")
    for taken in KINDS:
        if name.lower() in registry.names(taken):
            raise UserError(f"there is a {taken} {name!r} already: choose another name")
    if find_spec(stem) is not None:
        raise UserError(f"{name!r}: a Python package of this name is installed, which {stem}.py would hide")
