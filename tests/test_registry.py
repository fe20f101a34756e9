"""Names without imports, plug-ins on demand, and messages that help."""

import subprocess
import sys

import pytest

from icm_bench import registry
from icm_bench.bitstream import method_id
from icm_bench.errors import UserError


def test_listing_imports_no_plugin_and_no_torch() -> None:
    code = (
        "import sys; from icm_bench import registry; names = registry.names('method') + registry.names('task');"
        "[registry.plugin('method', n).summary for n in registry.names('method')];"
        "assert 'rdc' in names and 'coco' in names, names;"
        "bad = [m for m in sys.modules if m == 'torch' or m.startswith('icm_bench.methods.')]; assert not bad, bad"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", registry.names("method"))
def test_every_method_loads_and_its_spec_comes_back(name: str) -> None:
    made = registry.method(name)
    assert made.name == name
    assert registry.method(made.spec) == made
    assert registry.plugin("method", name).summary


@pytest.mark.parametrize("name", registry.names("task"))
def test_every_task_loads(name: str) -> None:
    assert registry.load("task", name).name == name  # type: ignore[attr-defined]


def test_method_ids_differ() -> None:
    ids = [method_id(name) for name in registry.names("method")]
    assert len(set(ids)) == len(ids)


def test_unknown_names_and_parameters_get_a_suggestion(tmp_path, monkeypatch) -> None:
    with pytest.raises(UserError, match="did you mean 'jpeg'"):
        registry.method("jpge")
    (tmp_path / "my_codec.py").touch()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"unknown method 'my-codec': did you mean the file \./my_codec\.py\?"):
        registry.method("my-codec")
    with pytest.raises(UserError, match="did you mean 'checkpoint'"):
        registry.method('rdc(chekpoint="x")')
