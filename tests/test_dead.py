"""Dead pixels of mosaics are found in texture, and nothing that optics could show."""

import cv2
import numpy as np
import pytest
from scipy.ndimage import median_filter

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


@pytest.mark.parametrize(("share", "dead"), [(0.0, [PLACES[0]]), (0.02, [PLACES[0]]), (0.08, [])])
def test_a_gap_in_texture_that_surely_shows_some_light_is_not_dead(
    share: float, dead: list[int]
) -> None:
    light = textured(900)
    light.flat[PLACES[0]] *= share
    assert found(light, [], frames=9) == dead


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


def by_definition(
    planes: Light,  # type: ignore[type-arg]
    mean: Light,  # type: ignore[type-arg]
    blacks: Light,  # type: ignore[type-arg]
    count: float,
) -> list[int]:
    """Place by place. planes (T, H, W): frames; mean (H, W); blacks: of every pixel."""
    light, likely = mean - blacks, np.zeros(mean.shape, bool)
    for row, column in ((0, 0), (0, 1), (1, 0), (1, 1)):
        part = light[row::2, column::2]
        around = median_filter(part, 5, mode="nearest")
        noise = 1.4826 * np.median(np.abs(part - around))
        enough = min(part.shape) >= 5
        likely[row::2, column::2] = enough & (around > max(3 * noise, 1)) & (part < 0.1 * around)
    steps = [(y, x) for y in range(-2, 3) for x in range(-2, 3) if (y, x) != (0, 0)]
    padded = np.pad(light, 6, "reflect")
    shown = np.pad(planes, ((0, 0), (6, 6), (6, 6)), "reflect")
    found = []
    for row, column in np.argwhere(likely):
        at = row + 6, column + 6
        own = np.sort([padded[at[0] + 2 * y, at[1] + 2 * x] for y, x in steps])
        ground = np.median(own)
        through = planes[:, row, column] - blacks[row, column]
        dark = own[1] > 0.35 * ground and through.max() < 0.5 * ground
        error = 1 / max(len(planes), count) ** 0.5
        hardly = 0.05 * ground + through.std(ddof=1) * error
        dark &= light[row, column] < min(0.1 * ground, hardly)
        noise = np.sqrt(
            np.mean([shown[:, at[0] + 2 * y, at[1] + 2 * x].var(ddof=1) for y, x in steps])
        )
        sure = 5 if through.std(ddof=1) < 0.5 * noise else 7
        shares = {}
        for y, x in steps:
            near = padded[at[0] + y - 2 : at[0] + y + 3 : 2, at[1] + x - 2 : at[1] + x + 3 : 2]
            around = np.median(np.delete(near.ravel(), 4))
            shares[y, x] = near[1, 1] / max(around, 1)
        beside = sorted(shares[one] for one in ((-1, 0), (1, 0), (0, -1), (0, 1)))[1:]
        single = sorted(shares.values())[1] > 0.4 and np.mean(beside) > 0.8
        if dark and single and ground > sure * noise * error:
            found.append(int(row * mean.shape[1] + column))
    return found if len(found) <= max(2, 0.003 * mean.size) else []


SHAPES = [(28, 32), (28, 32), (28, 32), (10, 32), (8, 32), (32, 10)]


def test_pixels_are_dead_by_definition() -> None:
    """Three dark ones in pictures of which each comes near to one limit or another."""
    rng, several, none = np.random.default_rng(11), 0, 0
    for index in range(252):
        shape, aspect = SHAPES[index % 6], index % 7
        level = rng.uniform(0.3, 3) if aspect == 0 else 100.0
        light = level * (1 + rng.normal(0, rng.uniform(0.2, 0.6) if aspect == 1 else 0.02, shape))
        blacks = np.tile(BLACKS[:2, :2], (shape[0] // 2, shape[1] // 2))
        count = rng.choice([0.0, 3.0, 30.0])
        least = 6 / max(7, count) ** 0.5
        sigma = level / least * rng.uniform(0.6, 1.6) if aspect == 2 else 0.01 * level
        planes = np.repeat(light[None], 7, 0) + sigma * rng.normal(size=(7, *shape))
        for _ in range(rng.integers(1, 4)):
            row, column = rng.integers(2, shape[0] - 2), rng.integers(2, shape[1] - 2)
            beside = [(row + y, column + x) for y, x in ((-1, 0), (1, 0), (0, -1), (0, 1))]
            steps = ((-1, 0), (1, 1), (0, -1), (1, 0), (2, -1))
            same = [(row + 2 * y, column + 2 * x) for y, x in steps]
            others = [(row + y, column + x) for y, x in ((-1, 1), (1, -1), (1, 2), (-2, 1))]
            chosen = {3: same, 4: beside, 5: others}.get(aspect, [])
            low, high = {3: (0.25, 0.45), 4: (0.6, 1.0), 5: (0.25, 0.55)}.get(aspect, (0, 0))
            for y, x in chosen[: rng.integers(0, 5)]:
                if 0 <= y < shape[0] and 0 <= x < shape[1]:
                    planes[:, y, x] = light[y, x] = level * rng.uniform(low, high)
            light[row, column] = level * (rng.uniform(0, 0.2) if aspect == 6 else 0.02)
            swing = sigma * rng.uniform(0.3, 0.7) if aspect == 2 else 0.004 * level
            own = rng.normal(size=7)
            planes[:, row, column] = light[row, column] + swing * own / own.std(ddof=1)
            if aspect == 6:
                planes[3, row, column] = level * rng.uniform(0.3, 0.7)
        planes, mean = ((one + blacks).astype(np.float32) for one in (planes, light))
        wanted = by_definition(planes, mean, blacks, count)
        assert dead(list(planes), mean, MOSAIC, count).tolist() == wanted, (index, aspect)
        several, none = several + bool(wanted), none + (not wanted)
    assert several > 70
    assert none > 70


@pytest.mark.parametrize(("count", "left"), [(2, 2), (3, 0)])
def test_of_a_small_picture_two_may_be_dead(count: int, left: int) -> None:
    light = np.full((1, 24, 24), 100.0) + BLACKS[:24, :24]
    places = [5 * 24 + 6, 12 * 24 + 17, 19 * 24 + 4][:count]
    light.reshape(-1)[places] = BLACKS[:24, :24].ravel()[places]
    shown = np.repeat(light, 4, 0).astype(np.float32)
    assert dead(list(shown), shown[0], MOSAIC).size == left
