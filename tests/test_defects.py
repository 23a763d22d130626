"""What is no picture is found and put back; noise, stars, texture and darkness are left alone."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from f2rcli.frames import Family, Frame, Mosaic, Plane, PlaneLayout
from f2rcli.samples.counts import SetAside
from f2rcli.samples.defects import _lasting, put_back, set_aside, without_defects
from f2rcli.samples.fills import _range, filled, no_light
from f2rcli.samples.impulses import Impulses, _excess, lone, medians_of_own, without_impulses
from f2rcli.samples.lasting import in_place
from f2rcli.sensor import bayer_layout, cell_blacks

HEIGHT, WIDTH = 96, 128
GRAY8 = PlaneLayout(family=Family.GRAY, bits=8)
COUNTS = PlaneLayout(family=Family.GRAY, bits=16, levels=(0.0, 4000.0))
REAL = PlaneLayout(family=Family.GRAY, bits=32, levels=(0.0, 4000.0))
RAW = bayer_layout(Mosaic(pattern="RGGB", black=(64.0,) * 4, white=(4095.0,) * 4), 12)
BOX = np.s_[30:42, 50:70]


def light() -> NDArray[np.float64]:
    """A scene without noise, 40..200: discs of all sizes on a ramp."""
    rng = np.random.default_rng(2)
    scene = np.tile(np.linspace(40, 120, WIDTH), (HEIGHT, 1))
    for _ in range(60):
        x, y, size = rng.integers(0, WIDTH), rng.integers(0, HEIGHT), rng.integers(3, 25)
        cv2.circle(scene, (int(x), int(y)), int(size), float(rng.integers(40, 200)), -1)
    return cv2.GaussianBlur(scene, (0, 0), 0.6).astype(np.float64)


def noisy(sigma: float = 6, seed: int = 0, shape: tuple[int, int] = (HEIGHT, WIDTH)) -> Plane:
    return np.random.default_rng(seed).normal(100, sigma, shape)


def codes(values: NDArray[np.float64], dtype: str = "u1") -> Plane:
    limits = np.iinfo(dtype)
    return np.rint(values).clip(limits.min, limits.max).astype(dtype)


def frame(plane: Plane, layout: PlaneLayout = GRAY8) -> Frame:
    return Frame(planes=(plane,), layout=layout)


def stars(width: float) -> Plane:
    """Photons of stars whose images are this wide, in pixels at half their height."""
    rng = np.random.default_rng(1)
    rows, columns = np.indices((HEIGHT, WIDTH))
    sky = np.full((HEIGHT, WIDTH), 100.0)
    for y, x, power in zip(*rng.random((2, 80)), rng.pareto(1, 80), strict=True):
        apart = (rows - y * HEIGHT) ** 2 + (columns - x * WIDTH) ** 2
        sky += min(300 * power, 50000) * np.exp(-4 * np.log(2) * apart / width**2)
    return rng.poisson(sky).astype(np.uint16)


def salted(share: float) -> Plane:
    scene, drawn = light(), np.random.default_rng(3).random((HEIGHT, WIDTH))
    scene[drawn < share / 2], scene[drawn > 1 - share / 2] = 0, 255
    return codes(scene)


def grain() -> Plane:
    rough = cv2.GaussianBlur(noisy(1) - 100, (0, 0), 0.8)
    return codes(light() + 20 * rough / rough.std())


def drawing() -> Plane:
    """Lines of one pixel, a checkerboard, corners, letters: no noise."""
    plane = np.full((HEIGHT, WIDTH), 60, np.uint8)
    plane[10, 10:90] = plane[10:60, 100] = 235
    plane[np.arange(20, 60), np.arange(20, 60)] = 16
    plane[60:90, 10:50] = np.indices((30, 40)).sum(0) % 2 * 200
    plane[20:40, 60:80] = 235
    cv2.putText(plane, "f2r 10:45", (55, 80), cv2.FONT_HERSHEY_PLAIN, 0.8, 255)
    return plane


def photons(rate: float, gain: int = 1) -> Plane:
    return (gain * np.random.default_rng(4).poisson(rate, (HEIGHT, WIDTH))).astype(np.uint16)


@pytest.mark.parametrize(
    "shown",
    [
        *(frame(codes(noisy(sigma))) for sigma in (0.3, 1, 5, 30, 50)),
        *(frame(codes(light() + noisy(sigma) - 100)) for sigma in (0.3, 5, 30, 50)),
        *(frame(codes(noisy(sigma) - 90)) for sigma in (5, 30)),  # cut off at black
        *(frame(salted(share)) for share in (0.02, 0.1, 0.3)),
        frame(grain()), frame(codes(light())), frame(drawing()), frame(np.zeros((9, 9), np.uint8)),
        *(frame(stars(width), COUNTS) for width in (2, 3)),
        *(frame(photons(rate), COUNTS) for rate in (0.002, 0.02, 0.3, 1, 2, 30)),
        *(frame(photons(rate, 30), COUNTS) for rate in (0.3, 1, 2)),
        frame(photons(40) + np.uint16(60), RAW), frame(np.full((3, 4), 7.0, np.float32), REAL),
    ],
)  # fmt: skip
def test_a_picture_is_left_alone(shown: Frame) -> None:
    assert set_aside(shown) is shown


@pytest.mark.parametrize(
    ("dtype", "layout", "top"),
    [("u1", GRAY8, 255), ("u2", COUNTS, 65535), ("i4", COUNTS, 2**30), ("f4", REAL, 1e6),
     ("f8", REAL, -1e9), ("u2", RAW, 4095), ("u2", replace(GRAY8, bits=10), 1023)],
)  # fmt: skip
def test_single_samples_far_from_all_around_are_found_and_no_others(
    dtype: str, layout: PlaneLayout, top: float
) -> None:
    plane = noisy().astype(dtype)
    places = [(0, 0), (95, 127), (40, 60), (40, 61), (70, 33)]  # two of them are a pair
    for place in places:
        plane[place] = top
    found = set_aside(frame(plane, layout))
    (kept,) = found.aside
    assert [divmod(int(p), WIDTH) for p in kept.impulses.places] == sorted(places)
    seen = found.planes[0]
    assert all(70 < float(seen[place]) < 130 for place in places)
    hot = kept.impulses.places
    np.testing.assert_array_equal(np.delete(seen, hot), np.delete(plane, hot))
    if layout is RAW:  # single ones are repaired; of a pair each sees the other
        assert (kept.repaired.size, kept.places.tolist()) == (3, [40 * WIDTH + 60, 40 * WIDTH + 61])
        plane.flat[np.setdiff1d(hot, kept.places)] = seen.flat[np.setdiff1d(hot, kept.places)]
    np.testing.assert_array_equal(put_back(found).planes[0], plane)


def test_a_mosaics_colours_have_neighbours_of_their_own() -> None:
    plane = codes(noisy(), "u2")
    plane[::2, ::2] += 1500  # red light: every red sample is far above all around
    plane[51, 51] = 1500  # no more than red, and hot for a blue one
    (kept,) = set_aside(frame(plane, RAW)).aside
    assert kept.impulses.places.tolist() == [51 * WIDTH + 51]
    assert kept.repaired.size == 1


def test_each_colour_of_a_mosaic_is_as_bright_as_it_likes() -> None:
    values = noisy()
    places = [(20, 30), (40, 61), (61, 80), (71, 101)]  # one of each
    for (row, column), light in zip(
        ((0, 0), (0, 1), (1, 0), (1, 1)), (0, 600, 1200, 1800), strict=True
    ):
        values[row::2, column::2] += light
    for place in places:
        values[place] += 300
    (kept,) = set_aside(frame(codes(values, "u2"), RAW)).aside
    assert [divmod(int(place), WIDTH) for place in kept.impulses.places] == places


@pytest.mark.parametrize("colour", [(1, 1, 1), (2, 0.5, 0.3), (0.3, 0.6, 2)])
def test_in_a_mosaic_hot_samples_are_repaired_and_stars_of_any_colour_are_not(
    colour: tuple[float, float, float],
) -> None:
    """What a lens has shown lies on more than one pixel, and so on more than one colour."""
    rng = np.random.default_rng(5)
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    sky = np.zeros((HEIGHT, WIDTH))
    for place in rng.uniform(4, (HEIGHT - 4, WIDTH - 4), (2, 2)):
        far = (rows - place[0]) ** 2 + (columns - place[1]) ** 2
        sky += rng.uniform(500, 3000) * np.exp(-far / (2 * 0.6**2))
    for row, column, index in ((0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 2)):
        sky[row::2, column::2] *= colour[index]
    clean = codes(noisy() + np.minimum(sky, 3500), "u2")
    assert not sum(kept.repaired.size for kept in set_aside(frame(clean, RAW)).aside)
    places = rng.choice(np.flatnonzero(sky < 1), 6, replace=False)
    plane = clean.copy()
    plane.flat[places] += rng.integers(600, 3000, places.size).astype(np.uint16)
    found = set_aside(frame(plane, RAW))
    (kept,) = found.aside
    assert sorted(kept.repaired) == sorted(places)
    whole = found.planes[0]  # with what texture tells, not medians, but for what lies near others
    told = in_place(whole, kept.repaired, cell_blacks(RAW.mosaic))
    assert np.count_nonzero(whole.flat[kept.repaired] != told) <= 2
    done = put_back(found).planes[0]
    assert np.abs(done.flat[places] - 100.0).max() < 20  # of the noise, where 600 to 3000 were
    np.testing.assert_array_equal(np.delete(done, places), np.delete(plane, places))


def test_what_noise_hides_in_one_frame_of_a_mosaic_several_show() -> None:
    """A pixel that is hot in all of them; no star, which other colours see, and no flash."""
    rng = np.random.default_rng(6)
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    star = 500 * np.exp(-((rows - 60) ** 2 + (columns - 90) ** 2) / (2 * 0.6**2))
    places = [20 * WIDTH + 31, 45 * WIDTH + 80, 71 * WIDTH + 12]
    mosaics = []
    for _ in range(7):
        values = 400 + star + rng.normal(0, 30, (HEIGHT, WIDTH))
        values.flat[places] += (190, -190, 230)
        mosaics.append(frame(codes(values, "u2"), RAW))
    mosaics[3].planes[0][30, 30] = 3000
    alone = [set_aside(one) for one in mosaics]
    assert not all(
        np.isin(places, one.aside[0].repaired).all() if one.aside else 0 for one in alone
    )
    for index, one in enumerate(without_defects(mosaics)):
        (kept,) = one.aside
        flash = [30 * WIDTH + 30] if index == 3 else []
        assert kept.repaired.tolist() == sorted([*places, *flash])
        assert np.abs(put_back(one).planes[0].flat[places] - 400.0).max() < 60
    copies = list(without_defects([mosaics[0]] * 7))
    np.testing.assert_array_equal(copies[0].planes[0], set_aside(mosaics[0]).planes[0])


def test_several_frames_of_a_mosaic_show_pairs_of_hot_samples() -> None:
    """Side by side or one above the other; no square of four, nor a star between two pixels."""
    rng = np.random.default_rng(8)
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    star = 9000 * np.exp(-((rows - 60) ** 2 + (columns - 90.5) ** 2) / (2 * 0.6**2))
    pairs = [20 * WIDTH + 31, 20 * WIDTH + 32, 45 * WIDTH + 80, 46 * WIDTH + 80]
    square = [row * WIDTH + column for row in (70, 71) for column in (20, 21)]
    mosaics = []
    for _ in range(7):
        values = 400 + star + rng.normal(0, 10, (HEIGHT, WIDTH))
        values.flat[pairs + square] += 2000
        mosaics.append(frame(codes(values, "u2"), RAW))
    for one in without_defects(mosaics):
        assert one.aside[0].repaired.tolist() == pairs


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, -1e30, -9999.0, 65535.0])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_fill_values_make_way_for_the_planes_own_samples_and_come_back(
    value: float, dtype: str
) -> None:
    plane = noisy().astype(dtype)
    plane[BOX] = value
    plane[5, 5] = 1e25
    found = set_aside(frame(plane, REAL))
    seen = found.planes[0]
    assert np.isfinite(seen).all()
    assert seen[BOX].mean() == pytest.approx(100, abs=2)
    assert seen[BOX].std() == pytest.approx(6, rel=0.3)  # the noise that belongs there
    assert put_back(found).planes[0].tobytes() == plane.tobytes()


@pytest.mark.parametrize("value", [0, 65535])
def test_areas_at_the_ends_of_a_dtype_are_fill_values_of_counts_but_not_of_pictures(
    value: int,
) -> None:
    plane = codes(noisy() + 300, "u2")
    plane[BOX] = value
    found = set_aside(frame(plane, COUNTS))
    np.testing.assert_array_equal(np.flatnonzero(plane == value), found.aside[0].places)
    assert 380 < found.planes[0][BOX].mean() < 420
    shown = frame(plane, PlaneLayout(family=Family.GRAY, bits=16))
    assert set_aside(shown) is shown


def test_darkness_and_light_that_saturates_are_no_fill_values() -> None:
    cells = np.zeros((HEIGHT, WIDTH))
    cells[20:50, 30:60] = 4000
    smooth = cv2.GaussianBlur(cells, (0, 0), 3) + noisy() - 100
    plane = codes(np.clip(smooth, 0, 3000), "u2")  # most is 0, and a part saturates
    assert not no_light(plane, fills=True).any()


def test_a_plane_without_any_number_is_black_and_comes_back() -> None:
    plane = np.full((12, 12), np.nan, np.float32)
    found = set_aside(frame(plane, REAL))
    assert not found.planes[0].any()
    assert np.isnan(put_back(found).planes[0]).all()


def test_a_hot_sample_stays_one_where_texture_would_hide_it() -> None:
    plain, rough = codes(noisy(4)), codes(noisy(4) + np.indices((HEIGHT, WIDTH)).sum(0) % 5 * 30)
    for plane in (plain, rough):
        plane[40, 60] = 255
    alone = set_aside(frame(rough))
    assert alone.aside == ()
    _, second = without_defects([frame(plain), frame(rough)])
    assert second.aside[0].places.tolist() == [40 * WIDTH + 60]
    _, other = without_defects([frame(plain), frame(codes(noisy(4, seed=1)))])
    assert other.aside == ()  # it was hot in one frame only


def test_what_was_set_aside_is_told_in_a_few_words() -> None:
    hot, fill = codes(noisy()), noisy().astype("f4")
    hot[40, 60] = 255
    fill[BOX] = -9999
    fill[5, 5] = np.nan
    found = SetAside()
    assert found.lines() == []
    for one in (frame(hot), frame(codes(noisy())), frame(fill, REAL)):
        found.add(set_aside(one).aside)
    assert found.lines() == [
        "1 outlier (hot or dead pixel) in 1 of 3 pictures: kept as stored",
        "1 sample not finite (NaN or infinite): kept as stored",
        "fill values in 240 samples: kept as stored",
    ]


def test_repaired_samples_are_told_apart_from_those_that_stay() -> None:
    plane = codes(noisy(), "u2")
    plane[20, 30] = plane[60, 81] = 4000
    found = SetAside()
    found.add(set_aside(frame(plane, RAW)).aside)
    assert found.lines() == ["2 outliers (hot or dead pixels) in 1 of 1 pictures: 2 repaired"]
    plane[70, 30] = plane[70, 31] = 4000  # a pair
    plane[40:60, 100:120] = 9000
    found.add(set_aside(frame(plane, RAW)).aside)
    assert found.lines() == [
        "at most 4 outliers (hot or dead pixels) a picture, in 2 of 2 pictures: "
        "at most 2 a picture repaired, the others kept as stored",
        "fill values in 400 samples: kept as stored",
    ]


@pytest.mark.parametrize(
    ("bad", "row", "column"),
    [
        (np.s_[:, 18:], slice(None), slice(16, 4, -1)),  # mirrored at the nearest good column
        (np.s_[:, :8], slice(None), slice(16, 8, -1)),
        (np.s_[14:], slice(12, 6, -1), slice(None)),
        (np.s_[:6], slice(12, 6, -1), slice(None)),
        (np.s_[:, 4:], slice(None), (3, 2, 1, 0)),  # beyond the picture the nearest one goes on
    ],
)
def test_areas_are_filled_with_the_planes_own_samples_mirrored(
    bad: tuple[slice, ...], row: slice, column: slice | tuple[int, ...]
) -> None:
    plane = np.random.default_rng(0).random((20, 30)).astype(np.float32)
    mask = np.zeros(plane.shape, bool)
    mask[bad] = True
    found = filled(plane, mask)
    np.testing.assert_array_equal(found[~mask], plane[~mask])
    if isinstance(column, tuple):
        np.testing.assert_array_equal(found[:, 4:7], plane[:, 2::-1])
        np.testing.assert_array_equal(found[:, 7:], np.repeat(plane[:, 3:4], 23, 1))
        return
    seen = plane[row, column]
    np.testing.assert_array_equal(found[bad], seen)


def test_what_would_be_mirrored_from_another_gap_is_the_nearest_sample() -> None:
    plane = np.random.default_rng(1).random((5, 40)).astype(np.float32)
    mask = np.zeros(plane.shape, bool)
    mask[:, 10:14] = mask[:, 15:18] = True
    found = filled(plane, mask)
    np.testing.assert_array_equal(found[:, [12, 13, 15]], plane[:, [14, 14, 14]])
    np.testing.assert_array_equal(found[:, [10, 11, 17]], plane[:, [8, 7, 19]])


def test_what_would_be_mirrored_from_beyond_the_border_is_the_nearest_sample() -> None:
    plane = np.random.default_rng(1).random((20, 30)).astype(np.float32)
    for turned in (False, True):
        shown = plane.T.copy() if turned else plane
        mask = np.zeros(shown.shape, bool)
        mask[:, 1:4] = mask[:, -4:-1] = True
        found = filled(shown, mask)
        np.testing.assert_array_equal(found[:, [1, 3]], shown[:, [0, 5]])
        np.testing.assert_array_equal(found[:, [-2, -4]], shown[:, [-1, -6]])
        if turned:
            np.testing.assert_array_equal(filled(plane, mask.T), found.T)


@pytest.mark.parametrize(("gap", "fill"), [(0.09, False), (0.11, True)])
@pytest.mark.parametrize("end", [-1, 1])
def test_a_fill_value_lies_a_tenth_of_the_range_away(gap: float, fill: bool, end: int) -> None:
    """Of that between 1 and 99 % of the other samples: a few far ones do not count."""
    plane = 5 + np.random.default_rng(2).random((60, 60))
    inner = plane.copy()
    plane[20:40, 20:40] = (6 + gap) if end > 0 else 5 - gap
    low, high = np.percentile(inner, (1, 99))
    assert 0.97 < high - low < 0.99
    assert no_light(plane, fills=True)[20:40, 20:40].all() == fill


def test_a_few_far_samples_do_not_widen_the_range() -> None:
    rng = np.random.default_rng(9)
    plane = rng.random((60, 60))
    plane[20:40, 20:40] = -0.12
    plane[0, ::3] = rng.uniform(2, 3, 20)
    assert no_light(plane, fills=True)[20:40, 20:40].all()
    plane[20:40, 20:40] = 1.12
    plane[0, ::3] = -rng.uniform(1, 2, 20)
    assert no_light(plane, fills=True)[20:40, 20:40].all()


@pytest.mark.parametrize("hot", [False, True])
@pytest.mark.parametrize("kind", ["gray", "luma", "blue", "red", "mosaic"])
def test_an_impulse_is_a_thirty_second_of_the_range_at_least_of_a_mosaic_less(
    kind: str, hot: bool
) -> None:
    """A 256th, of white - black where that is least: mosaics are mostly dark."""
    planes = [np.full((24, 24), 1000, np.uint16) for _ in range(3)]
    layout = PlaneLayout(family=Family.YUV, bits=10, full_range=False)
    index = {"blue": 1, "red": 2}.get(kind, 0)
    least = (224 if index else 219) * 4 / 32
    if kind == "gray":
        layout, least = PlaneLayout(family=Family.GRAY, bits=16, full_range=True), 65535 / 32
    elif kind == "mosaic":
        white = (5096.0, 8096.0, 9096.0, 7096.0)
        layout = bayer_layout(Mosaic(pattern="RGGB", black=(1000.0,) * 4, white=white), 14)
        least = 4096 / 256
    planes[index][12, 12] += np.uint16(int(least) + hot)
    found = set_aside(Frame(planes=tuple(planes[: layout.colour_planes]), layout=layout))
    assert bool(found.aside) == hot


def test_a_mosaics_impulses_are_told_colour_by_colour() -> None:
    rng = np.random.default_rng(3)
    for width in (14, 15):
        mask = rng.random((11, width)) < 0.3
        places = np.flatnonzero(mask)
        found = Impulses(places, places.astype(float))
        for row, column in ((0, 0), (0, 1), (1, 0), (1, 1)):
            one = found.within(row, column, width)
            part = mask[row::2, column::2]
            np.testing.assert_array_equal(one.places, np.flatnonzero(part))
            flat = np.arange(11 * width).reshape(11, width)[row::2, column::2]
            np.testing.assert_array_equal(one.samples, flat[part])


def neighbours(plane: np.ndarray, place: tuple[int, int], step: int = 1) -> list[float]:  # type: ignore[type-arg]
    """The 24 samples around one, sorted; mirrored at the border."""
    wide = np.pad(plane.astype(float), 2 * step, mode="reflect")
    row, column = place
    steps = [(y * step, x * step) for y in range(5) for x in range(5) if (y, x) != (2, 2)]
    return sorted(wide[row + y, column + x] for y, x in steps)


def impulses_of(
    plane: np.ndarray,  # type: ignore[type-arg]
    sigmas: float = 8,
    ranges: float = 2.5,
) -> dict[tuple[int, ...], float]:
    """Places that lie beyond all but one of the 24 around by 8 deviations of the plane's noise and
    2.5 times the range of all but the farthest on the other side, and the medians there."""
    far = sigmas * 1.4826 * float(np.median(np.abs(plane - cv2.medianBlur(plane, 5))))
    wide = np.lib.stride_tricks.sliding_window_view(np.pad(plane, 2, mode="reflect"), (5, 5))
    near = np.sort(np.delete(wide.reshape(*plane.shape, 25), 12, axis=-1).astype(float))
    above, below = plane - near[..., -2], near[..., 1] - plane
    spread = np.where(above > below, near[..., -2] - near[..., 0], near[..., -1] - near[..., 1])
    found = np.maximum(above, below) > np.maximum(far, ranges * spread)
    return {tuple(place): near[(*place, 12)] for place in np.argwhere(found).tolist()}


@pytest.mark.parametrize("seed", range(12))
def test_impulses_at_their_limits_are_the_definitions(seed: int) -> None:
    """Half of them in noise, where deviations count, half in texture, where the range does."""
    rng = np.random.default_rng(seed)
    plane = rng.normal(500, 4, (64, 72)).astype(np.float32)
    plane[:, 40:] += 25 * rng.random((64, 32)).astype(np.float32)
    rows, columns = 8 * (np.arange(12) // 2) + 10, np.where(np.arange(12) % 2, 56, 16)
    size = np.where(columns == 16, rng.uniform(38, 60, 12), rng.uniform(85, 135, 12))
    plane[rows, columns] += size * rng.choice((-1, 1), 12)
    beside = rng.random(12) < 0.5  # one that stands out as well, either way
    plane[rows[beside], columns[beside] + 2] += rng.choice((-60, 60), 12)[beside]
    whole, where = without_impulses(plane)
    wanted = impulses_of(plane)
    assert set(map(tuple, np.argwhere(where).tolist())) == set(wanted)
    assert all(whole[place] == np.float32(median) for place, median in wanted.items())


def test_impulses_lie_beyond_all_but_one_around_by_the_noise_and_by_their_range() -> None:
    """By 8 deviations and 2.5 times the range of the 24, of which one may be an impulse too."""
    rng = np.random.default_rng(4)
    plane = rng.normal(500, 4, (80, 90)).astype(np.float32)
    plane[:, 60:] += 20 * rng.random((80, 30)).astype(np.float32)  # texture
    for number, place in enumerate(rng.permutation(80 * 90)[:20]):
        plane.flat[place] += (-1) ** number * rng.uniform(20, 140)
    plane[0, 0] += 300
    plane[40, 20:22] += 200  # a pair
    plane[60, 20:23] -= 200  # three are no impulses
    wanted = impulses_of(plane)
    whole, where = without_impulses(plane)
    assert {(40, 20), (40, 21), (0, 0)} <= set(wanted)
    assert not {(60, 20), (60, 21), (60, 22)} & set(wanted)
    assert 8 < len(wanted) < 20
    assert set(map(tuple, np.argwhere(where).tolist())) == set(wanted)
    for place, median in wanted.items():
        assert whole[place] == np.float32(median)
    np.testing.assert_array_equal(whole[~where], plane[~where])


@pytest.mark.parametrize(("count", "found"), [(2, True), (21, True), (23, False)])
def test_where_more_than_three_in_a_thousand_stand_out_they_are_noise(
    count: int, found: bool
) -> None:
    rng = np.random.default_rng(5)
    plane = rng.normal(500, 4, (84, 84)).astype(np.float32)  # 0.003 of them are 21.2
    places = [(14 * (i // 6) + 6, 14 * (i % 6) + 6) for i in range(count)]
    for place in places:
        plane[place] += 300
    assert without_impulses(plane)[1].sum() == (count if found else 0)


@pytest.mark.parametrize(("blocks", "found"), [(15, True), (16, False)])
def test_where_one_in_a_hundred_lies_half_as_far_out_they_are_noise(
    blocks: int, found: bool
) -> None:
    """Ten impulses, and blocks of four samples, which are none, half as far from the rest."""
    rng = np.random.default_rng(6)
    plane = rng.normal(500, 4, (84, 84)).astype(np.float32)  # a hundredth of them are 70.6
    places = [(12 * (i // 7) + 4, 12 * (i % 7) + 4) for i in range(10 + blocks)]
    for place in places[:10]:
        plane[place] += 300
    for row, column in places[10:]:
        plane[row : row + 2, column : column + 2] += 180
    assert without_impulses(plane)[1].sum() == (10 if found else 0)


@pytest.mark.parametrize(("more", "found"), [(0, True), (1, False)])
def test_one_in_a_hundred_is_not_more_than_that(more: int, found: bool) -> None:
    plane = np.random.default_rng(6).normal(500, 4, (60, 60)).astype(np.float32)
    places = [(9 * (i // 6) + 3, 9 * (i % 6) + 3) for i in range(16)]
    for place in places[:10]:
        plane[place] += 300
    for row, column in places[10:]:  # 26 that are no impulses, or 27
        plane[row : row + 2, column : column + 2] += 180
    row, column = places[10]
    plane[row : row + 2, column + 2] += 180
    plane[row + 2, column : column + more] += 180
    assert without_impulses(plane)[1].sum() == (10 if found else 0)


def test_medians_of_a_colour_are_of_the_24_of_it_around() -> None:
    plane = np.random.default_rng(7).random((16, 18)).astype(np.float32)
    places = np.array([0, 5 * 18 + 7, 15 * 18 + 17, 17])
    found = medians_of_own(plane, places)
    for place, median in zip(places, found, strict=True):
        assert median == np.float32(neighbours(plane, divmod(int(place), 18), 2)[12])


def test_what_a_neighbour_sees_is_beyond_the_eight_nearest_of_its_colour() -> None:
    plane = np.random.default_rng(8).random((16, 18)).astype(np.float32)
    wide = np.pad(plane.astype(float), 2, mode="reflect")
    rows, columns = np.array([0, 5, 15, 8]), np.array([0, 17, 3, 9])
    steps = [(y, x) for y in (0, 2, 4) for x in (0, 2, 4) if (y, x) != (2, 2)]
    wanted = [
        plane[row, column] - np.median([wide[row + y, column + x] for y, x in steps])
        for row, column in zip(rows, columns, strict=True)
    ]
    np.testing.assert_allclose(_excess(plane, rows, columns), wanted)


@pytest.mark.parametrize(("count", "found"), [(2, True), (3, False)])
def test_in_the_smallest_planes_two_impulses_are_none_too_many(count: int, found: bool) -> None:
    plane = np.random.default_rng(11).normal(500, 4, (20, 20)).astype(np.float32)
    for index in range(count):
        plane[4 + 5 * index, 10] += 300
    assert without_impulses(plane)[1].sum() == (count if found else 0)


@pytest.mark.parametrize(("share", "found"), [(0.04, True), (0.06, False)])
def test_where_more_than_a_twentieth_stands_out_nothing_is_looked_at(
    share: float, found: bool
) -> None:
    """Of squares, which are no impulses, all as far from what is around them."""
    plane = np.full((120, 120), 500, np.uint16)
    for index in range(round(share * plane.size / 4)):
        row, column = 2 + 6 * (index // 19), 2 + 6 * (index % 19)
        plane[row : row + 2, column : column + 2] = 580
    plane[60, 119] = 2000
    whole, where = without_impulses(plane, 20.0)
    assert np.argwhere(where).tolist() == ([[60, 119]] if found else [])
    assert (whole[60, 119] < 600) == found


@pytest.mark.parametrize("end", [-1, 1])
@pytest.mark.parametrize(("gap", "fill"), [(8, False), (9, True)])
def test_a_fill_value_of_counts_lies_more_than_eight_codes_away(
    gap: int, fill: bool, end: int
) -> None:
    plane = np.random.default_rng(13).integers(100, 104, (60, 60)).astype(np.uint16)
    plane[20:40, 20:40] = 103 + gap if end > 0 else 100 - gap
    assert no_light(plane, fills=True)[20:40, 20:40].all() == fill


@pytest.mark.parametrize(
    ("side", "kind", "height", "found"),
    [(5, "u2", 8, False), (5, "u2", 9, True), (5, "f4", 1, True), (4, "u2", 9, False)],
)
def test_impulses_of_counts_are_more_than_eight_codes_in_five_by_five_samples(
    side: int, kind: str, height: int, found: bool
) -> None:
    for shape in ((side, 9), (9, side)):
        plane = np.full(shape, 100, kind)
        plane[2, 2] += height
        assert without_impulses(plane)[1].sum() == found


@pytest.mark.parametrize(
    ("before", "now", "found"),
    [(101.0, 100.0, False), (101.0, 105.0, True), (114.0, 105.0, True), (116.0, 105.0, False)],
)
def test_what_was_an_impulse_before_stays_one_while_it_stands_out_much_as_it_did(
    before: float, now: float, found: bool
) -> None:
    """By half of what an impulse is far by at the least."""
    plane = np.full((12, 12), 100, np.float32)
    plane[5, 5] = now
    known = Impulses(np.array([5 * 12 + 5]), np.array([before]))
    assert without_impulses(plane, 20.0, known)[1].any() == found


@pytest.mark.parametrize(("size", "step"), [(2000, 1), (2**16 - 1, 1), (2**16, 2), (3 * 2**15, 3)])
def test_a_range_lies_between_the_first_and_the_last_hundredth_of_some_samples(
    size: int, step: int
) -> None:
    """Of all of them where they are few, else of 32768 or a few more."""
    values = np.random.default_rng(14).normal(size=size)
    low, high = np.percentile(values[::step], (1, 99))
    assert _range(values) == pytest.approx(high - low, rel=1e-12)


def test_three_fill_values_at_either_end_are_looked_for() -> None:
    plane = np.random.default_rng(15).random((60, 60))
    for place, value in enumerate((-1, -2, -3, -4, 2, 3, 4, 5)):
        plane[7 * place : 7 * place + 5, 10:30] = value
    marked = no_light(plane, fills=True)
    assert set(plane[marked]) == {-2, -3, -4, 3, 4, 5}
    assert set(plane[~marked & ((plane < 0) | (plane > 1))]) == {-1, 2}


@pytest.mark.parametrize(("more", "fill"), [(59, True), (60, False)])
def test_what_more_than_half_of_all_samples_are_is_no_fill_value(more: int, fill: bool) -> None:
    """Half of them lie between the least and the greatest, or one less."""
    plane = 5 + np.random.default_rng(16).random((60, 60))
    plane[:29], plane[29, :more] = 0, 0
    assert no_light(plane, fills=True)[:29].all() == fill


@pytest.mark.parametrize(
    ("width", "alone", "fill"), [(10, 25, True), (10, 26, False), (3, 0, True), (2, 0, False)]
)
def test_four_fifths_of_a_fill_value_are_squares_of_three_pixels(
    width: int, alone: int, fill: bool
) -> None:
    plane = 5 + np.random.default_rng(17).random((60, 60))
    plane[30:40, 10 : 10 + width] = 0
    places = [(2 + 4 * (n // 13), 4 * (n % 13)) for n in range(alone)]
    for place in places:
        plane[place] = 0
    assert no_light(plane, fills=True)[35, 11] == fill


@pytest.mark.parametrize(
    ("kind", "value", "light"),
    [("f8", 1e18, True), ("f8", -1.001e18, False), ("f4", 9.9e17, True), ("f4", 1.01e18, False),
     ("f2", 65504, True), ("f2", np.inf, False)],
)  # fmt: skip
def test_floats_a_billion_billions_from_nothing_are_no_light(
    kind: str, value: float, light: bool
) -> None:
    plane = np.zeros((9, 9), kind)
    plane[4, 4] = value
    assert no_light(plane, fills=False)[4, 4] != light


@pytest.mark.parametrize("others", [1e17, 1e33])
def test_of_a_plane_in_large_units_only_what_lies_far_beyond_it_is_no_light(others: float) -> None:
    plane = np.random.default_rng(0).normal(others, others / 10, (9, 9)).astype(np.float32)
    plane[4, 4:7] = 9.97e36, -9.97e36, np.nan  # the first is what NetCDF fills with
    plane[:3] = 0  # dark, or not measured
    assert np.flatnonzero(no_light(plane, fills=False)).tolist() == [40, 41, 42]


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(("height", "found"), [(20, False), (21, True)])
def test_an_impulse_lies_beyond_those_around_by_more_than_two_and_a_half_ranges(
    height: int, found: bool, sign: int
) -> None:
    plane = np.full((12, 12), 1000, np.int32)
    plane[4, 5] = plane[6, 7] = 1000 + 8 * sign
    plane[5, 5] += (8 + height) * sign
    assert without_impulses(plane)[1][5, 5] == found


@pytest.mark.parametrize(("share", "found"), [(0.99, False), (1.01, True)])
def test_the_noise_of_large_planes_is_that_of_every_nth_sample(share: float, found: bool) -> None:
    """Of 256 x 300 every second is read, which here has less noise than the others."""
    plane = np.random.default_rng(18).normal(500, 4, (256, 300)).astype(np.float32)
    plane[:, 1::2] += 0.3 * (plane[:, 1::2] - 500)
    apart = np.abs(plane - cv2.medianBlur(plane, 5)).ravel()
    far = 8 * 1.4826 * float(np.median(apart[::2]))
    assert far < 0.93 * 8 * 1.4826 * float(np.median(apart))
    plane[100:107, 100:107] = 500
    plane[103, 103] += share * far
    assert without_impulses(plane)[1][103, 103] == found


def test_two_mosaics_are_too_few_to_show_what_stays() -> None:
    plane = np.random.default_rng(19).normal(2000, 20, (48, 64))
    plane[20, 31] += 400
    shown = [frame(codes(plane + step, "u2"), RAW) for step in (-1, 0, 1)]
    assert _lasting(shown[:2]).defects.size == 0
    assert _lasting(shown).defects.tolist() == [20 * 64 + 31]


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    ("shared", "known", "alone"),
    [(39, False, True), (40, False, False), (119, True, True), (121, True, False)],
)
def test_neighbours_of_a_defect_see_a_twentieth_of_it_or_three_if_it_was_one_before(
    shared: int, known: bool, alone: bool, sign: int
) -> None:
    plane, place = np.full((16, 16), 1000), 7 * 16 + 9
    whole, hot = plane.copy(), np.zeros((16, 16), bool)
    hot[7, 9] = True
    plane[7, 9] += 800 * sign
    for row, column in ((6, 9), (8, 9), (7, 8), (7, 10)):
        plane[row, column] += shared * sign
    before = np.array([place] if known else [], np.intp)
    assert lone(plane, whole, hot, before).tolist() == ([place] if alone else [])
