"""Light of single frames is no noise of the others."""

import numpy as np
import pytest
from scipy.ndimage import uniform_filter

import f2rcli
from benchmarks.simulated import GAIN, OFFSET, READ, points, recorded
from f2rcli.noise.photons.flashes import AROUND, FEWEST, _compact, _standing_out, without_flashes


@pytest.mark.parametrize("background", [20.0, 50.0])
def test_sparse_molecules_leave_the_law_of_an_even_background(
    only_measured: None, background: float
) -> None:
    shown = points(
        6, np.random.default_rng((1, 0)), electrons=(100, 200, 500, 1500), width=1.3,
        background=background, side=128, count=9, stay=False,
    )  # fmt: skip
    _, report = f2rcli.denoise(shown.codes, return_report=True)
    noise = report.noise[0]
    true = (GAIN**2 * background + READ**2) ** 0.5
    assert abs(noise.at(OFFSET + GAIN * background) / true - 1) < 0.05
    assert all(abs(gain / GAIN - 1) < 0.25 for gain in noise.gain)


def test_light_of_one_frame_gives_way_to_that_of_another() -> None:
    rng = np.random.default_rng(2)
    frames = recorded(np.full((6, 64, 64), 30.0), rng)
    frames[2, 20:24, 30:34] += 2000
    filled = without_flashes(list(frames))
    np.testing.assert_array_equal(filled[2][19:25, 29:35], frames[5, 19:25, 29:35])
    assert [bool(np.mean(a == b) > 0.95) for a, b in zip(filled, frames, strict=True)] == [True] * 6


def test_light_that_lasts_stays() -> None:
    rng = np.random.default_rng(3)
    light = np.full((6, 64, 64), 30.0)
    light[3:, 20:24, 30:34] += 200
    light[4] += 3
    frames = recorded(light, rng)
    filled = np.stack(without_flashes(list(frames)))
    assert np.mean(filled == frames) > 0.999


def test_too_few_or_empty_frames_stay() -> None:
    assert FEWEST == 5
    few = [np.full((32, 32), number, np.uint16) for number in range(FEWEST - 1)]
    assert all(a is b for a, b in zip(without_flashes(few), few, strict=True))
    empty = np.zeros((FEWEST, 32, 32), np.uint16)
    np.testing.assert_array_equal(without_flashes(list(empty)), empty)


def test_what_moves_is_no_flash() -> None:
    """A ramp that drifts lost its gain when its edges gave way; so does a wide bright object."""
    rng = np.random.default_rng(4)
    ramp = np.add.outer(np.arange(48), np.arange(48)) % 40 + 5.0
    disc = np.hypot(*(np.indices((48, 48)) - 24)) < 9
    for light in (ramp, 10 + 100.0 * disc):
        frames = recorded(np.stack([np.roll(light, 3 * n, 1) for n in range(7)]), rng)
        np.testing.assert_array_equal(np.stack(without_flashes(list(frames))), frames)


def test_means_stand_out_by_their_own_noise() -> None:
    """A fifth of that of a sample, wherever noise is; of light that others share, nothing does."""
    rng = np.random.default_rng(5)
    strong = np.where(np.arange(120) < 60, 3.0, 12.0)
    light = 400 + 300 * np.sin(np.arange(90)[:, None] / 7)
    stack = np.float32(light + strong * rng.standard_normal((9, 90, 120)))
    stack[4, 40:45, 20:25] += 2 * 3.0
    found = _standing_out(stack)
    for half in (found[:, 20:-20, 20:45], found[:, 20:-20, 75:-20]):
        assert np.delete(half, 4, 0).std() == pytest.approx(1, abs=0.12)
    assert found[4, 42, 22] == pytest.approx(10, abs=2.5)


def test_how_far_means_stand_out_is_by_definition() -> None:
    """Against the noise of the finest band of differences of adjacent frames, close by and around;
    whatever stays, or rises evenly, is no noise."""
    rng = np.random.default_rng(6)
    rows, columns = np.mgrid[:50, :60]
    stack = rng.normal(0, 1, (7, 50, 60)) * np.where(columns < 30, 2, 6) + 3.0 * rows
    stack += np.arange(7)[:, None, None] * (5 + rows - 2 * columns)
    stack[3, 20:25, 40:45] += 40
    fine = []
    for one in np.diff(stack, axis=0):
        padded = np.pad(one, 1, "reflect")
        here, left, above, both = (
            padded[1 - down : 51 - down, 1 - across : 61 - across]
            for down, across in ((0, 0), (0, 1), (1, 0), (1, 1))
        )
        fine.append(((here - left - above + both) / 2) ** 2)
    near, wide = (
        np.median([uniform_filter(one, side, mode="mirror") for one in fine], axis=0)
        for side in (5, 15)
    )
    noise = np.maximum(near, wide) / 50
    noise = np.maximum(noise, np.median(noise) / 25)
    means = np.stack([uniform_filter(one, 5, mode="mirror") for one in stack])
    apart = means - np.median(means, axis=0)
    apart = (apart - np.median(apart, axis=(1, 2), keepdims=True)) / np.sqrt(noise)
    some = apart[:, ::5, ::5]
    scale = 1.4826 * np.median(np.abs(some - np.median(some)))
    found = _standing_out(stack.astype(np.float32))
    np.testing.assert_allclose(found, apart / max(scale, 1), atol=2e-3)


@pytest.mark.parametrize(("size", "small"), [((15, 15), True), ((16, 3), False), ((3, 16), False)])
def test_flashes_are_no_more_than_fifteen_pixels_across(size: tuple[int, int], small: bool) -> None:
    assert AROUND == 15
    mask = np.zeros((40, 50), bool)
    mask[5 : 5 + size[0], 9 : 9 + size[1]] = True
    mask[30, 45] = True
    found = _compact(mask)
    assert found[30, 45]
    assert found[:25, :40].sum() == (mask.sum() - 1 if small else 0)
    assert not (found & ~mask).any()
