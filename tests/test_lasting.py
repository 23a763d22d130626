"""Defects of mosaics are told from texture and light by the mean of frames; light stays."""

import cv2
import numpy as np
import pytest

from f2rcli.frames import Frame, Mosaic
from f2rcli.samples.defects import without_defects
from f2rcli.samples.impulses import medians_of_own
from f2rcli.samples.lasting import in_place, lasting
from f2rcli.sensor import bayer_layout

Light = np.ndarray  # (H, W), codes above black
SHAPE = 48, 64
BLACK = np.array([[240.0, 200.0], [260.0, 240.0]])
BLACKS = np.tile(BLACK, (24, 32))
LAYOUT = bayer_layout(Mosaic(pattern="RGGB", black=(240.0,) * 4, white=(4095.0,) * 4), 12)
PLACES = [8 * 64 + 9, 20 * 64 + 30, 20 * 64 + 31, 33 * 64 + 50, 34 * 64 + 50]  # two pairs
MORE = np.array([900, 2400, 500, 700, 1500])


def textured(level: float = 600, seed: int = 0) -> Light:
    """Edges and texture, in which pixels differ by as much as hot ones have more."""
    rng = np.random.default_rng(seed)
    soft = cv2.GaussianBlur(rng.normal(size=SHAPE), (0, 0), 1.5)
    light = level * np.clip(1 + 0.06 * soft / soft.std(), 0.2, None)
    light[:, 24:40] *= 2
    return cv2.GaussianBlur(light, (0, 0), 0.6)  # as optics have it


def found(light: Light, count: int = 7, sigma: float = 20) -> tuple[list[int], list[int]]:
    """Places of defects and of light in so many frames of it (H, W), or in those (T, H, W)."""
    rng = np.random.default_rng(1)
    shown = BLACKS + light + rng.normal(0, sigma, (count, *SHAPE))
    planes = list(np.rint(shown).clip(0, 4095).astype(np.uint16))
    mean = np.mean(planes, axis=0, dtype=np.float32)
    places, seen = lasting(planes, mean, BLACK, 15.0)
    return places.tolist(), seen.tolist()


def with_more(light: Light) -> Light:
    more = light.copy()
    more.flat[PLACES] += MORE
    return more


def test_hot_pixels_and_pairs_of_unlike_ones_are_found_in_texture() -> None:
    assert found(textured())[0] == []
    assert found(with_more(textured()))[0] == PLACES


def test_pixels_that_lack_light_are_found_too() -> None:
    dark = textured()
    dark.flat[PLACES] *= 0.1
    assert found(dark)[0] == PLACES


def test_pixels_that_lack_light_are_told_by_their_share_of_it_as_it_changes() -> None:
    """What they lack changes with it, too much to stand out by itself."""
    dark = textured()
    dark.flat[PLACES[:3]] *= 0.4
    assert found(np.linspace(0.3, 1.7, 7)[:, None, None] * dark)[0] == PLACES[:3]


@pytest.mark.parametrize("colour", [(1, 1, 1), (1, 0.5, 0.3), (0.5, 1, 0.5)])
@pytest.mark.parametrize("at", [(0.0, 0.0), (0.5, 0.0), (0.3, 0.4)])
def test_points_of_light_are_no_defects(
    colour: tuple[float, float, float], at: tuple[float, float]
) -> None:
    """In the middle of a pixel, between two, anywhere; half a pixel wide."""
    rows, columns = np.mgrid[:48, :64]
    light = np.full(SHAPE, 100.0)
    for row, column in ((10, 12), (20, 41), (31, 26), (39, 55)):  # one on each colour
        far = np.square(rows - row - at[0]) + np.square(columns - column - at[1])
        light += 2500 * np.exp(-far / (2 * 0.5**2))
    for row, column, plane in ((0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 2)):
        light[row::2, column::2] *= colour[plane]
    assert found(light)[0] == []


def drawn() -> dict[str, Light]:
    rows, columns = np.mgrid[:48, :64]
    text = np.full(SHAPE, 150, np.uint8)
    cv2.putText(text, "10:45 f2r.", (2, 30), cv2.FONT_HERSHEY_PLAIN, 0.9, 10)
    return {
        "lines": np.where((columns == 21) | (rows == 30), 2500.0, 300.0),
        "fence": np.where(columns % 5 == 0, 2500.0, 300.0),
        "dots all over": np.where((columns % 6 == 0) & (rows % 6 == 0), 2500.0, 300.0),
        "corner": np.where((columns > 20) & (rows > 20), 2500.0, 300.0),
        "cluster": np.where((columns // 2 == 10) & (rows // 2 == 10), 2500.0, 300.0),
        "text": 10 * cv2.GaussianBlur(text.astype(float), (0, 0), 0.6),
    }


@pytest.mark.parametrize("name", drawn())
def test_what_is_drawn_is_no_defect(name: str) -> None:
    assert found(drawn()[name])[0] == []


@pytest.mark.parametrize(("away", "told"), [(2, True), (4, False)])
def test_a_defect_stands_out_in_most_frames(away: int, told: bool) -> None:
    light = np.repeat(with_more(textured())[None], 7, axis=0)
    light[:away] -= 0.55 * (with_more(textured()) - textured())
    assert (found(light, sigma=4)[0] == PLACES) is told


def test_texture_that_moves_hides_less_the_more_frames_there_were() -> None:
    """A dim one, in the midst of edges that pass."""
    wide = np.concatenate([textured(800, seed) for seed in range(4)], axis=1)
    shown = []
    for time in range(40):
        light = wide[:, 3 * time :][:, :64].copy()
        light[21, 33] += 260
        noise = np.random.default_rng(time).normal(0, 20, SHAPE)
        plane = np.rint(240 + light + noise).astype(np.uint16)
        shown.append(Frame(planes=(plane,), layout=LAYOUT, pts=time))
    done = [one.aside[0].repaired.tolist() if one.aside else [] for one in without_defects(shown)]
    assert done[0] == []
    assert done[-1] == [21 * 64 + 33]


def test_in_its_place_comes_what_texture_tells_better_than_a_median() -> None:
    plane = np.rint(BLACKS + textured()).astype(np.uint16)
    places = np.random.default_rng(2).permutation(plane.size)[:300]
    told, median = (
        one.astype(float) - plane.flat[places]
        for one in (in_place(plane, places, BLACK), medians_of_own(plane, places))
    )
    assert told.std() < 0.85 * median.std()


@pytest.mark.parametrize("place", [20 * 64 + 63, 30 * 64, 27, 47 * 64 + 12])
def test_a_pair_on_the_border_is_left_as_texture_may_look_the_same(place: int) -> None:
    """What lies across it is known on one side only: mirrored, that counted as two."""
    along = 64 if place % 64 in (0, 63) else 1
    pair = [place, place + along]
    light = textured()
    light.flat[pair] += (1500, 1200)
    assert found(light)[0] == []
    inner = np.roll(light, (3, 3), (0, 1))  # where both sides are known
    assert len(found(inner)[0]) == 2


WEAK = 20 * 64 + 12


def test_a_point_beside_a_like_one_of_light_is_texture() -> None:
    """Detail that no optics have blurred has points of which neighbours see nothing, and others."""
    rows, columns = np.mgrid[:48, :64]
    light = textured()
    light.flat[WEAK] += 300
    assert found(light, sigma=8)[0] == [WEAK]
    light += 600 * np.exp(-(np.square(rows - 24) + np.square(columns - 17)) / (2 * 0.5**2))
    assert found(light, sigma=8)[0] == []
    assert WEAK in found(light, sigma=8)[1]  # nor is it one in a single frame


def test_a_defect_does_not_hide_weaker_ones_near_it() -> None:
    light = textured()
    light.flat[[WEAK, 24 * 64 + 16]] += (300, 3000)
    assert found(light, sigma=8)[0] == [WEAK, 24 * 64 + 16]
