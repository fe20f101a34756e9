"""Codecs and tasks by name: listed without importing anything, imported when asked for.

A plug-in is one file in ``methods/`` or ``tasks/`` (names with a leading underscore are shared code), or an entry
point in the groups ``icm_bench.methods`` / ``icm_bench.tasks``, or a file named by its path. The module holds exactly
one public subclass of ``Method`` / ``Task``. ``task_specific.py`` is called ``task-specific``.
"""

from __future__ import annotations

import ast
import difflib
import hashlib
import importlib
import inspect
import sys
import traceback
from dataclasses import dataclass, fields
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from icm_bench.errors import MissingPackage, UserError
from icm_bench.spec import format_spec, parse_spec
from icm_bench.toml_lines import TomlFile

if TYPE_CHECKING:
    from icm_bench.method import Method
    from icm_bench.task import Task
    from icm_bench.training.job import Trainer

#: The packages with a trainer of their own, by the name that a config gives it.
TRAINERS = {"methods": "icm_bench.methods", "tasks": "icm_bench.tasks"}
#: Packages that are not in the base install and what brings them.
EXTRAS = {
    "onnxruntime": "pip install 'icm-bench[onnx]'",
    "mmseg": "pip install 'icm-bench[mmseg]'",
    "mmengine": "pip install 'icm-bench[mmseg]'",
    "mmcv": "pip install 'icm-bench[mmseg]'",
    "ftfy": "pip install 'icm-bench[mmseg]'",
    "regex": "pip install 'icm-bench[mmseg]'",
    "pyarrow": "pip install 'icm-bench[parquet]'",
    "plotly": "pip install 'icm-bench[report]'",
    "ray": "pip install 'icm-bench[ray]'",
    "detectron2": "pip install --no-build-isolation PATH_TO_ITS_SOURCE (it is not on the package index)",
    "timm": "pip install 'icm-bench[timm]'",
    "pytest": "pip install pytest",
}


@dataclass(frozen=True)
class Plugin:
    """Where a name comes from; importing happens in ``load``."""

    kind: str  # "method" or "task"
    name: str
    module: str
    path: Path | None = None
    entry: EntryPoint | None = None

    @property
    def summary(self) -> str:
        """First line of the module's docstring, or what an installed package says of itself; nothing is imported."""
        if self.path is None:
            told = self.entry.dist.metadata["Summary"] if self.entry and self.entry.dist else None
            return told or f"from {self.module}"
        doc = ast.get_docstring(ast.parse(self.path.read_text(encoding="utf-8"))) or ""
        return doc.partition("\n")[0].rstrip(".")


@cache
def _plugins(kind: str) -> dict[str, Plugin]:
    package = f"icm_bench.{kind}s"
    found: dict[str, Plugin] = {}
    spec = find_spec(package)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        for path in sorted(Path(folder).glob("[!_]*.py")):
            name = path.stem.replace("_", "-")
            found[name] = Plugin(kind, name, f"{package}.{path.stem}", path=path)
    for entry in entry_points(group=package):
        found.setdefault(entry.name, Plugin(kind, entry.name, entry.module, entry=entry))
    return found


def names(kind: str) -> list[str]:
    """The known names of a kind ("method" or "task"), sorted. Imports nothing."""
    return sorted(_plugins(kind))


def plugin(kind: str, name: str) -> Plugin:
    """Look a name up. Raises UserError with "did you mean" for an unknown one."""
    known = _plugins(kind)
    if name in known:
        return known[name]
    if name.endswith(".py"):
        return _of_file(kind, name)
    file = f"{name.replace('-', '_')}.py"
    meant = f": did you mean the file ./{file}?" if Path(file).is_file() else suggest(name, known)
    raise UserError(f"unknown {kind} {name!r}{meant}")


def _of_file(kind: str, name: str) -> Plugin:
    """A plug-in that is a file given by its path; its full path is its name, so that other processes find it."""
    path = Path(name).expanduser().absolute()
    if not path.is_file():
        raise UserError(f"{kind} {name!r}: there is no such file")
    digest = hashlib.sha256(str(path).encode()).hexdigest()[:8]
    return Plugin(kind, str(path), f"icm_bench_file_{path.stem}_{digest}", path=path)


def source_of(name: str) -> str:
    """Hex digest of a plug-in that is a file of its own, "" for others: those are changed by new versions only."""
    return hashlib.sha256(Path(name).read_bytes()).hexdigest() if name.endswith(".py") else ""


def _imported(found: Plugin) -> ModuleType:
    """The plug-in's module; one given by its path is imported once and kept under the module's name."""
    if not found.name.endswith(".py") or found.module in sys.modules:
        return importlib.import_module(found.module)
    spec = spec_from_file_location(found.module, found.path)
    assert spec is not None and spec.loader is not None  # a path that ends in .py has a loader
    module = sys.modules[found.module] = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[found.module]
        raise
    return module


def suggest(name: str, known: Any) -> str:
    """The tail of an "unknown name" message: the nearest known name, or all of them."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f": did you mean {close[0]!r}?" if close else f": known are {', '.join(sorted(known))}"


def load(kind: str, name: str) -> type:
    """The plug-in's class.

    Raises MissingPackage with the pip command when an optional package is absent, and UserError with file and line
    when the plug-in cannot be imported.
    """
    from icm_bench.method import Method
    from icm_bench.task import Task

    found = plugin(kind, name)
    base = {"method": Method, "task": Task}[kind]
    try:
        module = _imported(found)
    except UserError:
        raise
    except (Exception, SystemExit) as error:  # whatever a plug-in raises is its fault, and is named
        package = (getattr(error, "name", None) or "").partition(".")[0]
        if isinstance(error, ModuleNotFoundError) and package in EXTRAS:
            raise MissingPackage(package, EXTRAS[package]) from error
        raise UserError(f"{kind} {name!r} cannot be imported: {_place(found, error)}") from error
    classes = [
        value
        for key, value in vars(module).items()
        if inspect.isclass(value)
        and issubclass(value, base)
        and value.__module__ == module.__name__
        and not inspect.isabstract(value)
        and not key.startswith("_")
    ]
    if len(classes) != 1:
        where = found.path or found.module
        raise UserError(f"{where}: exactly one public class of {base.__name__} is expected, it holds {len(classes)}")
    cls: type = classes[0]
    cls.name = found.name  # type: ignore[attr-defined]
    return cls


def _place(found: Plugin, error: BaseException) -> str:
    """An import's error in a line, with the last line of the plug-in's own file that led to it."""
    told = f"{type(error).__name__}: {' '.join(str(error).split())}"
    file = str(found.path)
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    if isinstance(error, SyntaxError):
        told, file, lines = f"{type(error).__name__}: {error.msg}", error.filename or file, [error.lineno]
    return f"{file}:{lines[-1]}: {told}" if lines else told


def training_configs() -> dict[str, Path]:
    """Shipped training configs by name: ``configs/*.toml`` beside the codecs and the tasks."""
    found = {}
    for package in TRAINERS.values():
        spec = find_spec(package)
        for folder in (spec.submodule_search_locations or []) if spec else []:
            found.update({path.stem: path for path in sorted((Path(folder) / "configs").glob("*.toml"))})
    return found


def training(config: str) -> tuple[Path, Trainer]:
    """The file of a config (a shipped name or the path of a TOML file) and the trainer that its "trainer" names.

    Raises UserError for a name that is unknown or a file without a trainer.
    """
    path = Path(config) if config.endswith(".toml") else training_configs().get(config)
    if path is None:
        raise UserError(f"unknown training config {config!r}{suggest(config, training_configs())}")
    file = TomlFile.read(path)
    name = file.values.get("trainer")
    modules = {key: f"{package}._trainer" for key, package in TRAINERS.items()}
    modules |= {entry.name: entry.value for entry in entry_points(group="icm_bench.trainers")}
    if name is None:
        raise UserError(f"{path}: trainer must be given, such as trainer = {min(modules)!r}")
    if name not in modules:
        raise file.error(("trainer",), f"unknown trainer {name!r}{suggest(str(name), modules)}")
    trainer: Any = importlib.import_module(modules[name])
    return path, trainer


def method(spec: str) -> Method:
    """A codec from its spec string, such as ``vvc(preset="fast")``."""
    made: Method = _make("method", spec)
    return made


def task(spec: str, **overrides: Any) -> Task:
    """A task from its spec string; overrides set further fields, such as ``data``."""
    made: Task = _make("task", spec, **overrides)
    return made


def _make(kind: str, spec: str, **overrides: Any) -> Any:
    name, params = parse_spec(spec)
    cls = load(kind, name)
    params.update(overrides)
    known = {field.name for field in fields(cls)}  # type: ignore[arg-type]
    for key in params:
        if key not in known:
            raise UserError(f"{kind} {name} has no parameter {key!r}{suggest(key, known)}")
    try:
        return cls(**params)
    except ValueError as error:
        raise UserError(f"{format_spec(name, params)}: {error}") from error
    except TypeError as error:  # a text where a number is expected, say, met while the parameters are checked
        raise UserError(f"{format_spec(name, params)}: a parameter is of the wrong kind ({error})") from error
