"""The page of claims: BD values on real rows, their intervals, and a spec that says nothing wrong silently."""

import numpy as np
import pytest
from command import call

from icm_bench import bdrate, resampling
from icm_bench.bdrate import Curve
from icm_bench.bootstrap import Plan
from icm_bench.claims import draw
from icm_bench.claims_sections import Section, seen, table
from icm_bench.errors import UserError
from icm_bench.resampling import Resampled

SPEC = """
title = "Claims"
text = "Opening."
resamples = 100
[stores]
here = "out"
[[section]]
title = "Bits"
kind = "bd"
stores = ["here"]
curves = ["quant@1"]
anchors = ["quant@0", "jpeg"]
metric = "psnr_mean"
aim = -10
[[section]]
title = "Matrix"
kind = "matrix"
stores = ["here"]
curves = ["quant@0", "jpeg"]
anchors = ["jpeg"]
metric = "psnr_mean"
[[section]]
title = "Beta"
kind = "beta"
stores = ["here"]
curves = ["quant"]
[[section]]
title = "Cost"
kind = "models"
tasks = ["a", "b", "c"]
curves = ["jpeg"]
[[section]]
title = "File"
kind = "csv"
file = "table.csv"
"""


@pytest.fixture
def page(world):
    world.run(methods=("quant",), rates=(2, 3, 4, 5))
    world.run(methods=("jpeg",), rates=(5, 20, 50, 80))
    (world.root / "table.csv").write_text("what,number\none,1.0\n")
    (world.root / "claims.toml").write_text(SPEC)
    return world.root / "claims.toml"


def test_a_page_holds_each_section_with_numbers(page, capsys):
    status, text, error = call(["claims", page], capsys)
    assert status == 0, error
    assert [line for line in text.splitlines() if line.startswith("#")] == [
        "# Claims", "## Bits", "## Matrix", "## Beta", "## Cost", "## File",
    ]  # fmt: skip
    assert "Opening." in text and "| one | 1.0 |" in text and "| jpeg | 6 | 3 | 1 | 0 | 0.0 |" in text
    bits = [line for line in text.splitlines() if "| quant@1 | quant@0 |" in line or "| quant@1 | jpeg |" in line]
    assert len(bits) == 2 and all("unseen" in line for line in bits)
    assert any("met (-10)" in line or "missed (-10)" in line for line in bits), bits
    assert [line for line in text.splitlines() if line.startswith("| bright, 6 pictures | mean | 3 |")]
    assert call(["claims", page], capsys)[1] == text, "the same store gives the same page"


def test_the_page_is_written_to_a_file(page, capsys):
    status, told, _ = call(["claims", page, "-o", page.with_suffix(".md")], capsys)
    assert status == 0 and told.strip() == str(page.with_suffix(".md"))
    assert page.with_suffix(".md").read_text() == draw(page)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('kind = "bd"', 'kind = "dd"', "known are bd, matrix"),
        ('stores = ["here"]', 'stores = ["her"]', "did you mean 'here'"),
        ('here = "out"', 'here = "nowhere"', "there are no results here"),
        ("resamples = 100", "resamples = 10", "at least 100"),
        ("title = ", "titel = ", "did you mean 'title'"),
        ('file = "table.csv"', 'file = "gone.csv"', "cannot be read as a table"),
    ],
)
def test_a_wrong_spec_is_one_line(page, old, new, words, capsys):
    page.write_text(SPEC.replace(old, new, 1))
    status, _, error = call(["claims", page], capsys)
    assert status == 2 and words in error and error.count("\n") == 1


def curve(n_resamples, shift, seed=0):
    """A curve of four points whose pictures differ; shift: factor on the bits."""
    rng = np.random.default_rng(seed)
    base = np.array([[0.1, 0.2, 0.4, 0.8]]) * shift
    noise = 1 + 0.02 * rng.normal(size=(n_resamples, 1))
    values = np.array([[20.0, 24.0, 27.0, 29.0]])
    moved = values + 0.3 * rng.normal(size=(n_resamples, 1))
    return Resampled(np.vstack([base, base * noise]), np.vstack([values, moved]))


def test_a_curve_against_itself_has_no_width():
    one = curve(100, 1.0)
    found = resampling.bd_rate(one, one, bdrate.Options())
    assert (found.delta.value, found.low, found.high) == pytest.approx((0, 0, 0), abs=1e-9)


def test_pairing_takes_out_what_both_share():
    anchor, paired = curve(100, 1.0), curve(100, 0.8)
    found = resampling.bd_rate(anchor, paired, bdrate.Options())
    assert found.delta.value == pytest.approx(-20)
    other = resampling.bd_rate(anchor, curve(100, 0.8, seed=1), bdrate.Options())
    assert found.high - found.low < 0.01 < other.high - other.low
    assert other.low < -20 < other.high


def test_an_interval_needs_defined_resamples():
    anchor, test = curve(100, 1.0), curve(100, 0.8)
    test.values[1:40] += 50  # nothing in common with the anchor any more
    found = resampling.bd_rate(anchor, test, bdrate.Options())
    assert found.delta.value is not None and found.low is None


def test_points_of_a_row_are_the_rows_own_numbers(world):
    from icm_bench import rows
    from icm_bench.curves import Series
    from icm_bench.store import Store

    world.run(rates=(2, 4))
    path = world.out / "store.sqlite"
    points = rows.load(path).query("beta == 0")
    one = Series("quant", "quant", 0.0, points)
    with Store(path) as store:
        sampler = resampling.Sampler(store, Plan(100))
        found = {name: sampler.curve(one, name) for name in ("psnr_mean", "hits", "distance")}
        with pytest.raises(UserError, match="no such figure"):
            sampler.curve(one, "miou")
        intervals = sampler.intervals(points.iloc[0])
    for name, curve_of in found.items():
        assert curve_of.bpp[0] == pytest.approx(points["bpp"].tolist())
        assert curve_of.values[0] == pytest.approx(points[name].tolist())
    assert found["psnr_mean"].bpp.shape == (101, 2) and np.ptp(found["psnr_mean"].values[1:], axis=0).max() > 0
    assert intervals["psnr_mean"].low < points["psnr_mean"].iloc[0] < intervals["psnr_mean"].high


@pytest.mark.parametrize("options", [{}, {"interpolation": "akima"}, {"shape": "concave"}, {"max_rate": 0.6}])
def test_intervals_of_every_way_to_interpolate(options):
    one, other = curve(100, 1.0), curve(100, 0.8)
    found = resampling.bd_rate(one, other, bdrate.Options(**options))
    assert found.low == pytest.approx(-20, abs=1) and found.high == pytest.approx(-20, abs=1)


def test_a_cut_curve_ends_at_the_rate_and_stays_on_the_curve():
    whole = Curve((0.1, 0.2, 0.4, 0.8), (20.0, 24.0, 27.0, 29.0))
    short = bdrate.cut(whole, 0.3, "pchip")
    assert short.rates == (0.1, 0.2, 0.3) and 24 < short.values[-1] < 27
    assert bdrate.cut(whole, 0.05, "pchip").rates == ()
    assert bdrate.cut(whole, 2.0, "pchip") == whole
    faster = Curve(tuple(rate * 0.7 for rate in whole.rates), whole.values)
    limited = bdrate.bd_rate(whole, faster, bdrate.Options(max_rate=0.3))
    assert limited.value == pytest.approx(-30, abs=0.5) and limited.interval[1] < 27


def test_nets_that_a_codec_saw_are_known_by_name():
    import pandas as pd

    from icm_bench.curves import Group, Series

    def saw(net, names):
        told = pd.DataFrame([{"method_provenance": {"nets_seen": names}}])
        return seen(Series("m", "m", None, told), Group("t", net, "d", told, "t"))

    assert saw("torchvision:squeezenet1_1", {"squeezenet1_1": "ab"})
    assert saw("mini-fcos", {"mini-fcos (coco)": ""})
    assert not saw("mini-ssdlite", {"mini-fcos (coco)": ""})
    assert not saw(None, {"mini-fcos (coco)": ""})


def test_an_empty_table_says_so():
    assert table(["a"], [], 1) == "_Nothing measured yet._"
    with pytest.raises(ValueError, match="value = 'x'"):
        Section("t", "bd", value="x")
