"""What surrounds a pixel, and which pixels are defects beyond doubt."""

import numpy as np
import pytest
from scipy import special

from f2rcli.samples.stuck import (
    CENTRE,
    Surroundings,
    _jumping,
    _outlying,
    _surroundings,
    defects,
    mean_of,
)

NOWHERE = (np.zeros(0, np.intp), np.zeros(0, np.intp))
STEPS = [(y, x) for y in range(-3, 4) for x in range(-3, 4)]


def scene(seed: int = 0) -> np.ndarray:  # type: ignore[type-arg]
    """A bent surface (30, 26) with noise, as a mean of frames."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:30, :26]
    surface: np.ndarray = 100 + 3 * y - 2 * x + 0.2 * y * x + 0.3 * x * x  # type: ignore[type-arg]
    return surface + rng.normal(0, 2, surface.shape)


def fitted(
    mean: np.ndarray,  # type: ignore[type-arg]
    row: int,
    column: int,
) -> tuple[float, float, float, float]:
    """Excess, what lies beside, roughness and error of one pixel, by a fit of its own."""
    height, width = mean.shape
    inside = [(y, x) for y, x in STEPS if 0 <= row + y < height and 0 <= column + x < width]
    around = [step for step in inside if abs(step[0]) + abs(step[1]) > 1]
    beside = [step for step in inside if abs(step[0]) + abs(step[1]) == 1]

    def terms(steps: list[tuple[int, int]]) -> np.ndarray:  # type: ignore[type-arg]
        return np.array([[1, y, x, y * y, x * x, y * x] for y, x in steps], float)

    def samples(steps: list[tuple[int, int]]) -> np.ndarray:  # type: ignore[type-arg]
        return np.array([mean[row + y, column + x] for y, x in steps])

    for _ in range(4):
        surface, *_ = np.linalg.lstsq(terms(around), samples(around))
        left = samples(around) - terms(around) @ surface
        rough = np.sqrt((left**2).sum() / (len(around) - 6))
        part = around
        around = [one for one, far in zip(around, abs(left), strict=True) if far <= 3 * rough]
    at = terms(beside).mean(0)
    spread = at @ np.linalg.inv(terms(part).T @ terms(part)) @ at
    excess = samples([(0, 0)]) - terms([(0, 0)]) @ surface
    mine = (samples(beside) - terms(beside) @ surface).mean()
    return float(excess[0]), float(mine), rough, float(rough * np.sqrt(1 / len(beside) + spread))


def test_surfaces_are_those_of_least_squares_without_what_stands_out() -> None:
    mean = scene()
    mean[12, 12], mean[13, 11], mean[10, 14] = 900, 700, -300
    pixels = [(12, 12), (20, 5), (0, 0), (0, 10), (29, 25), (1, 24), (15, 12)]
    found = _surroundings(mean, tuple(np.array(pixels).T))
    for number, place in enumerate(pixels):
        wanted = fitted(mean, *place)
        told = (one[number] for one in (found.excess, found.beside, found.rough, found.error))
        assert tuple(told) == pytest.approx(wanted, rel=1e-6)
    near = mean[9:16, 9:16].ravel()
    assert near[24] - near @ found.weights[0] == pytest.approx(found.excess[0])


def test_a_surface_loses_what_stands_out_three_times() -> None:
    """Each time a tenth of what stood out before; the fourth stays part of it."""
    mean = scene(2)
    for (y, x), light in zip(((-3, 0), (3, 1), (0, 3), (1, -2)), (3e5, 3e4, 3e3, 40), strict=True):
        mean[15 + y, 12 + x] += light
    found = _surroundings(mean, (np.array([15]), np.array([12])))
    told = (float(one[0]) for one in (found.excess, found.beside, found.rough, found.error))
    assert tuple(told) == pytest.approx(fitted(mean, 15, 12), rel=1e-6)
    kept = [bool(found.weights[0, 7 * (3 + y) + 3 + x]) for y, x in ((0, 3), (1, -2))]
    assert kept == [False, True]


@pytest.mark.parametrize("others", [4, 5])
def test_where_more_than_four_others_stand_out_nothing_is_known(others: int) -> None:
    mean = scene(1)
    steps = ((-3, 0), (3, 1), (0, 3), (1, -2), (-2, 2))
    for (y, x), light in list(zip(steps, (1000, 900, 300, 250, 40), strict=True))[:others]:
        mean[15 + y, 12 + x] += light
    error = _surroundings(mean, (np.array([15]), np.array([12]))).error[0]
    assert np.isfinite(error) == (others == 4)


def test_neighbours_may_see_little_of_a_defect_errors_included() -> None:
    beside, error = np.full(6, 8.0), np.array([1.1, 1.1, 0.0, 1.2, 1.1, 1.1])
    beside[1:3] = -8.0, 11.4
    excess = np.array([100.0, 100.0, -100.0, 100.0, 90.0, 100.0])
    shared = np.array([0.115] * 5 + [0.11])
    around = Surroundings(
        excess, beside, np.zeros((6, 49)), error, error, np.full(6, float(CENTRE)), shared
    )
    assert around.unseen(error).tolist() == [True, True, True, False, False, False]
    assert around.of(error > 1).beside.tolist() == [8, -8, 8, 8, 8]


def test_what_is_looked_at_stands_out_of_its_median_and_more_than_those_beside_it() -> None:
    rng = np.random.default_rng(2)
    mean = rng.normal(100, 2, (40, 40))
    mean[10, 10], mean[20:22, 20], mean[30, 30], mean[6, 29:32] = 130, 130, 80, 130
    mean[5, 30] = 130
    mean[35, 3:36:4] = 100 + np.linspace(5, 13, 9)
    for column, (y, x) in zip((4, 13, 22, 31), ((1, 1), (1, -1), (-1, 1), (-1, -1)), strict=True):
        mean[15, column], mean[15 + y, column + x] = 130, 400  # which lies not beside it
    wide = np.pad(mean.astype(np.float32), 2, mode="edge")
    steps = [(y, x) for y in range(5) for x in range(5)]
    middle = np.median([wide[y : y + 40, x : x + 40] for y, x in steps], axis=0)
    beyond = mean - middle
    edges = np.pad(beyond, 1, mode="reflect")
    beside = (edges[:-2, 1:-1] + edges[2:, 1:-1] + edges[1:-1, :-2] + edges[1:-1, 2:]) / 4
    lone = np.where(abs(beyond) > 2 * abs(beside), abs(beyond), 0)
    far = max(4 * 1.4826 * np.median(abs(beyond)), np.quantile(lone, 0.99))
    for scale in (1, 1024, 1 / 1024):  # whatever a code is
        np.testing.assert_array_equal(_outlying(mean * scale), lone > far)
    assert _outlying(mean)[[10, 30], [10, 30]].all()
    assert _outlying(mean)[15, [4, 13, 22, 31]].all()
    assert not _outlying(mean)[6, 30]


def frames(count: int = 9) -> np.ndarray:  # type: ignore[type-arg]
    return np.random.default_rng(3).normal(100, 5, (count, 24, 24))


def seen(shown: np.ndarray, known: tuple[int, int] | None = None) -> list[list[int]]:  # type: ignore[type-arg]
    """Places of defects of all these frames, of which the first nine are at hand."""
    places = NOWHERE if known is None else tuple(np.array([one]) for one in known)
    found: list[list[int]] = np.argwhere(defects(shown[:9], *mean_of(shown), places)).tolist()
    return found


def test_defects_stand_out_in_most_frames() -> None:
    for there, others, told in (
        (900, 900, True), (900, 4000, True), (900, 5000, False), (0, 9000, False),
        (-900, -900, True), (-900, -5000, False),
    ):  # fmt: skip
        shown = frames(12)
        shown[:, 10, 10] += np.repeat([there, others], [9, 3])
        assert (seen(shown) == [[10, 10]]) == told
    shown = frames()
    shown[:4, 10, 10] += 900
    assert seen(shown) == []


@pytest.mark.parametrize(
    ("on", "height", "told"), [((1, 4, 6), 900, True), ((0, 1, 2, 4, 6, 8), 900, True),
                               ((1, 4), 900, False), ((1, 4, 6), 40, False),
                               ((2, 3, 4, 5), 900, False)],
)  # fmt: skip
def test_pixels_that_jump_between_two_levels_are_defects(
    on: tuple[int, ...], height: float, told: bool
) -> None:
    """Random telegraph noise: up, or down, in three frames of nine or more."""
    for sign in (1, -1):
        shown = np.random.default_rng(3).normal(100, 5, (9, 96, 96))
        shown[on, 10, 10] += sign * height
        assert (seen(shown) == [[10, 10]]) == told


def test_points_of_light_that_blink_are_no_defects() -> None:
    rows, columns = np.mgrid[:96, :96]
    for sigma in (0.4, 0.6, 1.3):
        spot = erf_share(rows - 10, sigma) * erf_share(columns - 10, sigma)
        shown = np.random.default_rng(3).normal(100, 5, (9, 96, 96))
        shown[[1, 4, 6]] += 5000 * spot
        assert seen(shown) == []


def test_single_photons_are_no_jumps() -> None:
    counts = np.random.default_rng(0).poisson(0.01, (9, 96, 96))
    counts[:, 8:13, 8:13] = 0
    counts[[1, 4, 6], 10, 10] = 1, 2, 1  # as happens to some pixel of a million
    shown = (100 + 8 * counts).astype(np.uint16)
    assert not defects(list(shown), *mean_of(shown), NOWHERE).any()


def test_where_pixels_jump_everywhere_it_is_the_scene() -> None:
    rng = np.random.default_rng(2)
    for count, told in ((3, 3), (60, 0)):
        shown = rng.normal(100, 5, (9, 128, 128))
        for row, column in zip(rng.permutation(120)[:count], rng.permutation(120), strict=False):
            shown[[1, 4, 6], row + 4, column + 4] += 3000
        assert defects(list(shown), *mean_of(shown), NOWHERE).sum() == told


def test_defects_vary_as_samples_do() -> None:
    for share, told in ((0.5, True), (0.25, False)):
        shown = frames()
        shown[:, 10, 10] = 400 + share * (shown[:, 10, 10] - 100)
        assert (seen(shown) == [[10, 10]]) == told


def test_of_fewer_frames_samples_vary_less_by_chance() -> None:
    """In one of fifty by less than 0.35 of the noise, where there are five."""

    def found(count: int, share: float) -> list[list[int]]:
        shown = frames(count)
        own = shown[:, 10, 10]
        shown[:, 10, 10] = 900 + share * np.std(shown, axis=0, ddof=1).mean() * (
            (own - own.mean()) / own.std(ddof=1)
        )
        return seen(shown)

    assert found(9, 0.45) == found(5, 0.28) == [[10, 10]]
    assert found(9, 0.28) == found(5, 0.1) == []


def test_dark_defects_have_hardly_any_noise() -> None:
    """A dead pixel counts no photons, but it is read like others; what is drawn is one code."""
    rng = np.random.default_rng(4)
    for read, told in ((0.6, True), (0.0, False)):
        shown = frames().round().astype(np.int16)
        shown[:, 10, 10] = np.rint(40 + rng.normal(0, read, len(shown)))
        assert (seen(shown) == [[10, 10]]) == told


@pytest.mark.parametrize("unit", [1e-3, 1e3])
def test_the_unit_of_samples_does_not_count(unit: float) -> None:
    """Codes of eight bits or of sixteen, or electrons."""
    shown = frames()
    assert seen(unit * shown) == []
    shown[:, 10, 10] += 100
    assert seen(shown) == seen(unit * shown) == [[10, 10]]


def edges(seed: int = 5) -> np.ndarray:  # type: ignore[type-arg]
    """Nine frames of sharp slanting stripes, of which no smooth surface tells."""
    rows, columns = np.mgrid[:64, :64]
    stripes = special.erf(np.sin((rows + 0.4 * columns) / 2.5) * 3)
    noise: np.ndarray = np.random.default_rng(seed).normal(0, 4, (9, 64, 64))  # type: ignore[type-arg]
    return 1000 + 300 * stripes + noise


def test_edges_hide_no_defects() -> None:
    places = [[12, 30], [31, 20], [40, 44]]
    shown = edges()
    assert seen(shown) == []
    for row, column in places:
        shown[:, row, column] += 800
    around = _surroundings(shown.mean(0), tuple(np.array(places).T))
    assert not around.unseen(around.error).any()
    assert seen(shown) == places
    for sign in (1, -1):
        shown = edges()
        shown[:, 31, 20:22] += sign * np.array([1000, 900])
        assert seen(shown) == [[31, 20], [31, 21]]
        shown[:, 30, 20:22] += sign * 1000
        assert seen(shown) == []


@pytest.mark.parametrize("step", [(0, 1), (1, 0)])
def test_pairs_on_edges_are_told_by_the_four_across_them(step: tuple[int, int]) -> None:
    light, hidden = 400, []
    for row, column in ((12, 30), (31, 20), (40, 44), (22, 51)):
        shown, pair = edges(), [[row, column], [row + step[0], column + step[1]]]
        for y, x in pair:
            shown[:, y, x] += light
        if seen(shown) != pair:
            hidden.append(row)
        shown[:, row - 1 : row + 2, column - 1 : column + 2] += 0.13 * light  # as of a point
        assert seen(shown) == []
    assert not hidden


@pytest.mark.parametrize("offset", [0.0, 0.25, 0.5])
@pytest.mark.parametrize("width", [0.4, 0.45])
def test_points_of_light_between_two_pixels_on_edges_are_no_pairs(
    offset: float, width: float
) -> None:
    rows, columns = np.mgrid[:64, :64]
    for light in (200, 400, 1000, 5000):
        for flip in (False, True):
            shown = edges()
            for row, column in ((12, 30), (31, 20), (40, 44), (22, 51)):
                down, across = (0.5, offset) if flip else (offset, 0.5)
                image = erf_share(rows - row - down, width) * erf_share(
                    columns - column - across, width
                )
                shown += light * image / image.max()
            assert seen(shown) == []


def test_a_point_of_light_beside_a_defect_is_no_pair() -> None:
    rows, columns = np.mgrid[:64, :64]
    for row, column in ((12, 30), (31, 20), (40, 44), (22, 51)):
        for light in (600, 1200):
            shown = edges()
            image = erf_share(rows - row, 0.4) * erf_share(columns - column, 0.4)
            shown += light * image / image.max()
            shown[:, row + 1, column] += light
            assert seen(shown) == []


NEAR_EACH_OTHER = [[20, 30], [24, 36], [31, 31], [31, 20], [40, 44]]


def test_defects_on_edges_spoil_nothing_that_is_learned_of_each_other() -> None:
    """Nor does their own error, of which their neighbours have as much."""
    for light in (300, 600, 1200, -600):
        shown = edges()
        for row, column in NEAR_EACH_OTHER:
            shown[:, row, column] += light
        assert seen(shown) == sorted(NEAR_EACH_OTHER)


@pytest.mark.parametrize("offset", [0.0, 0.25, 0.5])
@pytest.mark.parametrize("width", [0.4, 0.45, 0.5])
def test_points_of_light_near_each_other_on_edges_are_no_defects(
    offset: float, width: float
) -> None:
    rows, columns = np.mgrid[:64, :64]
    for light in (150, 300, 600, 1200, 5000):
        shown = edges()
        for row, column in NEAR_EACH_OTHER:
            down, across = (
                erf_share(rows - row, width),
                erf_share(columns - column - offset, width),
            )
            shown += light * down * across / erf_share(np.zeros(1), width) ** 2
        assert seen(shown) == []


@pytest.mark.parametrize("offset", [0.0, 0.25, 0.4, 0.5])
def test_points_of_light_on_edges_are_no_defects(offset: float) -> None:
    rows, columns = np.mgrid[:64, :64]
    for light in (400, 1000, 3000, 20000):
        shown = edges()
        for row, column in ((12, 30), (31, 20), (40, 44)):
            down, across = erf_share(rows - row, 0.4), erf_share(columns - column - offset, 0.4)
            shown += light * down * across
        assert seen(shown) == []


def test_a_brighter_point_beside_one_tells_nothing_of_it() -> None:
    """As some 20 squares near by show it, always the same."""
    rows, columns = np.mgrid[:64, :64]
    for angle in np.linspace(0, 2 * np.pi, 24, endpoint=False):
        shown = np.random.default_rng(3).normal(100, 2, (9, 64, 64))
        y, x = 30 + 3.4 * np.sin(angle), 30 + 3.4 * np.cos(angle)
        for light, row, column in ((30000, 30, 30), (60000, y, x)):
            shown += light * erf_share(rows - row, 0.4) * erf_share(columns - column, 0.4)
        assert seen(shown) == []


def test_defects_that_are_found_hide_none_near_them() -> None:
    """What is learned of the second comes from samples without the first."""
    shown = edges()
    shown[:, :30] = 1000 + shown[:, :30] * 1e-2
    shown[:, 26, 30] += 60000
    shown[:, 34, 30] += 800
    assert seen(shown) == [[26, 30], [34, 30]]


def test_two_defects_may_lie_side_by_side() -> None:
    for step in ((0, 1), (1, 0)):
        shown = frames()
        shown[:, 10, 10] += 900
        shown[:, 10 + step[0], 10 + step[1]] += 700
        assert seen(shown) == [[10, 10], [10 + step[0], 10 + step[1]]]
        shown[:, 10 + 2 * step[0], 10 + 2 * step[1]] += 800  # a line
        assert seen(shown) == []


def test_a_point_of_light_between_two_pixels_is_no_pair_of_defects() -> None:
    shown = frames()
    rows, columns = np.mgrid[:24, :24]
    down, across = (erf_share(line, 0.45) for line in (rows - 10, columns - 10.5))
    shown += 4000 * down * across
    assert seen(shown) == []


def erf_share(offset: np.ndarray, sigma: float) -> np.ndarray:  # type: ignore[type-arg]
    """The share of a line's light that falls on a pixel so far from its middle."""
    below, above = (special.erf((offset + half) / (sigma * 2**0.5)) for half in (-0.5, 0.5))
    share: np.ndarray = (above - below) / 2  # type: ignore[type-arg]
    return share


def test_light_with_noise_of_its_own_may_have_brought_some_to_the_neighbours() -> None:
    """Noise so strong that neighbours that should see 13 % might by chance see nothing."""
    told = []
    for noise in (0, 30, 60, 90, 120):
        for light in range(60, 220, 10):
            shown = frames()
            shown[:, 10, 10] += light + noise * np.array([0, 1, -1, 1, -1, 1, -1, 1, -1])
            around = _surroundings(shown.mean(0), (np.array([10]), np.array([10])))
            near = shown[:, 7:14, 7:14].reshape(9, 49)
            own = (near[:, 24] - near @ around.weights[0]).var(ddof=1) / 9
            error = np.sqrt(around.error**2 + 0.115 / 4 * max(own - around.rough[0] ** 2, 0))
            told.append(bool(around.unseen(error)[0]))
            assert seen(shown) == [[10, 10]] or not told[-1]
    assert 0.2 < np.mean(told) < 0.8


def test_known_pixels_are_looked_at_wherever_they_are_and_few_frames_tell_nothing() -> None:
    shown = frames()
    shown[:, 10:12, 10] += 900
    shown[:, 11, 10] -= 860  # too little beside 900 to be looked at by itself
    assert [11, 10] not in seen(shown)
    shown[:, 11, 10] -= 40
    assert seen(shown[:5]) == [[10, 10]]
    assert seen(shown[:4]) == []
    assert seen(shown[:, :3]) == seen(shown[:, :2]) == []
    assert seen(shown, (10, 10)) == [[10, 10]]
    many = np.random.default_rng(5).normal(100, 60, (9, 24, 24)) ** 2
    assert seen(many) == []


def jumps(frames: np.ndarray, row: int, column: int) -> bool:
    """The definition: at least three frames at either level and three jumps, of six deviations of
    all around, and twice what all but a thousandth of samples change by; of which the four beside
    see less than a point of light of 0.4 pixels would show them."""
    own = frames[:, row, column]
    high = own > (own.max() + own.min()) / 2
    if min(high.sum(), (~high).sum()) < 3 or np.abs(np.diff(high.astype(int))).sum() < 3:
        return False
    around = frames[:, row - 2 : row + 3, column - 2 : column + 3].reshape(len(frames), 25)
    noise = np.delete(around.std(0, ddof=1), 12).max()
    four = np.mean(
        [frames[:, row + y, column + x] for y, x in ((0, 1), (1, 0), (0, -1), (-1, 0))], 0
    )
    jump, beside = (one[high].mean() - one[~high].mean() for one in (own, four))
    usual = 2 * np.quantile(np.abs(np.diff(frames, axis=0)), 0.999)
    error = noise * np.sqrt(1 / high.sum() + 1 / (~high).sum()) / 2
    return bool(jump > max(6 * noise, usual) and abs(beside) + 3 * error < 0.115 * jump)


def test_pixels_jump_by_definition() -> None:
    """Between two levels, so often and so far; seen by none, some or one of the four beside."""
    rng, found, wanted = np.random.default_rng(3), [], []
    places = np.array([9, 5]), np.array([10, 16])
    for _ in range(100):
        frames = rng.normal(100, 1, (16, 40, 60))
        for row, column in zip(*places, strict=True):
            up = rng.random(16) < rng.choice([0.15, 0.5])
            size = rng.choice([5, 8, 12, 30, 60]) * rng.uniform(0.8, 1.2)
            frames[up, row, column] += size
            seen = rng.choice([0.0, 0.0, 0.05, 0.1, 0.3], 4) * rng.choice([0, 1])
            for share, (y, x) in zip(seen, ((0, 1), (1, 0), (0, -1), (-1, 0)), strict=True):
                frames[up, row + y, column + x] += share * size
        found += _jumping(list(frames), places).tolist()
        wanted += [jumps(frames, *place) for place in zip(*places, strict=True)]
    assert found == wanted
    assert 25 < sum(wanted) < 175
