"""From a net's spec to a network: built-in mini nets by name, every other back end by its prefix.

    mini-resnet                                built in
    torchvision:squeezenet1_1(crop=None)       tasks/_torchvision.py
    onnx:models/yolox_nano.onnx                tasks/_onnx.py

A back end is one file ``tasks/_PREFIX.py`` with ``load(kind, name, params, weights) -> Net``; adding one is
adding the file. kind is the net kind of ``icm_bench.task.Net``, name what follows the prefix, weights a file
or None.
"""

from __future__ import annotations

import ast
import importlib
from collections.abc import Collection, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from icm_bench.errors import MissingPackage, UserError
from icm_bench.registry import EXTRAS, suggest
from icm_bench.spec import parse_spec
from icm_bench.task import Net

_LOAD_ARGUMENTS = ["kind", "name", "params", "weights"]


def resolve(task_kind: str, spec: str, weights: str | None = None) -> Net:
    """The network of a spec, for tasks of a net kind ("classification", "detection", "segmentation").

    weights: a local file instead of the network's own weights. Nothing is built before ``Net.setup``. Raises
    UserError for an unknown name, a net of another kind, or a file that is not there; MissingPackage with the
    pip command.
    """
    name, params = parse_spec(spec)
    prefix, colon, rest = name.partition(":")
    if not colon:
        return _mini_net(task_kind, name, params, weights)
    if prefix not in backends():
        raise UserError(f"net {spec!r}: unknown back end {prefix!r}{suggest(prefix, backends())}")
    if not rest:
        raise UserError(f"net {spec!r}: a name is missing after {prefix!r}, such as torchvision:resnet50")
    if weights is not None and not Path(weights).is_file():
        raise UserError(f"{weights}: there is no such weights file (for net {spec!r})")
    try:
        module = importlib.import_module(f"icm_bench.tasks._{prefix}")
        net: Net = module.load(task_kind, rest, params, weights)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in EXTRAS:
            raise
        raise MissingPackage(package, EXTRAS[package]) from error
    return net


@cache
def backends() -> tuple[str, ...]:
    """The prefixes known: the files ``tasks/_PREFIX.py`` with the load function. Imports none of them."""
    package = find_spec("icm_bench.tasks")
    folders = package.submodule_search_locations if package else None
    paths = (path for folder in folders or () for path in Path(folder).glob("_[!_]*.py"))
    return tuple(sorted(path.stem[1:] for path in paths if _is_backend(path)))


def _is_backend(path: Path) -> bool:
    return any(
        isinstance(node, ast.FunctionDef)
        and node.name == "load"
        and [argument.arg for argument in node.args.args] == _LOAD_ARGUMENTS
        for node in ast.parse(path.read_text(encoding="utf-8")).body
    )


def mini_names(kind: str) -> tuple[str, ...]:
    """The built-in networks of a kind, trained on the mini world."""
    from icm_bench.tasks._mini_nets import NAMES

    return tuple(NAMES[kind])


def _mini_net(kind: str, name: str, params: Mapping[str, Any], weights: str | None) -> Net:
    from icm_bench.tasks import _mini_nets

    if name not in mini_names(kind):
        wrong_kind(name, kind, {k: mini_names(k) for k in _mini_nets.NAMES})
        for prefix in backends():
            if name.lower().endswith(f".{prefix}"):
                raise UserError(f"unknown net {name!r}: did you mean '{prefix}:{name}'?")
        from icm_bench.tasks._torchvision import model_names

        if name in model_names(kind):
            raise UserError(f"unknown net {name!r}: did you mean 'torchvision:{name}'?")
        known = [*mini_names(kind), *(f"{prefix}:..." for prefix in backends())]
        raise UserError(f"unknown {kind} net {name!r}{suggest(name, known)}")
    check_params(name, params, ("weights",))
    net: Net = _mini_nets.load(name, weights or params.get("weights"))
    return net


def wrong_kind(name: str, kind: str, names: Mapping[str, Collection[str]]) -> None:
    """Raise UserError when the name belongs to another kind of net than the task takes."""
    for other, known in names.items():
        if other != kind and name in known:
            raise UserError(
                f"net {name!r} is a {other} net and the task takes {kind} nets{suggest(name, names[kind])}"
            )


def check_params(net: str, params: Mapping[str, Any], known: Collection[str]) -> None:
    """Raise UserError for a parameter that the net does not have."""
    for key in params:
        if key not in known:
            raise UserError(
                f"net {net} has no parameter {key!r}" + (suggest(key, known) if known else ": it has none")
            )


def positive(net: str, params: Mapping[str, Any], key: str, default: int | None) -> int | None:
    """A parameter that is a positive whole number or None. Raises UserError for anything else."""
    value = params.get(key, default)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        raise UserError(f"net {net}: {key}={value!r} is not a positive whole number or None")
    return value
