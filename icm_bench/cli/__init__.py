"""The command line: one file per command, found by its file name, imported only when it is called.

``icm_bench/cli/<name>.py`` holds a function ``<name>`` with typer's annotations; the first line of the file's
docstring is what ``icm-bench --help`` shows. Files with a leading underscore are shared code.
"""

from __future__ import annotations

import ast
import importlib
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from icm_bench.errors import UserError

#: Exit statuses beside 0 (all well) and 1 (some cells failed, or worse than the baseline).
USER_ERROR, INTERNAL_ERROR, INTERRUPTED = 2, 70, 130

# typer carries its own copy of click in newer versions; the class is found through typer's public name.
_ClickException: Any = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")


class LazyGroup(TyperGroup):
    """A group whose commands are the files of this folder."""

    _brief = False

    def list_commands(self, ctx: Any) -> list[str]:
        """Names of all commands. Imports none of them."""
        return sorted(path.stem.replace("_", "-") for path in Path(__file__).parent.glob("[!_]*.py"))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command, imported; while the group's own help is made, only its name and first line."""
        if cmd_name not in self.list_commands(ctx):
            return None
        stem = cmd_name.replace("-", "_")
        if self._brief:
            text = (Path(__file__).parent / f"{stem}.py").read_text(encoding="utf-8")
            summary = (ast.get_docstring(ast.parse(text)) or "").partition("\n")[0]
            return TyperCommand(cmd_name, help=summary)
        function = getattr(importlib.import_module(f"icm_bench.cli.{stem}"), stem)
        single = typer.Typer(add_completion=False, rich_markup_mode=None)
        single.command(cmd_name)(function)
        return typer.main.get_command(single)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the list of commands without importing them."""
        with self._names_only():
            super().format_commands(ctx, formatter)

    def shell_complete(self, ctx: Any, incomplete: str) -> Any:
        """Offer the commands that begin so, without importing them."""
        with self._names_only():
            return super().shell_complete(ctx, incomplete)

    @contextmanager
    def _names_only(self) -> Iterator[None]:
        self._brief = True
        try:
            yield
        finally:
            self._brief = False


app = typer.Typer(
    cls=LazyGroup,
    rich_markup_mode=None,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _version(wanted: bool) -> None:
    if wanted:
        from icm_bench import __version__

        typer.echo(f"icm-bench {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Print a traceback with an error (any command).")] = False,
) -> None:
    """Measure image codecs by what machines still see in their pictures, on real bytes."""


def main(argv: list[str] | None = None) -> None:
    """Run the command line and exit: 0 all well, 1 some cells failed, 2 something the user can mend."""
    _tidy()
    arguments = [*(sys.argv[1:] if argv is None else argv)]
    debug = "--debug" in arguments
    sys.exit(_status([argument for argument in arguments if argument != "--debug"], debug))


def _tidy() -> None:
    """Remove what killed processes left; end on SIGTERM as on Ctrl-C, so that nothing is left by this one."""
    from icm_bench.temporary import sweep

    sweep()
    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, signal.default_int_handler)


def _status(arguments: list[str], debug: bool) -> int:
    try:
        command = typer.main.get_command(app)
        return int(command.main([*arguments], "icm-bench", standalone_mode=False, obj=arguments) or 0)
    except BrokenPipeError:  # the reader of our output has gone away, as in "| head"
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except typer.Exit as stop:
        return stop.exit_code
    except (KeyboardInterrupt, typer.Abort):
        print("icm-bench: interrupted", file=sys.stderr)
        return INTERRUPTED
    except Exception as error:
        if debug:
            traceback.print_exc()
        return _told(error)


def _told(error: Exception) -> int:
    """Print an error as one line; its exit status."""
    if isinstance(error, UserError):
        print(f"icm-bench: {error}", file=sys.stderr)
        return USER_ERROR
    if isinstance(error, _ClickException):
        name = type(error).__name__
        if name == "NoArgsIsHelpError":
            print(error.format_message())  # type: ignore[attr-defined]
            return 0
        print(f"icm-bench: {error.format_message()}", file=sys.stderr)  # type: ignore[attr-defined]
        return USER_ERROR
    line = " ".join(str(error).split())
    print(
        f"icm-bench: internal error, {type(error).__name__}: {line} (--debug shows the traceback)",
        file=sys.stderr,
    )
    return INTERNAL_ERROR
