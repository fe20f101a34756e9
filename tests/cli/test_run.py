"""The command as a user gives it: tables, JSON, exit statuses, one-line errors."""

import json
import re
import signal
import subprocess
import sys

import pytest
from command import call
from plugin_world import lasting, until

from icm_bench import registry, rows


def test_a_run_shows_a_table_and_what_comes_next(world, capsys):
    status, out, err = call(world.arguments(), capsys)
    assert status == 0
    assert "bright, 6 pictures" in out
    assert "uncompressed" in out
    assert "bits 4" in out
    assert out.splitlines()[-1] == f"results: {world.out}/store.sqlite; next: icm-bench plot --out {world.out}"
    assert "units (pictures x rates x methods): 18; rows: 5" in err


def test_progress_tells_pace_time_left_and_cost(world, capsys):
    _, _, err = call(world.arguments("--workers", "1"), capsys)
    told = re.findall(r"^(\d+) of 18 units: [\d.]+ units/s, .+ left, ([\d.]+) core-hours so far$", err, re.M)
    assert [int(n) for n, _ in told] == [2, 4, 6, 8, 9, 11, 13, 15, 17, 18]
    spent = [float(hours) for _, hours in told]
    assert spent == sorted(spent)


def test_a_dry_run_foretells_the_cost_of_what_has_been_timed(world, capsys):
    call(world.arguments("--workers", "1", "--rates", "2"), capsys)
    _, out, _ = call(world.arguments("--workers", "1", "--dry-run"), capsys)
    assert re.search(r"^expected time: .+, [\d.]+ core-hours, from the seconds in the store$", out, re.M)


def test_json_rows_on_stdout_and_nothing_else(world, capsys):
    status, out, err = call(world.arguments("--json", "--rates", "2", "--betas", "0:1:0.5"), capsys)
    found = json.loads(out)
    assert status == 0
    assert [(row["method"], row["beta"]) for row in found] == [
        ("identity", None), ("quant", 0), ("quant", 0.5), ("quant", 1),
    ]  # fmt: skip
    assert len(rows.load(world.out / "store.sqlite")) == 4
    assert "units" in err


def test_failed_pictures_are_named_and_the_status_says_so(world, capsys):
    world.add_pictures(20)
    arguments = world.arguments("--no-reference", "--rates", "2", "--betas", "1")
    arguments[2] = "quant(fail_on=4)"
    status, out, err = call(arguments, capsys)
    assert status == 1
    assert "18 of 20" in out
    named = [line for line in err.splitlines() if line.startswith("error: ")]
    assert [line.partition("picture ")[2][:3] for line in named] == ["p04", "p14"]
    assert all("CodecError: the test codec cannot code this picture" in line for line in named)


def test_dry_run_counts_and_writes_nothing(world, capsys):
    status, out, _ = call(world.arguments("--dry-run", "--no-reference"), capsys)
    assert status == 0
    assert "to do: 12 encodes, 12 decodes, 24 predictions" in out
    assert "unknown, never timed here: quant, mean" in out
    assert not world.out.exists()
    assert world.logged("encode") == 0
    call(world.arguments("--no-reference"), capsys)
    status, out, _ = call(world.arguments("--dry-run", "--no-reference"), capsys)
    assert "rows: 4, of which 4 are in the store" in out
    assert "to do: 0 encodes, 0 decodes, 0 predictions" in out


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--rates", "99"], "quant: bits 99 is outside 1 .. 6"),
        (["--rates", "x"], "--rates 'x'"),
        (["--net", "none"], "unknown net 'none'"),
        (["--task", "nowhere"], "unknown task 'nowhere'"),
        (["--frobnicate"], "--frobnicate"),
        (["--workers", "-1"], "--workers"),
    ],
)
def test_a_wrong_call_is_one_line_and_status_two(world, capsys, more, words):
    status, out, err = call(world.arguments(*more), capsys)
    assert (status, out) == (2, "")
    assert words in err
    assert len(err.strip().splitlines()) == 1


def test_a_traceback_only_with_debug(world, capsys):
    _, _, err = call([*world.arguments("--rates", "99"), "--debug"], capsys)
    assert "Traceback" in err


def test_a_bug_is_one_line_too(world, capsys, monkeypatch):
    monkeypatch.setattr(registry, "method", lambda spec: 1 / 0)
    status, _, err = call(world.arguments(), capsys)
    assert status == 70
    assert err.strip() == (
        "icm-bench: internal error, ZeroDivisionError: division by zero (--debug shows the traceback)"
    )


def test_two_runs_at_once_on_one_store_both_finish(world):
    world.add_pictures(12)
    both = [world.command("--json", "--no-reference", QUANT_PAUSE="0.02") for _ in range(2)]
    told = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], told
    first, second = (json.loads(out) for out, _ in told)
    assert lasting(first) == lasting(second)
    assert len(first) == 4


def test_help_and_a_cached_run_import_no_torch(world):
    world.command("--json").communicate(timeout=120)
    for arguments in (["--help"], world.arguments("--json")):
        code = (
            "import sys\nfrom icm_bench.cli import main\ntry:\n    main(sys.argv[1:])\nfinally:\n"
            "    print([m for m in ('torch', 'pandas', 'matplotlib') if m in sys.modules], file=sys.stderr)"
        )
        done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
        assert done.stderr.splitlines()[-1] == "[]"


def test_help_lists_every_command(capsys):
    status, out, _ = call(["--help"], capsys)
    assert status == 0
    assert "run " in out
    assert "Run codecs on tasks" in out


def test_ctrl_c_keeps_what_is_finished_and_says_how_to_go_on(world):
    process = world.command("--no-reference", QUANT_PAUSE="0.1")
    until(lambda: world.logged("encode") >= 4, process)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "finished units are kept in" in err.splitlines()[-1]
    assert "the same command goes on from there" in err.splitlines()[-1]
    assert 0 < len(world.todo().units) < 12
