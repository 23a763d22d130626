"""Defects of mosaics are told from texture and light by the mean of frames; light stays."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from f2rcli.frames import Frame, Mosaic
from f2rcli.samples.defects import without_defects
from f2rcli.samples.impulses import OWN_COLOUR, medians_of_own
from f2rcli.samples.lasting import (
    _alone,
    _beyond,
    _Cell,
    _least,
    _Rough,
    _roughness,
    _steady,
    _unseen,
    in_place,
    lasting,
)
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


@pytest.mark.parametrize(("count", "told"), [(30, True), (31, False)])
def test_of_more_points_than_a_hundredth_of_the_pixels_nothing_is_told(
    count: int, told: bool
) -> None:
    """3072 pixels."""
    rows, columns = np.divmod(np.arange(count), 7)
    places = ((8 + 9 * rows) * 64 + 5 + 9 * columns).tolist()
    light = np.full(SHAPE, 600.0)
    light.flat[places] += 3000
    assert found(light, sigma=4)[0] == (places if told else [])


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


@pytest.mark.parametrize("width", [0.0, 0.5, 0.6])
def test_texture_does_not_hide_a_defect_as_if_its_neighbours_saw_it(width: float) -> None:
    """Texture that goes on tells what neighbours see; light they see there as well."""
    rows, columns = np.mgrid[:48, :64]
    light = (
        900 + 150 * np.sin(0.9 * rows + 0.55 * columns) + 120 * np.cos(0.7 * rows - 0.8 * columns)
    )
    light += 40 * np.random.default_rng(3).normal(0, 1, SHAPE)
    far = np.square(rows - 24) + np.square(columns - 31)
    point = np.exp(-far / (2 * width**2)) if width else (far == 0).astype(float)
    light += 1100 * point
    for plane, gain in zip(((0, 0), (0, 1), (1, 0), (1, 1)), (0.6, 1, 1, 0.4), strict=True):
        light[plane[0] :: 2, plane[1] :: 2] *= gain
    assert found(light, sigma=8)[0] == ([] if width else [24 * 64 + 31])


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


# By definition: pixel by pixel, in float64, on planes mirrored at their borders.

RNG = np.random.default_rng
CROSS = ((-1, 0), (1, 0), (0, -1), (0, 1))


def at(light: Light, row: int, column: int) -> Light:
    """Samples of planes (..., H, W), mirrored at their borders."""
    height, width = light.shape[-2:]
    row, column = abs(row), abs(column)
    return light[..., min(row, 2 * height - 2 - row), min(column, 2 * width - 2 - column)]


def directions(light: Light, row: int, column: int, bent: float) -> Light:
    """How far pixels of planes lie from what each of four directions tells, sorted."""
    told = []
    for y, x in ((0, 1), (1, 0), (1, 1), (1, -1)):
        one, two, three = (
            (
                at(light, row + far * y, column + far * x)
                + at(light, row - far * y, column - far * x)
            )
            for far in (1, 2, 3)
        )
        told.append(at(light, row, column) - (two + bent * (one - three)) / 2)
    return np.sort(told, axis=0)


def beyond(light: Light, row: int, column: int, bent: float = 0.5) -> Light:
    """From what the middle two of them tell."""
    return directions(light, row, column, bent)[1:3].mean(0)


def least(light: Light, row: int, column: int) -> float:
    four = directions(light, row, column, 0.5)
    return float(max(four[0], 0) + min(four[-1], 0))


def by_pixel(light: Light, of: Callable[[Light, int, int], float]) -> Light:
    height, width = light.shape
    return np.array([[of(light, row, column) for column in range(width)] for row in range(height)])


def rough() -> tuple[Light, _Rough]:
    light = RNG(5).random((19, 23)).astype(np.float32)
    return light, _roughness(light)[0]


def around(points: Light, side: int) -> Light:
    """Sums over squares."""
    seen = np.pad(points, side // 2, "reflect")
    return np.lib.stride_tricks.sliding_window_view(seen, (side, side)).sum((2, 3))


def test_how_rough_a_picture_is_by_definition() -> None:
    light, found = rough()
    np.testing.assert_allclose(found.least, by_pixel(light, least), atol=1e-6)
    middle = by_pixel(light, lambda *at: beyond(*at, 0.0))
    np.testing.assert_allclose(found.middle, middle, atol=1e-6)
    for points, power in ((found.least, found.power), (found.middle, found.own)):
        squares = points.astype(float) ** 2
        wanted = (around(squares, 15) - around(squares, 3)) / (225 - 9)
        np.testing.assert_allclose(power, wanted, rtol=1e-3, atol=1e-7)
    scatter = np.median(np.abs(by_pixel(light, beyond))) * 1.4826
    assert _roughness(light)[1] == pytest.approx(scatter, rel=1e-5)
    rows, columns = np.divmod(np.arange(light.size), 23)
    np.testing.assert_allclose(
        _beyond(light, rows, columns).reshape(light.shape), by_pixel(light, beyond), atol=1e-6
    )
    np.testing.assert_allclose(
        _least(light, np.arange(light.size)).reshape(light.shape), found.least, atol=1e-6
    )
    without = found.without(np.array([40, 200]))
    assert not without.least.flat[[40, 200]].any()
    assert not without.middle.flat[[40, 200]].any()
    squares = without.middle.astype(float) ** 2
    wanted = (around(squares, 15) - around(squares, 3)) / (225 - 9)
    np.testing.assert_allclose(without.own, wanted, rtol=1e-3, atol=1e-7)


def test_points_stand_far_above_others_or_far_above_all_by_definition() -> None:
    """Twice the most of others within seven pixels, or twelve times their root mean square, three
    and more pixels from the border."""
    rng, wanted, found = RNG(6), [], []
    for _ in range(150):
        size = rng.uniform(1, 40)
        least = rng.normal(0, 1, (24, 26)).astype(np.float32)
        least.flat[rng.integers(0, least.size, 4)] *= rng.uniform(1, 5)
        near = [0, 1, 2, 3, 20, 21, 22, 23]
        rows = np.array([rng.choice(near), 12])
        columns = np.array([13, rng.choice([*near, 24, 25])])
        if rng.random() < 0.6:
            least[rows, (columns + rng.choice([-5, 5])) % 26] = 0.7 * size
        least[rows, columns] = size * rng.choice([-1, 1], 2)
        known = _Rough.of(least, least)
        places = rows * 26 + columns
        others = np.abs(least)
        for row, column in zip(rows, columns, strict=True):
            others[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2] = 0
        for row, column in zip(rows, columns, strict=True):
            most = others[max(row - 7, 0) : row + 8, max(column - 7, 0) : column + 8].max()
            inside = 3 <= row <= 20 and 3 <= column <= 22
            sure = size**2 > 144 * known.power[row, column]
            wanted.append(bool(size > 2 * most or (inside and sure)))
        found += _alone(known, places).tolist()
    assert found == wanted
    assert 60 < sum(wanted) < 240


def unseen(light: Light, row: int, column: int, power: float, most: float) -> tuple[bool, int]:
    """Whether a point's four neighbours see no more than so much of it, or the two across where one
    of them may be its twin; and where that is."""
    height, width = light.shape
    own = beyond(light, row, column)
    sign, size = np.sign(own), abs(own)
    see = [beyond(light, row + y, column + x, 0.0) * sign for y, x in CROSS]
    bent = [beyond(light, row + y, column + x) * sign for y, x in CROSS]
    scatter, strongest = power**0.5, int(np.argmax(see))
    twin, place = see[strongest] > max(0.15 * size, 3 * scatter), row * width + column
    if twin:
        across = slice(2, 4) if strongest < 2 else slice(0, 2)
        see, bent, most = see[across], bent[across], min(0.03, most)
        place += CROSS[strongest][0] * width + CROSS[strongest][1]
    mean = np.mean(see)
    inside = 2 <= row < height - 2 and 2 <= column < width - 2
    able = max(mean, np.mean(bent)) < most * size and (inside or not twin)
    return bool(able and mean + scatter / len(see) ** 0.5 < 0.2 * size), place


def test_neighbours_see_nothing_of_a_defect_by_definition() -> None:
    """Points alone or two side by side, some seen by their neighbours, in places and on borders."""
    rng, wanted, found, centres = RNG(7), [], [], []
    for most in (0.05, 0.025):
        for _ in range(250):
            light = 1 + rng.choice([0.002, 0.01]) * rng.normal(0, 1, (14, 16))
            row, column = rng.choice([0, 1, 2, 6, 11, 12, 13]), rng.choice([1, 2, 7, 13, 14])
            size = rng.choice([-0.5, 0.5, 1])
            light[row, column] += size
            sees = rng.choice([0, 0.03, 0.06, 0.1], 4) * rng.choice([0, 1])
            if rng.random() < 0.5:
                sees[rng.integers(4)] = rng.choice([0.1, 0.14, 0.16, 0.4, 0.8])
            for (y, x), share in zip(CROSS, sees, strict=True):
                if 0 <= row + y < 14 and 0 <= column + x < 16:
                    light[row + y, column + x] += share * size
            light = light.astype(np.float32)
            power = rng.choice([0.01, 0.05, rng.uniform(0.05, 0.45)]) ** 2
            known = _Rough(*[np.full(light.shape, power, np.float32)] * 4)
            place = np.array([row * 16 + column])
            one, twin = _unseen(light, place, known, most)
            wanted.append(unseen(light, row, column, power, most))
            found.append((bool(one[0]), int(twin[0])))
            centres.append(int(place[0]))
    assert found == wanted
    assert 60 < sum(one for one, _ in wanted) < 440
    assert sum(known != own for (_, known), own in zip(wanted, centres, strict=True)) > 60


def steady(planes: Light, row: int, column: int, size: float) -> bool:
    """Whether a point stands out in most frames by half as much as in their mean, and in all of
    them by more than chance; or lacks more of its light than that varies by."""
    planes = planes.astype(float)
    out = beyond(planes, row, column)
    near = [beyond(planes, row + y, column + x).std(ddof=1) for y, x in OWN_COLOUR[1::2]]
    error = len(planes) ** -0.5
    spread = max(out.std(ddof=1), 0.5 * np.median(near))
    sure = abs(out.mean()) > 7 * error * spread
    own = planes[:, row, column]
    share = own / np.maximum(own - out, 1e-3)
    lacks = 1 - share.mean() > 7 * error * max(share.std(ddof=1), 0.05)
    sure |= size < 0 and lacks
    return bool(sure and np.median(out * np.sign(size)) > 0.5 * abs(size))


def test_defects_stand_out_in_most_frames_by_definition() -> None:
    rng, wanted, found = RNG(8), [], []
    cell = _Cell(np.zeros((2, 2)), np.ones((2, 2)))
    for _ in range(200):
        planes = 1 + rng.choice([0.005, 0.05]) * rng.normal(0, 1, (6, 13, 15))
        size = rng.choice([-0.9, -0.4, -0.15, 0.15, 0.6])
        varies = 1 + rng.choice([0.05, 0.3, 0.45, 0.6]) * rng.normal(0, 1, 6)
        if size < 0 and rng.random() < 0.6:
            planes *= np.maximum(1 + 0.4 * rng.normal(0, 1, 6), 0.2)[:, None, None]
            planes[:, 6, 7] *= 1 + size * (1 + 0.1 * varies)
        else:
            planes[:, 6, 7] += size * varies
        planes = np.asarray(planes, np.float32)
        light = planes.mean(0) + np.float32(0)
        light[6, 7] += rng.choice([0.0, 0.8]) * size
        place = np.array([6 * 15 + 7])
        got, twins = _steady(list(planes), (place, place + 1), np.array([True]), light, cell)
        assert (twins == got + 1).all()
        found.append(bool(got.size))
        wanted.append(steady(planes, 6, 7, beyond(light, 6, 7)))
    assert found == wanted
    assert 40 < sum(wanted) < 160
    none, _ = _steady(list(planes), (place, place), np.array([False]), light, cell)
    assert none.size == 0


def in_places(plane: Light, places: np.ndarray) -> list[int]:
    """What each direction tells of a pixel, by how little its own colour steps in it, to where the
    eight around it of its colour lie."""
    means = np.array([[plane[y::2, x::2].mean() - BLACK[y, x] for x in (0, 1)] for y in (0, 1)])
    cells = np.tile(1 / means, (plane.shape[0] // 2, plane.shape[1] // 2))
    blacks = np.tile(BLACK, (plane.shape[0] // 2, plane.shape[1] // 2))
    light = np.pad((plane - blacks) * cells, 8, "reflect")
    codes, told = np.pad(plane, 8, "reflect"), []
    for row, column in zip(*np.divmod(places, plane.shape[1]), strict=True):
        at, values, steps = np.array((row + 8, column + 8)), [], []
        for way in np.array([(0, 1), (1, 0), (1, 1), (1, -1)]):
            one, two, three = (
                [light[tuple(at + far * way)], light[tuple(at - far * way)]] for far in (1, 2, 3)
            )
            values.append(np.mean(two) + 0.5 * (np.mean(one) - np.mean(three)))
            step = (two[0] - two[1]) ** 2 + (one[0] - one[1]) ** 2
            steps.append(step / max(np.mean(two), 0.02))
        weights = 1 / (np.array(steps) + 0.5 * np.mean(steps) + 1e-9)
        value = np.average(values, weights=weights) / cells[row, column] + blacks[row, column]
        near = [codes[tuple(at + step)] for step in OWN_COLOUR[1:]]
        told.append(int(np.clip(np.rint(value), min(near), max(near))))
    return told


@pytest.mark.parametrize("level", [600, 40])
def test_what_texture_tells_is_by_definition(level: float) -> None:
    noise = RNG(9).normal(0, 15, SHAPE)
    plane = np.rint(BLACKS + textured(level) + noise).astype(np.uint16)
    places = RNG(10).permutation(plane.size)[:200]
    apart = in_place(plane, places, BLACK).astype(int) - in_places(plane.astype(float), places)
    assert np.abs(apart).max() <= 1  # float32 rounds
    assert np.abs(apart).mean() < 0.02
