"""The bound's limits: little evidence, no noise at all, and what is just enough."""

from types import SimpleNamespace

import numpy as np
import pytest

from f2rcli.noise.measurement import bound as measured
from f2rcli.noise.measurement.blocks import Blocks, joined
from f2rcli.noise.measurement.bound import Bound, _bin, _bound, _inside, _plane_bound, lowered
from f2rcli.noise.measurement.highpass import unit
from f2rcli.noise.measurement.place_factors import every_block, spread_out
from f2rcli.noise.model import NoiseModel

POWER = 0.0025


def alike(
    count: int = 50, power: tuple[float, float, float] = (1, 1, 1), level: float = 0.5
) -> Blocks:
    """Blocks that all hold as much, which is what the quietest twentieth of noise of these powers
    would: in each bandwidth as a multiple of 0.0025."""
    degrees = 256 * np.array([1, 4 / 9, (36 / 70) ** 2])
    held = [POWER * p * unit(0.05, d) for p, d in zip(power, degrees, strict=True)]
    no = np.zeros(count, bool)
    bands = np.repeat(np.array(held)[:, None], count, 1)
    one_way, error = np.stack([bands[1:]] * 2), np.full(count, 1.0)
    return Blocks(np.full(count, level), bands, error, no, no, no, 256, one_way, bands[0])


@pytest.mark.parametrize(
    ("flat", "still", "white", "believed"),
    [(0.34, 0.29, 0.96, True), (0.36, 0.29, 0.96, False), (0.34, 0.31, 0.96, False),
     (0.34, 0.29, 0.94, False)],
)  # fmt: skip
def test_small_blocks_are_asked_where_little_is_flat_or_still(
    monkeypatch: pytest.MonkeyPatch, flat: float, still: float, white: float, believed: bool
) -> None:
    def bound_of(small: bool, *, clipped: bool, chroma: bool, light: bool) -> Bound:
        values = (0.05 if small else 0.1,)
        return Bound((0.5,), values, (9,), flat=flat, still=still, whiteness=white)

    monkeypatch.setattr(measured, "_bound", bound_of)
    monkeypatch.setattr(measured, "joined", lambda every: every[0])
    before = SimpleNamespace(chroma=False)
    pair = SimpleNamespace(before=before, blocks=lambda plane, small=False: small)
    found = _plane_bound([pair], 0, clipped=False)  # type: ignore[list-item]
    assert found.mean == pytest.approx(0.05 if believed else 0.1)


@pytest.mark.parametrize(("plane", "chroma"), [(0, True), (1, True), (0, False), (2, False)])
def test_planes_after_the_first_are_colours_where_a_frame_has_any(
    monkeypatch: pytest.MonkeyPatch, plane: int, chroma: bool
) -> None:
    told = []

    def bound_of(small: bool, *, clipped: bool, chroma: bool, light: bool) -> Bound:
        told.append((clipped, chroma, light))
        return Bound((0.5,), (0.1,), (9,), flat=0.1, still=0.1, whiteness=0.9)

    monkeypatch.setattr(measured, "_bound", bound_of)
    monkeypatch.setattr(measured, "joined", lambda every: every[0])
    before = SimpleNamespace(chroma=chroma)
    pair = SimpleNamespace(before=before, blocks=lambda plane, small=False: small)
    _plane_bound([pair], plane, clipped=True, light=True)  # type: ignore[list-item]
    assert told == [(True, chroma and plane > 0, True)] * 2


@pytest.mark.parametrize(("apart", "bends"), [(0.15, False), (0.25, True)])
def test_corrections_that_differ_by_a_fifth_make_a_curve(apart: float, bends: bool) -> None:
    found = Bound((0.2, 0.8), (0.02, 0.02 * np.exp(apart)), (300, 100))
    factors = found.factors(NoiseModel.gaussian(0.08, 1))
    assert (np.ptp(factors) > 0) == bends
    none = Bound((0.2, 0.8), (0.0, 0.2), (300, 100)).factors(NoiseModel.gaussian(0.08, 1))
    assert none == pytest.approx(np.interp(np.linspace(0, 1, 17), (0.2, 0.8), (0, 1)))


def test_a_channel_without_noise_has_none_after_it_was_lowered() -> None:
    model = NoiseModel((0.0, 0.0), (0.0, 0.1), (0.0, 0.1))
    bent = lowered(model, [np.linspace(0.5, 1, 17)] * 2, np.array([0.0, 1.0], np.float32))
    assert bent.sigma == pytest.approx((0, 0.1 * (0.625) ** 0.5))


@pytest.mark.parametrize(("excess", "white"), [(1.28, True), (1.32, False)])
def test_noise_is_white_whose_bandwidths_differ_by_less_than_three_tenths(
    excess: float, white: bool
) -> None:
    found = _bound(alike(power=(excess, 1, 1)), clipped=False)
    assert found.white == white
    assert found.still == 0
    assert found.mean == pytest.approx(0.05, rel=1e-3)


@pytest.mark.parametrize(
    ("light", "still", "bright"),
    [(True, 1.0, 0.1), (True, 0.9, 0.0525), (False, 1.0, 0.0525), (True, 0.97, 0.1)],
)
def test_light_at_rest_is_not_held_to_the_noise_of_the_dark(
    light: bool, still: float, bright: float
) -> None:
    """All of it is texture, of which nothing moves: frames differ by noise alone."""
    dark, lit = alike(60, level=0.2), alike(60, (4, 4, 4), level=0.8)
    at_rest = np.arange(60) < round(60 * still)
    both = joined([one._replace(still=at_rest) for one in (dark, lit)])
    assert _bound(both, clipped=False, light=light).sigma == pytest.approx((0.05, bright), rel=0.02)


@pytest.mark.parametrize(("agree", "white"), [(0.66, False), (0.69, True)])
def test_noise_is_white_if_it_is_more_so_than_coloured(agree: float, white: bool) -> None:
    assert _bound(alike(power=(agree, 1, agree)), clipped=False).white == white


def test_blocks_that_differ_by_nothing_hold_nothing() -> None:
    found = _bound(alike(power=(0, 0, 0)), clipped=False)
    assert found.sigma == (0,)
    assert found.flat == 0


@pytest.mark.parametrize(("count", "bins"), [(119, 1), (120, 2), (359, 5), (360, 6), (900, 6)])
def test_every_sixty_blocks_are_a_bin_up_to_six(count: int, bins: int) -> None:
    assert len(_bound(alike(count), clipped=False).level) == bins


@pytest.mark.parametrize(("flat", "known"), [(11, False), (12, True)])
def test_a_dozen_flat_blocks_are_enough(flat: int, known: bool) -> None:
    """Flat: where a wrong match adds a twentieth of the noise at most. Their median counts."""
    blocks = alike(60)
    blocks.error[:] = 0.051 * POWER
    blocks.error[:flat] = 0.049 * POWER
    found = _bin(blocks, uneven=False, clipped=False)
    assert found.known == known
    assert found.flat == flat / 60
    held = blocks.power[2, 0] / (unit(0.5, 256 * (36 / 70) ** 2) if known else 1)
    assert found.fine_power == pytest.approx(held if known else POWER, rel=2e-3)


def test_blocks_of_heavy_noise_keep_a_quarter_from_black_and_white() -> None:
    blocks = alike(5, (16, 16, 16))  # two deviations of 0.2
    blocks.level[:] = (0.1, 0.24, 0.26, 0.74, 0.76)
    assert _inside(blocks).level.tolist() == [0.26, 0.74]


def test_factors_of_cut_blocks_are_their_neighbours() -> None:
    """Of 23 x 33 samples there are two rows of four whole blocks of 8."""
    whole = np.arange(8).reshape(2, 4) / 7
    found = np.array(every_block(whole, (23, 33)))
    rows, columns = np.minimum(np.arange(3), 1), np.minimum(np.arange(5), 3)
    assert found == pytest.approx(whole[np.ix_(rows, columns)], abs=1e-4)
    assert every_block(np.array([[0.123456]]), (8, 8)) == ((0.1235,),)


def test_factors_are_spread_between_the_middles_of_blocks_and_never_above_them() -> None:
    rng = np.random.default_rng(0)
    grid = rng.random((3, 5))
    places = np.arange(40)
    middle = (places + 0.5) / 8 - 0.5
    lines = np.stack([np.interp(middle[:24], np.arange(3), column) for column in grid.T], 1)
    smooth = np.stack([np.interp(middle, np.arange(5), row) for row in lines])
    own = np.kron(grid, np.ones((8, 8)))
    found = spread_out(tuple(map(tuple, grid.tolist())), (23, 38))
    assert found == pytest.approx(np.minimum(smooth, own)[:23, :38], abs=1e-5)


def kind_by_definition(blocks: Blocks, *, chroma: bool) -> int:
    """0: bands as they are; 1, 2: those of rows alone, and of columns alone; 3: all bandwidths."""
    fine_degrees = 256 * 4 / 9
    finest_power = blocks.power[2]
    for kind, (fine, finest) in enumerate(blocks.one_way, start=1):
        quiet = np.quantile(finest, 0.05) / unit(0.05, fine_degrees)
        flat = blocks.error < 0.05 * quiet
        if flat.sum() < 12:
            continue
        one, two, both = (np.median(band[flat]) for band in (fine, finest, finest_power))
        if two > 0.85 * one and both < 0.5 * two:
            return kind
    if chroma:
        flat = blocks.error <= np.quantile(blocks.error, 1 / 3)
        whole, finest, error = (
            np.median(band[flat]) for band in (blocks.whole, finest_power, blocks.error)
        )
        if whole - finest > (2.5 / 255) ** 2 and finest / 0.5 < whole and error / 0.05 < whole:
            return 3
    return 0


def test_soft_noise_is_told_by_definition() -> None:
    rng, wanted, found = np.random.default_rng(3), [], []
    for _ in range(400):
        count, size = int(rng.choice([9, 13, 40])), rng.choice([1.0, 2.0, 5.0]) / 255
        spread = 1 + 0.1 * rng.normal(0, 1, (8, count))
        finest = rng.choice([0.3, 0.55, 1.0])
        power = size**2 * spread[:3] * np.array([1.0, 0.9, finest])[:, None]
        lines = size**2 * spread[3:7].reshape(2, 2, count)
        lines *= rng.choice([0.5, 0.8, 0.9, 1.0], (2, 2, 1))
        lines *= rng.choice([0.6, 1.0])
        error = (
            size**2 * rng.choice([0.02, 0.045, 0.06]) * np.abs(1 + 0.3 * rng.normal(0, 1, count))
        )
        whole = size**2 * rng.choice([1.0, 1.4, 2.5]) * spread[7]
        no = np.zeros(count, bool)
        blocks = Blocks(np.full(count, 0.5), power, error, no, no, no, 256, lines, whole)
        chroma = bool(rng.integers(2))
        got = measured._soft(blocks, chroma=chroma)
        kinds = [
            power, *(np.stack([power[0], *one]) for one in lines), np.stack([whole] * 3),
        ]  # fmt: skip
        found.append([bool((got.power == kind).all()) for kind in kinds].index(True))
        wanted.append(kind_by_definition(blocks, chroma=chroma))
    assert found == wanted
    assert min(wanted.count(kind) for kind in range(4)) > 8
