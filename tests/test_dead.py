"""Dead pixels of mosaics are found in texture, and nothing that optics could show."""

import cv2
import numpy as np
import pytest

from f2rcli.frames import Mosaic
from f2rcli.samples.dead import dead

Light = np.ndarray  # (H, W), codes above black
BLACK, GAIN, READ = 240.0, 13.0, 11.0  # codes
MOSAIC = Mosaic(
    pattern="GBRG", black=(BLACK, BLACK + 90, BLACK - 70, BLACK), white=(4095.0,) * 4,
    balance=(1.9, 1, 1.6),
)  # fmt: skip
BLACKS = np.tile([[BLACK, BLACK - 70], [BLACK, BLACK + 90]], (24, 32))  # of GBRG's cell


def textured(level: float, seed: int = 0) -> Light:  # type: ignore[type-arg]
    """Light (48, 64) that differs by a third of it from pixel to pixel."""
    texture = cv2.GaussianBlur(np.random.default_rng(seed).normal(size=(48, 64)), (0, 0), 1.0)
    return level * np.clip(1 + 0.2 * texture / texture.std(), 0.5, None)


def found(light: Light, places: list[int], frames: int = 7, seed: int = 1) -> list[int]:  # type: ignore[type-arg]
    """Dead pixels that are found where pixels at these places count no light."""
    rng = np.random.default_rng(seed)
    dark = light.copy()
    dark.flat[places] = 0
    noise = rng.normal(size=(frames, 48, 64)) * np.sqrt(GAIN * dark + READ**2)
    shown = list(np.rint(BLACKS + dark + noise).clip(0, 4095).astype(np.uint16))
    mean = np.rint(np.mean(shown, axis=0)).astype(np.uint16)
    return dead(shown, mean, MOSAIC).tolist()


PLACES = [6 * 64 + 9, 20 * 64 + 30, 20 * 64 + 31, 33 * 64 + 50]  # two of them side by side


def test_pixels_without_light_are_dead_in_texture_that_differs_as_much() -> None:
    assert found(textured(300), PLACES) == PLACES
    assert found(textured(300), []) == []


@pytest.mark.parametrize(("level", "dead"), [(12.0, []), (36.0, []), (88.0, PLACES)])
def test_what_noise_may_hide_is_not_dead(level: float, dead: list[int]) -> None:
    """Four standard errors of seven frames are too few, six enough as it is so quiet."""
    assert found(np.full((48, 64), level), PLACES) == dead


def test_of_several_black_ones_of_a_colour_none_is_dead() -> None:
    """They may be drawn; but two may be so by chance."""
    light = textured(900)
    assert found(light, [20 * 64 + 30, 20 * 64 + 32]) == [20 * 64 + 30, 20 * 64 + 32]
    assert found(light, [20 * 64 + 30, 20 * 64 + 32, 22 * 64 + 30]) == []


def test_a_pixel_that_counts_a_fifth_of_the_light_is_none() -> None:
    light = textured(900)
    light.flat[PLACES] *= 0.2
    assert found(light, []) == []


@pytest.mark.parametrize("width", [1.0, 1.5, 2.2, 3.0])
@pytest.mark.parametrize("sigma", [0.3, 0.5])
def test_a_hole_in_the_light_is_no_dead_pixel(width: float, sigma: float) -> None:
    """Round and black, in the middle of a pixel, through optics of so many pixels."""
    fine, rows = 9, np.arange(48 * 9)[:, None]
    sharp = np.ones((48 * fine, 64 * fine), np.float32)
    for row, column in ((10, 12), (20, 41), (31, 26), (39, 55)):
        centre = (row + 0.5) * fine - 0.5, (column + 0.5) * fine - 0.5
        sharp[np.hypot(rows - centre[0], np.arange(64 * fine) - centre[1]) < width / 2 * fine] = 0
    seen = cv2.GaussianBlur(sharp, (0, 0), sigma * fine).reshape(48, fine, 64, fine).mean((1, 3))
    assert found(2000 * seen, []) == []


def test_dots_all_over_a_picture_are_drawn() -> None:
    rows, columns = np.mgrid[:48, :64]
    dots = np.flatnonzero(((rows % 5 == 0) & (columns % 5 == 0)).ravel())
    assert found(textured(900), dots.tolist()) == []


def test_one_that_wakes_up_once_is_not_dead() -> None:
    rng = np.random.default_rng(3)
    light = np.full((7, 48, 64), 900.0)
    light[:, 20, 30] = 0
    shown = np.rint(BLACKS + light + rng.normal(0, READ, light.shape)).astype(np.uint16)
    assert dead(list(shown), np.rint(shown.mean(0)).astype("u2"), MOSAIC).tolist() == [20 * 64 + 30]
    shown[4, 20, 30] += 500
    assert dead(list(shown), np.rint(shown.mean(0)).astype("u2"), MOSAIC).size == 0


def test_a_black_pixel_in_texture_that_has_black_ones_of_other_colours_is_none() -> None:
    light = textured(900)
    assert found(light, [20 * 64 + 30, 19 * 64 + 31]) == [19 * 64 + 31, 20 * 64 + 30]
    assert found(light, [20 * 64 + 30, 19 * 64 + 31, 21 * 64 + 32]) == []
