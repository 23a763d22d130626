"""Light of points that was taken for noise goes back; nothing else does."""

import json

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import correlate, maximum_filter

from f2rcli.engine.contract import points as points_module
from f2rcli.engine.contract.points import (
    FoundPoints,
    Others,
    PointLosses,
    _filter,
    _found,
    _Measured,
    _shown,
    _staying,
)

SIDE, WIDTH, LIGHT, BACKGROUND = 96, 1.3, 200.0, 20.0

Real = NDArray[np.float32]


def spots(places: list[tuple[float, float]]) -> Real:
    """Points of unit light."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    found = np.zeros((SIDE, SIDE))
    for row, column in places:
        found += np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / (2 * WIDTH**2))
    return (found / (2 * np.pi * WIDTH**2)).astype(np.float32)


def lights(rng: np.random.Generator) -> Real:
    """Nine points of unit light, well apart, at places between pixels."""
    return spots([(r + rng.random(), c + rng.random()) for r in (16, 48, 80) for c in (16, 48, 80)])


def recorded(clean: Real, rng: np.random.Generator) -> Real:
    return rng.poisson(clean).astype(np.float32)


def test_points_that_lose_a_part_of_their_light_get_it_back_on_average() -> None:
    rng, points, left = np.random.default_rng(0), PointLosses(), []
    for _ in range(12):
        unit = lights(rng)
        clean = BACKGROUND + LIGHT * unit
        noisy = recorded(clean, rng)
        estimate = BACKGROUND + 0.6 * LIGHT * unit  # what a denoiser made of it
        back = points.lost(0, noisy, noisy - estimate, clean)
        assert back is not None
        inside = unit > 1e-5
        left.append(float((estimate + back - BACKGROUND)[inside].sum() / (9 * LIGHT)))
    assert abs(np.mean(left[3:]) - 1) < 0.06


def test_points_that_stand_out_by_six_deviations_get_most_of_their_light_back() -> None:
    """Noise of that strength is rare, and none of it may come back where there is no point."""
    rng, points, left, added = (
        np.random.default_rng(14),
        PointLosses(),
        list[float](),
        list[float](),
    )
    flat = np.full((SIDE, SIDE), 50.0, np.float32)
    for _ in range(24):
        unit = lights(rng)
        noisy = recorded(flat + LIGHT * unit, rng)
        back = points.lost(0, noisy, noisy - flat, flat)  # all of them were lost
        assert back is not None
        left.append(float(back[unit > 1e-5].sum() / (9 * LIGHT)))
        added.append(float(np.square(back[unit < 1e-9]).mean()))
    assert np.mean(left[8:]) > 0.88
    assert np.mean(added) < 0.005 * 50


def test_bright_points_are_as_wide_as_dim_ones() -> None:
    clean = BACKGROUND + 1500 * lights(np.random.default_rng(7))
    found = _found(recorded(clean, np.random.default_rng(8)), clean)  # their own noise included
    bright = found.light > 500
    assert bright.sum() == 9
    assert np.median([points_module.WIDTHS[width] for width in found.widths[bright]]) == 1.4
    assert abs(np.median(found.light[bright]) / 1500 - 1) < 0.15


def test_nothing_is_given_back_where_no_light_is_lost() -> None:
    rng, points = np.random.default_rng(1), PointLosses()
    added = 0.0
    for _ in range(6):
        clean = BACKGROUND + LIGHT * lights(rng)
        noisy = recorded(clean, rng)
        back = points.lost(0, noisy, noisy - clean, clean)  # only noise was removed
        added = max(added, 0.0 if back is None else float(np.square(back).mean()))
    assert added < 0.01 * BACKGROUND  # of the noise's variance


def test_pure_noise_holds_no_points_that_lose_light() -> None:
    rng, points = np.random.default_rng(2), PointLosses()
    flat = np.full((SIDE, SIDE), BACKGROUND, np.float32)
    backs = []
    for _ in range(6):
        noisy = recorded(flat, rng)
        back = points.lost(0, noisy, noisy - flat, flat)
        backs.append(0.0 if back is None else float(np.square(back).mean()))
    assert np.mean(backs) < 0.005 * BACKGROUND


def test_the_same_frames_give_the_same_light() -> None:
    rng = np.random.default_rng(3)
    clean = BACKGROUND + LIGHT * lights(rng)
    noisy = recorded(clean, rng)
    removed = noisy - BACKGROUND
    first, second = (PointLosses().lost(0, noisy, removed, clean) for _ in range(2))
    assert first is not None
    assert second is not None
    assert np.array_equal(first, second)


def test_planes_too_small_for_the_filters_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PointLosses, "_of_any", lambda losses, index, plane, *rest: plane)
    largest = max(_filter(index).around.size for index in range(len(WIDTHS)))
    small, enough = (np.ones((side, 90), np.float32) for side in (largest - 1, largest))
    assert PointLosses().lost(0, small, small, small) is None
    assert PointLosses().lost(0, enough, enough, enough) is enough


def dim_points(rng: np.random.Generator, *, frames: int) -> tuple[Real, Others, Real]:
    """A frame of points that it hardly shows itself, others that show them, and the points."""
    unit = lights(rng)
    clean = BACKGROUND + 0.45 * LIGHT * unit
    others = np.mean([recorded(clean, rng) for _ in range(frames)], axis=0, dtype=np.float32)
    return recorded(clean, rng), Others(others, np.full_like(clean, frames)), unit


def test_dim_points_that_other_frames_show_get_their_light_back() -> None:
    rng, left = np.random.default_rng(4), {True: list[float](), False: list[float]()}
    together, alone = PointLosses(), PointLosses()
    for _ in range(16):
        noisy, others, unit = dim_points(rng, frames=8)
        flat = np.full_like(noisy, BACKGROUND)  # a denoiser lost all of them
        inside = unit > 1e-5
        for points, known in ((together, others), (alone, None)):
            back = points.lost(0, noisy, noisy - flat, flat, others=known)
            light = 0.0 if back is None else float(back[inside].sum() / (9 * 0.45 * LIGHT))
            left[known is not None].append(light)
    assert abs(np.mean(left[True][4:]) - 1) < 0.12
    assert np.mean(left[False][4:]) < 0.6


def test_points_that_only_other_frames_show_are_not_drawn() -> None:
    rng, points = np.random.default_rng(5), PointLosses()
    for _ in range(8):
        noisy, others, _ = dim_points(rng, frames=8)
        flat = np.full_like(noisy, BACKGROUND)
        points.lost(0, noisy, noisy - flat, flat, others=others)
    _, others, unit = dim_points(rng, frames=64)
    bright = Others(others.mean + LIGHT * unit, others.frames)  # five standard deviations
    dark = recorded(flat, rng)
    back = points.lost(0, dark, dark - flat, flat, others=bright)
    added = 0.0 if back is None else float(back[unit > 1e-5].sum() / (9 * 1.45 * LIGHT))
    assert added < 0.05


def test_what_was_learnt_is_told_and_read_again() -> None:
    rng, points = np.random.default_rng(6), PointLosses()
    for number in range(4):
        noisy, others, _ = dim_points(rng, frames=8)
        flat = np.full_like(noisy, BACKGROUND)
        if number == 3:
            again = PointLosses.of(json.loads(json.dumps(points.values())))
            backs = [
                one.lost(0, noisy, noisy - flat, flat, others=others) for one in (points, again)
            ]
            assert backs[0] is not None
            assert backs[1] is not None
            assert np.array_equal(backs[0], backs[1])
        points.lost(0, noisy, noisy - flat, flat, others=others)


Array = NDArray[np.float64]
WIDTHS = (0.7, 1.0, 1.4, 2.0)


def gaussian(width: float, reach: int) -> Array:
    line = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * width**2))
    return np.outer(line, line) / line.sum() ** 2


def profiles(width: float) -> tuple[Array, list[Array], Array]:
    """A point, what it loses (narrower and wider), and its surroundings."""
    reach = round(3 * 3.5 * width)
    lost = [gaussian(k * width, reach) for k in (0.7, 1.6, 3.5)]
    return gaussian(width, reach), lost, gaussian(2.5 * width, reach)


@pytest.mark.parametrize("index", range(4))
def test_filters_are_gaussians_less_what_is_around(index: int) -> None:
    found, (point, shapes, around) = _filter(index), profiles(WIDTHS[index])
    lines = found.point, *found.lines, found.around
    for line, shape in zip(lines, (point, *shapes, around), strict=True):
        np.testing.assert_allclose(np.outer(line, line), shape, atol=1e-6)
    matched = point - around
    assert found.gain == pytest.approx((matched * point).sum(), rel=1e-4)
    assert found.noise == pytest.approx((matched**2).sum(), rel=1e-4)
    products = [[(a * b).sum() for b in shapes] for a in shapes]
    np.testing.assert_allclose(found.overlap, products, rtol=1e-4)


def reference(plane: Real, variance: Real) -> dict[tuple[int, int], tuple[int, float, float]]:
    """Width, light and significance of every point: where the best of four matched filters stands
    out by more than 3.5 of its deviations, and more than all within nine pixels."""
    seen, light = [], []
    *_, ground = profiles(max(WIDTHS))
    for width in WIDTHS:
        shape, _, around = profiles(width)
        matched = shape - around
        filtered = correlate(plane.astype(np.float64), matched)
        noise = correlate(variance.astype(np.float64), ground) * (matched**2).sum()
        seen.append(filtered / np.sqrt(noise))
        light.append(filtered / (matched * shape).sum())
    best = np.max(seen, 0)
    disc = np.hypot(*np.mgrid[-4:5, -4:5]) <= 4.4
    tops = (best > 3.5) & (best >= maximum_filter(best, footprint=disc, mode="nearest"))
    widths = np.argmax(seen, 0)
    return {
        (int(y), int(x)): (int(widths[y, x]), float(light[widths[y, x]][y, x]), float(best[y, x]))
        for y, x in np.argwhere(tops)
    }


def test_points_are_found_by_the_best_of_four_matched_filters() -> None:
    rng = np.random.default_rng(7)
    clean = np.full((SIDE, SIDE), BACKGROUND) + np.linspace(0, 30, SIDE)
    for number, width in enumerate((0.7, 1.0, 1.4, 2.0) * 4):
        row, column = 12 + 24 * (number // 4), 12 + 24 * (number % 4)
        patch = gaussian(width, 10)
        clean[row - 10 : row + 11, column - 10 : column + 11] += (60 + 25 * number) * patch
    plane, variance = recorded(clean, rng), clean.astype(np.float32)
    found, wanted = _found(plane, variance), reference(plane, variance)
    there = zip(found.rows.tolist(), found.columns.tolist(), strict=True)
    told = zip(found.widths, found.light, found.significance, strict=True)
    assert 12 < len(wanted) < 40
    for place, (width, light, sure) in zip(there, told, strict=True):
        assert (width, light, sure) == pytest.approx(wanted.pop(place), rel=1e-3)
    assert not wanted
    assert len(set(found.widths.tolist())) == 4


def points_at(places: list[tuple[int, int]], widths: list[int], light: float) -> FoundPoints:
    rows, columns = np.array(places).T
    many = len(places)
    return FoundPoints(rows, columns, np.array(widths), np.full(many, light), np.full(many, 9.0))


def test_what_was_lost_is_read_as_each_profile_and_drawn_again() -> None:
    """Without noise and prior, a sum of a point's own profiles is what comes back."""
    places, widths = [(40, 30), (40, 90), (100, 50)], [0, 2, 3]
    parts = np.array([[0.3, -0.1, 0.05], [0.2, 0.0, 0.1], [-0.1, 0.2, 0.3]])
    removed = np.zeros((140, 130), np.float32)
    for (row, column), width, part in zip(places, widths, parts, strict=True):
        _, shapes, _ = profiles(WIDTHS[width])
        reach = len(shapes[0]) // 2
        drawn = sum(50 * share * shape for share, shape in zip(part, shapes, strict=True))
        removed[row - reach : row + reach + 1, column - reach : column + reach + 1] += drawn
    variance = np.full(removed.shape, 4.0, np.float32)
    found = points_at(places, widths, 50.0)
    one = _Measured.of(found, np.array([1, 0, 1]), removed, variance)
    np.testing.assert_allclose(one.lost, parts, atol=5e-3)
    for index, width in enumerate(widths):
        _, shapes, _ = profiles(WIDTHS[width])
        products = np.array([[(a * b).sum() for b in shapes] for a in shapes])
        np.testing.assert_allclose(one.noise[index], 4 * np.linalg.inv(products) / 50**2, rtol=1e-3)
    mean, sure = np.array([[0.5, 0, 0], [0, 0.25, 0]]), np.broadcast_to(1e9 * np.eye(3), (2, 3, 3))
    np.testing.assert_allclose(one.back(mean, sure, removed.shape), removed, atol=0.02)
    alike = one.back(mean, 0 * sure, removed.shape)  # all lost what their class lost
    assert alike.sum() == pytest.approx(50 * (0.25 + 0.5 + 0.25), rel=1e-3)
    between = one.back(mean, one.noise[[1, 0]], removed.shape)  # as sure as what was measured
    assert between[40, 90] == pytest.approx((alike[40, 90] + removed[40, 90]) / 2, rel=0.02)


@pytest.mark.parametrize(
    ("frames", "depth"), [(1, 0), (2, 1), (3, 1), (4, 2), (6, 2), (7, 3), (12, 3), (13, 4)]
)
def test_points_that_stay_have_classes_by_their_light_and_by_how_many_frames_show_them(
    frames: int, depth: int
) -> None:
    flat = np.full((SIDE, SIDE), BACKGROUND, np.float32)
    lit, count = flat.copy(), np.full_like(flat, frames)
    patch = gaussian(1.0, 10)
    edges = (1.0, 1.8, 2.5, 3.2, 4.0, 5.0, 6.5, 8.5, 12.0, 18.0, 30.0)
    places = [(14 + 22 * i, 14 + 22 * j) for i in range(4) for j in range(4)]
    for number, (row, column) in enumerate(places):
        lit[row - 10 : row + 11, column - 10 : column + 11] += 9 * 1.3**number * patch
    found = _staying(lit, lit - flat, flat, Others(lit, count))
    assert found is not None
    single = found.found.significance / frames**0.5
    classes = [5 * sum(one > edge for edge in edges) + depth for one in single]
    assert found.classes.tolist() == classes
    assert len(set(classes)) > 5


@pytest.mark.parametrize(
    ("apart", "stays"), [(2.3, True), (2.7, False), (-2.3, True), (-2.7, False)]
)
def test_points_whose_own_light_is_far_from_the_others_are_left_out(
    apart: float, stays: bool
) -> None:
    """By 2.5 deviations of a frame's light and of the mean's, four frames."""
    flat, patch, one = np.full((SIDE, SIDE), 100.0, np.float32), gaussian(1.0, 10), _filter(1)
    deviation = 10 * one.noise**0.5 / one.gain  # of a point's light, in one frame
    others, plane = flat.copy(), flat.copy()
    light = 8 * deviation
    others[38:59, 38:59] += light * patch
    plane[38:59, 38:59] += (light + apart * deviation * (1 + 1 / 4) ** 0.5) * patch
    found = _staying(plane, plane - flat, flat, Others(others, np.full_like(flat, 4)))
    assert (found is not None) == stays


@pytest.mark.parametrize(("step", "count"), [((4, 0), 1), ((0, 4), 1), ((5, 0), 2), ((0, 5), 2)])
@pytest.mark.parametrize("sign", [-1, 1])
def test_there_is_one_point_within_nine_pixels(
    step: tuple[int, int], count: int, sign: int
) -> None:
    plane = np.zeros((60, 60), np.float32)
    for (row, column), light in (
        ((30, 30), 100.0),
        ((30 + sign * step[0], 30 + sign * step[1]), 90.0),
    ):
        plane[row - 10 : row + 11, column - 10 : column + 11] += light * gaussian(0.7, 10)
    assert _found(plane, np.full_like(plane, 0.01)).rows.size == count


def test_points_of_one_frame_have_classes_by_their_significance_and_width() -> None:
    """The brightest too, which learns and gets back like the others."""
    flat = np.full((SIDE, SIDE), BACKGROUND, np.float32)
    plane = flat.copy()
    edges = (4.0, 5.0, 6.5, 8.5, 12.0, 18.0, 30.0)
    one, added = _filter(1), 1 + 0.7**2  # noise is added to find them
    strong = [4.4, 5.9, 7.5, 15.0, *np.linspace(11, 13, 4), *np.linspace(28, 32, 7), 80.0]
    for number, sure in enumerate(strong):
        row, column = 14 + 22 * (number // 4), 14 + 22 * (number % 4)
        light = sure * (added * BACKGROUND * one.noise) ** 0.5 / one.gain
        patch = gaussian(0.6 if number in {3, 5, 9, 12} else 1.0, 10)
        plane[row - 10 : row + 11, column - 10 : column + 11] += light * patch
    found = _shown(plane, plane - flat, flat, 0 * flat)
    assert found is not None
    classes = np.array([sum(sure > edge for edge in edges) for sure in found.found.significance])
    wide = np.array([width >= 1.4 for width in map(WIDTHS.__getitem__, found.found.widths)])
    assert 0 < wide.sum() < wide.size
    assert found.classes.tolist() == (classes + 8 * wide).tolist()
    assert {1, 2, 3, 4, 5, 6, 7} >= set(classes) >= {4, 5, 6, 7}
    points = PointLosses()
    for _ in range(3):
        back = points.lost(0, plane, plane - flat, flat)
    assert back is not None
    assert back[80, 80] > 0.5 * (plane - flat)[80, 80]  # the brightest of all


@pytest.mark.parametrize(("count", "some"), [(72, True), (73, False), (0, False)])
@pytest.mark.parametrize("staying", [False, True])
def test_classes_part_points_by_significance_and_more_than_a_fiftieth_are_texture(
    monkeypatch: pytest.MonkeyPatch, count: int, some: bool, staying: bool
) -> None:
    edges = np.array((4.0, 5.0, 6.5, 8.5, 12.0, 18.0, 30.0))
    sure = np.tile(np.concatenate([edges - 0.01, edges + 0.01]), 6)[:count]
    sure = np.full(count, 3.0) if staying else sure  # the plane shows them hardly
    where, flat = np.arange(count), np.full((60, 60), BACKGROUND, np.float32)
    found = FoundPoints(where // 60, where % 60, 0 * where, np.ones(count), sure)
    monkeypatch.setattr(points_module, "_found", lambda plane, variance: found)
    if staying:
        told = _staying(flat, 0 * flat, flat, Others(flat, np.ones_like(flat)))
        edges = np.array((1.0, 1.8, 2.5, 3.2, *edges))
    else:
        told = _shown(flat, 0 * flat, flat, 0 * flat)
    assert (told is not None) == some
    if told is not None:
        classes = (sure[:, None] > edges).sum(1)
        np.testing.assert_array_equal(told.classes, classes * (5 if staying else 1))


def test_every_plane_is_parted_by_noise_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """As strong as the plane's, and as strong as is told where that is something else."""
    seen: list[Real] = []
    monkeypatch.setattr(points_module, "_shown", lambda *given: seen.append(given[-1]))
    points, flat = PointLosses(), np.full((SIDE, SIDE), BACKGROUND, np.float32)
    for number, parted in enumerate((None, 9 * flat, None)):
        assert points.lost(0, flat, 0 * flat, 4 * flat, parted) is None
        deviation = (BACKGROUND * (4 if parted is None else 9)) ** 0.5
        for draw in range(2):
            drawn = np.random.default_rng(2 * number + draw).standard_normal(flat.shape, np.float32)
            there, back = seen[-4 + 2 * draw :][:2]
            np.testing.assert_allclose(there, drawn * deviation, rtol=1e-5)
            np.testing.assert_array_equal(back, -there)
    assert points.values()["seed"] == 6
