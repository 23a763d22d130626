"""Changes count in full where others bear them out, in space, in time or by their number."""

import numpy as np
import pytest

from f2rcli.engine.contract.still.supported import near_agreed, near_sure, often, supported


def event(*places: tuple[int, int, float]) -> np.ndarray:
    found = np.ones((48, 64), np.float32)
    for row, column, power in places:
        found[row, column] = power
    return found


def test_a_change_counts_less_where_it_is_alone() -> None:
    found = supported(event((10, 10, 17), (30, 40, 17), (33, 47, 21)), None, 20, 1.0)
    assert found[10, 10] == 13  # alone
    assert found[30, 40] == 17  # beside a strong one
    assert found[33, 47] == 21
    assert found[40, 55] == 1 - 4 * (abs(40 - 33) > 7 or abs(55 - 47) > 7)


def test_a_change_counts_where_frames_before_showed_something() -> None:
    near = np.zeros((48, 64), np.uint8)
    near[8:13, 8:13] = 1
    found = supported(event((10, 10, 17), (30, 40, 17)), near, 20, 1.0)
    assert found[10, 10] == 17
    assert found[30, 40] == 13


@pytest.mark.parametrize(("come", "less"), [(1.5, 4), (2.0, 2), (2.5, 0), (9.0, 0)])
def test_changes_that_are_more_than_chance_makes_count_alone(come: float, less: float) -> None:
    assert supported(event((10, 10, 17)), None, 20, come)[10, 10] == 17 - less


def test_how_often_changes_come_is_that_of_chance_in_noise_and_follows_within_frames() -> None:
    noise = np.ones((100, 100), np.float32)
    noise.flat[:11] = 15  # in twice as many places as chance explains
    come = 1.0
    for _ in range(60):
        come = often(come, noise, 14)
    assert come == pytest.approx(2.0, abs=0.03)
    assert often(1.0, noise, 14) == pytest.approx(1 + 1 / 16)
    assert often(1.0, noise, 16) == pytest.approx(1 - 1 / 16)


@pytest.mark.parametrize(("place", "reach"), [(0, 3), (1, 5), (2, 7)])
def test_what_differs_for_sure_reaches_as_far_as_its_window(place: int, reach: int) -> None:
    near = near_sure(event((20, 30, 11.1), (40, 30, 10.9)), place)
    rows, columns = np.nonzero(near)
    assert (rows.min(), rows.max()) == (20 - reach, 20 + reach)
    assert (columns.min(), columns.max()) == (30 - reach, 30 + reach)


def test_what_one_colour_of_a_mosaic_shows_others_bear_out() -> None:
    own = event((10, 10, 12), (30, 40, 12), (24, 20, 18.1))
    others = event((30, 40, 6.5))
    near = near_agreed({0: own, 1: others, 2: others, 3: event()})
    assert [near[0][place] for place in ((10, 10), (30, 40), (24, 20))] == [0, 1, 1]
    assert (near[0][30, 35], near[0][30, 34]) == (1, 0)
    assert not near[1].any()  # 6.5 is nothing sure by itself
    far = near_agreed({0: own, 1: event((30, 40, 6)), 2: event(), 3: event((30, 40, 4.9))})
    assert not far[0][30, 40]


def test_planes_of_other_pictures_bear_out_nothing() -> None:
    assert near_agreed(dict.fromkeys(range(3), event((10, 10, 30)))) == {}
