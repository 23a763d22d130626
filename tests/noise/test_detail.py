"""Noise of a single frame, and patterns that are none."""

import math
from collections.abc import Callable

import cv2
import numpy as np
import pytest
import torch

from f2rcli.noise.measurement.detail import most_by_repeats, single_frame_sigma, without_patterns

ROWS, COLUMNS = np.mgrid[:192, :256].astype(float)


def measured(picture: np.ndarray, sigma8: float) -> float:
    """The sigma of 255 of a gray picture (H, W) in codes with white noise in it."""
    noisy = picture + np.random.default_rng(0).normal(0, sigma8, picture.shape)
    return 255 * single_frame_sigma(torch.from_numpy(np.float32(noisy / 255))[None, None])


def twill() -> np.ndarray:
    return np.asarray(126 + 40 * np.sign(np.sin(0.4 * np.pi * (COLUMNS + 2 * ROWS) + 0.3)))


def knitwear() -> np.ndarray:
    stitch = np.cos(2 * np.pi * (ROWS + 2 * np.abs(COLUMNS % 7 - 3.5)) / 6)
    return np.asarray(126 + 35 * np.cos(2 * np.pi * COLUMNS / 7) * stitch)


def halftone() -> np.ndarray:
    """Dots of five pixels, as large as the picture under them is dark."""
    light = 0.5 + 0.3 * np.sin(COLUMNS / 40) * np.sin(ROWS / 30)
    dots = 0.5 + (np.cos(0.4 * np.pi * COLUMNS) + np.cos(0.4 * np.pi * ROWS)) / 4
    return np.asarray(16 + 219 / (1 + np.exp(-60 * (light - dots))))


@pytest.mark.parametrize("fabric", [twill, knitwear])
@pytest.mark.parametrize("sigma8", [0.0, 2.0])
def test_a_woven_picture_reads_hardly_more_than_its_noise(
    fabric: Callable[[], np.ndarray], sigma8: float
) -> None:
    """A fifth of what its detail is, which was read before."""
    assert measured(fabric(), sigma8) < max(3 * sigma8, 5)


def test_a_halftone_reads_half_of_its_detail() -> None:
    noisy = (halftone() / 255).astype(np.float32)[None, None]
    assert without_patterns(torch.from_numpy(noisy)) < 0.6


def fine_dots() -> np.ndarray:
    """Halftone of four pixels on a screen that lies askew."""
    light = 0.5 + 0.3 * np.sin(COLUMNS / 40) * np.sin(ROWS / 30)
    along, across = 0.26 * COLUMNS + 0.97 * ROWS, 0.97 * COLUMNS - 0.26 * ROWS
    dots = 0.5 + (np.cos(0.5 * np.pi * along) + np.cos(0.5 * np.pi * across)) / 4
    return np.asarray(16 + 219 / (1 + np.exp(-60 * (light - dots))))


def dither() -> np.ndarray:
    """Two codes, by a matrix of 4x4 thresholds."""
    order = np.array([[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]]) / 16
    light = 0.5 + 0.3 * np.sin(COLUMNS / 40) * np.sin(ROWS / 30)
    return np.where(light > np.tile(order, (48, 64)), 220.0, 30.0)


@pytest.mark.parametrize("print_", [fine_dots, dither])
@pytest.mark.parametrize("sigma8", [0.0, 2.0, 6.0])
def test_what_repeats_is_no_noise(print_: Callable[[], np.ndarray], sigma8: float) -> None:
    """They read 13 to 35, with hardly any noise in them."""
    assert measured(np.rint(print_()), sigma8) <= 1.5 * sigma8


@pytest.mark.parametrize("sigma8", [1.0, 4.0, 20.0])
def test_repeats_take_no_noise_away(sigma8: float) -> None:
    """Rounded to codes, on a slope and beside an edge."""
    noise = np.random.default_rng(5).normal(0, sigma8, ROWS.shape)
    picture = np.rint(60 + COLUMNS / 3 + 50 * (ROWS > 90) + noise)
    noisy = torch.from_numpy(np.float32(picture / 255))[None, None]
    assert 255 * most_by_repeats(noisy) > 0.93 * sigma8
    assert most_by_repeats(noisy[..., :16, :]) == math.inf


@pytest.mark.parametrize("blur", [0.0, 0.8, 1.2])
def test_noise_is_no_pattern(blur: float) -> None:
    """White noise to the last bit, and noise that is correlated, on edges and a slope."""
    noise = np.random.default_rng(3).normal(0, 8, ROWS.shape)
    noise = cv2.GaussianBlur(noise, (0, 0), blur) if blur else noise
    picture = 60 + COLUMNS / 3 + 50 * (ROWS > 90) + noise
    assert without_patterns(torch.from_numpy(np.float32(picture / 255))[None, None]) == 1


def test_a_pattern_in_less_than_half_of_a_picture_changes_nothing() -> None:
    noise = np.random.default_rng(4).normal(0, 5, ROWS.shape)
    picture = np.where(COLUMNS < 96, twill(), 126) + noise
    assert without_patterns(torch.from_numpy(np.float32(picture / 255))[None, None]) == 1


def test_pictures_without_a_tile_are_not_asked() -> None:
    assert without_patterns(torch.zeros(1, 3, 31, 200)) == 1
