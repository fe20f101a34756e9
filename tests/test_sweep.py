"""Sweep files: what flags can say, files can; every mistake has its line; what is saved says the same again."""

import json
import tomllib
from collections import Counter
from pathlib import Path

import jsonschema
import pytest
from command import call
from hypothesis import given
from hypothesis import strategies as st
from plugin_world import lasting

from icm_bench import cli, registry, sweep, sweep_keys
from icm_bench.cli import _asked
from icm_bench.errors import UserError
from icm_bench.starting import starting_file

ROOT = Path(__file__).parents[1]
#: Options of ``icm-bench run`` that say nothing about what is measured.
ABOUT_THE_CALL = {"sweep", "save", "dry_run", "as_json", "help"}


@pytest.fixture
def folder(world, monkeypatch):
    monkeypatch.chdir(world.root)
    return world.root


def asked(*words: str) -> sweep.Sweep:
    """What a command line asks for."""
    command = cli.LazyGroup().get_command(None, "run")
    context = command.make_context("run", list(words))
    return _asked.sweep_of(context, context.params["sweep"])


def written(text: str, name: str = "s.toml") -> Path:
    path = Path(name)
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


def test_files_can_say_all_that_flags_can() -> None:
    options = {one.name for one in cli.LazyGroup().get_command(None, "run").params} - ABOUT_THE_CALL
    assert options == {key.option or key.name for key in sweep_keys.KEYS}


def test_the_published_schema_is_that_of_the_keys() -> None:
    path = ROOT / "icm_bench" / "sweep.schema.json"
    assert path.read_text(encoding="utf-8") == sweep_keys.schema_text(), "write sweep_keys.schema_text() into it"
    jsonschema.Draft7Validator.check_schema(sweep_keys.schema())


VALUES = ["jpeg", "", "0:5:1", "0:5", 0, -1, 0.5, True, [], ["jpeg"], [""], [1, 2.5], [True], ["a", 1], {}, None]


@pytest.mark.parametrize("name", [key.name for key in sweep_keys.KEYS])
def test_schema_and_reader_take_the_same(name: str) -> None:
    valid = jsonschema.Draft7Validator(sweep_keys.schema()).is_valid
    for value in VALUES:
        try:
            sweep_keys.BY_NAME[name].value(value)
        except UserError:
            assert not valid({name: value}), value
        else:
            assert valid({name: value}), value


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('methods = ["quant"]\nbeta = [1]', "s.toml:2: unknown key 'beta': did you mean 'betas'?"),
        ('method = ["quant"]', "s.toml:1: unknown key 'method': did you mean 'methods'?"),
        ("\n\nrates = [0,\n 'x']", 's.toml:3: rates is [0, "x"], expected numbers, such as [0, 1, 2] or "0:5:0.5"'),
        ("# why\nlimit = -1", "s.toml:2: limit is -1, expected a whole number from 0"),
        ("verify = 'yes'", 's.toml:1: verify is "yes", expected true or false'),
        ("rates = '0:5:-1'", "s.toml:1: rates '0:5:-1': expected numbers such as"),
        ('tasks = [\n  "bright",\n  "brihgt",\n]', "s.toml:3: unknown task 'brihgt': did you mean 'bright'?"),
        ('methods = ["quant(wrong=)"]', "s.toml:1: 'quant(wrong=)' is not a spec"),
        ("tasks = [\n'bright(date=1)']", "s.toml:2: task bright has no parameter 'date': did you mean 'data'?"),
        ('methods = ["./none.py"]', "s.toml:1: method './none.py': there is no such file"),
        ("[run]\nmethods = ['quant']", "s.toml:1: run is not a list of tables: begin each with [[run]]"),
        ("[[runs]]\nlimit = 1", "s.toml:1: unknown key 'runs': did you mean 'run'?"),
        ("[[run]]\nlimit = 1\n[[run]]\nlimt = 1", "s.toml:4: unknown key 'limt': did you mean 'limit'?"),
        ("[[run]]\nout = 'x'", "s.toml:2: out is said once for all runs: put it above the first [[run]]"),
        ("methods = ['quant']\ntasks = ['bright']\nshard = '3/2'", "s.toml:3: shard '3/2': expected I/N"),
        ("methods = ['quant']\ntasks = ['bright']\nengine = 'rai'", "s.toml:3: engine rai: unknown, there are local"),
        ("a = 1\nb = 2 3\n", "s.toml:2: not TOML: Expected newline or end of document after a statement (column 7)"),
        ('methods = ["a', "s.toml:1: not TOML: Unterminated string"),
        ("limit = 1\nlimit = 2\n", "s.toml:2: not TOML: Cannot overwrite a value"),
        ("tasks = ['bright']", "s.toml: methods is missing, there is nothing to run"),
        ("methods = ['quant']\ntasks = ['bright']\nrates = [9]", "s.toml:3: rates: quant: bits 9 is outside 1 .. 6"),
        (
            "methods = ['quant']\ntasks = ['bright']\n[[run]]\nnets = ['max']\n[[run]]\nnets = ['mean', 'none']",
            "s.toml:6: unknown net 'none'",
        ),
        (
            "methods = ['quant']\ntasks = ['bright']\nrates = [2]\n[[run]]\n[[run]]\nlimit = 1\nrates = [8]",
            "s.toml:7: rates: quant: bits 8 is outside 1 .. 6",
        ),
        (
            "methods = ['quant']\ntasks = ['bright']\nweights = ['w.pth']",
            "s.toml:3: weights: 1 given for 0 --net; give one for each",
        ),
    ],
)
def test_a_mistake_is_told_with_its_line(folder: Path, text: str, told: str, capsys) -> None:
    written(text)
    status, out, err = call(["run", "s.toml", "--data", "pictures"], capsys)
    assert (status, out, len(err.splitlines())) == (2, "", 1), err
    assert told in err


def test_a_mistake_in_a_flag_is_not_blamed_on_the_file(folder: Path, capsys) -> None:
    written("methods = ['quant']\ntasks = ['bright']\nrates = [2]\ndata = 'pictures'")
    status, _, err = call(["run", "s.toml", "--rates", "99"], capsys)
    assert (status, err) == (2, "icm-bench: --rates: quant: bits 99 is outside 1 .. 6\n")
    status, _, err = call(["run", "s.toml", "--net", "none"], capsys)
    assert (status, err) == (2, "icm-bench: unknown net 'none'\n")
    status, _, err = call(["run", "quant"], capsys)
    assert (status, "there is no such sweep file; a codec is given as --method" in err) == (2, True)


def test_two_runs_of_a_file_give_the_rows_of_two_calls(world, folder: Path, capsys) -> None:
    written(
        "methods = ['quant']\ntasks = ['bright']\ndata = '../pictures'\nout = 'kept'\nreference = false\n"
        "[[run]]\nrates = [2]\nbetas = [0, 1]\n[[run]]\nrates = [4]\nbetas = [1]\nnets = ['max']\n",
        "sub/s.toml",
    )
    status, out, err = call(["run", "sub/s.toml", "--json"], capsys)
    assert status == 0, err
    shared = ["run", "--method", "quant", "--task", "bright", "--data", "pictures", "--no-reference", "--json"]
    _, first, _ = call([*shared, "--rates", "2", "--betas", "0,1", "--out", "flags"], capsys)
    _, second, _ = call([*shared, "--rates", "4", "--betas", "1", "--net", "max", "--out", "flags"], capsys)
    assert lasting(json.loads(out)) == lasting(json.loads(first) + json.loads(second))
    assert (folder / "sub" / "kept" / "store.sqlite").is_file()
    n_coded = world.logged("encode")
    assert call(["run", "sub/s.toml", "--json"], capsys)[1] == out
    assert world.logged("encode") == n_coded


def test_flags_replace_the_keys_of_every_run(folder: Path) -> None:
    written("methods = ['quant']\ntasks = ['bright']\nlimit = 5\n[[run]]\nrates = [2]\n[[run]]\nrates = [4]\nlimit=6")
    made = asked("s.toml", "--limit", "1", "--workers", "2", "--out", "there")
    assert [(one.rates, one.limit) for one in made.requests] == [((2,), 1), ((4,), 1)]
    assert (made.workers, made.out) == (2, "there")
    made = asked("s.toml")
    assert [one.limit for one in made.requests] == [5, 6]


ALL_FLAGS = [
    "--method", "quant", "--method", "jpeg(subsampling='4:4:4')", "--method", "./mine.py", "--task", "bright",
    "--task", 'images(data="pictures/p.d")', "--net", "max", "--net", "onnx:./nets/y.onnx(kind='yolox')",
    "--weights", "w/a.pth", "--weights", "/abs/b.pth", "--rates", "0:1:0.25", "--betas", "0,1", "--aux-rates", "1,2",
    "--coded-scale", "100,50", "--data", "pictures", "--limit", "3", "--profile", "whole", "--no-reference",
    "--verify", "--device", "cuda", "--batch", "4", "--seed", "-7", "--out", "kept", "--engine", "ray",
    "--address", "h:1", "--workers", "2", "--shard", "2/3",
]  # fmt: skip


@pytest.mark.parametrize("place", ["s.toml", "sub/s.toml"])
@pytest.mark.parametrize(
    "flags",
    [
        ["--method", "quant", "--task", "bright"],
        ["--method", "quant", "--task", "bright", "--data", "mini", "--rates", "0.1,1e-7", "--out", "../far"],
        ALL_FLAGS,
    ],
    ids=["few", "some", "all"],
)
def test_what_is_saved_says_the_same_again(folder: Path, flags: list[str], place: str, capsys) -> None:
    written(starting_file("method", "mine"), "mine.py")
    written("", "nets/y.onnx")
    Path("sub").mkdir()
    status, out, err = call(["run", *flags, "--save", place], capsys)
    assert (status, out) == (0, f"{place}: written, nothing run; next: icm-bench run {place}\n"), err
    assert asked(place) == asked(*flags)
    jsonschema.validate(sweep.TomlFile.read(Path(place)).values, sweep_keys.schema())
    status, _, err = call(["run", *flags, "--save", place], capsys)
    assert (status, "is already there" in err) == (2, True)


def test_several_runs_are_saved_as_such(folder: Path, capsys) -> None:
    written("methods = ['quant']\ntasks = ['bright']\n[[run]]\nrates = [2]\n[[run]]\nlimit = 6\n[[run]]\nrates = [2]")
    assert call(["run", "s.toml", "--seed", "4", "--save", "t.toml"], capsys)[0] == 0
    assert asked("t.toml") == asked("s.toml", "--seed", "4")
    assert Path("t.toml").read_text().splitlines()[:3] == ['methods = ["quant"]', 'tasks = ["bright"]', "seed = 4"]


@given(st.text(), st.floats(allow_nan=False, allow_infinity=False))
def test_any_text_and_number_survives_a_file(text: str, number: float) -> None:
    assert tomllib.loads(f"a = {sweep._toml([text, number])}")["a"] == [text, number]


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--method", "quant"], "--save: there is nothing to save without --method and --task"),
        (["--method", "quantt", "--task", "bright"], "unknown method 'quantt': did you mean 'quant'?"),
    ],
)
def test_nothing_is_saved_that_could_not_run(folder: Path, flags: list[str], told: str, capsys) -> None:
    status, _, err = call(["run", *flags, "--save", "s.toml"], capsys)
    assert (status, err) == (2, f"icm-bench: {told}\n")
    assert not Path("s.toml").exists()


def test_the_example_runs(tmp_path: Path, capsys) -> None:
    path = ROOT / "examples" / "sweep.toml"
    words = ["run", path, "--limit", "1", "--out", tmp_path, "--workers", "1", "--json"]
    status, out, err = call(words, capsys)
    assert status == 0, err
    jsonschema.validate(sweep.TomlFile.read(path).values, sweep_keys.schema())
    counts = Counter(row["method"] for row in json.loads(out))
    own = {name: len(registry.method(name).rate.points) for name in ("hyperprior", "vvc(preset='fast')")}
    assert counts == {"identity": 1, "rdc": 30, "jpeg": 4} | own
