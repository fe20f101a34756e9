"""BD values against published curves, and the rules around them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from icm_bench.bdrate import Curve, Options, bd_metric, bd_rate, concave_fit, pareto_front
from icm_bench.errors import UserError


def curve(text):
    points = [point.split(":") for point in text.split()]
    return Curve(tuple(float(rate) for rate, _ in points), tuple(float(value) for _, value in points))


# OpenImages, Faster R-CNN X101-FPN, bpp:mAP, from the repository InterDigitalInc/CompressAI-Vision.
VTM = curve(".0378:.5755 .0783:.6840 .1546:.7425 .2893:.7661 .5118:.7798 .8601:.7867")
VISION = {
    "cheng2020": (".0851:.6952 .1213:.7287 .1777:.7497 .2756:.7632 .3799:.7799 .5214:.7881", -6.1),
    "mbt2018": (".0829:.6977 .1295:.7274 .1906:.7543 .2820:.7708 .4157:.7798 .5807:.7847", -4.8),
    "hyperprior": (
        ".1049:.6999 .1542:.7306 .2233:.7472 .3208:.7635 .4476:.7811 .6303:.7859 .8683:.7893",
        13.9,
    ),
    "factorized": (
        ".1115:.6850 .1626:.7221 .2364:.7508 .3444:.7671 .4935:.7783 .7170:.7858 1.0132:.7902",
        29.0,
    ),
}

# Kodak, bpp:PSNR, from the results published with CompressAI.
KODAK_VTM = curve(
    ".0482:26.14 .1125:28.49 .2458:31.20 .4905:34.26 .8748:37.42 1.4308:40.42 2.3246:43.51 3.6326:46.59"
)
KODAK = {
    "bmshj2018": (
        ".1313:27.58 .2089:29.20 .3199:30.97 .4784:32.84 .6687:34.53 .9388:36.74 1.2592:38.58 1.6602:40.56",
        30.5,
    ),
    "mbt2018-mean": (
        ".1239:27.70 .1980:29.36 .3072:31.13 .4606:32.95 .6617:34.97 .9144:36.91 1.2342:38.84 1.6191:40.63",
        21.3,
    ),
}


@pytest.mark.parametrize(("points", "percent"), VISION.values(), ids=VISION)
def test_task_curves(points, percent):
    delta = bd_rate(VTM, curve(points))
    assert delta.value == pytest.approx(percent, abs=0.15)
    assert delta.overlap > 0.9 and not delta.notes


@pytest.mark.parametrize(("points", "percent"), KODAK.values(), ids=KODAK)
def test_kodak_curves(points, percent):
    assert bd_rate(KODAK_VTM, curve(points)).value == pytest.approx(percent, abs=0.15)


@pytest.mark.parametrize("interpolation", ["pchip", "akima", "cubic"])
def test_scaled_rates_give_that_percentage(interpolation):
    """Equal curves but for a factor on the bits: the factor is the answer, and the metric's delta has its sign."""
    dearer = Curve(tuple(1.25 * rate for rate in KODAK_VTM.rates), KODAK_VTM.values)
    options = Options(interpolation)
    assert bd_rate(KODAK_VTM, dearer, options).value == pytest.approx(25.0, abs=1e-6)
    assert bd_rate(dearer, KODAK_VTM, options).value == pytest.approx(-20.0, abs=1e-6)
    assert bd_metric(KODAK_VTM, dearer, options).value < 0


@pytest.mark.parametrize("interpolation", ["pchip", "akima", "cubic"])
def test_shifted_metric_gives_that_shift(interpolation):
    better = Curve(KODAK_VTM.rates, tuple(value + 0.7 for value in KODAK_VTM.values))
    delta = bd_metric(KODAK_VTM, better, Options(interpolation))
    assert delta.value == pytest.approx(0.7, abs=1e-9)
    assert delta.interval == pytest.approx((0.0482, 3.6326))


def test_straight_lines_in_log_rate_by_hand():
    """Anchor 10^(q / 10), test 10^(q / 8): the mean log ratio over q in 10 .. 20 is 15 / 40."""
    anchor = Curve(tuple(10 ** (q / 10) for q in (0, 10, 20)), (0, 10, 20))
    test = Curve(tuple(10 ** (q / 8) for q in (10, 15, 30)), (10, 15, 30))
    delta = bd_rate(anchor, test)
    assert delta.interval == (10, 20)
    assert delta.overlap == pytest.approx(0.5)
    assert delta.value == pytest.approx(100 * (10 ** (15 / 40) - 1), abs=1e-9)


def test_small_overlap_is_a_reason_not_a_number():
    low = Curve((0.1, 0.2, 0.4), (20, 22, 24))
    high = Curve((0.5, 1.0, 2.0), (23.76, 25, 30))
    delta = bd_rate(low, high)
    assert delta.value is None and delta.sensitivity is None
    assert delta.text() == "undefined: overlap 6 %"
    assert bd_rate(low, high, Options(min_overlap=0.05)).value is not None


def test_no_overlap_and_too_few_points():
    low, high = Curve((0.1, 0.2, 0.4), (20, 22, 24)), Curve((0.5, 1.0, 2.0), (25, 28, 30))
    assert bd_rate(low, high).reason == "overlap 0 %"
    assert bd_rate(low, Curve((0.5,), (21,))).reason == "test has 1 point, pchip needs 3"
    assert bd_rate(low, high, Options("cubic")).reason == "anchor has 3 points, cubic needs 4"
    assert bd_rate(Curve((), ()), low).reason == "anchor has 0 points, pchip needs 3"


def test_a_curve_that_turns_back_is_reduced_and_flagged():
    turning = Curve((*KODAK_VTM.rates, 1.5), (*KODAK_VTM.values, 39.0))
    delta = bd_rate(KODAK_VTM, turning)
    assert delta.value == pytest.approx(0, abs=1e-9)
    assert delta.notes == ("test: not monotone, Pareto front of 8 of 9 points",)
    assert pareto_front(turning) == KODAK_VTM


def test_order_of_points_does_not_matter():
    points, _ = VISION["mbt2018"]
    straight = curve(points)
    shuffled = Curve(straight.rates[::-1], straight.values[::-1])
    assert bd_rate(VTM, shuffled).value == bd_rate(VTM, straight).value


def test_sensitivity_is_the_range_over_single_omissions():
    test = curve(VISION["hyperprior"][0])
    delta = bd_rate(VTM, test)
    plain = Options(sensitivity=False)
    values = [bd_rate(VTM.without(i), test, plain).value for i in range(len(VTM.rates))]
    values += [bd_rate(VTM, test.without(i), plain).value for i in range(len(test.rates))]
    assert delta.sensitivity == (min(values), max(values))
    assert delta.sensitivity[0] < delta.value < delta.sensitivity[1]
    assert delta.n_fragile == 0
    assert bd_rate(VTM, test, plain).sensitivity is None


def test_omissions_that_leave_nothing_are_counted():
    three = Curve((0.1, 0.3, 0.9), (26, 32, 37))
    delta = bd_rate(KODAK_VTM, three)
    assert delta.value is not None and delta.n_fragile == 3


def test_concave_fit_is_rising_concave_and_leaves_good_curves_alone():
    assert concave_fit(KODAK_VTM).values == pytest.approx(KODAK_VTM.values, abs=1e-6)
    bumpy = Curve((1, 2, 3, 4, 5), (10, 30, 25, 40, 39))
    fitted = concave_fit(bumpy)
    slopes = [b - a for a, b in zip(fitted.values, fitted.values[1:], strict=False)]
    assert all(slope >= -1e-9 for slope in slopes)
    assert all(b <= a + 1e-9 for a, b in zip(slopes, slopes[1:], strict=False))
    delta = bd_rate(bumpy, bumpy, Options(shape="concave"))
    assert delta.value == pytest.approx(0) and "monotone concave fit" in delta.notes[0]


def test_concave_fit_beats_small_changes():
    """No nearby rising concave curve is nearer to the points."""
    bumpy = Curve((0.1, 0.2, 0.4, 0.8), (10.0, 9.0, 14.0, 15.0))
    best = concave_fit(bumpy).values

    def loss(values):
        return sum((a - b) ** 2 for a, b in zip(values, bumpy.values, strict=True))

    def is_allowed(values):
        slopes = [
            (b - a) / (s - r) for a, b, r, s in zip(values, values[1:], bumpy.rates, bumpy.rates[1:], strict=False)
        ]
        return slopes[-1] >= 0 and all(b <= a for a, b in zip(slopes, slopes[1:], strict=False))

    steps = [(-0.05, 0, 0.05)] * 4
    tried = 0
    for change in [(a, b, c, d) for a in steps[0] for b in steps[1] for c in steps[2] for d in steps[3]]:
        values = [value + one for value, one in zip(best, change, strict=True)]
        if is_allowed(values):
            tried += 1
            assert loss(values) >= loss(best) - 1e-9
    assert tried > 3


@given(st.lists(st.tuples(st.floats(0.01, 10), st.floats(0, 100)), min_size=1, max_size=12))
def test_front_keeps_exactly_what_nothing_beats(points):
    front = pareto_front(Curve(tuple(r for r, _ in points), tuple(v for _, v in points)))
    kept = list(zip(front.rates, front.values, strict=True))
    assert kept == sorted(kept) and len({value for _, value in kept}) == len(kept)
    for rate, value in points:
        beaten = any(r <= rate and v >= value for r, v in kept)
        assert beaten
    assert all(point in points for point in kept)


@pytest.mark.parametrize("bad", [(0.0, 1.0), (-1.0, 1.0), (1.0, math.nan), (math.inf, 1.0)])
def test_points_that_are_no_numbers_are_refused(bad):
    with pytest.raises(UserError, match="rates are positive"):
        Curve((1.0, bad[0]), (1.0, bad[1]))


def test_unknown_options_are_named():
    with pytest.raises(UserError, match="pchip, akima, cubic"):
        Options("spline")
    with pytest.raises(UserError, match="pareto, concave"):
        Options(shape="hull")
    with pytest.raises(UserError, match="2 rates but 1 values"):
        Curve((1.0, 2.0), (1.0,))
