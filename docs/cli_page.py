"""Write docs/cli.md, every command with its arguments and options, from the command line itself.

    python docs/cli_page.py             write it
    python docs/cli_page.py --check     exit status 1 where it is not what the command line is
"""

from __future__ import annotations

import importlib
import inspect
import sys
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from icm_bench.cli import LazyGroup, app

PAGE = Path(__file__).with_name("cli.md")
_HEAD = """# Commands and options

For everybody who looks an option up. `docs/cli_page.py` writes this page from the command line itself: what stands
here is edited in `icm_bench/cli/`.

`icm-bench COMMAND --help` prints the same. Exit statuses of every command: 0 all well; 1 some cells failed, or worse
than the baseline; 2 something that you can mend, told in one line; 70 a fault of the program; 130 interrupted.
"""
#: Where a command's use is told at length.
_SEE = {
    "run": "[tutorial](tutorial.md), [evaluate your codec](evaluate-your-codec.md), [protocol](protocol.md)",
    "table": "[everyday commands](everyday.md#tables), [BD-rate](protocol.md#bd-rate)",
    "plot": "[everyday commands](everyday.md#plots)",
    "report": "[everyday commands](everyday.md#a-report)",
    "export": "[everyday commands](everyday.md#other-tools), [columns](formats.md#rows)",
    "import": "[results from elsewhere](evaluate-your-codec.md#results-from-elsewhere)",
    "compare": "[measuring protocol](protocol.md#confidence)",
    "check": "[gate a checkpoint](gate-a-checkpoint.md)",
    "test": "[evaluate your codec](evaluate-your-codec.md#the-conformance-kit)",
    "new": "[tutorial](tutorial.md)",
    "data": "[evaluate your data](evaluate-your-data.md)",
    "merge": "[many machines](many-machines.md)",
    "cache": "[many machines](many-machines.md#the-store-as-a-cache)",
    "train": "[train](train.md)",
    "encode": "[file formats](formats.md#the-icm-container)",
    "decode": "[file formats](formats.md#the-icm-container)",
    "doctor": "[questions](faq.md)",
    "claims": "[the RDC codec](rdc.md#measured)",
}


def page() -> str:
    """The page's text."""
    group: Any = LazyGroup()
    names = group.list_commands(None)
    parts = [_HEAD, "## icm-bench\n", *_options(_root(), {})]
    lines = [f"| [`{name}`](#icm-bench-{name}) | {_cell(_summary(name))} |" for name in names]
    parts.append("\n".join(["", "| command | |", "|---|---|", *lines]) + "\n")
    for name in names:
        parts += _command(name, group.get_command(None, name))
    return "\n".join(parts)


def _root() -> Any:
    import typer

    return typer.main.get_command(app)


def _summary(name: str) -> str:
    """What ``icm-bench --help`` says of a command."""
    group: Any = LazyGroup()
    group._brief = True
    return str(group.get_command(None, name).help)


def _command(name: str, command: Any) -> Iterator[str]:
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    usage = ["icm-bench", name, *(_usage(one) for one in arguments), *(["[OPTIONS]"] if _shown(command) else [])]
    yield f"## icm-bench {name}\n"
    yield f"{inspect.cleandoc(command.help or '')}\n"
    yield f"<!-- not run: a form, no command -->\n```text\n{' '.join(usage)}\n```\n"
    if arguments:
        yield "| argument | |\n|---|---|"
        yield "\n".join(f"| `{one.name.upper()}` | {_told(one)} |" for one in arguments) + "\n"
    yield from _options(command, _words(name))
    if name in _SEE:
        yield f"Read on: {_SEE[name]}.\n"


def _usage(argument: Any) -> str:
    word = argument.name.upper() + "..." * (argument.nargs == -1)
    return word if argument.required else f"[{word}]"


def _shown(command: Any) -> list[Any]:
    """Options but --help, which every command has."""
    options = [one for one in command.params if one.param_type_name == "option"]
    return [one for one in options if "--help" not in one.opts and not getattr(one, "hidden", False)]


def _words(name: str) -> dict[str, str]:
    """What an option takes, by the name of its parameter: the word for its type, as in TEXT."""
    stem = name.replace("-", "_")
    function = getattr(importlib.import_module(f"icm_bench.cli.{stem}"), stem)
    words = {bool: "", int: "N", float: "NUMBER", Path: "PATH"}
    found = {}
    for key, kind in typing.get_type_hints(function).items():
        while typing.get_args(kind):  # X | None, list[X]
            kind = typing.get_args(kind)[0]
        found[key] = words.get(kind, "TEXT")
    return found


def _options(command: Any, words: dict[str, str]) -> Iterator[str]:
    shown = _shown(command)
    if shown:
        yield "| option | default | |\n|---|---|---|"
        for one in shown:
            yield f"| {_names(one, words.get(one.name, ''))} | {_default(one)} | {_told(one)} |"
        yield ""


def _names(option: Any, word: str) -> str:
    """The option's names, with the word for its value where it takes one."""
    names = [*option.opts, *option.secondary_opts]
    return ", ".join(f"`{name} {word}`" if word else f"`{name}`" for name in names)


def _default(option: Any) -> str:
    value = option.default() if callable(option.default) else option.default
    if option.required:
        return "required"
    if isinstance(value, bool):
        return "on" if value else ""
    if value is None or value in ("", [], ()):
        return ""
    return f"`{value}`"


def _told(parameter: Any) -> str:
    assert parameter.help, f"{parameter.name} has no help"
    return _cell(parameter.help)


def _cell(text: str) -> str:
    """Text for a cell of a table."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")


def main(arguments: list[str]) -> int:
    """Write the page, or compare it; the exit status."""
    text = page()
    if "--check" in arguments:
        same = PAGE.is_file() and PAGE.read_text(encoding="utf-8") == text
        print("docs/cli.md is up to date" if same else "docs/cli.md is stale: python docs/cli_page.py writes it")
        return 0 if same else 1
    PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
