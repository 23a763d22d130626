"""The contract by its definition, in float64: bands, Wiener shares, limits, clipped moments."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import ndimage

from f2rcli.engine.contract.limits import (
    CLIPPED_TOLERANCES,
    changing,
    held,
    power_around,
    unchanged,
)
from f2rcli.noise.bands import bands, white_shares
from f2rcli.noise.clipping import clipped_moments
from tests.noise.test_fitting import railed

Array = NDArray[np.float64]
LIKELY = 0.6
SIDES = (3, 7, 15, 31, 63)
WINDOWS = (15, 15, 25, 31, 41, 41)
HALF_SIDES, QUARTER_SIDES = (7, 15), (15,)
COARSER = (7, 7, 13, 15, 11, 11)  # windows, in samples of the grid that a band is judged on
CUT_OFF = (1.4, 1.7, 2.2, 3.0, 3.8, 3.8)  # tolerances where black or white cut noise off
Windows = tuple[int, ...]


def mean(plane: Array, side: int, mode: str = "symmetric") -> Array:
    """Mean over side x side pixels, beyond the border mirrored."""
    rows = np.pad(plane, ((side // 2,) * 2, (0, 0)), mode=mode)
    rows = np.lib.stride_tricks.sliding_window_view(rows, side, axis=0).mean(-1)
    both = np.pad(rows, ((0, 0), (side // 2,) * 2), mode=mode)
    return np.lib.stride_tricks.sliding_window_view(both, side, axis=1).mean(-1)


def parted(plane: Array) -> list[Array]:
    parts = []
    for side in SIDES:
        below = mean(plane, side, "reflect")
        parts.append(plane - below)
        plane = below
    return [*parts, plane]


def reference(removed: Array, variance: Array, shares: tuple[float, ...], lasting: bool) -> Array:
    """In every band min(1, T v / P) stays; of small places 4 v; of a sample 4 deviations.

    Of a mean over time T (v / P)^2, less where all windows of 31 pixels around hold more than v."""
    kept = np.zeros_like(removed)
    shortest = min(removed.shape)
    for band, share, window in zip(parted(removed), shares, WINDOWS, strict=True):
        side = min(window, (shortest - 1) // 2 * 2 + 1)
        ratio = mean(variance, side) * share / np.maximum(mean(band**2, side), 1e-14)
        if lasting:
            far = mean(band**2, 31) / (mean(variance, 31) * share)
            quiet = ndimage.minimum_filter(far, 31, mode="nearest")
            quiet /= max(np.quantile(quiet[::4, ::4], 0.1) / 0.95, 1)  # the law may say too little
            ratio = np.minimum(1.2 * ratio**2, 1 - LIKELY * np.clip((quiet - 0.95) / 0.05, 0, 1))
        else:
            ratio = 1.2 * ratio
        kept += band * np.minimum(ratio, 1)
    ratio = 4 * mean(variance, 5) / np.maximum(mean(kept**2, 5), 1e-14)
    kept *= np.sqrt(np.minimum(ratio, 1))
    return np.clip(kept, -4 * np.sqrt(variance), 4 * np.sqrt(variance))


@pytest.mark.parametrize("lasting", [False, True])
@pytest.mark.parametrize("size", [(96, 72), (65, 130)])
def test_what_stays_removed_is_the_definitions(lasting: bool, size: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    variance = np.where(rng.random(size) < 0.02, 0.0, 0.0016) + 0.004 * np.linspace(0, 1, size[1])
    removed = rng.standard_normal(size) * np.sqrt(variance)
    removed += 0.05 * np.sin(np.arange(size[1]) / 5)  # what was not noise
    removed[20:22, 30:33] += 0.9
    likely = np.full(size, LIKELY, np.float32) if lasting else None
    found = held(removed.astype(np.float32), variance.astype(np.float32), white_shares(), likely)
    wanted = reference(removed, variance, white_shares(), lasting)
    np.testing.assert_allclose(found, wanted, atol=2e-5)
    assert float(np.abs(found).max()) > 0.1


def test_of_means_over_time_weak_detail_everywhere_tells_of_a_law_that_says_too_little() -> None:
    """By how much, a tenth of every fourth row and column tells."""
    rng, size = np.random.default_rng(7), (75, 110)
    variance = 0.0016 + 0.0008 * np.linspace(0, 1, size[1]) + np.zeros(size)
    removed = rng.standard_normal(size) * np.sqrt(variance * np.linspace(1.3, 1.7, 75)[:, None])
    likely = np.full(size, LIKELY, np.float32)
    found = held(removed.astype(np.float32), variance.astype(np.float32), white_shares(), likely)
    np.testing.assert_allclose(found, reference(removed, variance, white_shares(), True), atol=2e-5)


def test_large_planes_are_judged_on_coarser_grids_much_as_on_all_of_theirs() -> None:
    rng = np.random.default_rng(5)
    noise = 0.05 * rng.standard_normal((256, 261))
    wrong = 0.04 * np.sin(np.arange(261) / 6) * (np.arange(256) > 100)[:, None]
    variance, likely = np.full((2, *noise.shape), [[[0.0025]], [[LIKELY]]], np.float32)
    removed = (noise + wrong).astype(np.float32)
    for lasting in (None, likely):
        half = held(removed, variance, white_shares(), lasting)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("f2rcli.engine.contract.limits.LARGE", 1000)
            whole = held(removed, variance, white_shares(), lasting)
        back = np.square(removed - whole).mean()
        assert np.square(half - whole).mean() < 0.03 * back
        assert np.square(removed - half).mean() == pytest.approx(back, rel=0.1)


def parts_of(plane: Array, sides: tuple[int, ...]) -> list[Array]:
    parts = []
    for side in sides:
        below = ndimage.uniform_filter(plane, side, mode="mirror")
        parts.append(plane - below)
        plane = below
    return [*parts, plane]


def halved(plane: Array) -> Array:
    rows, columns = (size // 2 for size in plane.shape)
    return plane.reshape(rows, 2, columns, 2).mean((1, 3))


def grown(plane: Array) -> Array:
    """Twice the size, linear between samples."""
    places = [(np.arange(2 * side) - 0.5) / 2 for side in plane.shape]
    at = np.meshgrid(*places, indexing="ij")
    return ndimage.map_coordinates(plane, at, order=1, mode="nearest")


def shares_of(
    parts: list[Array],
    variance: Array,
    shares: list[float],
    windows: Windows,
    tolerances: list[Array],
    likely: float = 0.0,
    wide: int = 15,
) -> list[Array]:
    """What may stay of each band, from its squares, on one grid. likely: of a mean over time, what
    goes back where windows of `wide` samples around hold more than noise."""
    found = []
    for power, share, side, tolerance in zip(parts, shares, windows, tolerances, strict=True):
        allowed, seen = (ndimage.uniform_filter(one, side) for one in (variance, power))
        ratio = share * allowed / seen
        stays = np.minimum(tolerance * ratio * (ratio if likely else 1), 1)
        if likely:
            around, known = (ndimage.uniform_filter(one, wide) for one in (power, variance))
            quiet = ndimage.minimum_filter(around / (known * share), wide, mode="nearest")
            quiet /= max(np.quantile(quiet[::4, ::4], 0.1) / 0.95, 1)
            stays = np.minimum(stays, 1 - likely * np.clip((quiet - 0.95) / 0.05, 0, 1))
        found.append(stays)
    return found


def stay(
    parts: list[Array],
    variance: Array,
    shares: list[float],
    windows: Windows,
    tolerances: list[Array],
    likely: float = 0.0,
    wide: int = 15,
) -> Array:
    powers = [band**2 for band in parts]
    found = shares_of(powers, variance, shares, windows, tolerances, likely, wide)
    return sum((band * share for band, share in zip(parts, found, strict=True)), 0 * variance)


def coarse_bands(plane: Array) -> list[Array]:
    """What two finest bands leave of a plane: two bands on half its grid, two on a quarter."""
    *middle, low = parts_of(halved(parts_of(plane, SIDES[:2])[2]), HALF_SIDES)
    return [*middle, *parts_of(halved(low), QUARTER_SIDES)]


def gains() -> list[float]:
    """What these grids leave of the power of white noise in the four coarse bands."""
    whole, left = np.zeros(4), np.zeros(4)
    for row, column in np.ndindex(4, 4):
        impulse = np.zeros((256, 256))
        impulse[128 + row, 128 + column] = 1
        whole += [(part**2).sum() for part in parts_of(impulse, SIDES)[2:]]
        left += [(part**2).sum() for part in coarse_bands(impulse)]
    return list(np.array([4, 4, 16, 16]) * left / whole)


def on_coarser_grids(
    removed: Array, variance: Array, shares: list[float], loose: list[Array], likely: float = 0.0
) -> Array:
    there = [*shares[:2], *(share * gain for share, gain in zip(shares[2:], gains(), strict=True))]
    half, small = halved(variance), [halved(one) for one in loose]
    *fine, low = parts_of(removed, SIDES[:2])
    powers = [halved(band**2) for band in fine]
    found = shares_of(powers, half, there[:2], COARSER[:2], small[:2], likely)
    kept = sum((band * grown(share) for band, share in zip(fine, found, strict=True)), low)
    *middle, lower = parts_of(halved(low), HALF_SIDES)
    back = sum(middle, -stay(middle, half, there[2:4], COARSER[2:4], small[2:4], likely))
    coarse, tiny = parts_of(halved(lower), QUARTER_SIDES), [halved(one) for one in small]
    rest = sum(coarse, -stay(coarse, halved(half), there[4:], COARSER[4:], tiny[4:], likely, 7))
    return kept - grown(back + grown(rest))


@pytest.mark.parametrize("cut_off", [False, True])
@pytest.mark.parametrize("size", [(100, 84), (159, 300), (160, 300), (304, 256)])
def test_bands_are_held_by_windows_and_tolerances_of_their_own(
    size: tuple[int, int], cut_off: bool
) -> None:
    """From 160 pixels on, on coarser grids."""
    rng = np.random.default_rng(4)
    variance = np.broadcast_to(0.001 + 0.002 * np.linspace(0, 1, size[1]), size)
    removed = 1.1 * rng.standard_normal(size) * np.sqrt(variance)
    for wave in (3, 9, 25, 60):  # more than noise in every band
        removed += 0.02 * np.sin(np.arange(size[1]) / wave) * (np.arange(size[0]) > 40)[:, None]
    cut = np.zeros(size)
    cut[:, :42] = float(cut_off)
    loose = [np.where(cut > 0, tolerance, 1.2) for tolerance in CUT_OFF]
    shares = list(white_shares())
    if min(size) < 160:
        kept = stay(parts_of(removed, SIDES), variance, shares, WINDOWS, loose)
    else:
        kept = on_coarser_grids(removed, variance, shares, loose)
    power = np.maximum(ndimage.uniform_filter(kept**2, 5), 1e-14)
    kept *= np.sqrt(np.minimum(4 * ndimage.uniform_filter(variance, 5) / power, 1))
    most = np.where(cut > 0, 7, 4) * np.sqrt(variance)
    given = [one.astype(np.float32) for one in (removed, variance)]
    found = held(*given, white_shares(), clipped=cut.astype(np.float32) if cut_off else None)
    np.testing.assert_allclose(found, np.clip(kept, -most, most), atol=3e-5)


def test_of_means_over_time_large_planes_are_judged_on_coarser_grids_by_definition() -> None:
    """Weak detail in every band, in one half of the picture."""
    rng, size = np.random.default_rng(8), (164, 300)
    variance = np.broadcast_to(0.001 + 0.001 * np.linspace(0, 1, size[1]), size)
    removed = rng.standard_normal(size) * np.sqrt(variance * np.linspace(0.8, 1.6, size[1]))
    for wave in (3, 9, 25, 60):
        removed += 0.01 * np.sin(np.arange(size[1]) / wave) * (np.arange(size[0]) > 70)[:, None]
    loose = [np.full(size, 1.2)] * 6
    kept = on_coarser_grids(removed, variance, list(white_shares()), loose, LIKELY)
    power = np.maximum(ndimage.uniform_filter(kept**2, 5), 1e-14)
    kept *= np.sqrt(np.minimum(4 * ndimage.uniform_filter(variance, 5) / power, 1))
    most = 4 * np.sqrt(variance)
    given = [np.asarray(one, np.float32) for one in (removed, variance)]
    found = held(*given, white_shares(), np.full(size, LIKELY, np.float32))
    np.testing.assert_allclose(found, np.clip(kept, -most, most), atol=1e-4)


@pytest.mark.parametrize("side", [30, 31, 40])
def test_planes_smaller_than_a_window_use_the_largest_odd_one_inside(side: int) -> None:
    rng = np.random.default_rng(2)
    removed = 0.1 * rng.standard_normal((64, 96))[:, :side].repeat(2, 0)[:70]
    variance = np.full(removed.shape, 0.0003)
    shares = (0.3, 0.3, 0.2, 0.1, 0.05, 0.05)
    with pytest.MonkeyPatch.context() as patch:
        # Bands of planes this small mirror more than once; any bands that add up will do.
        parts = [removed.astype(np.float32) * np.float32(s) for s in (0.1, 0.1, 0.1, 0.3, 0.2, 0.2)]
        patch.setattr(
            "f2rcli.engine.contract.limits.bands", lambda plane: [part.copy() for part in parts]
        )  # what is held is written into them
        found = held(removed.astype(np.float32), variance.astype(np.float32), shares)
    kept = np.zeros_like(removed)
    for band, share, window in zip(parts, shares, WINDOWS, strict=True):
        odd = min(window, side - 1 if side % 2 == 0 else side)
        ratio = mean(variance, odd) * share / mean(band.astype(float) ** 2, odd)
        kept += band * np.minimum(1.2 * ratio, 1)
    kept *= np.sqrt(np.minimum(4 * mean(variance, 5) / mean(kept**2, 5), 1))
    np.testing.assert_allclose(found, np.clip(kept, -4 * 0.0003**0.5, 4 * 0.0003**0.5), atol=1e-5)


def test_what_is_held_does_not_change_its_arguments() -> None:
    removed = np.random.default_rng(0).standard_normal((40, 40)).astype(np.float32)
    variance = np.full((40, 40), 0.5, np.float32)
    before = removed.copy(), variance.copy()
    held(removed, variance, white_shares())
    assert (removed == before[0]).all()
    assert (variance == before[1]).all()


@pytest.mark.parametrize("sigma", [0.02, 0.1, 0.5])
@pytest.mark.parametrize("signal", [0.0, 0.03, 0.4, 0.9, 1.0])
def test_moments_of_clipped_noise_are_the_integrals(signal: float, sigma: float) -> None:
    restored, level = (torch.full((1, 1, 1, 1), v, dtype=torch.float64) for v in (signal, sigma))
    shift, factor = clipped_moments(restored, level)
    average, variance = railed(signal, sigma)
    assert float(shift) == pytest.approx(average - signal, abs=1e-6)
    assert float(factor) == pytest.approx(variance / sigma**2, abs=1e-5)


def test_moments_of_values_beyond_the_range_are_those_of_its_end() -> None:
    restored = torch.tensor([-0.5, 0.0, 1.0, 1.5]).view(1, 1, 1, 4)
    shift, factor = clipped_moments(restored, torch.full_like(restored, 0.1))
    assert torch.equal(shift[..., 0], shift[..., 1])
    assert torch.equal(factor[..., 2], factor[..., 3])
    still, _ = clipped_moments(restored, torch.zeros_like(restored))
    assert float(still.abs().max()) < 1e-5


def test_the_bound_is_the_mean_over_neighbours_of_half_the_difference_that_motion_leaves() -> None:
    rng = np.random.default_rng(3)
    centre, *near = (rng.standard_normal((24, 30)).astype(np.float32) for _ in range(4))
    moves = [None, rng.integers(0, 720, (24, 30), dtype=np.int32), None]
    found = changing(centre, near, moves)
    wanted = np.zeros((24, 30))
    for other, move in zip(near, moves, strict=True):
        one = mean(np.square(centre - other).astype(float), 9)
        if move is not None:
            one = np.minimum(one, mean(np.square(centre - other.ravel()[move]).astype(float), 9))
        wanted += one / 6
    np.testing.assert_allclose(found, wanted, rtol=1e-4)


def test_power_is_never_below_zero() -> None:
    """Running sums leave roundings behind a bright area, and a root of those is no number."""
    rng = np.random.default_rng(0)
    plane = np.zeros((64, 256), np.float32)
    plane[:, :96] = rng.normal(0, 900, (64, 96))
    assert power_around(plane, 15).min() >= 0
    assert np.isfinite(held(plane, np.square(plane) * np.float32(1e-3), white_shares())).all()


def test_where_noise_was_clipped_hardly_a_window_of_noise_alone_is_touched() -> None:
    noise = np.random.default_rng(0).standard_normal((512, 512), np.float32)
    parts = zip(bands(noise), white_shares(), WINDOWS, CLIPPED_TOLERANCES, strict=True)
    for index, (band, share, window, tolerance) in enumerate(parts):
        beyond = float(np.mean(power_around(band, window) > tolerance * share))
        assert beyond < (0.1 if index == 5 else 0.006)


def test_clipped_places_give_less_back_and_others_are_as_they_were() -> None:
    noise = np.random.default_rng(1).standard_normal((96, 192), np.float32)
    one = np.ones_like(noise)
    strict = held(noise, one, white_shares())
    loose = held(noise, one, white_shares(), clipped=one)
    nowhere = held(noise, one, white_shares(), clipped=np.zeros_like(one))
    assert np.square(noise - loose).mean() < 0.3 * np.square(noise - strict).mean()
    np.testing.assert_array_equal(nowhere, strict)


@pytest.mark.parametrize("restored", [0.0, 1.0])
def test_no_sample_of_clipped_noise_stays_as_a_speck(restored: float) -> None:
    """Its other tail is as long as before: far beyond four of the deviations left by clipping."""
    rng = np.random.default_rng(2)
    noisy = np.clip(restored + rng.normal(0, 0.1, (256, 256)), 0, 1).astype(np.float32)
    shift, factor = clipped_moments(torch.tensor([[restored]]), torch.tensor([[0.1]]))
    free = noisy - np.float32(restored) - shift.numpy()
    variance = np.full_like(noisy, 0.01 * float(factor))
    kept = held(free, variance, white_shares(), clipped=np.ones_like(noisy))
    assert np.abs(free - kept).max() < 0.1
    assert np.abs(free - held(free, variance, white_shares())).max() > 0.1


def test_samples_are_alike_in_both_frames_by_threes_at_least() -> None:
    """Two side by side are so by chance."""
    for count in (2, 3):
        centre = np.full((16, 16), 100, np.float32)
        near = [centre + 1, centre + 2]
        for frame in near:
            frame[5, 5 : 5 + count] = 100
        same = unchanged(centre, near, [None, None])
        assert same.sum() == (count if count > 2 else 0)
