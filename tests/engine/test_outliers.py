"""What stands out of noise is no part of it, unless the noise itself has such tails."""

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import ndimage, special

from f2rcli.engine.contract.outliers import HEIGHTS, KERNELS, noise_share, shares_at
from f2rcli.engine.gpu.outliers import noise_share as device_share

Real = NDArray[np.float32]
SIGMA = 0.025
SIZE = 192, 256


def share(height: NDArray[np.floating], clipped: Real | None = None) -> Real:
    """Of what was removed, in standard deviations."""
    removed = (SIGMA * height).astype(np.float32)
    return noise_share(removed, np.full_like(removed, SIGMA**2), clipped)


def white(seed: int, size: tuple[int, int] = SIZE) -> Real:
    return np.random.default_rng(seed).standard_normal(size, np.float32)


def places(count: int, seed: int = 7) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Places that do not touch each other or the border."""
    rows, columns = np.meshgrid(np.arange(8, 184, 8), np.arange(8, 248, 8), indexing="ij")
    some = np.random.default_rng(seed).permutation(rows.size)[:count]
    return rows.ravel()[some], columns.ravel()[some]


@pytest.mark.parametrize("blur", [0.0, 0.8])
def test_no_sample_of_noise_stays_whether_it_is_white_or_not(blur: float) -> None:
    noise = white(0, (1024, 1024))
    if blur:
        cv2.GaussianBlur(noise, (0, 0), blur, dst=noise)
        noise /= noise.std()
    assert np.abs(noise).max() > 4.7
    assert share(noise).min() > 0.95


def test_noise_with_long_tails_on_both_sides_is_noise() -> None:
    noise = np.random.default_rng(1).laplace(0, 2**-0.5, (512, 512))
    far = np.abs(noise) > 5
    assert far.sum() > 100
    assert share(noise)[far].mean() > 0.95


@pytest.mark.parametrize("way", [1, -1])
def test_sparks_to_one_side_go_back_and_what_is_around_them_does_not(way: int) -> None:
    height, sparks = white(2), np.zeros(SIZE, bool)
    sparks[places(40)] = True
    height[sparks] += way * np.linspace(6, 12, 40, dtype=np.float32)
    found = share(height)
    assert found[sparks].mean() < 0.1
    around = cv2.dilate(sparks.astype(np.uint8), np.ones((5, 5))) > 0
    assert (1 - found[~around]).sum() < 5
    height[places(80)] -= way * np.linspace(0, 12, 80, dtype=np.float32) * ~sparks[places(80)]
    assert share(height)[sparks].mean() > 0.9  # impulses, bright and dark


def test_how_far_a_single_sample_stands_out_decides() -> None:
    height = white(3)
    for far, least, most in ((5.0, 0.99, 1.0), (12.0, 0.2, 0.4)):
        height[100, 100] = far
        assert least <= share(height)[100, 100] <= most


@pytest.mark.parametrize("stroke", [(1, 6), (6, 1), (2, 2), "\\", "/"])
def test_strokes_go_back_whose_samples_alone_would_be_noise(stroke: tuple[int, int] | str) -> None:
    height, drawn = white(4), np.zeros(SIZE, bool)
    for row, column in zip(*places(60), strict=True):
        if isinstance(stroke, str):
            step = np.arange(5)
            drawn[row + step, column + (step if stroke == "\\" else -step)] = True
        else:
            drawn[row : row + stroke[0], column : column + stroke[1]] = True
    height[drawn] = 3.4 + 0.2 * height[drawn]
    assert share(height)[drawn].mean() < 0.4
    alone = white(4)
    alone[places(60)] = 3.4
    assert share(alone)[places(60)].mean() > 0.95


def test_where_noise_was_clipped_or_has_no_law_nothing_is_told() -> None:
    height, cut = white(5), np.zeros(SIZE, np.float32)
    height[places(60)] = 9
    cut[:, :128] = 0.01
    found = share(height, cut)
    assert (found[:, :128] == 1).all()
    assert found[:, 129:].min() < 0.1
    removed = SIGMA * height
    assert (noise_share(removed, np.zeros_like(removed), None) == 1).all()


def test_the_share_is_of_what_chance_and_the_other_side_leave() -> None:
    mine = np.full(HEIGHTS.shape, 100.0)
    none = np.zeros_like(mine)
    at = list(HEIGHTS).index(5.0)
    assert shares_at(mine, none, 1)[at] == pytest.approx(0.03, rel=1e-3)
    assert shares_at(mine, none, 10**7)[at] == pytest.approx((3 + 15e7 * 2.867e-7) / 100, rel=1e-3)
    assert shares_at(mine, none + 20, 1)[at] == pytest.approx(0.63)
    assert shares_at(mine, none + 40, 1)[at] == 1
    assert shares_at(mine, none, 1)[-1] == pytest.approx(0.003, rel=1e-3)
    assert shares_at(mine, none, 1)[0] == 1
    fewer = np.where(HEIGHTS > 5, 1.0, mine)  # what stands out farther is no more of noise
    assert (shares_at(fewer, none, 1)[at:] < 0.0301).all()


LEVELS = np.linspace(3.75, 10, 26)


def by_definition(height: Real) -> NDArray[np.float64]:
    """A sample is as high as the highest of it, the sums of three through it and of the squares it
    is in, in deviations of these; counted in steps of a quarter, up to two more or, beyond 8,
    whatever; noise are as many as chance leaves 15 times, or thrice those of the other side."""
    held = np.clip(height.astype(float), -4, 4)
    row, slant = np.float64([[0, 0, 0], [1, 1, 1], [0, 0, 0]]), np.eye(3)
    square = np.float64([[1, 1, 0], [1, 1, 0], [0, 0, 0]])
    sides = [height.astype(float), -height.astype(float)]
    for number, weights in enumerate((row, row.T, slant, slant[::-1], square)):
        found = ndimage.correlate(held, weights / weights.sum() ** 0.5, mode="reflect")
        usual = np.median(np.abs(found[::8, ::8])) / special.ndtri(0.75)
        found /= max(usual, 1)
        wide = np.pad(found, ((0, 1), (0, 1)), mode="edge")
        for index, sign in enumerate((1, -1)):
            each = [sign * wide[y : y + len(found), x : x + found.shape[1]]
                    for y in (0, 1) for x in (0, 1)]  # fmt: skip
            highest = np.max(each, 0) if number == 4 else sign * found
            sides[index] = np.maximum(sides[index], highest)
    ends = np.where(LEVELS > 8, np.inf, LEVELS + 2)
    counts = [
        np.array([((side > low) & (side <= high)).sum() for low, high in zip(LEVELS, ends)])  # noqa: B905
        for side in sides
    ]
    wanted = np.ones(height.shape)
    for index, sign in enumerate((1, -1)):
        chance = np.maximum(15 * height.size * special.ndtr(-LEVELS), 3 * counts[1 - index])
        always = np.interp(LEVELS, (5, 8), (3, 0.3))
        table = np.minimum((always + chance) / np.maximum(counts[index], 1), 1)
        table[0] = 1
        near = ndimage.grey_dilation(sides[index], (3, 3))
        part = np.clip(sign * height - 1, 0, 1) * (near > 3.75)
        less = 1 - part * (1 - np.interp(near, LEVELS, np.minimum.accumulate(table)))
        wanted = np.where(sign * height > 1, less, wanted)
    return wanted


@pytest.mark.parametrize("blur", [0.0, 0.7])
@pytest.mark.parametrize("most", [7, 10, 13])
def test_the_share_is_the_definitions(blur: float, most: float) -> None:
    height = white(int(most))
    if blur:  # noise whose sums scatter by more
        cv2.GaussianBlur(height, (0, 0), blur, dst=height)
        height /= height.std()
    height[places(90)] += np.linspace(2, most, 90, dtype=np.float32)
    height[places(30, 8)] -= np.linspace(2, most, 30, dtype=np.float32)
    for row, column in zip(*places(20, 9), strict=True):
        height[row : row + 2, column : column + 3] += np.float32(most / 4)
    found = noise_share(height, np.ones_like(height), None)
    wanted = by_definition(height)
    assert (~np.isclose(found, wanted, atol=1e-4)).sum() <= 3  # roundings at the steps
    assert (wanted < 0.95).sum() > 60


def test_tensors_tell_the_same() -> None:
    rng = np.random.default_rng(6)
    height = rng.standard_normal((2, 90, 77)).astype(np.float32)
    height[0][rng.random((90, 77)) < 0.01] += 7
    height[1][rng.random((90, 77)) < 0.004] -= 9
    height[0, 40:42, 30:32] = 4
    variance = rng.uniform(0.8, 1.2, height.shape).astype(np.float32) * np.float32(SIGMA**2)
    variance[:, 50:52] = 0
    cut = np.zeros((90, 77), np.float32)
    cut[:20] = 1
    removed = SIGMA * height
    for clipped in (cut, None):
        given = None if clipped is None else torch.from_numpy(clipped)[None]
        found = device_share(torch.from_numpy(removed), torch.from_numpy(variance), given).numpy()
        for index, one in enumerate(found):
            wanted = noise_share(removed[index], variance[index], clipped)
            np.testing.assert_allclose(one, wanted, atol=1e-5)
        assert found.min() < 0.05


def test_sums_are_of_three_in_a_row_and_of_a_square_and_as_strong_as_one_sample() -> None:
    row, slant = [[0, 0, 0], [1, 1, 1], [0, 0, 0]], np.eye(3)
    wanted = [row, np.transpose(row), slant, slant[::-1], [[1, 1, 0], [1, 1, 0], [0, 0, 0]]]
    for kernel, places in zip(KERNELS, wanted, strict=True):
        np.testing.assert_allclose(kernel, places / np.sqrt(np.sum(places)), rtol=1e-6)
