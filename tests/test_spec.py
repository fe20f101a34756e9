"""Spec strings survive a round trip and refuse what is not one."""

from keyword import iskeyword

import pytest
from hypothesis import given
from hypothesis import strategies as st

from icm_bench.errors import UserError
from icm_bench.spec import format_spec, parse_spec

floats = st.floats(allow_nan=False, allow_infinity=False)
literals = st.one_of(st.booleans(), st.integers(), floats, st.text(), st.none())
names = st.from_regex(r"[a-z][a-z0-9-]{0,9}", fullmatch=True)
keys = st.from_regex(r"[a-z][a-z0-9]{3,9}", fullmatch=True).filter(lambda key: not iskeyword(key))


@given(names, st.dictionaries(keys, literals, max_size=4))
def test_round_trip(name: str, params: dict[str, object]) -> None:
    assert parse_spec(format_spec(name, params)) == (name, params)


def test_names_may_be_paths_with_brackets() -> None:
    assert parse_spec('onnx:/a (b)/yolo.onnx(kind="yolox")') == ("onnx:/a (b)/yolo.onnx", {"kind": "yolox"})
    assert parse_spec("onnx:/models/net.onnx") == ("onnx:/models/net.onnx", {})


@pytest.mark.parametrize("text", ["", "jpeg(3)", "jpeg(a=b)", "(a=1)", "jpeg(**{})", "x(a=__import__('os'))"])
def test_refused(text: str) -> None:
    with pytest.raises(UserError):
        parse_spec(text)


def test_an_open_bracket_is_part_of_a_name_that_no_registry_knows() -> None:
    assert parse_spec("jpeg(a=1") == ("jpeg(a=1", {})


@pytest.mark.parametrize("value", ["it's \"both\"", "(", ")\"'", "a\\", "\\'\"(", "\\\\')"])
def test_quotes_and_brackets_in_a_value(value: str) -> None:
    assert parse_spec(format_spec("rdc", {"checkpoint": value, "z": 1})) == ("rdc", {"checkpoint": value, "z": 1})
