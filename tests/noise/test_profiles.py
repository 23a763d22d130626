"""Profiles against plain means of NumPy, and what must not sway them."""

import numpy as np
import pytest

from f2rcli.noise.measurement.profiles import common, parted, precision, segments, standing_out

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
