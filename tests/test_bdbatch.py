"""Many deltas at once are those of ``bdrate``, one by one."""

import numpy as np
import pytest

from icm_bench import bdrate
from icm_bench.bdbatch import bd_metrics, bd_rates

MANY = {"rate": (bd_rates, bdrate.bd_rate), "metric": (bd_metrics, bdrate.bd_metric)}


def curves(rng, n, points, noise):
    """Rates and values (n, points) that rise, but for the noise, in any order."""
    rates = np.cumsum(rng.uniform(0.02, 0.3, (n, points)), 1)
    values = 20 + np.cumsum(rng.normal(2, noise, (n, points)), 1)
    order = rng.permutation(points)
    return rates[:, order], values[:, order]


def one_by_one(delta, anchor, test):
    options = bdrate.Options(sensitivity=False)
    for (x1, y1), (x2, y2) in zip(zip(*anchor, strict=True), zip(*test, strict=True), strict=True):
        found = delta(bdrate.Curve(tuple(x1), tuple(y1)), bdrate.Curve(tuple(x2), tuple(y2)), options)
        yield np.nan if found.value is None else found.value


@pytest.mark.parametrize("kind", MANY)
@pytest.mark.parametrize(("n", "m", "noise"), [(6, 6, 0.2), (6, 6, 2.0), (4, 8, 1.5), (3, 5, 1.0)])
def test_equal_to_one_by_one(kind, n, m, noise):
    rng = np.random.default_rng(n * m)
    anchor, test = curves(rng, 200, n, noise), curves(rng, 200, m, noise)
    together, one = MANY[kind]
    expected = np.array(list(one_by_one(one, anchor, test)))
    np.testing.assert_allclose(together(anchor, test), expected, rtol=1e-9, atol=1e-9)  # NaN where it is NaN
    assert np.isfinite(expected).any()


def test_equal_rates_and_flat_stretches():
    rates = np.array([[0.1, 0.1, 0.2, 0.4, 0.8]])
    values = np.array([[20.0, 21.0, 21.0, 25.0, 26.0]])
    shifted = (rates * 0.5, values)
    for kind, (together, one) in MANY.items():
        expected = list(one_by_one(one, (rates, values), shifted))
        assert together((rates, values), shifted).tolist() == pytest.approx(expected), kind
