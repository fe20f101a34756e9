"""Spec strings: ``jpeg``, ``vvc(preset="fast")``, ``onnx:/models/yolox.onnx(kind="yolox")``.

A spec is a name and keyword parameters with Python literal values. It is what a user types, what a row
stores and what a plug-in prints, so ``parse(format_spec(name, params)) == (name, params)``.
"""

import ast
from typing import Any

from icm_bench.errors import UserError


def parse_spec(text: str) -> tuple[str, dict[str, Any]]:
    """Split ``name(key=literal, ...)`` into the name and its parameters.

    Names may hold anything but parentheses (``onnx:FILE``). Raises UserError for anything that is not of this form.
    """
    text = text.strip()
    # The parameters are the last balanced bracket; a path in the name may hold brackets of its own.
    name, bracket, rest = text, "", ""
    if text.endswith(")"):
        start = _matching_bracket(text)
        name, bracket, rest = text[:start], "(", text[start + 1 : -1]
    name = name.strip()
    if not name:
        raise UserError(f"{text!r} is not a spec: expected name or name(key=value, ...)")
    if not bracket:
        return name, {}
    try:
        call = ast.parse(f"f({rest})", mode="eval").body
        assert isinstance(call, ast.Call)
        if call.args or any(keyword.arg is None for keyword in call.keywords):
            raise ValueError
        return name, {keyword.arg: _literal(keyword.value) for keyword in call.keywords if keyword.arg}
    except (SyntaxError, ValueError, AssertionError):
        raise UserError(
            f"{text!r} is not a spec: parameters are key=value with plain values, "
            f'such as vvc(preset="fast") or rdc(checkpoint="my.safetensors")'
        ) from None


def _literal(node: ast.expr) -> Any:
    """A Python literal; true and false may be written as in TOML."""
    if isinstance(node, ast.Name) and node.id in ("true", "false"):
        return node.id == "true"
    return ast.literal_eval(node)


def format_spec(name: str, params: dict[str, Any]) -> str:
    """The canonical text of a spec: parameters sorted by key, values as Python literals."""
    if not params:
        return name
    return f"{name}({', '.join(f'{key}={params[key]!r}' for key in sorted(params))})"


def _matching_bracket(text: str) -> int:
    depth = 0
    quoted = ""
    for index in range(len(text) - 1, -1, -1):
        char = text[index]
        if char in "\"'" and (index - len(text[:index].rstrip("\\"))) % 2:
            continue  # a quote behind an odd number of backslashes ends nothing
        if quoted:
            quoted = "" if char == quoted else quoted
        elif char in "\"'":
            quoted = char
        elif char == ")":
            depth += 1
        elif char == "(":
            depth -= 1
            if depth == 0:
                return index
    raise UserError(f"{text!r} is not a spec: its brackets do not match")
