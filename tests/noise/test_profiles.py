"""Profiles against plain means of NumPy, and what must not sway them."""

import numpy as np
import pytest
from scipy import ndimage, special

from f2rcli.noise.measurement.profiles import (
    common,
    parted,
    precision,
    segments,
    smooth,
    standing_out,
)

RNG = np.random.default_rng(0)


def test_segments_are_weighted_means() -> None:
    values, weights = RNG.random((2, 5, 27)).astype(np.float32)
    means, total = segments(values, weights, 9)
    for piece in range(3):
        part = slice(9 * piece, 9 * piece + 9)
        expected = np.average(values[:, part], axis=1, weights=weights[:, part])
        np.testing.assert_allclose(means[:, piece], expected, rtol=1e-5)
        np.testing.assert_allclose(total[:, piece], weights[:, part].sum(1), rtol=1e-5)


def test_both_parts_of_a_profile_make_it_up() -> None:
    profile = RNG.normal(0, 1, 80).astype(np.float32)
    np.testing.assert_allclose(sum(parted(profile)), profile, atol=1e-6)


def test_what_segments_share_is_their_mean_and_its_variance_is_known() -> None:
    """The oracle: the mean of 40 segments of variance 4 has the variance 0.1."""
    noise = RNG.normal(0, 2, (400, 40)).astype(np.float32)
    mean, variance = common(noise, np.full_like(noise, 0.25))
    assert mean.std() == pytest.approx(0.1**0.5, rel=0.15)
    assert float(variance.mean()) == pytest.approx(0.1, rel=0.3)


def test_segments_that_do_not_belong_are_voted_down() -> None:
    values = RNG.normal(3, 0.1, (60, 20)).astype(np.float32)
    values[:, :5] += 40
    mean, _ = common(values, np.full_like(values, 100))
    assert np.abs(mean - 3).max() < 0.2


def test_a_row_stands_out_and_a_slope_does_not() -> None:
    picture = np.repeat(np.linspace(0, 1, 64, dtype=np.float32)[:, None], 12, 1)
    picture[30] += 0.2
    offset, _ = standing_out(picture, np.ones_like(picture))
    assert offset[30] == pytest.approx(0.2, rel=0.2)
    assert np.abs(np.delete(offset, range(25, 36))[5:-5]).max() < 0.01


def test_edges_are_believed_less() -> None:
    picture = np.zeros((16, 16), np.float32)
    picture[:, 8:] = 1
    weights = precision(picture, 0.02, 0.1)
    np.testing.assert_allclose(weights[:, :5], 1 / 0.02**2, rtol=1e-5)
    assert weights[:, 7:9].max() < 0.1 / 0.02**2


def believed(apart: np.ndarray) -> np.ndarray:
    """Less from two and a half robust deviations on, squared twice over (Geman and McClure)."""
    sigma = np.median(np.abs(apart)) / special.ndtri(0.75)
    return 1 / (1 + (apart / (2.5 * sigma)) ** 2) ** 2


def variance_of(apart: np.ndarray, weights: np.ndarray, before: np.ndarray) -> np.ndarray:
    """Of weighted means, mean over nine rows, or as their weights promised."""
    own = (weights * apart / weights.sum(1, keepdims=True)) ** 2
    around = ndimage.uniform_filter1d(own.sum(1), 9, mode="mirror")
    return np.asarray(np.maximum(around, 1 / before.sum(1)))


def drawn() -> tuple[np.ndarray, np.ndarray]:
    """Segments that share offsets, of which a fifth do not belong, and their precision."""
    rng = np.random.default_rng(5)
    weights = rng.uniform(20, 200, (60, 24))
    values = rng.normal(0, 0.3, (60, 1)) + rng.standard_normal(weights.shape) / np.sqrt(weights)
    values += 3 * (rng.random(values.shape) < 0.2)
    return values.astype(np.float32), weights.astype(np.float32)


def test_what_segments_share_is_the_robust_mean_of_eight_rounds() -> None:
    values, before = drawn()
    weights = before
    for _ in range(8):
        mean = (values * weights).sum(1, keepdims=True) / weights.sum(1, keepdims=True)
        weights = before * believed((values - mean) * np.sqrt(before))
    found, variance = common(values, before)
    np.testing.assert_allclose(found, mean[:, 0], atol=1e-4)
    np.testing.assert_allclose(variance, variance_of(values - mean, weights, before), rtol=1e-3)


def test_rows_stand_out_of_those_within_a_row_and_a_half() -> None:
    """Eight rounds; what is broader than five rows is never theirs."""
    values, before = drawn()
    offset = np.zeros((60, 1))
    for _ in range(8):
        level = values - offset
        apart = level - ndimage.gaussian_filter1d(level, 1.5, 0, mode="reflect", radius=4)
        weights = before * believed(apart * np.sqrt(before))
        offset = offset + (apart * weights).sum(1, keepdims=True) / weights.sum(1, keepdims=True)
        offset = offset - ndimage.gaussian_filter1d(offset, 5.0, 0, mode="reflect", radius=15)
    found, variance = standing_out(values, before)
    np.testing.assert_allclose(found, offset[:, 0], atol=2e-4)
    np.testing.assert_allclose(variance, variance_of(apart, weights, before), rtol=2e-3)


def test_rows_without_weight_share_nothing() -> None:
    values = RNG.random((9, 5)).astype(np.float32)
    mean, variance = common(values, np.zeros_like(values))
    assert not mean.any()
    assert (variance > 1e6).all()


@pytest.mark.parametrize("width", [0.6, 4.0])
def test_profiles_are_blurred_down_their_rows(width: float) -> None:
    values = RNG.random((40, 3))
    radius = round(3 * width)
    wanted = ndimage.gaussian_filter1d(values, width, 0, mode="reflect", radius=radius)
    np.testing.assert_allclose(smooth(values, width), wanted, atol=1e-5)
    single, broad = parted(values[:, 0])
    soft = ndimage.gaussian_filter1d(values[:, 0], 4.0, mode="reflect", radius=12)
    np.testing.assert_allclose(broad, soft, atol=1e-5)
    np.testing.assert_allclose(single, values[:, 0] - soft, atol=1e-5)


def test_precision_is_one_over_noise_and_a_share_of_the_slope_around() -> None:
    picture = RNG.random((20, 24)).astype(np.float32)
    slopes = [ndimage.sobel(picture.astype(float), axis, mode="mirror") / 8 for axis in (0, 1)]
    power = ndimage.uniform_filter(slopes[0] ** 2 + slopes[1] ** 2, 3, mode="mirror")
    wanted = 1 / (0.1**2 + 0.3 * power)
    np.testing.assert_allclose(precision(picture, 0.1, 0.3), wanted, rtol=1e-4)
    assert np.isfinite(precision(np.zeros_like(picture), 0.0, 0.3)).all()


def test_pictures_narrower_than_a_segment_are_one() -> None:
    values = RNG.random((4, 5)).astype(np.float32)
    means, total = segments(values, np.ones_like(values))
    np.testing.assert_allclose(means[:, 0], values.mean(1), rtol=1e-6)
    assert (total == 5).all()
    none, _ = segments(values, np.zeros_like(values))
    assert not none.any()
    eight, _ = segments(np.tile(values, (1, 4)), np.ones((4, 20), np.float32))
    assert eight.shape == (4, 2)
