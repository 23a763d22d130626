"""Light of points that was taken for noise goes back; nothing else does."""

import numpy as np
from numpy.typing import NDArray

from f2rcli.engine.contract.points import Points

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
