"""Full and read-only disks, damaged and newer stores, Ctrl-C, two runs at once: one line, and nothing is lost."""

import os
import shlex
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from command import call
from plugin_world import lasting, until

from icm_bench import rows


@pytest.fixture
def mounted(world):
    """Runs a shell script in which ``$OUT`` is a tmpfs of so many KiB; its copy is kept. Gives stdout, stderr."""
    world.out.mkdir()
    root = [shutil.which("unshare") or "", "--mount"]
    ways = [[*root, "--user", "--map-root-user", "sh", "-c"], [*root, "sh", "-c"]]
    mount = 'mount -t tmpfs -o size="$SIZE"k tmpfs "$OUT"'
    told = os.environ | {"OUT": str(world.out), "SIZE": "64", "TOOL": f"{shlex.quote(sys.executable)} -m icm_bench"}
    way = next((way for way in ways if way[0] and not subprocess.run([*way, mount], env=told).returncode), None)
    if way is None:
        pytest.skip("nobody may mount a tmpfs here")

    def run(size: int, script: str) -> tuple[str, str]:
        environment = told | {"SIZE": str(size), "RUN": shlex.join(world.arguments("--no-reference"))}
        words = [*way, f"{mount} && {script}"]
        done = subprocess.run(words, env=environment, capture_output=True, text=True)
        assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
        return done.stdout, done.stderr

    return run


def errors(err: str) -> list[str]:
    return [line for line in err.splitlines() if line.startswith("icm-bench: ")]


def content(folder: Path) -> list[str]:
    """All that a store holds, as SQL."""
    with closing(sqlite3.connect(folder / "store.sqlite")) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return list(db.iterdump())


@pytest.mark.parametrize("workers", [1, 2])
def test_a_disk_that_fills_up_in_a_run(world, mounted, workers):
    world.add_pictures(20)
    out, err = mounted(
        300,
        f'$TOOL $RUN --workers {workers}; echo "status $?"; cp -r "$OUT" "$OUT/../half";'
        'mount -o remount,size=30000k "$OUT"; $TOOL $RUN 2>&1; echo "status $?"; cp -r "$OUT" "$OUT/../whole"',
    )
    assert out.count("status 2") == 1 and out.endswith("status 0\n")
    (line,) = errors(err)
    assert "the disk is full; free some space and give the same command again: what is finished is kept" in line
    half, whole = content(world.root / "half"), content(world.root / "whole")
    kept = [line for line in half if line.startswith('INSERT INTO "streams"')]
    assert 0 < len(kept) < 40 and set(kept) <= set(whole)
    assert f"40, {len(kept)} of them in the store" in out
    unbroken, _ = world.run(store=world.root / "unbroken.sqlite")
    found = rows.load(world.root / "whole" / "store.sqlite").to_dict("records")
    assert len(found) == len(unbroken) == 4
    with closing(sqlite3.connect(world.root / "whole" / "store.sqlite")) as db:
        assert db.execute("SELECT count(*) FROM streams").fetchone() == (40,)


def test_a_full_disk_still_shows_the_earlier_results(world, mounted):
    out, err = mounted(
        2000,
        '$TOOL $RUN --rates 2 2>/dev/null >&2; cp -r "$OUT" "$OUT/../before"; head -c 9000000 /dev/zero >"$OUT/x";'
        'df "$OUT" >&2; $TOOL $RUN; echo "status $?"; cp -r "$OUT" "$OUT/../after"; $TOOL table --out "$OUT"',
    )
    assert "100%" in err
    assert "the disk is full" in errors(err)[-1] and len(errors(err)) == 1
    assert "status 2" in out and "bits 2" in out
    assert content(world.root / "after") == content(world.root / "before")


def test_a_read_only_folder(world, mounted):
    out, err = mounted(
        9000,
        '$TOOL $RUN --rates 2 2>/dev/null >&2; cp -r "$OUT" "$OUT/../before"; mount -o remount,ro "$OUT";'
        '$TOOL $RUN; echo "status $?"; $TOOL $RUN --out "$OUT/new"; echo "status $?"; $TOOL table --out "$OUT";'
        'cp -r "$OUT" "$OUT/../after"',
    )
    assert out.count("status 2") == 2 and "bits 2" in out
    there, new = errors(err)
    assert f"{world.out}/store.sqlite: cannot be opened or written here; check the folder's permissions" in there
    assert f"{world.out}/new/store.sqlite: cannot be written (read-only); make the folder writable" in new
    assert content(world.root / "after") == content(world.root / "before")


def _newer(path):
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version=99")
    return "made by a newer icm-bench (store version 99"


def _half(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return "the store is damaged or cut short; put back a copy of it or choose another --out"


@pytest.mark.parametrize("harm", [_newer, _half])
@pytest.mark.parametrize("command", ["run", "table"])
def test_a_store_that_cannot_be_used_is_one_line_and_left_as_it_is(world, capsys, harm, command):
    call(world.arguments("--no-reference"), capsys)
    store = world.out / "store.sqlite"
    words = harm(store)
    before = store.read_bytes()
    running = world.arguments("--no-reference", "--rates", "3")
    arguments = running if command == "run" else ["table", "--out", world.out]
    status, out, err = call(arguments, capsys)
    assert (status, out, len(err.splitlines())) == (2, "", 1)
    assert err.startswith(f"icm-bench: {store}: ") and words in err
    assert store.read_bytes() == before
    assert not [path.name for path in world.out.iterdir() if path != store]


def test_two_runs_with_common_units_both_finish_and_make_nothing_twice(world, kills):
    world.add_pictures(12)
    ways = (["--rates", "2,4", "--betas", "0,1"], ["--rates", "4,6", "--betas", "0.5,1", "--net", "max"])
    for store in ("together", "apart"):
        both = []
        for way in ways:
            more = ("--no-reference", "--workers", "2", "--out", str(world.root / store))
            both.append(world.command(*way, *more, QUANT_PAUSE="0.02"))
            if store == "apart":
                both[-1].wait(timeout=120)
        told = [process.communicate(timeout=120) for process in both]
        assert [process.returncode for process in both] == [0, 0], told
    together, apart = (kills.lasting(world.root / store / "store.sqlite") for store in ("together", "apart"))
    assert together == apart
    assert len(together["streams"]) == 3 * 12 and len(together["cells"]) == 2 * 4
    assert together["errors"] == []


def test_three_pictures_of_a_hundred_that_fail(world, capsys):
    world.add_pictures(100)
    arguments = world.arguments("--no-reference", "--rates", "2", "--betas", "1")
    arguments[2] = "quant(fail_on=30, fail_mod=37)"
    status, out, err = call(arguments, capsys)
    assert status == 1
    assert "97 of 100" in out
    named = [line for line in err.splitlines() if line.startswith("error: ")]
    assert [line.partition("picture ")[2][:3] for line in named] == ["p04", "p41", "p78"]
    assert "1 of 1 rows have errors" in err
    (row,) = rows.load(world.out / "store.sqlite").to_dict("records")
    assert (row["n_pictures"], row["n_failed"], row["n_expected"]) == (97, 3, 100)
    assert [name[:3] for name in row["errors"]] == ["p04", "p41", "p78"]
    assert row["hits"] > 0 and row["bpp"] > 0
    status, out, _ = call(["table", "--out", world.out, "--format", "markdown"], capsys)
    assert status == 0 and "97 of 100" in out


def test_a_unit_that_kills_every_worker_is_an_error_and_the_others_are_made(world, capsys):
    process = world.command(
        "--no-reference", "--rates", "2", "--betas", "1", "--workers", "2", QUANT_DEADLY="102"
    )
    out, err = process.communicate(timeout=120)
    assert process.returncode == 1 and "Traceback" not in err
    assert "5 of 6" in out
    (line,) = [line for line in err.splitlines() if line.startswith("error: ")]
    assert "picture p02_" in line and "2 times with this unit (killed, perhaps for its memory" in line
    status, out, _ = call(world.arguments("--no-reference", "--rates", "2", "--betas", "1"), capsys)
    assert status == 0 and " 6 │" in out
    with closing(sqlite3.connect(world.out / "store.sqlite")) as db:
        assert db.execute("SELECT count(*) FROM errors").fetchone() == (0,)


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("whom", ["group", "main process"])
def test_ctrl_c(world, capsys, workers, whom):
    process = world.command("--no-reference", "--workers", workers, QUANT_PAUSE="0.1")
    until(lambda: world.logged("encode") >= 4, process)
    (os.killpg if whom == "group" else os.kill)(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130 and "Traceback" not in err
    until_gone(process.pid)
    with closing(sqlite3.connect(world.out / "store.sqlite")) as db:
        (kept,) = db.execute("SELECT count(*) FROM streams").fetchone()
    assert 0 < kept < 12
    line, _, command = err.splitlines()[-1].partition(" and the same command goes on from there: ")
    assert line == f"icm-bench: stopped; {kept} finished units are kept in {world.out}/store.sqlite,"
    tool, *arguments = shlex.split(command)
    assert tool == "icm-bench"
    status, _, err = call(arguments, capsys)
    assert status == 0 and f"12, {kept} of them in the store" in err
    unbroken, _ = world.run(store=world.root / "unbroken.sqlite")
    found, _ = world.run()
    assert lasting(found) == lasting(unbroken)


def test_ctrl_c_while_workers_still_load(world, kills):
    process = world.command("--no-reference", "--workers", "2", QUANT_PAUSE="0.1")
    until(lambda: kills.children(process.pid), process)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert len(errors(err)) == 1 and "Traceback" not in err
    until_gone(process.pid)


def until_gone(session: int) -> None:
    """Wait until no process of a session is left."""
    for _ in range(200):
        left = []
        for place in Path("/proc").glob("[0-9]*"):
            try:
                state, _, _, its = (place / "stat").read_text().rpartition(")")[2].split()[:4]
            except OSError:
                continue
            left += [place.name] if int(its) == session and state != "Z" else []
        if not left:
            return
        time.sleep(0.05)
    raise AssertionError(f"still there: {left}")
