"""Light of points that was taken for noise goes back; nothing else does."""

import json

import numpy as np
from numpy.typing import NDArray

from f2rcli.engine.contract.points import Others, Points

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
    rng, points, left = np.random.default_rng(0), Points(), []
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


def test_nothing_is_given_back_where_no_light_is_lost() -> None:
    rng, points = np.random.default_rng(1), Points()
    added = 0.0
    for _ in range(6):
        clean = BACKGROUND + LIGHT * lights(rng)
        noisy = recorded(clean, rng)
        back = points.lost(0, noisy, noisy - clean, clean)  # only noise was removed
        added = max(added, 0.0 if back is None else float(np.square(back).mean()))
    assert added < 0.01 * BACKGROUND  # of the noise's variance


def test_pure_noise_holds_no_points_that_lose_light() -> None:
    rng, points = np.random.default_rng(2), Points()
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
    first, second = (Points().lost(0, noisy, removed, clean) for _ in range(2))
    assert first is not None
    assert second is not None
    assert np.array_equal(first, second)


def test_planes_too_small_for_the_filters_are_left_alone() -> None:
    small = np.ones((8, 8), np.float32)
    assert Points().lost(0, small, small, small) is None


def dim_points(rng: np.random.Generator, *, frames: int) -> tuple[Real, Others, Real]:
    """A frame of points that it hardly shows itself, others that show them, and the points."""
    unit = lights(rng)
    clean = BACKGROUND + 0.45 * LIGHT * unit
    others = np.mean([recorded(clean, rng) for _ in range(frames)], axis=0, dtype=np.float32)
    return recorded(clean, rng), Others(others, np.full_like(clean, frames)), unit


def test_dim_points_that_other_frames_show_get_their_light_back() -> None:
    rng, left = np.random.default_rng(4), {True: list[float](), False: list[float]()}
    together, alone = Points(), Points()
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
    rng, points = np.random.default_rng(5), Points()
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
    rng, points = np.random.default_rng(6), Points()
    for number in range(4):
        noisy, others, _ = dim_points(rng, frames=8)
        flat = np.full_like(noisy, BACKGROUND)
        if number == 3:
            again = Points.of(json.loads(json.dumps(points.values())))
            backs = [
                one.lost(0, noisy, noisy - flat, flat, others=others) for one in (points, again)
            ]
            assert backs[0] is not None
            assert backs[1] is not None
            assert np.array_equal(backs[0], backs[1])
        points.lost(0, noisy, noisy - flat, flat, others=others)
