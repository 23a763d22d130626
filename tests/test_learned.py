"""What samples near by tell of a pixel."""

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from f2rcli.samples import learned as module
from f2rcli.samples.learned import (
    ITSELF,
    PLACES,
    SHARED,
    WINDOWS,
    _others,
    learned,
    seen_of_pair,
    unseen_near,
)

INNER, POINTS = WINDOWS[0, 0].inner, WINDOWS[0, 0].points

PLACE = 24, 27


def waves(noise: float = 0.0) -> np.ndarray:  # type: ignore[type-arg]
    """Three of them, which a linear rule continues; no surface of the second degree does."""
    rows, columns = np.mgrid[:50, :54]
    rng = np.random.default_rng(1)
    light = 500 + 100 * (np.sin(1.1 * rows + 0.8 * columns) + np.cos(0.9 * rows - 1.3 * columns))
    light += 50 * np.sin(1.7 * columns)
    return np.asarray(light + rng.normal(0, noise, light.shape))


def test_the_five_in_the_middle_are_up_left_itself_right_and_down() -> None:
    assert np.flatnonzero(INNER).tolist() == [17, 23, 24, 25, 31]
    assert np.flatnonzero(INNER)[ITSELF] == 24
    assert WINDOWS[0, 0].places[ITSELF].tolist() == [0, 0]


def test_texture_that_goes_on_is_predicted() -> None:
    picture = waves(1.0)
    picture[PLACE] += 300
    picture[PLACE[0] - 1, PLACE[1]] += 20
    found = learned(picture, *PLACE)
    assert found is not None
    np.testing.assert_allclose(found.apart, [20, 0, 300, 0, 0], atol=6)
    assert 0.8 < np.sqrt(np.square(found.errors).mean()) < 2.5
    near = picture[PLACE[0] - 3 : PLACE[0] + 4, PLACE[1] - 3 : PLACE[1] + 4].ravel()
    assert found.weights.sum() == pytest.approx(1)
    assert not found.weights[INNER].any()
    assert near[24] - near @ found.weights == pytest.approx(found.apart[ITSELF])


def test_squares_of_a_mosaic_are_of_the_same_colours() -> None:
    """Anywhere, and no farther than 24 pixels; of pictures every square no farther than 16."""
    rows, columns = np.mgrid[:70, :75]
    squares = sliding_window_view(2.0 * (rows % 2) + columns % 2, (7, 7))
    for place in ((0, 0), (3, 40), (30, 31), (63, 68)):
        near = _others(squares, place, (0, 0), 2)
        assert (near == squares[place].ravel()).all()
    assert len(_others(squares, (30, 31), (0, 0), 2)) == 25**2 - 5**2
    assert len(_others(squares, (30, 31), (0, 0), 1)) == 33**2 - 9**2


@pytest.mark.parametrize("step", [(0, 1), (1, 0)])
def test_squares_that_know_either_of_a_pair_do_not_tell(step: tuple[int, int]) -> None:
    numbers = np.arange(60 * 60).reshape(60, 60)
    sides = 7 + step[0], 7 + step[1]
    first = _others(sliding_window_view(numbers, sides), (28, 27), step, 1)[:, 0]
    rows, columns = np.divmod(np.setdiff1d(numbers, first), 60)
    near = (abs(rows - 28) <= 16) & (abs(columns - 27) <= 16)
    assert len(first) + near.sum() == 33**2
    assert (np.ptp(rows[near]), np.ptp(columns[near])) == (8 + 2 * step[0], 8 + 2 * step[1])
    assert near.sum() == 9 * 11


def test_points_that_neighbours_do_not_see_are_found_in_a_mosaic() -> None:
    light = waves(1.0)
    rows, columns = np.mgrid[:50, :54]
    light[24, 20] += 300
    light += 300 * np.exp(-(np.square(rows - 24) + np.square(columns - 33)) / (2 * 0.5**2))
    places = np.array([24 * 54 + 20, 24 * 54 + 33, 0])  # the last lies in a corner
    assert unseen_near(light.astype(np.float32), places, 0.025, 0.2).tolist() == places[:1].tolist()
    many = np.append(np.full(256, places[1]), places[0])
    assert not unseen_near(light.astype(np.float32), many, 0.025, 0.2).size


def test_points_of_a_mosaic_are_told_from_what_lies_near_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """27 pixels to each side, as far as there are any, every two pixels: of the same colours."""
    rows, columns = np.indices((70, 80))
    light, asked = (100.0 * rows + columns).astype(np.float32), []

    def told(near: np.ndarray, row: int, column: int, *, every: int) -> None:
        corner, last = near[0, 0], near[-1, -1]
        asked.append((*map(int, (corner, last)), float(near[row, column]), every))

    monkeypatch.setattr(module, "learned", told)
    assert unseen_near(light, np.array([30 * 80 + 41, 3 * 80 + 70]), 0.1, 0.2).size == 0
    assert asked == [(314, 5768, 3041.0, 2), (43, 3079, 370.0, 2)]


def test_nothing_is_learned_from_the_pixel_or_its_neighbours() -> None:
    plain = learned(waves(1.0), *PLACE)
    picture = waves(1.0)
    picture[PLACE] += 1e6
    picture[PLACE[0], PLACE[1] + 1] += 1e6
    spoiled = learned(picture, *PLACE)
    assert plain is not None
    assert spoiled is not None
    np.testing.assert_allclose(spoiled.weights, plain.weights)
    np.testing.assert_allclose(spoiled.errors, plain.errors)
    np.testing.assert_allclose(spoiled.apart - plain.apart, [0, 0, 1e6, 1e6, 0], atol=1e-3)


def test_what_is_predicted_leaves_of_a_point_is_told() -> None:
    """Its neighbours see 13 % of a point of 0.4 pixels, of which a part is predicted; of one midway
    to a neighbour those across see as much."""
    numbers = [2, 10, 12, 14, 22]
    assert (2 * PLACES[numbers]).tolist() == [[-1, 0], [0, -1], [0, 0], [0, 1], [1, 0]]
    for number, place in zip(numbers, np.flatnonzero(INNER), strict=True):
        square = POINTS[number].reshape(7, 7)
        assert square[3, 3] == pytest.approx(1)
        assert POINTS[number, place] == pytest.approx(1)
        across = square[3, 2] if number in (2, 22) else square[2, 3]
        assert across == pytest.approx(0.134, abs=1e-3)
        plain, picture = learned(waves(1.0), *PLACE), waves(1.0)
        picture[PLACE[0] - 3 : PLACE[0] + 4, PLACE[1] - 3 : PLACE[1] + 4] += 100 * square
        lit = learned(picture, *PLACE)
        assert plain is not None
        assert lit is not None
        # it also lies at the border of squares that tell, which changes little
        np.testing.assert_allclose(lit.apart - plain.apart, 100 * plain.points[number], atol=4)


def test_errors_are_those_of_places_with_as_much_around_them() -> None:
    picture = waves(1.0)
    picture[:, 30:] += np.random.default_rng(2).normal(0, 1000, (50, 24))
    found = learned(picture, 24, 33)  # a third of what tells of it is calm
    assert found is not None
    assert np.square(found.errors).mean() > 1000**2


def test_errors_are_those_of_squares_that_did_not_tell() -> None:
    """Of white noise nothing can be predicted."""
    errors = []
    for seed in range(20):
        found = learned(np.random.default_rng(seed).normal(100, 1, (50, 54)), 4, 4)
        assert found is not None
        errors.append(np.square(found.errors).mean())
    assert 1.01 < np.sqrt(np.mean(errors)) < 1.3


def test_errors_are_those_of_predictions_without_the_square_and_its_mirror_image() -> None:
    """By least squares of all others, each counted by how much varies in it and around the pixel,
    and upside down as well."""
    picture = np.asarray(waves(6.0)[8:42, 8:44])
    found = learned(picture, 17, 18)
    assert found is not None
    squares = sliding_window_view(picture, (7, 7))
    others = _others(squares, (14, 15), (0, 0), 1)
    own = squares[14, 15].reshape(1, -1)
    (around, _), (samples, wanted) = (
        (part[:, ~INNER] - mean, part[:, INNER] - mean)
        for part in (own, others)
        for mean in [part[:, ~INNER].mean(1, keepdims=True)]
    )
    varied, varies = (around**2).sum(), (samples**2).sum(1)
    counts = 1 / (varies + varied + 1e-9)
    counts /= counts.mean()
    both = np.stack([samples, samples[:, ::-1]]), np.stack([wanted, wanted[:, ::-1]])
    parts = [np.einsum("i,oij,oik->ijk", counts, both[0], one) for one in both]
    power, goal = (part.sum(0) for part in parts)
    ridge = (1e-4 * np.trace(power) / len(power) + 1e-9) * np.eye(len(power))
    alike = np.flatnonzero((varies >= 0.5 * varied) & (varies <= 4 * varied))
    assert len(alike) == len(found.errors)
    for number in range(0, len(alike), 40):
        at = alike[number]
        weights = np.linalg.solve(power + ridge - parts[0][at], goal - parts[1][at])
        left = wanted[at] - samples[at] @ weights
        np.testing.assert_allclose(found.errors[number], left, rtol=1e-5, atol=1e-6)


def test_where_too_little_is_alike_nothing_is_known() -> None:
    picture = np.random.default_rng(3).normal(100, 1, (50, 54))
    assert learned(picture, *PLACE) is not None
    picture[PLACE[0] - 2, PLACE[1] + 2] += 100
    assert learned(picture, *PLACE) is None  # the only place that has such a thing
    picture[12, 20] += 100  # once more
    assert learned(picture, *PLACE) is not None
    for place in ((2, 20), (20, 2), (47, 20), (20, 51)):
        assert learned(picture, *place) is None
    for place in ((3, 3), (46, 50)):
        assert learned(picture, *place) is not None


@pytest.mark.parametrize("step", [(0, 1), (1, 0)])
def test_the_middle_of_a_pair_is_both_and_all_six_beside_them(step: tuple[int, int]) -> None:
    window = WINDOWS[step]
    assert window.sides == (7 + step[0], 7 + step[1])
    places = window.places.tolist()
    assert len(places) == 8
    for one in ((0, 0), step):
        for y, x in ((0, 0), (-1, 0), (0, -1), (0, 1), (1, 0)):
            assert [one[0] + y, one[1] + x] in places
    # both see about as much of the points that may be mistaken for them
    first, second = (window.points[:, np.flatnonzero(window.inner)[places.index(list(one))]]
                     for one in ((0, 0), step))  # fmt: skip
    np.testing.assert_allclose(first, 1)
    assert ((second > 0.5) & (second < 2)).all()


@pytest.mark.parametrize("step", [(0, 1), (1, 0), (0, -1), (-1, 0)])
def test_two_that_show_nothing_are_told_from_a_point_between_them(step: tuple[int, int]) -> None:
    pixel, shift = np.array(PLACE), np.array(step)
    picture, lit = waves(1.0), waves(1.0)
    picture[PLACE] += 100
    picture[tuple(pixel + shift)] += 80
    first, way = np.minimum(pixel, pixel + shift), tuple(np.abs(shift).tolist())
    number = 12  # of 25: midway
    square = WINDOWS[way].points[number].reshape(WINDOWS[way].sides)
    lit[tuple(slice(a - 3, a - 3 + n) for a, n in zip(first, square.shape, strict=True))] += (
        100 * square
    )
    both, own, other = seen_of_pair(picture, pixel, shift)
    assert both.excess == pytest.approx(90, abs=3)
    assert {round(own.excess, -1), round(other.excess, -1)} == {100, 80}
    assert both.beside == pytest.approx(0, abs=2)
    assert both.shared > SHARED  # samples that see light of the other do not tell
    assert both.error < 1.01 * max(own.error, other.error)
    light, *_ = seen_of_pair(lit, pixel, shift)
    assert light.beside > SHARED * light.excess
    assert seen_of_pair(picture, np.array([2, 20]), shift) == []


def test_squares_tell_upside_down_as_well() -> None:
    found = learned(waves(1.0), *PLACE)
    assert found is not None
    np.testing.assert_allclose(found.weights, found.weights[::-1], atol=1e-12)


def test_turning_a_picture_turns_its_errors() -> None:
    picture = waves(5.0)
    found, turned = learned(picture, 24, 27), learned(picture[::-1, ::-1], 50 - 25, 54 - 28)
    assert found is not None
    assert turned is not None
    np.testing.assert_allclose(found.apart, turned.apart[::-1])
    np.testing.assert_allclose(found.errors, turned.errors[::-1, ::-1], atol=1e-9)
