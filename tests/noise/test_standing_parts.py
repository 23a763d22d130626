"""How lines that stay are told from a scene, part by part and by definition."""

from itertools import pairwise

import cv2
import numpy as np
import pytest

from f2rcli.noise.measurement.profiles import common, parted
from f2rcli.noise.standing import evidence
from f2rcli.noise.standing.evidence import (
    Light,
    Likely,
    Standing,
    _agreed,
    _levels,
    _middle,
    _of_light,
    _pieces,
    _white,
    find_standing,
    plane_of,
    standing_in,
)
from f2rcli.noise.standing.steps import Offsets, Steps, painted, steps_of
from f2rcli.order import robust_sigma
from tests.noise.standing_scenes import HEIGHT, filmed, still_life

Array = np.ndarray
RNG = np.random.default_rng


def test_the_middle_of_long_lines_is_looked_at() -> None:
    plane = np.arange(2 * 600, dtype=np.float32).reshape(2, 600)
    np.testing.assert_array_equal(_middle(plane), plane[:, 44:556])
    np.testing.assert_array_equal(_middle(plane[:, :511]), plane[:, :511])
    planes = [plane, 3 * plane]
    np.testing.assert_array_equal(plane_of(planes, (0, 1), columns=True), 2 * plane.T)
    np.testing.assert_array_equal(plane_of(planes, (1,), columns=False), 3 * plane)


def test_pieces_are_levels_without_edges_and_broad_bands() -> None:
    rng = RNG(8)
    values = rng.normal(0, 1, (99, 27)).astype(np.float32)
    values[40], values[70] = values[40] + 30, values[70] - 30
    for row, more in zip(range(5, 38, 3), np.linspace(0.8, 2, 11), strict=True):
        values[row] += more * (-1) ** row
    weights = rng.uniform(0.5, 2, values.shape).astype(np.float32)
    wanted = []
    cuts = [slice(first, last) for first, last in pairwise([0, 4, 8, 12, 15, 18, 21, 24, 27])]
    each = np.array([common(values[:, cut], weights[:, cut])[0] for cut in cuts])
    middle = np.median(each, axis=0)
    far = np.abs(middle - np.median(middle)) > 6 * robust_sigma(middle)
    assert 4 < far.sum() < 11  # of thirteen
    for one in each:
        steps = np.where(far, 0, one)
        level = np.r_[0, np.cumsum(steps - steps.mean())]
        wanted.append(parted(level)[0][8:92])
    found = _pieces(Steps(values, weights))
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def agreed(first: Array, second: Array) -> float:
    """The definition, pair by pair of pieces that are not side by side."""
    pairs = [(a, b) for a in range(8) for b in range(8) if abs(a - b) > 1]
    across = np.array([np.mean(first[a] * second[b]) for a, b in pairs])
    alike = [
        np.mean(first[a] * second[b]) / np.sqrt(np.mean(first[a] ** 2) * np.mean(second[b] ** 2))
        for a, b in pairs
    ]
    own = [np.median([np.mean(one[a] * one[b]) for a, b in pairs]) for one in (first, second)]
    middle = np.median(across)
    sure = middle >= (0.4 / 255) ** 2 and np.quantile(across, 0.1) >= 0.4 * middle
    if not sure or np.median(alike) < 0.2 or middle / np.sqrt(max(own[0] * own[1], 1e-24)) < 0.35:
        return 0.0
    return float(middle**0.5)


def halves(rng: np.random.Generator, lasting: float, noise: float, uneven: float) -> list[Array]:
    shared, own = rng.normal(0, 1, 90), rng.normal(0, 1, (2, 90))
    gains = 1 - uneven * (np.arange(8) == rng.integers(8))
    return [
        gains[:, None] * (lasting**0.5 * shared + (1 - lasting) ** 0.5 * one)
        + noise * more * rng.normal(0, 1, (8, 90))
        for one, more in zip(own, (1, 1.5), strict=True)
    ]


def test_halves_of_frames_agree_by_definition() -> None:
    """From strong offsets to none; some that are new in each half, hidden, weak or uneven."""
    rng, wanted, found = RNG(9), [], []
    for lasting, noise in [(1, 0.3), (1, 1.7), (1, 2), (0.4, 0.3), (0.3, 0.3)]:
        for uneven in (0, 0.2, 0.5, 0.7):
            for size in (0.35, 0.42, 0.6, 5):
                for _ in range(3):
                    pieces = [size / 255 * one for one in halves(rng, lasting, noise, uneven)]
                    wanted.append(agreed(*pieces))
                    found.append(_agreed(*pieces))
    np.testing.assert_allclose(found, wanted, rtol=1e-6)
    assert 30 < np.count_nonzero(wanted) < 190


def white(pieces: Array) -> bool:
    """The definition: the cross spectrum of every other piece and of the rest has as much of the
    finest waves as of longer ones, and no few frequencies have most of the power."""
    count = pieces.shape[1]
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(count) / (count - 1))
    one, other = (np.fft.rfft(pieces[at::2].mean(0) * window) for at in (0, 1))
    shared = one.real * other.real + one.imag * other.imag
    last = len(shared) - 1
    fine = [power for at, power in enumerate(shared) if at / last >= 0.75]
    longer = [power for at, power in enumerate(shared) if 0.3 <= at / last <= 0.6]
    share = np.mean(fine) / np.mean(longer)
    whole = np.abs(np.fft.rfft(pieces.mean(0) * window)) ** 2
    power = whole[round(0.12 * len(whole)) :]
    around = np.pad(power, 7, "reflect")
    held = [min(power[at], 4 * np.median(around[at : at + 15])) for at in range(len(power))]
    return bool(0.35 < share < 2.5 and sum(held) > 0.75 * sum(power))


def test_lines_differ_each_on_its_own_by_definition() -> None:
    """White ones, blurred and sharpened ones, waves, alone and over white."""
    rng, wanted, found = RNG(10), [], []
    lines = np.arange(170)
    for near in np.linspace(-0.3, 0.3, 13):
        for wave in (0.0, 0.5, 1.0, 2.0):
            for noise in (0.1, 1.0):
                shared = rng.normal(0, 1, 172)
                shared = shared[1:-1] + near * (shared[:-2] + shared[2:])
                shared = shared + wave * np.sin(lines * rng.uniform(0.5, 3))
                pieces = shared + noise * rng.normal(0, 1, (8, 170))
                wanted.append(white(pieces))
                found.append(_white([pieces]))
    assert found == wanted
    assert 20 < sum(wanted) < 84


def test_brightness_of_pieces_is_the_mean_of_their_segments() -> None:
    picture = filmed(still_life(), count=1)[0]
    soft = cv2.GaussianBlur(picture, (0, 0), sigmaX=1.2, sigmaY=1.2)
    cuts = [0, 32, 64, 96, 128, 160, 192, 216, 240]  # thirty segments: six pieces of four
    wanted = [soft[8:-8, first:last].mean(1) for first, last in pairwise(cuts)]
    np.testing.assert_allclose(_levels(picture), wanted, atol=1e-5)


def of_light(pieces: Array, level: Array) -> bool:
    """The definition: a regression of what pieces have more on brightness, with the larger of its
    error by leaving pieces out and by chance."""
    line, mean = pieces.mean(0), level.mean(0)
    known = line * (level - mean) / np.maximum(mean, 4 / 255)
    if (known**2).sum() < 0.01 * (line**2).sum() * 8:
        return True
    apart = pieces - line
    slope = (known * apart).sum() / (known**2).sum()
    left = []
    for at in range(8):
        rest = np.arange(8) != at
        left.append((known[rest] * apart[rest]).sum() / (known[rest] ** 2).sum())
    jackknife = 7 / 8 * ((np.array(left) - np.mean(left)) ** 2).sum()
    chance = (apart**2).mean() / (known**2).sum()
    return bool(abs(slope) + 2 * max(jackknife, chance) ** 0.5 >= 0.5)


def test_what_follows_light_is_told_by_definition() -> None:
    rng, wanted, found = RNG(11), [], []
    for follows in np.linspace(-1, 1, 9):  # of the way from an offset to a factor
        for contrast in (0.09, 0.11, 0.2, 0.4):
            for noise in (0.02, 0.1, 0.4):
                for dark, uneven in ((1.0, 0.0), (1.0, 0.3), (0.03, 0.0)):
                    level = dark * 0.5 * (1 + contrast * rng.normal(0, 1, (8, 80)))
                    line = rng.normal(0, 1, 80)
                    each = follows + uneven * rng.normal(0, 1, (8, 1))
                    pieces = line * (1 + each * (level / level.mean(0) - 1))
                    pieces = pieces + noise * rng.normal(0, 1, pieces.shape)
                    wanted.append(of_light(pieces, level))
                    light = _of_light(pieces, level)
                    found.append(light is None or not light.none)
    assert found == wanted
    assert 50 < sum(wanted) < 274


@pytest.mark.parametrize(
    ("sigma", "is_white", "lit", "found"),
    [
        (0.69, True, False, False), (0.71, True, False, True), (1.59, True, False, True),
        (1.61, True, False, False), (1.0, False, False, False), (1.0, True, True, False),
    ],
)  # fmt: skip
def test_lines_stay_where_all_evidence_says_so(
    sigma: float, is_white: bool, lit: bool, found: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Halves of the frames are compared, and their mean is measured."""
    seen: list[Array] = []
    values = np.zeros(HEIGHT, np.float32)

    def steps(picture: Array, known: Array, drawn: object) -> Steps:
        seen.append(picture)
        assert drawn is None
        return steps_of(picture, known)

    def measured(picture: Array, drawn: object) -> Offsets:
        seen.append(picture)
        return Offsets(values, sigma)

    monkeypatch.setattr(evidence, "steps_of", steps)
    monkeypatch.setattr(evidence, "estimated", measured)
    monkeypatch.setattr(evidence, "_agreed", lambda first, second: 1.0)
    monkeypatch.setattr(evidence, "_white", lambda *_: is_white)
    told = Light(1.0 if lit else 0.0, 0.1)
    monkeypatch.setattr(evidence, "_of_light", lambda pieces, level: told)
    pictures = filmed(still_life(), 30, count=5)
    got = standing_in([[one] for one in pictures], (0,), columns=False)
    first, second = pictures[:2].mean(0), pictures[2:].mean(0)
    for picture, wanted in zip(
        seen, (first, second, (first + second) / 2, first, second), strict=True
    ):
        np.testing.assert_allclose(picture, wanted, atol=1e-6)
    assert (got is not None) == found
    if got is not None:
        assert (got.planes, got.columns, got.sigma) == ((0,), False, sigma)
        assert got.offsets is values


@pytest.mark.parametrize(
    ("shape", "count", "enough"),
    [((48, 64), 4, True), ((64, 48), 4, True), ((47, 64), 4, False), ((48, 63), 4, False),
     ((48, 64), 3, False)],
)  # fmt: skip
def test_how_much_is_looked_at(
    shape: tuple[int, int], count: int, enough: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = []
    monkeypatch.setattr(evidence, "_agreed", lambda *_: looked.append(0) or 0.0)
    frames = RNG(12).random((count, 1, *shape), np.float32)
    assert standing_in(list(frames), (0,), columns=False) is None
    assert bool(looked) == enough


@pytest.mark.parametrize(("rows", "looked_at"), [(59, True), (62, False)])
def test_half_of_a_picture_may_be_drawn(
    rows: int, looked_at: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first and the last frame say what is; two rows at its rim are not told."""
    looked = []

    def steps(picture: Array, known: Array, drawn: Array) -> Steps:
        looked.append(drawn)
        return steps_of(picture, known, drawn)

    monkeypatch.setattr(evidence, "steps_of", steps)
    frames = RNG(13).random((4, 1, 120, 80), np.float32)
    frames[::3, :, : rows + 2] = 0.5
    standing_in(list(frames), (0,), columns=False)
    assert bool(looked) == looked_at
    for drawn in looked:
        np.testing.assert_array_equal(drawn, painted(frames[0, 0], frames[3, 0]))


@pytest.mark.parametrize(
    ("together", "planes"), [(1.25, [(0,), (1,)]), (1.28, [(0, 1, 2)]), (0.0, [])]
)
def test_planes_share_what_their_mean_has_six_tenths_of(
    together: float, planes: list[tuple[int, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two planes of three with 2 and 2, and one with none, the mean power is 8/3."""
    none = np.zeros(4, np.float32)

    def sought(frames: object, group: tuple[int, ...], *, columns: bool) -> Standing | None:
        size = {(0, 1, 2): together, (0,): 2.0, (1,): 2.0, (2,): 0.0}[group]
        return Standing(group, columns, size, none) if size else None

    def likely(*asked: object, columns: bool) -> Likely | None:
        line = sought(*asked, columns=columns)
        return line and Likely(line, np.zeros((8, 4)), Light(0.0, 0.1))

    monkeypatch.setattr(evidence, "_white", lambda *_: True)
    monkeypatch.setattr(evidence, "standing_in", sought)
    monkeypatch.setattr(evidence, "likely_in", likely)
    for upright in (True, False):
        groups = [[], [(0, 1, 2)]] if upright else [[(0, 1, 2)], []]
        found = find_standing([], *groups)
        assert [one.planes for one in found] == planes
        assert all(one.columns == upright for one in found)


@pytest.mark.parametrize(
    ("slope", "error", "other", "found"),
    [(0.24, 0.17, (0.1, 0.05), True), (0.24, 0.17, None, False),  # with nothing beside
     (0.24, 0.17, (0.4, 0.1), False),  # which is not sure either
     (0.35, 0.2, (0.4, 0.04), True), (0.9, 0.5, (0.46, 0.0199), False),  # both together
     (0.39, 0.2, (0.0, 0.1), True), (0.41, 0.2, (0.0, 0.1), False),  # by chance, or not
     (-0.39, 0.2, (0.0, 0.1), True), (-0.41, 0.2, (0.0, 0.1), False)],
)  # fmt: skip
def test_lines_of_other_colours_tell_whether_unsure_ones_are_the_sensors(
    slope: float,
    error: float,
    other: tuple[float, float] | None,
    found: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Columns of a sensor run through all colours."""
    none = np.zeros(4, np.float32)
    lights = {(0,): Light(slope, error), (1,): other and Light(*other)}

    def likely(frames: object, group: tuple[int, ...], *, columns: bool) -> Likely | None:
        light = lights[group]
        return light and Likely(Standing(group, columns, 1.0, none), np.zeros((8, 4)), light)

    monkeypatch.setattr(evidence, "_white", lambda *_: True)
    monkeypatch.setattr(evidence, "likely_in", likely)
    for upright in (True, False):
        groups = [[], [(0,), (1,)]] if upright else [[(0,), (1,)], []]
        assert ((0,) in [one.planes for one in find_standing([], *groups)]) == found


def test_lines_of_all_colours_tell_together_whether_they_are_white(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Those of one colour may differ a little less in the finest waves; not far less."""
    rng, seen = RNG(14), {}
    for group, near in (((0,), 0.0), ((1,), 0.3), ((2,), 0.4)):
        shared = rng.normal(0, 1 + 9 * near, 322)
        shared = shared[1:-1] + near * (shared[:-2] + shared[2:])
        seen[group] = shared + 0.1 * rng.normal(0, 1, (8, 320))
    none = np.zeros(4, np.float32)

    def likely(frames: object, group: tuple[int, ...], *, columns: bool) -> Likely:
        return Likely(Standing(group, columns, 1.0, none), seen[group], Light(0.0, 0.1))

    monkeypatch.setattr(evidence, "likely_in", likely)
    for groups, wanted in (
        ([(0,), (1,)], [(0,), (1,)]), ([(1,)], []), ([(1,), (2,)], []), ([(0,), (2,)], [(0,)]),
    ):  # fmt: skip
        assert [one.planes for one in find_standing([], [], groups)] == wanted


def test_what_two_tell_of_light_counts_by_its_variance() -> None:
    both = Light(0.5, 0.2).beside([Light(0.1, 0.1)])
    assert both.slope == pytest.approx((0.5 / 4 + 0.1) / (1 / 4 + 1))
    assert both.error == pytest.approx((1 / (25 + 100)) ** 0.5)


def test_strengths_are_in_255ths_and_rows_and_columns_apart() -> None:
    none = np.zeros(4, np.float32)
    known = {"rows8": 0.0, "bands8": 0.0, "turned": False, "planes": [1, 2]}
    for columns, sizes in ((True, (2.0, 0.0)), (False, (0.0, 2.0))):
        more = dict(zip(("columns8", "staying_rows8"), sizes, strict=True))
        values = Standing((1, 2), columns, 2 / 255, none).values()
        sizes8 = {name: values.pop(name) for name in more}
        assert sizes8 == pytest.approx(more)
        assert values == known
