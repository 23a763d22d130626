"""Salt and pepper is taken out of pictures, and nothing else that comes and goes is."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from f2rcli.frames import Family, Frame, PlaneLayout
from f2rcli.samples.counts import SetAside
from f2rcli.samples.defects import put_back, without_defects

FRAMES, HEIGHT, WIDTH = 4, 120, 160
GRAY = PlaneLayout(family=Family.GRAY, bits=8)
RGB = PlaneLayout(family=Family.RGB, bits=8)
LIMITED = PlaneLayout(family=Family.YUV, bits=10, full_range=False)

Clip = NDArray[np.float64]  # (T, H, W), 0..255
Detail = Callable[[Clip, np.random.Generator], None]  # drawn into a clip


def scene(frames: int = FRAMES) -> Clip:
    """Soft texture that moves by two pixels a frame."""
    wide = np.random.default_rng(1).normal(0, 1, (HEIGHT, WIDTH + 2 * frames))
    soft = cv2.GaussianBlur(wide, (0, 0), 1.5)
    soft = 128 + 40 * soft / soft.std()
    return np.stack([soft[:, 2 * t : 2 * t + WIDTH] for t in range(frames)]).clip(20, 235)


def peppered(clip: Clip, share: float, low: float = 0, high: float = 255) -> Clip:
    chance = np.random.default_rng(2).random(clip.shape)
    return np.where(chance < share / 2, low, np.where(chance > 1 - share / 2, high, clip))


def grays(clip: Clip, layout: PlaneLayout = GRAY, dtype: str = "u1") -> list[Frame]:
    return [Frame(planes=(np.rint(one).astype(dtype),), layout=layout) for one in clip]


def salt(frames: list[Frame]) -> list[int]:
    """The samples of each frame that are taken for salt and pepper."""
    return [sum(kept.salted for kept in one.aside) for one in without_defects(frames)]


@pytest.mark.parametrize(
    ("share", "sigma", "caught"),
    [(0.004, 0, 0.97), (0.02, 0, 0.99), (0.1, 0, 0.97), (0.02, 8, 0.98)],
)
def test_it_is_repaired_from_what_is_around(share: float, sigma: float, caught: float) -> None:
    clean = scene() + np.random.default_rng(3).normal(0, max(sigma, 1e-9), scene().shape)
    frames = grays(peppered(clean, share))
    for sound, given, seen in zip(grays(clean), frames, without_defects(frames), strict=True):
        bad = given.planes[0] != sound.planes[0]
        out = put_back(seen).planes[0]
        assert np.count_nonzero(out[bad] != given.planes[0][bad]) > caught * np.count_nonzero(bad)
        assert np.count_nonzero(out[~bad] != sound.planes[0][~bad]) < 0.0005 * out.size
        off = out[bad].astype(float) - sound.planes[0][bad]
        assert np.median(np.abs(off)) < 12 + sigma  # 128 or so before


@pytest.mark.parametrize("seed", range(3))
def test_it_is_known_where_only_parts_of_a_picture_show_it(seed: int) -> None:
    """White is not seen on white, nor black on black: it seems to keep to places that move."""
    rng = np.random.default_rng(seed)
    soft = cv2.GaussianBlur(rng.normal(0, 1, (HEIGHT, WIDTH + 2 * FRAMES)), (0, 0), 5)
    blobs = np.where(soft > 0, 225.0, 30.0)
    clip = np.stack([blobs[:, t : t + WIDTH] for t in range(FRAMES)])
    clip += rng.normal(0, 8, clip.shape)
    assert min(salt(grays(peppered(clip.clip(0, 255), 0.1)))) > 0


def _white(clip: Clip, rng: np.random.Generator) -> None:
    clip[rng.random(clip.shape) < 0.01] = 255


def _half(clip: Clip, rng: np.random.Generator) -> None:
    lower = clip[:, HEIGHT // 2 :]
    chance = rng.random(lower.shape)
    lower[chance < 0.01], lower[chance > 0.99] = 0, 255


def _of_all_codes(clip: Clip, rng: np.random.Generator) -> None:
    some = rng.random(clip.shape) < 0.02
    clip[some] = rng.uniform(0, 255, np.count_nonzero(some))


def _imaged(clip: Clip, rng: np.random.Generator) -> None:
    """What a lens images: 0.4 pixels wide."""
    chance = rng.random(clip.shape)
    for value, some in ((0, chance < 0.01), (255, chance > 0.99)):
        for picture, points in zip(clip, some.astype(np.float64), strict=True):
            light = cv2.GaussianBlur(points, (0, 0), 0.4)
            light /= light.max()
            picture += np.minimum(light, 1) * (value - picture)


def _drawn(clip: Clip, rng: np.random.Generator, spread: float, step: tuple[int, int]) -> None:
    """Black and white points, each on a way of its own, and all by a step."""
    places = rng.uniform(0, (HEIGHT, WIDTH), (300, 2))
    ways = rng.normal(0, spread, places.shape) + step
    for picture in clip:
        rows, columns = np.floor(places).astype(int).T % [[HEIGHT], [WIDTH]]
        picture[rows, columns] = np.arange(300) % 2 * 255
        places += ways


def _snow(clip: Clip, rng: np.random.Generator) -> None:
    _drawn(clip, rng, 3, (0, 0))


def _stars(clip: Clip, rng: np.random.Generator) -> None:
    _drawn(clip, rng, 0, (9, 14))


def _still(clip: Clip, rng: np.random.Generator) -> None:
    _drawn(clip, rng, 0, (0, 0))


def _dots(clip: Clip, rng: np.random.Generator) -> None:
    """Eight grays instead of all."""
    clip[:] = np.rint(clip / 36 + rng.uniform(-0.5, 0.5, clip.shape)) * 36
    chance = rng.random(clip.shape)
    clip[chance < 0.01], clip[chance > 0.99] = 0, 252


def _sequins(clip: Clip, rng: np.random.Generator) -> None:
    """Points that stay and glint or darken by turns."""
    places = rng.integers(0, clip[0].size, 500)
    for picture in clip:
        chance = rng.random(places.size)
        picture.flat[places[chance < 0.2]], picture.flat[places[chance > 0.8]] = 255, 0


def _lines(clip: Clip, rng: np.random.Generator) -> None:
    for t, picture in enumerate(clip):
        for column in range(0, WIDTH, 9):
            value = column % 2 * 255.0
            cv2.line(picture, (column + 3 * t, 0), (column + 30 + 3 * t, HEIGHT), value, 1)


@pytest.mark.parametrize(
    "detail",
    [_white, _half, _of_all_codes, _imaged, _snow, _stars, _still, _dots, _sequins, _lines],
    ids=lambda one: one.__name__,
)
def test_other_samples_that_stand_out_are_left(detail: Detail) -> None:
    clip = scene()
    detail(clip, np.random.default_rng(4))
    assert salt(grays(clip.clip(0, 255))) == [0] * FRAMES


def test_clean_and_noisy_pictures_have_none() -> None:
    assert salt(grays(scene())) == [0] * FRAMES
    noise = np.random.default_rng(5).normal(0, 60, scene().shape)
    assert salt(grays((scene() + noise).clip(0, 255))) == [0] * FRAMES


def test_what_stays_in_place_and_lines_are_kept_beside_it() -> None:
    clip = scene()
    clip[:, 30, 40], clip[:, 60:110, 80], clip[:, 20, 100:150] = 255, 255, 0
    given = peppered(clip, 0.02)
    points = np.zeros(clip.shape[1:], bool)
    points[30, 40] = points[60:110, 80] = points[20, 100:150] = True
    for sound, one in zip(clip, without_defects(grays(given)), strict=True):
        kept = one.planes[0][points] == sound[points]
        assert kept.mean() > 0.97  # but for what salt and pepper hides
        assert put_back(one).planes[0][30, 40] == 255


def test_white_and_black_areas_of_other_frames_excuse_no_single_sample() -> None:
    """They show by the dozen what a single sample here has one of."""
    clip = scene()
    for t, left in enumerate((60, 80, 100, 120)):
        clip[t, :60, left : left + 24] = 255.0
        clip[t, 60:, left : left + 24] = 0.0
    frames = grays(peppered(clip, 0.02))
    sound, given = grays(clip)[3].planes[0], frames[3].planes[0]
    *_, seen = without_defects(frames)
    left = np.zeros(sound.shape, bool)
    left[3:-3, 83:117] = True  # where both frames before had such areas, in turn
    bad = left & (np.abs(given.astype(float) - sound) > 40)
    assert np.count_nonzero(bad) > 30
    out = put_back(seen).planes[0]
    assert np.count_nonzero(out[bad] == given[bad]) <= 0.05 * np.count_nonzero(bad)


def test_a_law_that_one_colour_shows_is_that_of_all() -> None:
    clip = scene()
    dark = clip / 10  # no pepper is seen in it
    chance = np.random.default_rng(2).random(clip.shape)
    frames = []
    for one, low, luck in zip(clip, dark, chance, strict=True):
        planes = [np.where(luck < 0.01, 0, np.where(luck > 0.99, 255, v)) for v in (one, low, one)]
        frames.append(Frame(planes=tuple(np.rint(p).astype("u1") for p in planes), layout=RGB))
    assert salt([Frame(planes=one.planes[1:2], layout=GRAY) for one in frames]) == [0] * FRAMES
    for given, one in zip(frames, without_defects(frames), strict=True):
        white = given.planes[1] == 255
        assert np.count_nonzero(one.planes[1][white] == 255) < 0.02 * np.count_nonzero(white)


def test_a_plane_without_samples_of_these_codes_stays() -> None:
    """Salt and pepper in one colour only."""
    flat = np.full((HEIGHT, WIDTH), 90, np.uint8)
    frames = [
        Frame(planes=(flat, one.planes[0], flat), layout=RGB)
        for one in grays(peppered(scene(), 0.02))
    ]
    for one in without_defects(frames):
        assert [kept.salted > 0 for kept in one.aside] == [False, True, False]
        np.testing.assert_array_equal(one.planes[0], flat)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (3, 2), (2, 300)])
@pytest.mark.parametrize("dtype", ["u1", "u2", ">u2", "f4"])
def test_pictures_of_any_size_and_kind_pass(shape: tuple[int, int], dtype: str) -> None:
    planes = np.random.default_rng(0).integers(0, 2, (FRAMES, *shape)) * 255
    layout = PlaneLayout(family=Family.GRAY, bits=32 if dtype == "f4" else 8)
    frames = grays(planes.astype(float), layout, dtype)
    assert salt(frames) == [0] * FRAMES


def test_luma_of_limited_range_has_its_own_black_and_white() -> None:
    luma = 64 + scene() * 876 / 255
    flat = np.full((HEIGHT, WIDTH), 512, np.uint16)
    given = np.rint(peppered(luma, 0.02, 64, 940)).astype(np.uint16)
    frames = [Frame(planes=(one, flat, flat), layout=LIMITED) for one in given]
    done = list(without_defects(frames))
    assert all(0.015 < one.aside[0].salted / flat.size < 0.023 for one in done)
    assert all(one.planes[1] is flat for one in done)


def test_copies_stay_copies() -> None:
    once = grays(peppered(scene(), 0.02))
    frames = [once[0], once[1], once[1], once[2], once[2], once[2], once[2], once[3]]
    done = list(without_defects(frames))
    assert min(salt(frames)) > 0
    for first, second in ((1, 2), (3, 4), (3, 6)):
        np.testing.assert_array_equal(done[first].planes[0], done[second].planes[0])


def test_counts_of_a_sensor_and_single_frames_keep_it() -> None:
    counts = PlaneLayout(family=Family.GRAY, bits=8, levels=(0.0, 255.0))
    assert salt(grays(peppered(scene(), 0.02), counts)) == [0] * FRAMES
    assert salt(grays(peppered(scene(), 0.02)[:1])) == [0]


def test_it_is_told_in_a_few_words() -> None:
    found = SetAside()
    for one in without_defects(grays(peppered(scene(), 0.02))):
        found.add(one.aside)
    (line, *_) = found.lines()
    assert (
        line
        == f"salt and pepper, at most {found.salt} samples a picture, in 4 of 4 pictures: repaired"
    )
    assert 0.018 < found.salt / (HEIGHT * WIDTH) < 0.024
