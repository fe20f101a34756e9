"""Paired differences of codecs and of runs."""

import shutil

import pytest
from command import call

from icm_bench import compare, plan, rows, runner
from icm_bench.bootstrap import Plan
from icm_bench.errors import UserError
from icm_bench.request import Request
from icm_bench.resampling import Sampler
from icm_bench.store import Store


def measure(path, *methods, rates, limit=12):
    with Store(path) as store:
        request = Request(methods, ("imagenet",), ("mini-mobilenet",), rates=rates, limit=limit, data="mini")
        for _ in runner.run(plan.build(request, store), store):
            pass


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """JPEG and a learned codec on twelve pictures."""
    path = tmp_path_factory.mktemp("runs") / "first"
    measure(path / "store.sqlite", "jpeg", rates=(5, 10, 20, 40))
    measure(path / "store.sqlite", "hyperprior(variable=True)", rates=(0, 1.5, 3, 5))
    return path


def test_two_codecs_over_whole_curves(folder):
    held = rows.load(folder / "store.sqlite")
    with Store(folder / "store.sqlite") as store:
        found = list(compare.curves(held, Sampler(store, Plan(200)), ("jpeg", "hyperprior*")))
    psnr = next(one for one in found if one.column == "psnr_mean")
    assert psnr.rate.delta.value < 0 and psnr.rate.high < 0  # fewer bits at equal PSNR, told from zero
    assert psnr.rate.low <= psnr.rate.delta.value <= psnr.rate.high
    assert not any(isinstance(one, compare.PointDifference) for one in found)  # qualities are no gains


def test_a_run_against_itself_has_no_difference_and_no_width(folder, tmp_path, capsys):
    shutil.copytree(folder, tmp_path / "copy")
    status, out, _ = call(["compare", folder, tmp_path / "copy", "--resamples", 100], capsys)
    assert status == 0 and "+0.0 % [+0.0, +0.0]" in out and " *\n" not in out


def test_a_run_with_more_bits_is_told(folder, tmp_path, capsys):
    """The same codec at the same settings, but its streams are written two per cent longer."""
    shutil.copytree(folder, tmp_path / "longer")
    with Store(tmp_path / "longer" / "store.sqlite") as store:
        store.db.execute("UPDATE decodes SET n_bytes = n_bytes + max(1, n_bytes / 50)")
        store.db.execute("DELETE FROM draws")
    with Store(folder / "store.sqlite") as first, Store(tmp_path / "longer" / "store.sqlite") as second:
        held = tuple(rows.load(store.path) for store in (first, second))
        found = list(compare.runs(held, (Sampler(first, Plan(200)), Sampler(second, Plan(200)))))
    assert len(found) == 9
    for one in found:
        assert 1 < one.bits.value < 2.5 and one.bits.excludes_zero, one
        assert one.figures["top1"].value == 0 and not one.figures["top1"].excludes_zero


def test_other_pictures_are_refused(folder, tmp_path, capsys):
    measure(tmp_path / "few" / "store.sqlite", "jpeg", rates=(5, 10), limit=6)
    status, _, err = call(["compare", folder, tmp_path / "few", "--resamples", 100], capsys)
    assert status == 2 and ("share no point" in err or "different pictures" in err)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["jpeg", "bpg"], "no curve 'bpg' here"),
        (["jpeg", "hyperprior(variable=True)", "--resamples", 0], "a comparison is made of resamples"),
        (["jpeg", "hyperprior(variable=True)", "--format", "xml"], "unknown format 'xml'"),
    ],
)
def test_mistakes_are_one_line(folder, words, said, capsys):
    status, _, err = call(["compare", *words, "--out", folder], capsys)
    assert status == 2 and said in err and len(err.splitlines()) == 1


def test_a_run_and_a_method_do_not_compare(folder, capsys):
    assert "is a results folder and the other is none" in call(["compare", folder, "jpeg"], capsys)[2]


def test_nothing_in_common_is_an_error(folder):
    held = rows.load(folder / "store.sqlite")
    with Store(folder / "store.sqlite") as store:
        sampler = Sampler(store, Plan(100))
        with pytest.raises(UserError, match="share no point"):
            list(compare.runs((held, held.assign(net="another")), (sampler, sampler)))
