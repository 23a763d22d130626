"""From products to a law, each step against its definition: bins, rails undone, lines, curves."""

import math
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from f2rcli.noise.measurement import fitting
from f2rcli.noise.measurement.fitting import (
    CLIPPED,
    Bins,
    Levels,
    Line,
    _agrees,
    bins_of,
    curve_of,
    fit_line,
    fit_model,
    is_curved,
    ramp,
    trimmed_mean,
    undo_clipping,
)
from f2rcli.noise.model import KNOTS

Floats = NDArray[np.float64]
GAIN, READ = 0.004, 0.03


def railed(signal: float, sigma: float) -> tuple[float, float]:
    """Mean and variance of Gaussian noise cut off at black and white, by summing over it."""
    z = np.linspace(-8, 8, 40_001)
    weight = np.exp(-(z**2) / 2)
    weight /= weight.sum()
    values = np.clip(signal + sigma * z, 0, 1)
    mean = float(weight @ values)
    return mean, float(weight @ (values - mean) ** 2)


def evidence(
    signal: NDArray[np.float64],
    sigma: NDArray[np.float64] | float,
    *,
    clipped: bool = False,
    seed: int = 0,
) -> Levels:
    """What two perfect anchors see of noise on these signals: their level is that of the mean
    picture, which is as bright as the noise left it."""
    rng = np.random.default_rng(seed)
    noise = sigma * rng.standard_normal(signal.shape)
    level = signal
    if clipped:
        spread = np.broadcast_to(sigma, signal.shape)
        table = [railed(s, t)[0] for s, t in zip(signal[::2000], spread[::2000], strict=True)]
        level = np.interp(signal, signal[::2000], table)
        noise = np.clip(signal + noise, 0, 1) - level
    product = (noise**2).astype(np.float32)
    rank = rng.random(signal.shape).astype(np.float32) * 0.01 + 0.1
    low = level.astype(np.float32)
    return Levels(low, product, product, rank, low)


def bins(variance: Floats, level: Floats | None = None, error: float = 1e-6) -> Bins:
    level = np.linspace(0.05, 0.95, len(variance)) if level is None else level
    return Bins(level, variance, np.full(len(variance), error))


@pytest.mark.parametrize("sigma", [0.03, 0.1, 0.2])
@pytest.mark.parametrize("signal", [0.0, 0.02, 0.1, 0.5, 0.9, 0.98, 1.0])
def test_variance_that_black_or_white_cut_off_is_undone(signal: float, sigma: float) -> None:
    mean, held = railed(signal, sigma)
    (found,) = undo_clipping(np.array([mean]), np.array([held]))
    assert held <= sigma**2 * 1.0001
    if min(mean, 1 - mean) >= CLIPPED * sigma:  # nearer to a rail the bin is not used
        assert math.sqrt(found) == pytest.approx(sigma, rel=0.03)
    assert found >= held


def test_what_is_cut_off_is_at_most_five_times_what_is_left() -> None:
    found = undo_clipping(np.array([0.0, 0.5, 1.0]), np.array([1e-4, 0.0, 1e-4]))
    assert found == pytest.approx([5e-4, 0, 5e-4])


def test_a_mean_of_none_is_nothing_and_of_one_that() -> None:
    assert trimmed_mean(np.zeros(0, np.float32)) == 0
    assert trimmed_mean(np.array([0.5], np.float32)) == pytest.approx(0.5 * fitting.TRIMMING)


def test_a_ramp_rises_from_its_low_to_its_high_end() -> None:
    assert [ramp(value, 2, 6) for value in (1, 2, 3, 5, 6, 7)] == [0, 0, 0.25, 0.75, 1, 1]


def test_a_railed_picture_has_the_noise_it_had_before_it_was_cut_off() -> None:
    """A ramp from black to white under noise of 0.1: a tenth of all samples lies on a rail."""
    signal = np.linspace(0, 1, 60_000)
    seen = evidence(signal, 0.1, clipped=True)
    found = fit_model([seen], clipped=True)
    assert found.sigma[0] == pytest.approx(0.1, rel=0.02)
    without = fit_model([seen], clipped=False)
    assert without.sigma[0] < 0.095
    kept, held = bins_of(seen, clipped=True), bins_of(seen, clipped=False)
    np.testing.assert_allclose(np.sqrt(kept.variance), 0.1, rtol=0.1)
    assert float(np.sqrt(held.variance).min()) < 0.08


def test_a_dark_railed_picture_loses_neither_noise_nor_slope() -> None:
    signal = np.linspace(0, 0.5, 80_000)
    sigma = np.sqrt(0.01 * signal + 0.02**2)
    found = fit_model([evidence(signal, sigma, clipped=True)])
    assert found.gain[0] == pytest.approx(0.01, rel=0.1)
    assert found.read[0] == pytest.approx(0.02, rel=0.25)


def test_bins_are_equally_filled_and_ordered_by_brightness() -> None:
    signal = np.random.default_rng(1).random(48_000) ** 2
    seen = evidence(signal, 0.01)
    found = bins_of(seen, clipped=False)
    edges = np.quantile(signal, np.linspace(0, 1, 25))
    inside = [float(signal[(signal >= a) & (signal <= b)].mean()) for a, b in pairwise(edges)]
    for level, variance in zip(found.level, found.variance, strict=True):
        assert min(abs(level - wanted) for wanted in inside) < 0.01
        assert variance == pytest.approx(1e-4, rel=0.15)
    assert 18 <= len(found.level) <= 24
    assert (np.diff(found.level) > 0).all()


@pytest.mark.parametrize(("count", "most"), [(300, 1), (799, 1), (800, 2), (4000, 10)])
def test_few_samples_make_few_bins(count: int, most: int) -> None:
    found = bins_of(evidence(np.linspace(0.2, 0.8, count), 0.01), clipped=False)
    assert len(found.level) == most


def test_bins_near_a_rail_are_left_out() -> None:
    found = bins_of(evidence(np.linspace(0, 1, 48_000), 0.1), clipped=False)
    assert float(found.level.min()) > CLIPPED * 0.1 - 0.02
    assert float(found.level.max()) < 1 - CLIPPED * 0.1 + 0.02
    quiet = bins_of(evidence(np.linspace(0, 1, 48_000), 0.001), clipped=False)
    assert float(quiet.level.min()) > 0.03
    assert float(quiet.level.max()) < 0.97


def test_a_picture_on_a_rail_is_measured_where_it_is_farthest_from_it() -> None:
    found = bins_of(evidence(np.linspace(0, 0.02, 24_000), 0.001), clipped=False)
    assert float(found.level.min()) >= 0.0095
    assert len(found.level) == 12


def test_bins_of_texture_are_left_out() -> None:
    """Rough places of one brightness have five times the variance: errors of the anchors."""
    signal = np.linspace(0.1, 0.9, 48_000)
    seen = evidence(signal, 0.02)
    rough = np.linspace(0, 1, 2000).repeat(24).reshape(2000, 24).T.ravel().astype(np.float32)
    textured = (signal > 0.5) & (signal < 0.6)
    product = np.where(textured, seen.product * (1 + 8 * rough), seen.product)
    found = bins_of(
        seen._replace(product=product.astype(np.float32), roughness=rough), clipped=False
    )
    assert len(found.level) > 10
    np.testing.assert_allclose(found.variance, 4e-4, rtol=0.35)


@pytest.mark.parametrize(("times", "used"), [(1.28, 24), (1.32, 23)])
def test_bins_without_flat_places_are_left_out(times: float, used: int) -> None:
    """From 1.3 times the roughness on that the flattest places elsewhere have."""
    signal = np.linspace(0.1, 0.9, 48_000)
    seen, rng = evidence(signal, 0.02), np.random.default_rng(7)
    rough = (
        0.1 * (1 + 0.001 * rng.random(48_000)) * np.where(np.arange(48_000) // 2000 == 9, times, 1)
    )
    found = bins_of(seen._replace(roughness=rough.astype(np.float32)), clipped=False)
    assert len(found.level) == used


def test_the_lower_of_two_bandwidths_counts() -> None:
    seen = evidence(np.linspace(0.1, 0.9, 48_000), 0.02)
    lower = bins_of(seen._replace(wide=seen.product * 0.5), clipped=False)
    np.testing.assert_allclose(lower.variance, 2e-4, rtol=0.15)
    same = bins_of(seen._replace(wide=seen.product * 0.95), clipped=False)
    np.testing.assert_allclose(same.variance, 4e-4, rtol=0.15)
    higher = bins_of(seen._replace(wide=seen.product * 2), clipped=False)
    np.testing.assert_allclose(higher.variance, 4e-4, rtol=0.15)


def test_errors_are_those_of_a_mean_of_so_many_products() -> None:
    found = bins_of(evidence(np.linspace(0.1, 0.9, 48_000), 0.02), clipped=False)
    # 24 bins of 2000, of which the flattest 20000 of 48000 are used; products of a Gaussian
    # scatter by sqrt(2) times their mean.
    wanted = math.sqrt(2) * 4e-4 / math.sqrt(2000 * 20 / 48)
    np.testing.assert_allclose(found.error, wanted, rtol=0.25)


def test_a_line_is_fitted_exactly() -> None:
    level = np.linspace(0.05, 0.95, 12)
    line = fit_line(bins(GAIN * level + READ**2, level))
    assert line.gain == pytest.approx(GAIN, rel=1e-6)
    assert line.read2 == pytest.approx(READ**2, rel=1e-6)
    assert line.dark == 0


def test_a_line_needs_four_brightnesses() -> None:
    for count, told in ((3, False), (4, True)):
        level = np.linspace(0.1, 0.9, count)
        line = fit_line(bins(GAIN * level + READ**2, level))
        assert line.gain == pytest.approx(GAIN if told else 0, rel=1e-6)


@pytest.mark.parametrize(("doubt", "told"), [(3, True), (10, False)])
def test_a_line_explains_half_of_what_differs_by_how_sure_it_is(doubt: float, told: bool) -> None:
    """Six brightnesses that scatter, between six of less certainty on a slope."""
    level, between = np.linspace(0.1, 0.9, 12), np.arange(12) // 3 % 3 > 0
    between[9:] = False
    variance = 1e-3 * np.where(between, 1 + 0.1 * (-1.0) ** np.arange(12), 2 * level)
    line = fit_line(Bins(level, variance, np.where(between, 1e-5, doubt * 1e-5)))
    assert (line.gain > 0) == told


def reference_line(found: Bins) -> tuple[float, float]:
    """Least squares, weighted three times by the error and 2 % of the line before."""
    sigma = found.error
    for _ in range(3):
        weight = 1 / sigma**2
        mean = np.average(found.level, weights=weight)
        apart = found.level - mean
        gain = np.sum(weight * apart * found.variance) / np.sum(weight * apart**2)
        read2 = np.average(found.variance, weights=weight) - gain * mean
        sigma = found.error + 0.02 * (gain * found.level + read2)
    return gain, read2


@pytest.mark.parametrize(("flat", "used"), [(3, 12), (4, 4)])
def test_four_flat_bins_are_enough(flat: int, used: int) -> None:
    """All that are far enough from black and white are used where fewer hold no texture."""
    signal = np.linspace(0.1, 0.9, 4800)
    seen = evidence(signal, 0.02)
    rough = np.linspace(0, 1, 400).repeat(12).reshape(400, 12).T.ravel().astype(np.float32)
    textured = np.arange(4800) >= 400 * flat
    product = np.where(textured, seen.product * (1 + 8 * rough), seen.product)
    found = bins_of(
        seen._replace(product=product.astype(np.float32), roughness=rough), clipped=False
    )
    assert len(found.level) == used


def test_bins_that_scatter_are_weighed_by_their_error_and_their_size() -> None:
    rng = np.random.default_rng(4)
    level = np.linspace(0.05, 0.95, 14)
    for _ in range(5):
        variance = (0.02 * level + 0.004) * (1 + 0.1 * rng.standard_normal(14))
        found = Bins(level, variance, 1e-5 * (1 + 20 * rng.random(14)))
        line = fit_line(found)
        assert (line.gain, line.read2) == pytest.approx(reference_line(found), rel=1e-6)


def test_no_variance_is_below_zero() -> None:
    """Of errors that two anchors share with opposite signs."""
    seen = evidence(np.linspace(0.1, 0.9, 48_000), 0.02)
    found = bins_of(seen._replace(product=-np.abs(seen.product)), clipped=False)
    assert (found.variance > 0).all()


@pytest.mark.parametrize(("times", "used"), [(4.6, True), (5.4, False)])
def test_bins_that_scatter_five_times_as_much_as_others_are_left_out(
    times: float, used: bool
) -> None:
    """Cuts and dust: the mean of their products is right, and worth nothing."""
    signal = np.linspace(0.1, 0.9, 48_000)
    seen = evidence(signal, 0.02)
    bin_13 = (signal > 0.5) & (signal < 0.5 + 0.8 / 24)
    wild = np.random.default_rng(5).choice([-1, 1], 48_000) * (times**2 - 1) ** 0.5 * 2**0.5 * 4e-4
    found = bins_of(seen._replace(product=np.float32(seen.product + wild * bin_13)), clipped=False)
    assert ((found.level > 0.505) & (found.level < 0.525)).any() == used
    np.testing.assert_allclose(found.variance, 4e-4, rtol=0.3 if used else 0.2)


def test_bins_count_by_their_error() -> None:
    level = np.linspace(0.05, 0.95, 12)
    variance = GAIN * level + READ**2
    variance[3] *= 3
    error = np.full(12, 1e-6)
    error[3] = 1
    line = fit_line(Bins(level, variance, error))
    assert line.gain == pytest.approx(GAIN, rel=0.01)
    assert line.read2 == pytest.approx(READ**2, rel=0.01)


@pytest.mark.parametrize("dark", [True, False])
def test_a_line_that_would_be_negative_at_zero_goes_through_it_or_begins_later(dark: bool) -> None:
    level = np.linspace(0.3, 0.9, 10)
    line = fit_line(bins(0.01 * (level - 0.2), level), dark=dark)
    assert line.read2 == 0
    if dark:
        assert (line.gain, line.dark) == (pytest.approx(0.01), pytest.approx(0.2))
        assert line.at(np.array([0.1, 0.2, 0.7])) == pytest.approx([0, 0, 0.005])
    else:
        assert line.dark == 0
        assert 0.005 < line.gain < 0.008


@pytest.mark.parametrize("dark", [True, False])
def test_such_lines_are_weighed_by_their_error_and_their_size_too(dark: bool) -> None:
    rng = np.random.default_rng(5)
    level = np.linspace(0.05, 0.95, 14)
    for _ in range(5):
        variance = 0.02 * np.maximum(level - 0.2, 1e-3) * (1 + 0.1 * rng.standard_normal(14))
        found = Bins(level, variance, 1e-5 * (1 + 20 * rng.random(14)))
        sigma = found.error
        for _ in range(3):
            pull = 1 / sigma**2
            mean = np.average(level, weights=pull) * dark
            start = np.average(variance, weights=pull) * dark
            gain = (pull * (level - mean) * (variance - start)).sum() / (
                pull * (level - mean) ** 2
            ).sum()
            sigma = found.error + 0.02 * np.maximum(start + gain * (level - mean), 1e-9)
        line = fit_line(found, dark=dark)
        assert line.gain == pytest.approx(gain, rel=1e-6)
        assert line.dark == pytest.approx(mean - start / gain)


@pytest.mark.parametrize(
    ("level", "variance"),
    [(np.linspace(0.1, 0.9, 3), np.array([1e-3, 2e-3, 3e-3])),  # too few
     (np.linspace(0.5, 0.54, 8), 0.01 * np.linspace(0.5, 0.54, 8)),  # too narrow
     (np.linspace(0.1, 0.9, 8), np.linspace(3e-3, 1e-3, 8)),  # falls
     (np.linspace(0.1, 0.9, 8), np.linspace(1.5e-3, 3e-3, 8) + 1e-3 * np.tile([1, -1], 4)),
     (np.linspace(0.1, 0.9, 8), 2e-3 + 1e-3 * np.tile([1, -1], 4))],  # scatters
)  # fmt: skip
def test_a_slope_that_is_not_clear_is_not_believed(level: Floats, variance: Floats) -> None:
    line = fit_line(bins(variance, level))
    assert (line.gain, line.dark) == (0, 0)
    assert line.read2 == pytest.approx(float(variance.mean()), rel=0.35)


def test_the_mean_without_a_slope_is_the_weighted_one() -> None:
    line = fit_line(Bins(np.array([0.2, 0.8]), np.array([1.0, 4.0]), np.array([1.0, 2.0])))
    assert line.read2 == pytest.approx((1 * 1 + 4 * 0.25) / 1.25)


def test_a_line_is_flat_below_where_light_begins() -> None:
    line = Line(0.02, 0.001, 0.25)
    assert line.at(np.array([0.0, 0.25, 0.75])) == pytest.approx([0.001, 0.001, 0.011])


def test_a_curve_is_seen_where_the_line_misses_by_more_than_the_scatter() -> None:
    level = np.linspace(0.05, 0.95, 16)
    straight, bent = GAIN * level + READ**2, READ**2 * (1 + 2 * np.sin(np.pi * level))
    line = Line(GAIN, READ**2)
    assert not is_curved(bins(straight, level), line, 0.0)
    assert is_curved(bins(bent, level), line, 0.0)
    assert not is_curved(bins(bent, level), line, 1.0)  # errors of the anchors may be that large
    assert not is_curved(bins(bent, level, error=1.0), line, 0.0)
    assert not is_curved(bins(bent[:5], level[:5]), Line(0, 1e-9), 0.0)  # too few
    assert is_curved(bins(bent[:6], level[:6]), Line(0, 1e-9), 0.0)
    assert not is_curved(bins(straight * 1.1, level, error=1e-9), line, 0.0)  # 5 % of sigma


@pytest.mark.parametrize(("times", "bent"), [(1.45, False), (1.55, True)])
def test_a_curve_misses_the_line_by_one_and_a_half_errors(times: float, bent: bool) -> None:
    """That of a bin, 2 % of its variance, and what anchors add: here 10 and 6 %."""
    variance = 1e-4 * (1 + times * 0.18)
    found = bins(np.full(8, variance), error=1e-5)
    assert is_curved(found, Line(0, 1e-4), 6e-6) == bent


@pytest.mark.parametrize(("apart", "bent"), [(0.055, False), (0.065, True)])
def test_a_curve_differs_from_the_line_by_six_percent_of_sigma(apart: float, bent: bool) -> None:
    for sign in (-1, 1):
        found = bins(np.full(8, 1e-4 * (1 + sign * apart) ** 2), error=1e-9)
        assert is_curved(found, Line(0, 1e-4), 0.0) == bent


def test_whatever_differs_from_a_line_without_noise_is_curved() -> None:
    assert is_curved(bins(np.full(8, 1e-3)), Line(0, 0), 0.0)


def test_anchors_err_by_a_code_and_a_half_as_products_are_scaled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = []
    monkeypatch.setattr(fitting, "is_curved", lambda *given: bool(told.append(given[2])))
    fit_model([evidence(np.linspace(0.1, 0.9, 4000), 0.02)], 3.0)
    assert told == pytest.approx([3 * (1.5 / 255) ** 2])


@pytest.mark.parametrize(("apart", "agrees"), [(0.09, True), (0.11, False)])
def test_a_line_agrees_with_bins_that_are_within_a_tenth_of_it(apart: float, agrees: bool) -> None:
    level = np.linspace(0.4, 0.5, 8)
    line = Line(0.02, 0.001)
    assert _agrees(bins(line.at(level) * (1 + apart), level), line) == agrees
    assert _agrees(bins(line.at(level) * (1 - apart), level), line) == agrees


def test_a_curve_is_smoothed_over_three_bins_and_held_beyond_the_last() -> None:
    level = np.array([0.25, 0.375, 0.5, 0.625])
    curve = curve_of(bins(np.array([1.0, 4.0, 1.0, 4.0]), level))
    assert len(curve) == KNOTS
    smooth = np.sqrt([2.0, 2.0, 3.0, 3.0])
    wanted = np.interp(np.linspace(0, 1, KNOTS), level, smooth)
    assert curve == pytest.approx(tuple(wanted))
    assert curve[0] == curve[4] == pytest.approx(math.sqrt(2))
    assert curve[-1] == pytest.approx(math.sqrt(3))


def test_products_are_averaged_without_their_ends_and_without_bias() -> None:
    rng = np.random.default_rng(0)
    product = (rng.standard_normal(200_000) ** 2).astype(np.float32)
    assert trimmed_mean(product) == pytest.approx(1, rel=0.01)
    product[:200] = 1e6  # a thousandth: a cut, or dust
    assert trimmed_mean(product) == pytest.approx(1, rel=0.015)
    product[:200] = -1e6
    assert trimmed_mean(product) == pytest.approx(1, rel=0.015)
    assert trimmed_mean(np.zeros(0, np.float32)) == 0
    assert trimmed_mean(np.full(9, np.nan, np.float32)) == 0
    assert trimmed_mean(np.arange(1000, dtype=np.float32)) == pytest.approx(1.008 * 499.5, rel=1e-4)


def test_a_law_of_several_channels_is_each_channels_own() -> None:
    signal = np.linspace(0.05, 0.95, 60_000)
    seen = [
        evidence(signal, np.sqrt(gain * signal + READ**2), seed=seed)
        for seed, gain in enumerate((0.002, 0.006, 0.012))
    ]
    found = fit_model(seen, clipped=False)
    assert found.gain == pytest.approx((0.002, 0.006, 0.012), rel=0.12)
    assert found.read == pytest.approx((READ,) * 3, rel=0.1)
    assert found.curve is None
    assert found.samples == 60_000
    for sigma, gain in zip(found.sigma, (0.002, 0.006, 0.012), strict=True):
        assert sigma == pytest.approx(math.sqrt(gain * 0.5 + READ**2), rel=0.03)


def test_a_channel_too_narrow_for_a_slope_takes_that_of_all_if_it_agrees() -> None:
    wide = np.linspace(0.05, 0.95, 60_000)
    narrow = np.linspace(0.48, 0.52, 60_000)
    line = lambda s, k=1.0: k * np.sqrt(0.006 * s + READ**2)  # noqa: E731
    agreed = fit_model([evidence(wide, line(wide)), evidence(narrow, line(narrow))], clipped=False)
    assert agreed.gain[1] == pytest.approx(0.006, rel=0.15)
    louder = fit_model(
        [evidence(wide, line(wide)), evidence(narrow, line(narrow, 1.5))], clipped=False
    )
    assert louder.gain[1] == 0


def test_channels_of_which_none_has_a_slope_keep_their_own_strength() -> None:
    signal = np.linspace(0.1, 0.9, 60_000)
    seen = [evidence(signal, READ * louder, seed=7) for louder in (0.99, 1.0, 1.01)]
    found = fit_model(seen, clipped=False)
    assert found.gain == (0, 0, 0)
    assert found.read[1] == pytest.approx(READ, rel=0.02)
    assert np.divide(found.read, found.read[1]) == pytest.approx([0.99, 1.0, 1.01], rel=1e-3)


def test_what_no_line_fits_becomes_a_curve() -> None:
    signal = np.linspace(0.05, 0.95, 120_000)
    sigma = 0.03 * (1 + np.sin(np.pi * signal))
    found = fit_model([evidence(signal, sigma)], clipped=False)
    assert found.curve is not None
    middle = found.curve[0][KNOTS // 2]
    assert middle == pytest.approx(0.06, rel=0.06)
    assert found.sigma[0] == pytest.approx(float(np.sqrt(np.mean(sigma**2))), rel=0.03)
    # The same bend is nothing beside errors of the anchors that were made so much larger.
    assert fit_model([evidence(signal, sigma)], scale=1e4, clipped=False).curve is None


def test_where_light_begins_is_found_where_it_is_looked_for() -> None:
    signal = np.linspace(0.05, 0.95, 120_000)
    sigma = np.sqrt(0.01 * np.maximum(signal - 0.04, 0) + 1e-9)
    found = fit_model([evidence(signal, sigma)], clipped=False, dark=True)
    assert found.dark[0] == pytest.approx(0.04, abs=0.02)
    assert fit_model([evidence(signal, sigma)], clipped=False).dark == ()


def test_sigma_is_that_of_the_whole_picture_as_bright_as_a_file_can_be() -> None:
    signal = np.linspace(0.05, 0.95, 60_000)
    seen = evidence(signal, np.sqrt(0.01 * signal + READ**2))
    picture = np.array([-0.5, 0.25, 1.5, 3.0], np.float32)
    found = fit_model([seen._replace(picture=picture)], clipped=False)
    light = found.gain[0] * np.array([0, 0.25, 1, 1]) + found.read[0] ** 2
    assert found.sigma[0] ** 2 == pytest.approx(light.mean())


def reference_bins(seen: Levels, *, clipped: bool, counted: bool) -> list[Floats]:
    """Bins by the definition: level, variance and error of those that are used."""

    def mean(product: Floats) -> float:
        low, high = np.quantile(product, (0.002, 0.998))
        return 1.008 * float(product[(product >= low) & (product <= high)].mean())

    def smoothed(values: Floats) -> Floats:
        wide = np.concatenate([values[:1], values, values[-1:]])
        return np.array([wide[i : i + 3].mean() for i in range(len(values))])

    count = len(seen.level)
    smooth = np.quantile(seen.roughness, min(max(0.35, 20_000 / count), 1))
    rows = []
    for part in np.array_split(
        np.argsort(seen.level, kind="stable"), min(24, max(count // 400, 1))
    ):
        limit = max(smooth, np.sort(seen.roughness[part])[min(400, len(part)) - 1])
        flat = part[seen.roughness[part] <= limit]
        rough, product = seen.roughness[flat], seen.product[flat].astype(np.float64)
        halves = [
            mean(product[some]) for some in (rough <= np.median(rough), rough > np.median(rough))
        ]
        error, held = product.std() / len(flat) ** 0.5, mean(product)
        texture = max(halves[1] / halves[0] - 3 * error / held, limit / smooth - 0.05)
        rows.append((seen.level[flat].mean(), held, mean(seen.wide[flat]), error, texture))
    level, held, wide, error, texture = np.array(rows, np.float64).T
    held = np.where(smoothed(wide) < 0.9 * smoothed(held), wide, held)
    variance = undo_clipping(level, held) if clipped else held
    room = 1 - level if counted else np.minimum(level, 1 - level)
    inside = room > np.maximum(0.8 * variance**0.5, 0.03)
    used = inside & (texture < 1.25) & (error < 5 * np.median(error))
    if used.sum() < min(4, len(used)):
        used = inside
    if not used.any():
        used = room >= np.median(room)
    return [level[used], variance[used], np.median(error / held) * smoothed(variance[used])]


@pytest.mark.parametrize(("clipped", "counted"), [(False, False), (True, False), (False, True)])
@pytest.mark.parametrize(
    ("count", "low", "high", "textured"),
    [(64_000, 0.0, 1.0, 0.3), (12_000, 0.02, 0.6, 0.5), (6_000, 0.4, 0.99, 1.0), (900, 0.1, 0.5, 0),
     (30_000, 0.0, 0.02, 0.2)],
)  # fmt: skip
def test_bins_are_the_definitions(
    count: int, low: float, high: float, textured: float, clipped: bool, counted: bool
) -> None:
    """Rough places have more at some brightnesses; full bandwidth has less at others."""
    rng = np.random.default_rng(count)
    signal = low + (high - low) * rng.random(count)
    wave = np.sin(np.arange(count) % 24 + 40 * (signal - low) / (high - low))
    rough = rng.random(count) * (1 + (wave > 0.5))
    grows = 1 + 6 * textured * rough * (np.cos(9 * signal) > 0.3)
    product = (0.01 * signal + 0.0004) * rng.standard_normal(count) ** 2 * grows
    wide = product * np.where(np.sin(7 * signal) > 0, 0.8, 1.1)
    parts = (signal, product, wide, rough, signal)
    seen = Levels(*(part.astype(np.float32) for part in parts))
    found = bins_of(seen, clipped=clipped, counted=counted)
    for one, wanted in zip(
        found, reference_bins(seen, clipped=clipped, counted=counted), strict=True
    ):
        np.testing.assert_allclose(one, wanted, rtol=1e-3)
