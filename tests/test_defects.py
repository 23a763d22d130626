"""What is no picture is found and put back; noise, stars, texture and darkness are left alone."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from f2rcli.frames import Family, Frame, Mosaic, Plane, PlaneLayout
from f2rcli.samples import defects, lanes
from f2rcli.samples import impulses as fills_room
from f2rcli.yuv import bayer_layout

SetAside = defects.SetAside
put_back = defects.put_back
set_aside = defects.set_aside
no_light = fills_room.no_light

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
def test_samples_far_off_alone_are_found(dtype: str, layout: PlaneLayout, top: float) -> None:
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
        mosaics.append(codes(values, "u2"))
    mosaics[3][30, 30] = 3000
    alone = [set_aside(frame(one, RAW)) for one in mosaics]
    assert not all(np.isin(places, f.aside[0].repaired).all() if f.aside else 0 for f in alone)
    assert RAW.mosaic is not None
    seen = lanes.measure_lane(mosaics, (), RAW.mosaic)
    assert seen.defects.tolist() == places
    for one in mosaics:
        taken = lanes.Taken(one, seen, None)
        (whole,) = (shown := taken.frame(RAW)).planes
        assert np.abs(whole.flat[places] - 400.0).max() < 60
        assert taken.kept(shown) is one  # nothing was done to it
        np.testing.assert_array_equal(np.delete(whole, places), np.delete(one, places))
    assert not lanes.measure_lane(mosaics[:1] * 7, (), RAW.mosaic).defects.size


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, -1e30, -9999.0, 65535.0])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_fill_values_make_way_for_own_samples_and_come_back(value: float, dtype: str) -> None:
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
def test_areas_at_ends_of_a_dtype_are_fill_values_of_counts_not_of_pictures(value: int) -> None:
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


def searched(frames: list[Frame]) -> list[Frame]:
    return [search() for search in defects.searches(frames)]


def test_a_hot_sample_stays_one_where_texture_would_hide_it() -> None:
    plain, rough = codes(noisy(4)), codes(noisy(4) + np.indices((HEIGHT, WIDTH)).sum(0) % 5 * 30)
    for plane in (plain, rough):
        plane[40, 60] = 255
    alone = set_aside(frame(rough))
    assert alone.aside == ()
    _, second = searched([frame(plain), frame(rough)])
    assert second.aside[0].places.tolist() == [40 * WIDTH + 60]
    _, other = searched([frame(plain), frame(codes(noisy(4, seed=1)))])
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
def test_an_impulse_is_a_thirty_second_of_the_range_of_a_mosaic_less(kind: str, hot: bool) -> None:
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


@pytest.mark.parametrize("end", [-1, 1])
@pytest.mark.parametrize(("gap", "fill"), [(8, False), (9, True)])
def test_a_fill_value_of_counts_lies_over_eight_codes_away(gap: int, fill: bool, end: int) -> None:
    plane = np.random.default_rng(13).integers(100, 104, (60, 60)).astype(np.uint16)
    plane[20:40, 20:40] = 103 + gap if end > 0 else 100 - gap
    assert no_light(plane, fills=True)[20:40, 20:40].all() == fill


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
def test_four_fifths_of_fills_are_squares_of_3_pixels(width: int, alone: int, fill: bool) -> None:
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
def test_floats_a_billion_billions_off_are_no_light(kind: str, value: float, light: bool) -> None:
    plane = np.zeros((9, 9), kind)
    plane[4, 4] = value
    assert no_light(plane, fills=False)[4, 4] != light


@pytest.mark.parametrize("others", [1e17, 1e33])
def test_of_a_plane_in_large_units_only_what_lies_far_beyond_it_is_no_light(others: float) -> None:
    plane = np.random.default_rng(0).normal(others, others / 10, (9, 9)).astype(np.float32)
    plane[4, 4:7] = 9.97e36, -9.97e36, np.nan  # the first is what NetCDF fills with
    plane[:3] = 0  # dark, or not measured
    assert np.flatnonzero(no_light(plane, fills=False)).tolist() == [40, 41, 42]
