"""Bands, roughness and painted places of single frames, by their definitions."""

import numpy as np
import pytest
import torch
from scipy import ndimage, special

from f2rcli.noise.measurement import detail as module
from f2rcli.noise.measurement.detail import (
    OF_WHITE,
    REACH,
    _spread,
    fine_band,
    in_bands,
    most_by_repeats,
    painted,
    roughness,
    shows_noise,
    single_frame_sigma,
    without_patterns,
)

Array = np.ndarray
RNG = np.random.default_rng(0)


def tensor(values: Array) -> torch.Tensor:
    return torch.from_numpy(np.asarray(values, np.float32))


def test_bands_are_differences_of_unit_energy() -> None:
    planes = RNG.random((2, 9, 11))
    full, fine, finest = in_bands(tensor(planes)[None])
    np.testing.assert_allclose(full[0], planes[:, 1:-1, 1:-1], rtol=1e-6)
    taps = np.outer([1, -1], [1, -1]) / 2, np.outer([1, -2, 1], [1, -2, 1]) / 6
    for band, (tap, part) in ((fine, (taps[0], np.s_[:-1, :-1])), (finest, (taps[1], np.s_[:, :]))):
        assert np.square(tap).sum() == pytest.approx(1)
        for found, plane in zip(band[0], planes, strict=True):
            views = np.lib.stride_tricks.sliding_window_view(plane, tap.shape)
            wanted = (views * tap).sum((2, 3))[part]
            np.testing.assert_allclose(found, wanted, atol=1e-6)
    np.testing.assert_allclose(fine_band(tensor(planes)[None]), fine, atol=1e-7)


@pytest.mark.parametrize(("size", "shows"), [((16, 16), True), ((17, 17), True), ((15, 16), False),
                                             ((2, 128), True), ((2, 127), False)])  # fmt: skip
def test_frames_of_256_pixels_in_cells_of_four_show_noise(
    size: tuple[int, int], shows: bool
) -> None:
    noisy = tensor(RNG.normal(0, 1, (1, 1, *size)))
    assert shows_noise(noisy) == shows
    assert (single_frame_sigma(noisy) > 0) == shows


def ranks(values: Array) -> Array:
    """The share of a ninth of the places that is smaller."""
    sample = values[::3, ::3].ravel()
    return (values[..., None] > sample).mean(-1)


@pytest.mark.parametrize(("repeats", "believed"), [(0.79, True), (0.81, False)])
def test_a_single_frames_sigma_is_the_median_of_its_finest_diagonal_detail(
    monkeypatch: pytest.MonkeyPatch, repeats: float, believed: bool
) -> None:
    """Of what no pattern holds; repeats count from a fifth less on, a slope changes nothing."""
    rows, columns = np.indices((41, 53))
    noise = np.random.default_rng(0).standard_normal((41, 53))
    plane = 0.05 * noise + 0.02 * rows + 0.03 * columns
    corners = [plane[y:40:2, x:52:2] for y, x in ((0, 0), (1, 1), (0, 1), (1, 0))]
    detail = np.abs(corners[0] + corners[1] - corners[2] - corners[3]) / 2
    sigma = 0.7 * np.median(detail) / special.ndtri(0.75)
    monkeypatch.setattr(module, "without_patterns", lambda noisy: 0.7)
    monkeypatch.setattr(module, "most_by_repeats", lambda noisy: repeats * sigma)
    wanted = repeats * sigma if believed else sigma
    assert single_frame_sigma(tensor(plane)[None, None]) == pytest.approx(wanted, rel=5e-3)


def test_roughness_is_the_rank_of_the_gradient_and_of_what_anchors_differ_by() -> None:
    first, second = RNG.random((2, 3, 24, 33)) * np.linspace(0.1, 1, 33)
    found = roughness(tensor(first)[None], tensor(second)[None])[0, 0].numpy()
    mean = (first + second) / 2
    steps = sum(np.square(mean - np.roll(mean, 1, axis)).mean(0) for axis in (1, 2))
    around = [
        ndimage.uniform_filter(one, 7, mode="constant")
        for one in (steps, np.square(first - second).mean(0))
    ]
    wanted = ranks(around[0]) + ranks(around[1])
    np.testing.assert_allclose(found, wanted, atol=0.03)
    assert np.abs(found - wanted).mean() < 0.01


def test_places_are_painted_that_differ_by_less_than_a_code_within_seven_pixels() -> None:
    gray = np.full((24, 40), 0.5)
    gray[:, 12] += 0.9 / 255
    gray[5, 28] += 1.1 / 255
    found = painted(tensor(np.stack([gray] * 3))[None])[0, 0].numpy()
    wanted = np.ones((24, 40), bool)
    wanted[2:9, 25:32] = False
    np.testing.assert_array_equal(found, wanted)


def test_the_spread_of_sizes_is_that_of_gaussian_values_rounded_or_not() -> None:
    noise = RNG.normal(0, 2.0, 100_001)
    assert _spread(tensor(np.abs(noise))) == pytest.approx(2, rel=0.02)
    assert _spread(tensor(np.abs(np.rint(noise)))) == pytest.approx(2, rel=0.05)
    assert _spread(torch.zeros(9)) == 0


def repeats(noisy: Array) -> float:
    """The least, over steps of 2 to 8 pixels either way, of the medians of differences."""
    planes, (height, width) = noisy.shape[0], (side - 16 for side in noisy.shape[1:])
    step = max(3, int((height * width // 20_000) ** 0.5))
    at = np.ix_(range(planes), range(8, 8 + height, step), range(8, 8 + width, step))
    found = []
    for down in range(-8, 9):
        for across in range(-8, 9):
            if max(abs(down), abs(across)) > 1:
                other = np.roll(noisy, (-down, -across), (1, 2))
                found.append(np.median(np.abs(other[at] - noisy[at])))
    return float(min(found)) / special.ndtri(0.75) / 2**0.5


@pytest.mark.parametrize("size", [(24, 40), (40, 61), (500, 500)])
def test_the_most_by_repeats_is_what_samples_differ_by_nearby(size: tuple[int, int]) -> None:
    wave = 0.2 * np.sin(np.arange(size[1]) * np.pi / 2.5)  # repeats after five
    noisy = wave + RNG.normal(0, 0.05, (1, *size))
    found = most_by_repeats(tensor(noisy)[None])
    assert found == pytest.approx(repeats(np.float32(noisy)), rel=0.35 if size[0] < 40 else 0.02)
    assert most_by_repeats(tensor(noisy[:, :16])[None]) == np.inf
    assert most_by_repeats(tensor(noisy[..., :16])[None]) == np.inf


def shares(noisy: Array) -> float:
    """Of tiles of 32 under a Hann window: the fine power where each frequency has the median of
    5 x 5 around it, over that as it is; the median tile's, over white noise's."""
    line = np.hanning(33)[1:]
    fine = np.sin(np.pi * np.fft.fftfreq(32)) ** 2
    found = []
    rows, columns = (side // 32 for side in noisy.shape)
    for row, column in np.ndindex(rows, columns):
        tile = noisy[32 * row : 32 * row + 32, 32 * column : 32 * column + 32]
        power = np.abs(np.fft.fft2((tile - tile.mean()) * np.outer(line, line))) ** 2
        soft = ndimage.median_filter(power, 5, mode="wrap")
        found.append((np.outer(fine, fine) * soft).sum() / (np.outer(fine, fine) * power).sum())
    return float(min(np.median(found) / 0.7514, 1) ** 0.5)


@pytest.mark.parametrize("strength", [0.0, 0.4, 0.7, 1.0, 2.0])
def test_the_share_that_no_pattern_has_is_by_tiles(strength: float) -> None:
    """Up to 0.7 as it is, from 0.85 on all, and between by degrees."""
    rng = np.random.default_rng(1)
    columns = np.arange(140)
    wave = np.sin(2.1 * columns) * np.sin(2.4 * np.arange(100))[:, None]
    noisy = rng.standard_normal((100, 140)) + strength * wave
    share = shares(noisy)
    wanted = share + (1 - share) * np.clip((share - 0.7) / 0.15, 0, 1)
    assert without_patterns(tensor(noisy)[None, None]) == pytest.approx(wanted, abs=2e-3)


def test_white_noise_has_as_much_power_between_lines_as_is_said() -> None:
    assert pytest.approx(shares(RNG.standard_normal((320, 320))) ** 2, rel=0.03) == 1
    assert OF_WHITE == 0.7514


@pytest.mark.parametrize("down", [0, 1, REACH])
@pytest.mark.parametrize("across", [-REACH, REACH])
def test_repeats_are_seen_both_ways_as_far_as_they_are_looked_for(down: int, across: int) -> None:
    """Where a picture is the same again after one step alone."""
    picture = RNG.random((60, 70))
    before = slice(None, -across) if across > 0 else slice(-across, None)
    after = slice(across, None) if across > 0 else slice(None, across)
    for row in range(60 - down):  # of one row: in turn
        if down:
            picture[row + down, after] = picture[row, before]
        else:
            picture[row] = np.resize(RNG.random(abs(across)), 70)
    assert most_by_repeats(tensor(picture)[None, None]) == 0


@pytest.mark.parametrize("size", [(2 * REACH, 60), (60, 2 * REACH), (2 * REACH - 1, 60)])
def test_frames_without_a_middle_do_not_repeat(size: tuple[int, int]) -> None:
    assert most_by_repeats(tensor(RNG.random(size))[None, None]) == np.inf
    more = tuple(one + (one == 2 * REACH) for one in size)
    assert (most_by_repeats(tensor(RNG.random(more))[None, None]) < 1) == (min(size) >= 2 * REACH)
