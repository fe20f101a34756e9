"""Picture metrics against independent implementations."""

import math

import numpy as np
import pytest

from icm_bench import metrics
from icm_bench.msssim import ms_ssim
from icm_bench.testing import textured_picture


def _noisy(picture: np.ndarray, spread: float) -> np.ndarray:
    noise = np.random.default_rng(3).normal(0, spread, picture.shape)
    return np.clip(np.rint(picture + noise), 0, 255).astype(np.uint8)


def _ssim_scales(a: np.ndarray, b: np.ndarray) -> list[tuple[float, float]]:
    """(luminance x contrast-structure, contrast-structure) of one channel at five scales, written from the paper."""
    from scipy.ndimage import correlate1d

    offsets = np.arange(-5, 6)
    window = np.exp(-(offsets**2) / (2 * 1.5**2))
    window /= window.sum()

    def blur(x: np.ndarray) -> np.ndarray:
        return correlate1d(correlate1d(x, window, axis=0), window, axis=1)[5:-5, 5:-5]

    out = []
    for scale in range(5):
        if scale:
            a, b = (x.reshape(x.shape[0] // 2, 2, x.shape[1] // 2, 2).mean(axis=(1, 3)) for x in (a, b))
        mean_a, mean_b = blur(a), blur(b)
        var_a, var_b = blur(a * a) - mean_a**2, blur(b * b) - mean_b**2
        cov = blur(a * b) - mean_a * mean_b
        c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
        structure = (2 * cov + c2) / (var_a + var_b + c2)
        luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
        out.append((float((luminance * structure).mean()), float(structure.mean())))
    return out


def _ms_ssim(a: np.ndarray, b: np.ndarray) -> float:
    weights = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
    values = []
    for channel in range(3):
        scales = _ssim_scales(a[:, :, channel].astype(float), b[:, :, channel].astype(float))
        parts = [structure for _, structure in scales[:4]] + [scales[4][0]]
        values.append(math.prod(part**weight for part, weight in zip(parts, weights, strict=True)))
    return sum(values) / 3


def test_squared_error_is_exact() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 256, (2, 1100, 37, 3), dtype=np.uint8)
    pairs = zip(a.ravel().tolist(), b.ravel().tolist(), strict=True)
    assert metrics.squared_error(a, b) == sum((x - y) ** 2 for x, y in pairs)
    assert metrics.squared_error(np.zeros_like(a), np.full_like(a, 255)) == 255**2 * a.size


def test_psnr_against_the_root_mean_square() -> None:
    a = textured_picture(70, 50)
    b = _noisy(a, 7)
    expected = 20 * np.log10(255 / np.sqrt(np.mean(np.square(a.astype(np.float64) - b))))
    assert metrics.psnr(metrics.squared_error(a, b), a.size) == pytest.approx(expected, rel=1e-12)
    assert metrics.psnr(255**2 * 12, 12) == 0


def test_identical_pictures_have_no_psnr_and_take_no_part_in_a_mean() -> None:
    picture = textured_picture(8, 8)
    assert metrics.psnr(metrics.squared_error(picture, picture), picture.size) is None
    assert metrics.mean([30.0, None, 40.0]) == 35
    assert metrics.mean([None]) is None
    assert metrics.mean([]) is None


@pytest.mark.parametrize("spread", [2, 12, 60])
@pytest.mark.parametrize("size", [(176, 192), (256, 320)])
def test_ms_ssim_against_the_paper(size: tuple[int, int], spread: float) -> None:
    a = textured_picture(*size)
    b = _noisy(a, spread)
    assert ms_ssim(a, b) == pytest.approx(_ms_ssim(a, b), abs=2e-4)


def test_ms_ssim_of_identical_and_of_small_pictures() -> None:
    picture = textured_picture(161, 170)
    assert ms_ssim(picture, picture) == pytest.approx(1, abs=1e-6)
    small = textured_picture(160, 400)
    assert ms_ssim(small, small) is None


def test_ms_ssim_of_opposite_pictures_is_a_number() -> None:
    picture = textured_picture(200, 200)
    value = ms_ssim(picture, 255 - picture)
    assert value is not None
    assert 0 <= value < 0.5


def test_bpp_of_totals_differs_from_the_mean_of_ratios() -> None:
    sizes, pixels = [100, 100], [100, 400]
    assert metrics.bpp(sum(sizes), sum(pixels)) == 3.2
    assert metrics.bpp_mean(sizes, pixels) == (8 + 2) / 2
    assert metrics.bpp_mean([], []) is None


@pytest.mark.parametrize("wrong", [np.zeros((4, 5, 3), np.uint8), np.zeros((4, 4, 3), np.float32), np.zeros((4, 4))])
def test_pictures_that_do_not_fit_are_refused(wrong: np.ndarray) -> None:
    with pytest.raises(ValueError, match="two"):
        metrics.squared_error(np.zeros((4, 4, 3), np.uint8), wrong)
    with pytest.raises(ValueError, match="at least one"):
        metrics.bpp(1, 0)
    with pytest.raises(ValueError, match="at least one"):
        metrics.psnr(1, 0)


def test_a_pixel_digest_is_of_shape_and_values_alone():
    picture = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    digest = metrics.pixel_digest(picture)
    assert digest == metrics.pixel_digest(np.asfortranarray(picture))
    assert digest == metrics.pixel_digest(picture[:, ::-1][:, ::-1])
    assert digest != metrics.pixel_digest(picture.reshape(6, 4, 3))
    changed = picture.copy()
    changed[3, 5, 2] += 1
    assert digest != metrics.pixel_digest(changed)
