"""Results that name files of code: they run where the user has called them, and nowhere else."""

import sys
from pathlib import Path

import pytest
from command import call

from icm_bench import own_files
from icm_bench.errors import UserError
from icm_bench.starting import starting_file


@pytest.fixture
def results(tmp_path, monkeypatch, capsys):
    """A folder with the results of a codec and a task that are files; each leaves a mark when it is imported."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ICM_BENCH_CONFIG", "mine")
    for kind, name in (("method", "coder"), ("task", "seen")):
        mark = f"Path({str(tmp_path / f'ran-{name}')!r}).mkdir()"
        Path(f"{name}.py").write_text(f"{starting_file(kind, name)}\n\nfrom pathlib import Path\n\n{mark}\n")
    words = ["run", "--method", "./coder.py", "--task", "./seen.py", "--limit", "2", "--rates", "2,4", "--out", "out"]
    assert call(words, capsys)[0] == 0
    assert marks() == {"ran-coder", "ran-seen"}
    return tmp_path / "out"


def marks() -> set[str]:
    """The marks that are there; they are taken away, and the files forgotten by this process."""
    found = set(Path().glob("ran-*"))
    for path in found:
        path.rmdir()
    for name in [name for name in sys.modules if name.startswith("icm_bench_file_")]:
        del sys.modules[name]
    return {path.name for path in found}


def test_ones_own_files_are_used_for_tables_reports_and_merges(results: Path, capsys) -> None:
    status, out, err = call(["table", "--out", results], capsys)
    assert (status, "agreement" in out) == (0, True), err
    assert call(["report", "--out", results, "--pictures", "1"], capsys)[0] == 0
    assert marks() == {"ran-coder", "ran-seen"}
    status, out, _ = call(["merge", results, "--out", "both"], capsys)
    assert (status, ": 3 rows" in out) == (0, True)


def test_results_of_others_run_no_file(results: Path, monkeypatch, capsys) -> None:
    monkeypatch.setenv("ICM_BENCH_CONFIG", "somebody-else")
    for command in (["table"], ["plot"], ["report", "--pictures", "1"], ["compare", "coder", "coder"]):
        status, _, err = call([*command, "--out", results], capsys)
        assert status == 2
        assert "results name this file, and they may not run it; where it is your own, icm-bench test" in err
    for command in (["table"], ["plot", "--kind", "rate-metric"], ["report", "--pictures", "0"]):
        assert call([*command, "--out", results, "--resamples", "0"], capsys)[0] == 0
    status, _, err = call(["merge", results, "--out", "both"], capsys)
    assert (status, "no rows made here" in err) == (0, True)
    assert marks() == set()


def test_a_file_becomes_ones_own_by_calling_it(results: Path, monkeypatch, capsys) -> None:
    monkeypatch.setenv("ICM_BENCH_CONFIG", "somebody-else")
    path = str(results.parent / "seen.py")
    with pytest.raises(UserError, match="may not run it"):
        own_files.check(path)
    assert call(["test", "./seen.py"], capsys)[0] == 0
    own_files.check(path)
    own_files.check("./seen.py")
    own_files.check("jpeg")
