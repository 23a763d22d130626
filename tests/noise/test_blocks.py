"""Evidence of noise in small blocks of two frames, against what each is by definition."""

from itertools import pairwise

import cv2
import numpy as np
import pytest
from scipy import ndimage, special

from f2rcli.noise.measurement.blocks import (
    FEW_BLOCKS,
    GRADIENT,
    LEAST,
    LEAST_POWER,
    RAIL,
    Blocks,
    FramePlanes,
    Pair,
    _dense,
    _rising,
    _woven,
    joined,
    least_step,
    same_light,
    side_of,
    unwoven,
    whole_landing,
)
from f2rcli.noise.measurement.bound import bounds_of
from f2rcli.noise.measurement.highpass import tiles

HEIGHT, WIDTH = 224, 240  # 210 blocks of 16 x 16
COLUMNS = WIDTH // 16
AT_REST = np.zeros((HEIGHT, WIDTH, 2), np.float32)


def gray(plane: np.ndarray) -> FramePlanes:
    return FramePlanes.of_channels([plane.astype(np.float32)])


def blocks_of(before: np.ndarray, after: np.ndarray, flow: np.ndarray = AT_REST) -> Blocks:
    pair = Pair(gray(before), gray(after))
    pair.flow = flow
    return pair.blocks(0)


def test_the_luma_of_channels_is_their_mean_from_black_to_white() -> None:
    planes = [np.array([[-0.4, 0.2, 0.9]], np.float32), np.array([[0.2, 0.4, 1.5]], np.float32)]
    found = FramePlanes.of_channels(planes)
    np.testing.assert_allclose(found.luma, [[0, 0.3, 1]], atol=1e-6)
    assert not found.chroma


def noisy(sigma: float = 0.02, seed: int = 0, mean: float = 0.5) -> np.ndarray:
    return mean + np.random.default_rng(seed).normal(0, sigma, (HEIGHT, WIDTH))


def test_every_band_s_power_of_white_noise_is_its_variance() -> None:
    found = blocks_of(noisy(0.02, 1), noisy(0.02, 2))
    assert found.power.shape == (3, 14 * COLUMNS)
    assert np.sqrt(found.power.mean(1)) == pytest.approx(0.02, rel=0.02)
    assert found.level == pytest.approx(0.5, abs=0.01)
    assert found.samples == 256
    assert not found.void.any()
    assert not found.rail.any()
    assert found.still.all()  # where nothing moves, both places are the same


@pytest.mark.parametrize(("width", "side"), [(240, 16), (239, 8)])
def test_a_hundred_and_fifty_blocks_are_enough(width: int, side: int) -> None:
    assert side_of((160, width)) == side
    assert side_of((160, width), small=True) == 8


@pytest.mark.parametrize(("side", "each"), [(144, 64), (208, 256)])
def test_planes_of_few_blocks_have_smaller_ones(side: int, each: int) -> None:
    assert (144 // 16) ** 2 < FEW_BLOCKS < (208 // 16) ** 2
    one, two = (noisy(seed=s)[:side, :side] for s in (1, 2))
    found = blocks_of(one, two, AT_REST[:side, :side])
    assert found.samples == each
    assert len(found.level) == side**2 // each


def test_bands_tell_what_varies_slowly_from_what_does_not() -> None:
    """[-1 1] and [1 -2 1] both ways, for unit noise, on a wave of two and one of eight pixels."""
    x = np.arange(WIDTH)
    for period in (2, 8):
        wave = (
            0.01
            * np.cos(2 * np.pi * (x + 0.5) / period)
            * np.cos(2 * np.pi * (np.arange(HEIGHT)[:, None] + 0.5) / period)
        )
        found = blocks_of(np.full((HEIGHT, WIDTH), 0.5), 0.5 + wave)
        inner = np.arange(found.power.shape[1]).reshape(14, COLUMNS)[1:-1, 1:-1]
        variance = float(wave.var()) / 2
        # |1 - e^jw|^2 and |2 - 2 cos w|^2, down and across, over their powers of white noise
        gain = (2 - 2 * np.cos(2 * np.pi / period)) ** 2
        want = [variance * 256 / 255, variance * gain / 4, variance * gain**2 / 36]
        assert found.power[:, inner].mean((1, 2)) == pytest.approx(want, rel=1e-3)


def test_blocks_that_are_the_same_or_painted_are_void_and_those_on_a_rail_say_so() -> None:
    before, after = noisy(seed=1), noisy(seed=2)
    places = {
        "the same": (slice(32, 48), slice(32, 48)),
        "painted": (slice(64, 80), slice(64, 80)),
        "black": (slice(96, 112), slice(96, 112)),
        "white": (slice(128, 144), slice(128, 144)),
        "dark": (slice(160, 176), slice(160, 176)),
    }
    after[places["the same"]] = before[places["the same"]]
    assert RAIL == 1.5 / 255
    levels = {"painted": 0.4, "black": 1 / 255, "white": 254 / 255, "dark": 2 / 255}
    for name, value in levels.items():
        before[places[name]] = after[places[name]] = value
    after[places["painted"]] = 0.41  # painted anew
    before[192:208, 32:48] = 0.4  # in one of them alone
    after[192:208, 64:80] = 0.4
    found = blocks_of(before, after)
    number = {name: rows.start // 16 * COLUMNS + across.start // 16
              for name, (rows, across) in places.items()}  # fmt: skip
    assert set(np.flatnonzero(found.void)) == set(number.values())
    assert set(np.flatnonzero(found.rail)) == {number["black"], number["white"]}


def test_painted_rows_and_columns_at_a_border_are_bars_and_others_are_not() -> None:
    before, after = noisy(seed=1), noisy(seed=2)
    for plane in (before, after):
        plane[:16] = plane[-32:] = plane[:, :16] = 0.3
        plane[112:128] = 0.3  # in the middle
    rail = blocks_of(before, after).rail.reshape(14, COLUMNS)
    want = np.zeros_like(rail)
    want[0] = want[-2:] = want[:, 0] = True
    assert np.array_equal(rail, want)


def test_a_picture_that_is_painted_all_over_is_all_bars() -> None:
    paper = np.full((HEIGHT, WIDTH), 0.4)
    assert blocks_of(paper, paper).rail.all()


def test_a_block_is_fetched_from_where_the_flow_leads_or_taken_where_it_is() -> None:
    """The left half stands, the right half moves by three pixels; one flow says that all does."""
    scene = cv2.GaussianBlur(noisy(1, 3), (0, 0), 2)
    moved = np.roll(scene, 3, axis=1)
    after = np.where(np.arange(WIDTH) < 120, scene, moved)
    flow = np.zeros((HEIGHT, WIDTH, 2), np.float32)
    flow[..., 0] = 3
    found = blocks_of(scene, after, flow)
    still = found.still.reshape(14, COLUMNS)
    assert still[:, :6].all()
    assert not still[:, 9:-1].any()
    assert found.power[0].reshape(14, COLUMNS)[:, [*range(6), *range(9, 14)]].max() < 1e-9


def test_what_a_wrong_match_may_add_is_a_share_of_the_gradient_that_both_have() -> None:
    ramp = np.arange(WIDTH) * 0.002 + np.arange(HEIGHT)[:, None] * 0.001
    found = blocks_of(ramp, ramp)
    inner = found.error.reshape(14, COLUMNS)[1:-1, 1:-1]
    assert inner == pytest.approx((0.002**2 + 0.001**2) / 8, rel=1e-3)


def soft(plane: np.ndarray) -> np.ndarray:
    taps = np.array([1, 2, 1]) / 4
    return np.asarray(ndimage.convolve(plane, np.outer(taps, taps), mode="mirror"))


def slopes(plane: np.ndarray) -> np.ndarray:
    step = np.array([[0.5, 0, -0.5]])
    both = (ndimage.convolve(soft(plane), one, mode="mirror") for one in (step, step.T))
    return np.stack(list(both))


def means(plane: np.ndarray, side: int) -> np.ndarray:
    rows, columns = (size // side for size in plane.shape)
    return np.asarray(plane.reshape(rows, side, columns, side).mean((1, 3)).ravel())


def test_of_small_blocks_a_frames_own_texture_counts_but_not_its_noise() -> None:
    """An eighth of what both share of the gradient, or of what each has, less what noise as strong
    as that of the difference has: whichever is more."""
    impulse = np.zeros((9, 9))
    impulse[4, 4] = 1
    assert pytest.approx(np.square(slopes(impulse)).sum(), abs=1e-4) == GRADIENT
    rng = np.random.default_rng(1)
    before, after = (
        np.float32(0.5 + 0.1 * ndimage.gaussian_filter(rng.normal(0, 1, (64, 96)), 1) + noise)
        for noise in rng.normal(0, 0.02, (2, 64, 96))
    )
    pair = Pair(gray(before), gray(after))
    pair.flow = np.zeros((64, 96, 2), np.float32)
    found = pair.blocks(0, small=True)
    assert found.samples == 64
    down, up = slopes(before), slopes(after)
    shared = means((down * up).sum(0), 8)
    own = np.minimum(means((down**2).sum(0), 8), means((up**2).sum(0), 8))
    apart = after - before
    fine = ndimage.convolve(apart, np.outer([-1, 1, 0], [-1, 1, 0])[::-1, ::-1], mode="mirror")
    noise = means(fine**2, 8) / 8
    want = np.maximum(shared, own - GRADIENT * noise) / 8
    inner = np.arange(96).reshape(8, 12)[1:-1, 1:-1]
    assert found.error[inner] == pytest.approx(want[inner], rel=1e-3, abs=1e-9)
    assert (found.error > 1.01 * shared / 8).mean() > 0.3


def test_the_least_that_samples_differ_by_is_a_step() -> None:
    """A twentieth of those that differ at all may differ by less, as where noise was scaled."""
    before, rng = np.full((200, 200), 0.5), np.random.default_rng(0)
    apart = rng.choice([0, 1e-6, 0.02, 0.04], before.shape)
    for scaled, step in ((0.0, 0.02), (0.02, 0.02), (0.04, 0.01)):  # half as many differ
        found = np.where(rng.random(before.shape) < scaled, 0.01, apart)
        pair = Pair(gray(before), gray(before - found))
        assert least_step([pair], 0) == pytest.approx(step, rel=1e-4)
    assert least_step([Pair(gray(before), gray(before + 3e-6))], 0) == 0
    assert least_step([Pair(gray(before), gray(before + 1e-5))], 0) == pytest.approx(1e-5, rel=0.01)


@pytest.mark.parametrize(("size", "height", "width"), [((20, 30), 20, 30), ((40, 60), 20, 30)])
def test_where_samples_land(size: tuple[int, int], height: int, width: int) -> None:
    """On a grid half as fine a flow of luma is half as long; at the borders it ends."""
    rng = np.random.default_rng(4)
    coarse = rng.integers(-6, 7, (height, width, 2)).astype(np.float32) * 2
    coarse[7, 29], coarse[19, 4], coarse[0, 5], coarse[9, 0] = (12, 0), (0, 12), (0, -12), (-12, 0)
    flow = np.kron(coarse, np.ones((size[0] // height, size[1] // width, 1))).astype(np.float32)
    found = whole_landing(flow, (height, width)).reshape(height, width)
    scale = height / size[0]
    inside, beyond = ((0, 0), (7, 11), (19, 29), (10, 3)), ((7, 29), (19, 4), (0, 5), (9, 0))
    for row, column in (*inside, *beyond):
        x = np.clip(column + coarse[row, column, 0] * scale, 0, width - 1)
        y = np.clip(row + coarse[row, column, 1] * scale, 0, height - 1)
        assert found[row, column] == y * width + x


@pytest.mark.parametrize(("gain", "offset"), [(0.7, 0.1), (1.5, -0.2)])
def test_a_fade_is_taken_back_and_noise_is_no_fade(gain: float, offset: float) -> None:
    scene = cv2.GaussianBlur(noisy(1, 3), (0, 0), 20)
    scene = (0.5 + 0.1 * scene / scene.std()).astype(np.float32)
    faded = ((scene - offset) / gain).astype(np.float32)
    faded[:32, :32] += 0.3  # something that moves
    found = same_light(faded, tiles(faded, 16), tiles(scene, 16))
    assert np.abs(found - scene)[32:].max() < 1e-4
    other = (scene + np.random.default_rng(1).normal(0, 0.01, scene.shape)).astype(np.float32)
    assert same_light(other, tiles(other, 16), tiles(scene, 16)) is other


@pytest.mark.parametrize("gain", [0.4, 2.5])
def test_a_change_of_light_beyond_a_fade_is_another_picture(gain: float) -> None:
    scene = cv2.GaussianBlur(noisy(1, 3), (0, 0), 20).astype(np.float32)
    other = scene / np.float32(gain)
    assert same_light(other, tiles(other, 16), tiles(scene, 16)) is other


@pytest.mark.parametrize(("count", "told"), [(7, False), (12, False), (13, True)])
def test_few_blocks_tell_no_fade(count: int, told: bool) -> None:
    """Eight at least, and of the six tenths that fit best, which the others are left out for."""
    light = np.random.default_rng(0).random((count, 1)).astype(np.float32)
    plane = np.zeros((32, 48), np.float32)
    after = same_light(plane, light, light + np.float32(0.1))
    assert (after is not plane) == told
    assert after == pytest.approx(0.1 if told else 0)


def test_light_that_is_the_same_in_all_blocks_tells_no_fade() -> None:
    even, plane = np.full((20, 1), 0.5, np.float32), np.zeros((32, 48), np.float32)
    assert same_light(plane, even, even + np.float32(0.1)) is plane


@pytest.mark.parametrize(("left", "told"), [(0.45, True), (0.55, False)])
def test_a_fade_leaves_less_than_half_of_what_blocks_differ_by(left: float, told: bool) -> None:
    """What is left alternates, so that no line explains it."""
    rank = np.arange(400)
    light = np.float32(0.2 + 0.6 * rank / 399)[:, None]
    other = light + np.float32(0.1 * (1 + left * (-1.0) ** (rank // 2 % 2)))[:, None]
    plane = np.zeros((8, 8), np.float32)
    assert (same_light(plane, light, other) is not plane) == told


def test_variance_of_few_samples_counts_as_far_as_the_others_tell_of_it() -> None:
    """Two thirds of Gaussian samples, those nearest the median, hold 0.1832 of the variance."""
    rng = np.random.default_rng(0)
    even = rng.normal(0, 1, (40, 256)).astype(np.float32)
    sparks = (even * 0.01).astype(np.float32)
    sparks[:, ::32] += 5
    every = np.ones(40, bool)
    assert _dense(even, every) == pytest.approx(1)
    assert _dense(sparks, every).max() < 0.01
    mixed = np.concatenate([even[:30], sparks[:10]])
    assert _dense(mixed, every) == pytest.approx(1)  # most have none
    assert _dense(mixed, np.arange(40) >= 30)[30:].max() < 0.01  # of those that are live
    assert _dense(even, ~every) == pytest.approx(1)


def test_the_least_of_gaussian_samples_hold_what_they_hold() -> None:
    end = special.ndtri(0.5 + 0.5 * 2 / 3)
    held = np.linspace(-end, end, 10_001)
    power = np.trapezoid(held**2 * np.exp(-(held**2) / 2), held) / (2 * np.pi) ** 0.5
    assert pytest.approx(2 / 3) == LEAST
    assert pytest.approx(power, abs=1e-4) == LEAST_POWER


@pytest.mark.parametrize(("most", "alone"), [(0.1, 0), (0.22, 0.4), (0.24, 0.8), (0.4, 1)])
def test_blocks_of_few_samples_are_such_where_most_are(most: float, alone: float) -> None:
    """most: what the least two thirds say of the variance of most blocks, against what they do of
    Gaussian ones: up to 0.2 all is read so, from 0.25 on nothing, and of a block the same from 0.2
    to 0.3."""

    def block(share: float) -> np.ndarray:
        """85 samples of 256 far from the rest, which are at +-1."""
        least = np.where(np.arange(171) % 2, 1.0, -1.0)
        least[0] = 0  # the median
        power = 170 / (0.1832 * share * 256)  # of all
        far = np.sqrt((256 * power - 170) / 85)
        return np.concatenate([least, far * np.where(np.arange(85) % 2, 1.0, -1.0)])

    shares = [most, most, most, 0.1, 0.25, 0.28]
    found = _dense(np.float32([block(share) for share in shares]), np.arange(6) < 3)
    full = [max(alone, np.clip((share - 0.2) / 0.1, 0, 1)) for share in shares]
    want = [one + (1 - one) * share for one, share in zip(full, shares, strict=True)]
    assert found == pytest.approx(want, rel=0.03)


def test_blocks_are_picked_and_joined_field_by_field() -> None:
    found = blocks_of(noisy(seed=1), noisy(seed=2, mean=0.6))
    chosen = np.array([5, 17, 100])
    one, other = found.taken(chosen), found.taken(np.arange(10))
    assert one.level.tolist() == found.level[chosen].tolist()
    both = joined([one, other])
    assert both.samples == found.samples
    for name in ("level", "power", "error", "void", "rail", "still"):
        parts = [getattr(part, name) for part in (one, other)]
        assert np.array_equal(getattr(both, name), np.concatenate(parts, -1)), name
    assert both.power.shape == (3, 13)


def test_chroma_is_as_bright_as_luma_is_there() -> None:
    luma = np.kron(np.linspace(0.2, 0.8, 14 * COLUMNS).reshape(14, COLUMNS), np.ones((16, 16)))
    half = np.random.default_rng(0).normal(0, 0.02, (2, HEIGHT // 2, WIDTH // 2))
    shown = [
        FramePlanes([luma.astype(np.float32), c.astype(np.float32)], luma.astype(np.float32), True)
        for c in half
    ]
    pair = Pair(*shown)
    pair.flow = AT_REST
    found = pair.blocks(1)
    assert found.samples == 64
    assert found.level == pytest.approx(np.linspace(0.2, 0.8, 14 * COLUMNS), abs=1e-3)


def test_shares_rise_from_the_first_limit_to_the_second() -> None:
    found = _rising(np.array([0.0, 0.2, 0.23, 0.25, 0.3, 1.0]), (0.2, 0.3))
    assert found == pytest.approx([0, 0, 0.3, 0.5, 1, 1])


def panned(place: float) -> np.ndarray:
    """Texture with edges that moves across."""
    rng = np.random.default_rng(8)
    soft = cv2.GaussianBlur(rng.normal(0, 1, (HEIGHT, WIDTH + 80)).astype(np.float32), (0, 0), 2)
    scene = 0.5 + 0.2 * np.tanh(2 * soft / soft.std())
    return np.asarray(scene[:, round(place) :][:, :WIDTH], np.float32)


PLACES = 40, 52, 35, 30, 47, 36  # of a hand-held camera, field by field


def woven(index: int) -> np.ndarray:
    """Two fields, of which the second is half a frame later."""
    frame = panned(PLACES[2 * index])
    frame[1::2] = panned(PLACES[2 * index + 1])[1::2]
    return frame


def combed(shape: tuple[int, int], blocks: int, depth: float) -> np.ndarray:
    """Lines that climb by 0.01, with a comb in the lowest blocks of so many columns: the power of
    adjacent lines' differences is depth^2 + 1/4 times that of every other line's."""
    rows = np.arange(shape[0])[:, None]
    comb = depth * 0.01 * (-1.0) ** rows * (np.arange(shape[1]) < 16 * blocks)
    return np.float32(0.01 * rows + comb * (rows >= (shape[0] - 2) // 16 * 16 - 16))


@pytest.mark.parametrize(
    ("shape", "blocks", "depth", "found"),
    [((34, 320), 8, 1.02, True), ((34, 320), 8, 0.98, False), ((34, 320), 7, 1.02, True),
     ((34, 320), 6, 1.02, False),  # 15 % of 40
     ((33, 320), 20, 1.02, True), ((32, 32), 2, 1.02, True), ((31, 32), 2, 1.02, False),
     ((32, 31), 2, 1.02, False)],
)  # fmt: skip
def test_a_picture_is_woven_where_one_block_in_seven_is_combed(
    shape: tuple[int, int], blocks: int, depth: float, found: bool
) -> None:
    assert _woven(combed(shape, blocks, depth)) == found


@pytest.mark.parametrize("sigma", [0.004, 0.02])
def test_combs_are_no_noise(sigma: float) -> None:
    """Frames of a broadcast that nobody said was interlaced read as noise of 5 to 17 of 255."""
    frames = [woven(index) + noisy(sigma, index, 0) for index in range(3)]
    pairs = [Pair(gray(a), gray(b)) for a, b in pairwise(frames)]
    whole, apart = (bounds_of(found, [False])[0] for found in (pairs, unwoven(pairs)))
    assert apart.mean == pytest.approx(sigma, rel=0.15)
    assert whole.mean > 2 * apart.mean
    assert apart.white


@pytest.mark.parametrize("sigma", [0.0, 0.02])
def test_frames_without_combs_are_looked_at_whole(sigma: float) -> None:
    frames = [panned(4 * index) + noisy(sigma, index, 0) for index in range(2)]
    pairs = [Pair(gray(frames[0]), gray(frames[1]))]
    assert unwoven(pairs) == pairs
    small = gray(woven(0)[:20])
    assert unwoven([Pair(small, small)])[0].before is small


def test_a_field_has_every_other_line_of_every_plane() -> None:
    planes = [woven(0), woven(0)[::2, ::2] - 0.5]
    frame = FramePlanes(planes, woven(0), chroma=True)
    (found,) = unwoven([Pair(frame, frame)])
    for field, plane in zip(
        [found.before.luma, *found.after.planes], [planes[0], *planes], strict=True
    ):
        np.testing.assert_array_equal(field, plane[::2])
    assert found.before.chroma


@pytest.mark.parametrize("moved", [10, 14, 17])
def test_a_fade_is_fitted_three_times_to_what_fits_best(moved: int) -> None:
    """To all blocks, and to the six tenths that the line before was nearest to, twice."""
    rng = np.random.default_rng(moved)
    x = rng.uniform(0.2, 0.8, 50)
    y = 0.8 * x + 0.05 + 0.002 * rng.normal(0, 1, 50)
    y[:moved] += rng.uniform(0.02, 0.3, moved)
    kept = np.ones(50, bool)
    for _ in range(3):
        gain, offset = np.polyfit(x[kept], y[kept], 1)
        left = np.abs(gain * x + offset - y)
        kept = left <= np.quantile(left, 0.6)
    after = rng.random((6, 7)).astype(np.float32)
    found = same_light(after, *(np.float32(one)[:, None] for one in (x, y)))
    assert np.median(left) < 0.5 * np.median(np.abs(x - y))
    np.testing.assert_allclose(found, gain * after + offset, atol=1e-5)
