"""Which places hold less noise than a law says, and which more, step by step."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from f2rcli.engine.noise.excerpts import Square
from f2rcli.engine.noise.places import (
    _around,
    _by_loudness,
    _even,
    _filled,
    _known,
    _noise,
    _rectangle,
    _stands_out,
    drawn,
    louder_part,
    places,
)
from f2rcli.noise.measurement.blocks import Blocks
from f2rcli.noise.model import NoiseModel

Array = np.ndarray
CODE = 1 / 255
GRID = 8, 12


def blocks_of(
    power: Array,
    error: Array | float = 0.0,
    void: Array | bool = False,
    level: Array | float = 0.5,
) -> Blocks:
    """Of a grid (R, C) of blocks of 8 x 8, that hold as much in all bands."""
    shape = power.shape
    flat = [np.broadcast_to(one, shape).ravel().copy() for one in (level, error, void)]
    no = np.zeros(power.size, bool)
    held = power.ravel()
    one_way = np.stack([[held] * 2] * 2)
    return Blocks(flat[0], np.stack([held] * 3), flat[1], flat[2], no, no, 64, one_way, held)


def pair_of(blocks: Blocks, grid: tuple[int, int] = GRID) -> Any:
    plane = np.zeros((8 * grid[0], 8 * grid[1]), np.float32)
    return SimpleNamespace(blocks=lambda _: blocks, before=SimpleNamespace(planes=[plane]))


def near(values: Array, at: tuple[int, int], reach: int, part: float) -> float:
    """A quantile of the finite ones around a place."""
    (row, column), side = at, reach
    rows, columns = (slice(max(n - side, 0), n + side + 1) for n in (row, column))
    some = np.sort(values[rows, columns][np.isfinite(values[rows, columns])])
    return float(some[round(part * (len(some) - 1))]) if len(some) else np.nan


def factors(blocks: Blocks, grid: tuple[int, int], law: Array) -> Array:
    """What a law's standard deviation is times at every block."""
    void, error = blocks.void.reshape(grid), blocks.error.reshape(grid)
    power = np.where(void, 0, blocks.power[2].reshape(grid))
    seen = power / law
    sure = void | (error < power / 4)
    known = sure | (seen < 0.4)
    each = list(np.ndindex(*grid))
    share = np.full(grid, np.nan)
    for at in each:
        if known[at]:
            share[at] = near(np.where(known, seen, np.nan), at, 1, 0.5)
    share = np.minimum(_filled(share), 1)
    quiet = share < 0.4
    held = np.where(sure & quiet, power, np.nan)
    less = np.where(quiet, np.maximum(power - error, 0), np.nan)
    for at in each:
        if quiet[at]:
            rest = near(held, at, 2, 0.2)
            rest = (near(less, at, 2, 0.2) if np.isnan(rest) else rest) / 0.86
            if rest < max((CODE / 2) ** 2, 0.0225 * law[at]):
                rest = 0
            share[at] = min(share[at], rest / law[at])
    return np.sqrt(share + (1 - share) * np.clip((share - 0.4) / 0.2, 0, 1))


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("sigma", [2, 12])
def test_factors_are_by_what_is_known_of_blocks_and_those_around_them(
    seed: int, sigma: float
) -> None:
    rng, grid = np.random.default_rng(seed), (14, 20)
    law = np.full(grid, (sigma * CODE) ** 2)
    held = np.repeat(np.repeat(rng.choice([0.01, 0.1, 0.3, 0.5, 1, 2], (7, 10)), 2, 0), 2, 1)
    power = held * law * rng.uniform(0.8, 1.2, grid)
    error = power * rng.choice([0.0, 0.2, 0.3, 0.9, 2.0], grid)
    void = rng.random(grid) < 0.05
    blocks = blocks_of(power, error, void)
    found = np.array(places(pair_of(blocks, grid), 0, NoiseModel.gaussian(sigma * CODE, 1), 1.0))
    np.testing.assert_allclose(found, factors(blocks, grid, law), atol=1e-4)
    half = places(pair_of(blocks, grid), 0, NoiseModel.gaussian(2**0.5 * sigma * CODE, 1), 0.5)
    np.testing.assert_allclose(half, found, atol=1e-4)  # half of twice as much is in that band


def test_where_a_law_has_no_noise_there_is_none() -> None:
    model = NoiseModel((0.01,), (0.0,), (0.1,))
    power = np.full(GRID, 0.001)
    power[:, :6] = 0
    level = np.where(np.arange(12) < 2, 0.0, 0.5) + np.zeros(GRID)
    found = np.array(places(pair_of(blocks_of(power, level=level)), 0, model, 1.0))
    assert not found[:, :6].any()
    quiet = blocks_of(power, level=0.0)
    assert places(pair_of(quiet), 0, model, 1.0) == ()


@pytest.mark.parametrize(("count", "told"), [(51, False), (50, True)])
def test_less_than_a_fiftieth_of_the_blocks_are_quiet_by_chance(count: int, told: bool) -> None:
    power = np.full((1, count), 100 * CODE**2)
    power[0, 0] /= 10
    pair = pair_of(blocks_of(power), (1, count))
    assert (places(pair, 0, NoiseModel.gaussian(10 * CODE, 1), 1.0) != ()) == told


def test_a_block_is_known_that_is_void_or_matched_within_a_quarter() -> None:
    error = np.array([[0.24, 0.26, 0.26, 0.24]])
    found = _known(blocks_of(np.ones((1, 4)), error, np.array([[False, False, True, True]])))
    assert found.tolist() == [True, False, True, True]


@pytest.mark.parametrize(("side", "part"), [(3, 0.5), (5, 0.2)])
def test_quantiles_around_blocks_are_of_those_that_are_known(side: int, part: float) -> None:
    rng = np.random.default_rng(0)
    values = np.where(rng.random((9, 11)) < 0.4, np.nan, rng.random((9, 11)))
    values[:5, :5] = np.nan
    where = rng.random((9, 11)) < 0.7
    where[0, 0] = True
    found = _around(values, side, part, where)
    for at in np.ndindex(9, 11):
        wanted = near(values, at, side // 2, part) if where[at] else np.nan
        np.testing.assert_equal(found[at], wanted)


def test_what_is_not_known_is_by_what_lies_within_a_block_and_a_half() -> None:
    share = np.where(np.random.default_rng(0).random((12, 15)) < 0.3, 0.4, np.nan)
    share[:, 8:] = np.nan
    known = np.isfinite(share)
    total, weight = (
        ndimage.gaussian_filter(part, 1.5, mode="mirror", truncate=10)
        for part in (np.where(known, share, 0), known.astype(float))
    )
    wanted = np.where(known, share, (total + 0.02) / (weight + 0.02))
    np.testing.assert_allclose(_filled(share), wanted, atol=2e-3)


def test_colours_keep_what_they_have_where_luma_has_noise() -> None:
    own = tuple(tuple(row) for row in np.random.default_rng(0).random((3, 4)).tolist())
    luma = ((0.0,) * 4 + (0.5,) * 4,) * 6
    found = np.array(drawn(own, luma, (20, 30)))
    assert not found[:, :2].any()
    np.testing.assert_array_equal(found[:, 2:], np.array(own)[:, 2:])
    assert np.array(drawn((), luma, (20, 30))).shape == (3, 4)
    assert drawn(own, (), (20, 30)) is own


@pytest.mark.parametrize(
    ("full", "fine", "noise"),
    [(1, 1, True), (1 / 0.89, 1 / 1.11, True), (1 / 0.87, 1, False), (1 / 1.13, 1, False),
     (1, 1 / 0.87, False), (1, 1 / 1.13, False)],
)  # fmt: skip
def test_bands_of_many_blocks_agree_within_an_eighth(full: float, fine: float, noise: bool) -> None:
    power = np.ones((3, 9))
    power[:2] = [[full], [fine]]
    power[:, :2] = 50  # the median counts
    blocks: Any = SimpleNamespace(power=power)
    assert _noise(blocks, np.ones(9, bool)) == noise
    power[:, 5:] = 7
    assert _noise(blocks, np.arange(9) < 5) == noise


@pytest.mark.parametrize(("apart", "even"), [(0.300, True), (0.310, False)])
def test_noise_is_even_from_block_to_block(apart: float, even: bool) -> None:
    """Neighbours differ by 0.32 times the root of two, as the median of Gaussian scatter tells."""
    power = apart * (np.indices((6, 6)).sum(0) % 2)
    power[2, 3] += 9  # something else
    assert _even(power, np.ones((6, 6), bool)) == even


@pytest.mark.parametrize(("count", "even"), [(4, False), (5, True)])
def test_four_pairs_of_neighbours_tell_whether_noise_is_even(count: int, even: bool) -> None:
    for turned in (False, True):
        loud = np.zeros((7, 7), bool)
        loud[3, :count] = True
        loud[0, 6] = True
        assert _even(np.zeros((7, 7)), loud.T if turned else loud) == even


def groups(*parts: tuple[float, int]) -> list[list[int]]:
    """How many blocks of each part are yielded at once; parts: power and count."""
    power = np.concatenate([np.linspace(at - 0.2, at + 0.2, count) for at, count in parts])
    part = np.repeat(np.arange(len(parts)), [count for _, count in parts])
    found = _by_loudness(power, np.ones(len(power), bool))
    return [[int((part[one] == i).sum()) for i in range(len(parts))] for one in found]


def test_blocks_are_told_apart_by_how_much_they_hold_the_loudest_first() -> None:
    """Sixteen at least, and a quarter of as many as any other."""
    assert groups((0, 30), (3, 20)) == [[0, 20], [30, 0]]
    assert groups((3, 30), (0, 20)) == [[30, 0], [0, 20]]
    assert groups((0, 30), (3, 15)) == [[30, 0]]
    assert groups((0, 30), (3, 16)) == [[0, 16], [30, 0]]
    assert groups((0, 30), (0.9, 20)) == [[0, 20], [30, 0]]
    assert groups((0, 15)) == []
    assert groups((0, 16)) == [[16]]
    assert groups((0, 79), (3, 20)) == [[0, 20], [79, 0]]
    assert groups((0, 81), (3, 20)) == [[81, 0]]


def test_blocks_of_a_group_lie_within_six_tenths_of_its_middle() -> None:
    power = np.concatenate([np.linspace(2.7, 3.3, 41), [2.35, 2.45, 3.55, 3.65]])
    (first, *_) = _by_loudness(power, np.ones(45, bool))
    assert first.tolist() == [True] * 41 + [False, True, True, False]


def test_places_as_bright_are_those_between_the_tenths_of_loud_ones() -> None:
    level = np.concatenate([np.linspace(0.4, 0.6, 41), np.full(20, 0.41), np.full(20, 0.43)])
    loud = np.arange(81) < 41
    law = np.full(81, 9.0)
    for quiet, told in ((slice(41, 61), False), (slice(61, 81), True)):
        power = np.where(loud, 2.0, 5.0)
        power[quiet] = 0.0
        silent = power == 0
        assert _stands_out(level, power, law, loud, silent) == told
        assert _stands_out(1 - level, power, law, loud, silent) == told


def best(loud: Array, silent: Array) -> tuple[int, set[tuple[int, int, int, int]]]:
    """The most loud blocks of a rectangle (4 x 4 or more, half loud, a twentieth silent); where."""
    most, where = 0, set[tuple[int, int, int, int]]()
    rows, columns = loud.shape
    for top, left in np.ndindex(rows - 3, columns - 3):
        for high in range(4, rows - top + 1):
            for wide in range(4, columns - left + 1):
                part = slice(top, top + high), slice(left, left + wide)
                much, none, size = int(loud[part].sum()), int(silent[part].sum()), high * wide
                if 2 * much < size or 20 * none > size or much < most:
                    continue
                where = (where if much == most else set()) | {(top, left, high, wide)}
                most = much
    return most, where


@pytest.mark.parametrize("seed", range(5))
def test_the_rectangle_holds_most_loud_blocks_and_hardly_a_silent_one(seed: int) -> None:
    rng = np.random.default_rng(seed)
    draw = rng.random((8, 9))
    inside = (np.indices((8, 9)) >= [[[1]], [[2]]]).all(0)
    loud = draw < np.where(inside, 0.7, 0.3)
    silent = (draw > 0.93) & ~loud
    most, where = best(loud, silent)
    found = _rectangle(loud, silent)
    assert found in where if most else found is None
    assert _rectangle(loud & False, silent) is None


@pytest.mark.parametrize(("filled", "told"), [(0.45, False), (0.6, True)])
def test_of_a_large_picture_the_borders_are_on_a_coarser_grid(filled: float, told: bool) -> None:
    loud = np.zeros((50, 90), bool)
    part = np.s_[9:30, 12:60]
    loud[part] = (np.arange(21 * 48) * 0.618 % 1 < filled).reshape(21, 48)
    found = _rectangle(loud, ~loud & (np.indices(loud.shape)[0] < 9))
    assert (found == (9, 12, 21, 48)) if told else (found is None or found[2:] != (21, 48))


@pytest.mark.parametrize(
    ("loud", "quiet", "side", "told"),
    [(12, 1, 4, True), (1.6, 0.3, 4, True), (1.4, 0.3, 4, False), (12, 7, 4, False),
     (12, 1, 3, False)],
)  # fmt: skip
def test_a_louder_part_is_a_square_of_four_blocks_of_what_is_worth_removing(
    loud: float, quiet: float, side: int, told: bool
) -> None:
    """A code and a half at least, and twice what is elsewhere: four times the power."""
    power = np.full(GRID, (quiet * CODE) ** 2)
    power[2 : 2 + side, 3 : 3 + side + 1] = (loud * CODE) ** 2
    model = NoiseModel.gaussian(quiet * CODE, 1)
    found = louder_part(pair_of(blocks_of(power)), model)
    assert found == (Square(16, 24, 8 * side, 8 * side + 8) if told else None)
    assert louder_part(pair_of(blocks_of(power[:3]), (3, 12)), model) is None


def curved(*sigma: float) -> NoiseModel:
    """A law of these codes at brightnesses from 0 to 1."""
    curve = np.interp(np.linspace(0, 1, 17), np.linspace(0, 1, len(sigma)), sigma) * CODE
    return NoiseModel((0.0,), (0.01,), (0.01,), curve=(tuple(curve.tolist()),))


def test_where_the_loudest_blocks_are_as_the_law_says_others_are_asked() -> None:
    power, level = np.full(GRID, (0.3 * CODE) ** 2), np.full(GRID, 0.2)
    power[:, 8:], level[:, 8:] = (12 * CODE) ** 2, 0.8
    power[2:6, 1:6] = (4 * CODE) ** 2
    found = louder_part(pair_of(blocks_of(power, level=level)), curved(1, 1, 1, 12, 12))
    assert found == Square(16, 8, 32, 40)


def test_where_the_loudest_blocks_lie_far_apart_others_are_asked() -> None:
    grid = (12, 24)
    power = np.full(grid, (0.3 * CODE) ** 2)
    power[::3, 12::2] = (20 * CODE) ** 2
    power[2:8, 1:8] = (4 * CODE) ** 2
    blocks = blocks_of(power)
    found = louder_part(pair_of(blocks, grid), NoiseModel.gaussian(0.3 * CODE, 1))
    assert found == Square(16, 8, 48, 56)
