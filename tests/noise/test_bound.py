"""The bound of sigma: what adjacent frames differ by, whatever the picture shows."""

from itertools import pairwise, starmap
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from scipy.special import chdtri

from f2rcli.frames import Singles
from f2rcli.noise.measurement import bound as measured
from f2rcli.noise.measurement.blocks import Blocks, FramePlanes, Pair, joined
from f2rcli.noise.measurement.bound import (
    Bound,
    _Bin,
    _bound,
    _inside,
    _white_share,
    bounds_of,
    cut_to,
    flat_difference,
    lowered,
)
from f2rcli.noise.measurement.fitting import undo_clipping
from f2rcli.noise.measurement.highpass import DEGREES, QUIETEST, unit
from f2rcli.noise.model import NoiseModel

SIGMA = 10 / 255
CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))


def pictures(scene: list[np.ndarray], sigma: float = SIGMA, seed: int = 0) -> list[FramePlanes]:
    """Gray pictures of a scene (H, W), in 0..1, with white noise; rounded, not clipped."""
    rng = np.random.default_rng(seed)
    planes = [np.rint((one + rng.normal(0, sigma, one.shape)) * 255) / 255 for one in scene]
    return [FramePlanes([p.astype(np.float32)], p.clip(0, 1).astype(np.float32)) for p in planes]


def bound(shown: list[FramePlanes], *, clipped: bool = False) -> Bound:
    return bounds_of(starmap(Pair, pairwise(shown)), [clipped])[0]


def smooth(count: int = 5, height: int = 160, width: int = 192) -> list[np.ndarray]:
    rows, columns = np.indices((height, width + 2 * count))
    scene = 0.5 + 0.15 * np.sin(columns / 19) + 0.15 * np.cos(rows / 23)
    return [scene[:, 2 * t : 2 * t + width] for t in range(count)]


def texture(soft: float, move: int, count: int = 5) -> list[np.ndarray]:
    big = np.random.default_rng(6).normal(0, 1, (220, 260)).astype(np.float32)
    big = cv2.GaussianBlur(big, (0, 0), soft) if soft else big
    big = np.clip(0.5 + big * 40 / 255 / big.std(), 0.1, 0.9)
    return [big[move * t : move * t + 160, move * t : move * t + 192] for t in range(count)]


@pytest.mark.parametrize("sigma", [1, 5, 20])
def test_white_noise_is_bounded_without_bias(sigma: float) -> None:
    found = bound(pictures(smooth(), sigma / 255))
    assert 255 * found.mean == pytest.approx((sigma**2 + 1 / 12) ** 0.5, rel=0.05)
    assert found.white


@pytest.mark.parametrize(("soft", "move"), [(0, 0), (0, 3), (1, 0), (1, 3)])
def test_texture_four_times_as_strong_does_not_lift_it(soft: float, move: int) -> None:
    assert bound(pictures(texture(soft, move))).mean == pytest.approx(SIGMA, rel=0.08)


@pytest.mark.parametrize("share", [0.02, 0.06])
def test_snow_is_no_noise(share: float) -> None:
    """Flakes of a few pixels, anew in every frame, so that every block has some."""
    rng = np.random.default_rng(8)
    scene = []
    for one in smooth():
        flakes = cv2.dilate((rng.random(one.shape) < share / 5).astype(np.float32), CROSS)
        scene.append(one + flakes * (0.9 - one))
    assert 255 * bound(pictures(scene, 0)).mean < 1  # 17 and 20 by the variance of all samples


def leaves(count: int = 4) -> list[np.ndarray]:
    """Ellipses all over a picture, each of which sways its own way."""
    rng = np.random.default_rng(5)
    place, shape, light = (
        rng.uniform(-8, 200, (700, 2)),
        rng.uniform(2, 9, (700, 2)),
        rng.random(700),
    )
    ways = rng.uniform(0, 6.28, (700, 3))
    scene = []
    for time in range(count):
        shown = np.full((320, 384), 0.25, np.float32)
        sway = 3 * np.sin(ways * (1 + 0.3 * time) + 1.5 * time)
        for at, side, move, value in zip(place, shape, sway, light, strict=True):
            middle, sides = (
                tuple(int(v) for v in np.rint(2 * one)) for one in (at + move[:2], side)
            )
            angle = 57 * at[0] + 8 * move[2]
            cv2.ellipse(shown, middle, sides, angle, 0, 360, 0.2 + 0.5 * value, -1, cv2.LINE_8)
        scene.append(cv2.resize(shown, (192, 160), interpolation=cv2.INTER_AREA))
    return scene


def test_leaves_that_sway_each_its_own_way_lift_it_less_than_in_large_blocks() -> None:
    shown = pictures(leaves(), 3 / 255)
    found = bound(shown)
    large = _bound(
        joined([pair.blocks(0) for pair in starmap(Pair, pairwise(shown))]), clipped=False
    )
    assert 255 * large.mean > 6
    assert found.mean < 0.75 * large.mean
    assert found.mean > 3 / 255
    assert (found.flat, found.still) == (large.flat, large.still)


def waves(count: int = 4) -> list[np.ndarray]:
    """Water: waves of many lengths, each at a speed of its own."""
    rng = np.random.default_rng(7)
    rows, columns = np.indices((160, 192))
    ways, phases = rng.normal(0, 0.5, (40, 2)), rng.uniform(0, 6.28, 40)
    speeds, heights = rng.uniform(0.3, 1.5, 40), 0.04 / (1 + 3 * np.hypot(*ways.T))
    return [
        0.5
        + sum(
            height * np.sin(x * columns + y * rows + phase + speed * time)
            for (x, y), phase, speed, height in zip(ways, phases, speeds, heights, strict=True)
        )
        for time in range(count)
    ]


@pytest.mark.parametrize("sigma", [0, 3])
def test_where_nothing_is_flat_no_coarse_noise_is_read(sigma: float) -> None:
    """Waves leave more in coarse bands than in the finest, as film grain does: 5.4 by those."""
    assert 255 * bound(pictures(waves(), sigma / 255)).mean < 1.1 * sigma + 2


def fireworks(count: int = 6) -> list[np.ndarray]:
    """Sparks that fly from three places, each its own way, over a dark picture."""
    rng = np.random.default_rng(22)
    sparks = 120
    place = rng.uniform((60, 30), (170, 90), (3, 2))[rng.integers(0, 3, sparks)]
    ways = rng.normal(0, 4, (sparks, 2))
    light = rng.uniform(0.3, 0.9, sparks)
    scene = []
    for time in range(count):
        shown = np.full((160, 192), 0.1, np.float32)
        for at, way, bright in zip(place, ways, light, strict=True):
            ends = [tuple(int(16 * v) for v in at + way * (2 + time + later)) for later in (0, 0.8)]
            cv2.line(shown, *ends, float(bright), 1, cv2.LINE_AA, 4)
        scene.append(shown)
    return scene


@pytest.mark.parametrize("sigma", [1, 2, 4])
def test_what_no_frame_shares_is_not_flat(sigma: float) -> None:
    assert 255 * bound(pictures(fireworks(), sigma / 255)).mean < 1.2 * sigma + 0.5


def test_few_blocks_that_do_not_match_lower_nothing() -> None:
    shown = pictures(smooth(), 2 / 255)
    for t, picture in enumerate(shown):
        picture.planes[0][20 * t : 20 * t + 40, 10 * t : 10 * t + 3] += 0.5
    assert bound(shown).mean == pytest.approx(2 / 255, rel=0.05)


def test_flicker_does_not_lift_it() -> None:
    light = [0, 0.02, -0.03, 0.01, -0.01]
    scene = [one + by for one, by in zip(smooth(), light, strict=True)]
    assert bound(pictures(scene, 2 / 255)).mean == pytest.approx(2 / 255, rel=0.08)


def test_a_fade_of_texture_does_not_lift_it() -> None:
    scene = [one * 0.95**t for t, one in enumerate(texture(1, 0))]
    assert bound(pictures(scene, 2 / 255)).mean == pytest.approx(2 / 255, rel=0.12)


def test_bars_without_noise_do_not_lower_it() -> None:
    shown = pictures(smooth())
    for picture in shown:
        for plane in (picture.planes[0], picture.luma):
            plane[:48], plane[-48:] = 0.2, 0.2
    assert bound(shown).mean == pytest.approx(SIGMA, rel=0.06)


def test_blocks_that_a_codec_copied_do_not_lower_it() -> None:
    shown = pictures(smooth())
    for before, after in pairwise(shown):
        after.planes[0][:80] = before.planes[0][:80]
    assert bound(shown).mean == pytest.approx(SIGMA, rel=0.06)


def test_drawings_without_noise_are_bounded_by_nothing() -> None:
    base = np.full((160, 192), 0.25, np.float32)
    base[80:, 96:] = np.indices((80, 96)).sum(0) % 2
    base[:, :48] = np.linspace(0.1, 0.9, 160)[:, None]
    scene = [base.copy() for _ in range(5)]
    for t, one in enumerate(scene):
        one[20 + 3 * t : 50 + 3 * t, 100:140] = 0.9
    assert bound([FramePlanes([one], one) for one in scene]).mean == 0


def test_colours_of_a_drawing_have_no_noise() -> None:
    """They scroll by half a sample of their own grid, so that no frame's are another's moved."""
    fine = np.random.default_rng(2).integers(-60, 60, (80, 120)).astype(np.float32) / 255
    light = np.kron(np.indices((20, 24)).sum(0) % 2, np.ones((8, 8))).astype(np.float32)
    shown = [
        FramePlanes(
            [light, (fine[:, t:][:, :96] + fine[:, t + 1 :][:, :96]) / 2], light, chroma=True
        )
        for t in range(5)
    ]
    assert [one.mean for one in bounds_of(starmap(Pair, pairwise(shown)), [False] * 2)] == [0, 0]


def test_correlated_noise_is_not_underestimated() -> None:
    rng = np.random.default_rng(3)
    soft = [cv2.GaussianBlur(rng.normal(0, 1, (160, 192)), (0, 0), 0.8) for _ in range(5)]
    scene = [one + SIGMA * n / n.std() for one, n in zip(smooth(), soft, strict=True)]
    found = bound(pictures(scene, 0))
    assert found.mean == pytest.approx(SIGMA, rel=0.1)
    assert not found.white


def grainy(scene: list[np.ndarray], sigma: float) -> list[FramePlanes]:
    """Pictures of a scene with coarse noise, as film has."""
    rng = np.random.default_rng(3)
    soft = [cv2.GaussianBlur(rng.normal(0, 1, one.shape), (0, 0), 1.3) for one in scene]
    return pictures([one + sigma * n / n.std() for one, n in zip(scene, soft, strict=True)], 0)


def test_fine_texture_at_some_brightnesses_does_not_make_grain_look_white() -> None:
    fine = cv2.GaussianBlur(np.random.default_rng(6).normal(0, 60 / 255, (160, 420)), (0, 0), 0.6)
    scene = []
    for t, one in enumerate(smooth()):
        dark = one - 0.25 * (np.indices(one.shape)[0] < 80)
        leaves = fine[:, 5 * t :: 2][:, :192]  # two and a half pixels a frame
        scene.append(dark + (dark < 0.4) * leaves)
    found = bound(grainy(scene, 20 / 255))
    assert min(found.sigma) > 16 / 255
    assert not found.white


def test_noise_cut_off_by_black_is_undone() -> None:
    scene = [np.zeros((160, 192))] * 5
    shown = [FramePlanes([p.planes[0].clip(0)], p.luma) for p in pictures(scene, 20 / 255)]
    assert bound(shown, clipped=True).mean == pytest.approx(20 / 255, rel=0.1)


def test_the_bound_follows_brightness() -> None:
    rng = np.random.default_rng(1)
    scene = [one + rng.normal(0, 1, one.shape) * 0.08 * one for one in smooth()]
    found = bound(pictures(scene, 0))
    assert np.interp([0.3, 0.7], found.level, found.sigma) == pytest.approx(
        [0.024, 0.056], rel=0.15
    )


def told(sigma: float) -> NoiseModel:
    return NoiseModel.gaussian(sigma, 1)


def held(sigma: float, most: float) -> float:
    found = Bound((0.2, 0.8), (most, most), (100, 100))
    model = told(sigma)
    return lowered(model, [found.factors(model)], None).sigma[0]


def test_a_law_below_the_bound_is_left_as_it_is() -> None:
    assert held(0.01, 0.02) == 0.01


def test_a_law_far_above_the_bound_falls_to_it() -> None:
    assert held(0.16, 0.04) == pytest.approx(0.04)
    assert held(0.16, 0.0) == 0


def test_heavy_noise_may_be_a_little_above_the_bound() -> None:
    assert held(0.11, 0.1) == 0.11
    assert held(0.0055, 0.005) == pytest.approx(0.005, rel=0.01)


def test_a_bound_at_one_brightness_bends_the_law_there() -> None:
    found = Bound((0.2, 0.8), (0.01, 0.04), (100, 100))
    bent = lowered(told(0.04), [found.factors(told(0.04))], np.array([0.2, 0.8], np.float32))
    assert bent.curve is not None
    assert bent.curve[0][3] == pytest.approx(0.01, rel=0.05)
    assert bent.curve[0][13] == pytest.approx(0.04, rel=0.05)
    assert 0.02 < bent.sigma[0] < 0.04


def test_a_bound_that_hardly_bends_lowers_the_law_by_one_factor() -> None:
    for sigma, even in (((0.02, 0.021), False), ((0.01, 0.04), True)):
        found = Bound((0.2, 0.8), sigma, (300, 100)).factors(told(0.08), even=even)
        mean = np.exp(np.average(np.log(np.array(sigma) / 0.08), weights=(300, 100)))
        np.testing.assert_allclose(found, mean, rtol=1e-6)
    assert np.ptp(Bound((0.2, 0.8), (0.01, 0.04), (300, 100)).factors(told(0.08))) > 0.3


@pytest.mark.parametrize(("sigma", "believed"), [(0.7, True), (0.9, False)])
def test_small_blocks_are_believed_that_find_a_fifth_less_at_least(
    monkeypatch: pytest.MonkeyPatch, sigma: float, believed: bool
) -> None:
    def bound_of(small: bool, *, clipped: bool, chroma: bool, light: bool) -> Bound:
        values = (0.1 * (sigma if small else 1.0),)
        return Bound((0.5,), values, (9,), flat=0.2, still=0.2, whiteness=0.96)

    monkeypatch.setattr(measured, "_bound", bound_of)
    monkeypatch.setattr(measured, "joined", lambda every: every[0])
    pair = SimpleNamespace(
        before=SimpleNamespace(chroma=False), blocks=lambda plane, small=False: small
    )
    found = measured._plane_bound([pair], 0, clipped=False)  # type: ignore[list-item]
    assert found.mean == pytest.approx(0.1 * (sigma if believed else 1.0))


def test_frames_smaller_than_a_block_bound_nothing() -> None:
    tiny: Singles = np.zeros((6, 6), np.float32)
    found = bounds_of([Pair(FramePlanes([tiny], tiny), FramePlanes([tiny], tiny))], [True])
    assert found[0].factors(told(0.1)).tolist() == [1] * 17
    assert bounds_of([], [True]) == []


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("soft", [1.0, 9.0])
def test_noise_that_is_soft_along_lines_is_bounded_in_full(soft: float, turned: bool) -> None:
    """As luma and chroma of analogue tape are; scenes that move, and rounding to codes, are not."""
    rng = np.random.default_rng(4)
    scene = cv2.GaussianBlur(rng.random((200, 260), np.float32), (0, 0), 4)
    scene = 0.5 + (scene - scene.mean()) * 0.1 / scene.std()
    shown = []
    for place in range(4):
        noise = cv2.GaussianBlur(rng.normal(0, 1, (192, 240)), (0, 0), sigmaX=soft, sigmaY=0.01)
        seen = scene[:192, place : place + 240] + noise * SIGMA / noise.std()
        plane = (np.rint((seen.T if turned else seen) * 255) / 255).astype(np.float32)
        shown.append(FramePlanes([plane], plane))
    found = bound(shown)
    assert found.mean == pytest.approx(SIGMA, rel=0.08)
    assert not found.white


@pytest.mark.parametrize(("sigma8", "blur"), [(3.0, 1.0), (3.0, 2.0), (6.0, 2.0), (6.0, 4.0)])
def test_blotches_of_chroma_are_bounded_in_full(sigma8: float, blur: float) -> None:
    """All that is left of them in high bands is rounding. Colours that move are no blotches."""
    rng = np.random.default_rng(1)
    scene = cv2.GaussianBlur(rng.random((200, 260, 2), np.float32), (0, 0), 6)
    scene = (scene - scene.mean((0, 1))) * 0.05 / scene.std((0, 1))
    shown: list[list[FramePlanes]] = [[], []]
    for place in range(4):
        luma, chroma = scene[:192, place : place + 240].transpose(2, 0, 1)
        noise = cv2.GaussianBlur(rng.normal(0, 1, chroma.shape), (0, 0), blur)
        for kind, strong in zip(shown, (sigma8, 0), strict=True):
            loud = np.rint(255 * chroma + strong * noise / noise.std()) / 255
            light = np.rint(255 * (luma + 0.5) + rng.normal(0, 2, luma.shape)) / 255
            planes = [light.astype(np.float32), loud.astype(np.float32)]
            kind.append(FramePlanes(planes, planes[0], chroma=True))
    noisy, clean = (bounds_of(starmap(Pair, pairwise(kind)), [False] * 2)[1] for kind in shown)
    assert noisy.mean * 255 == pytest.approx(sigma8, rel=0.15)
    assert not noisy.white
    assert clean.mean * 255 < 0.7


def quietest(full: float, fine: float, finest: float) -> Blocks:
    """Blocks whose quietest have these powers; the high-pass bands as shares of 0.0025."""
    found = blocks(np.full(50, 0.5))
    for band, power in enumerate((full, 0.0025 * fine, 0.0025 * finest)):
        found.power[band] = power * unit(QUIETEST, found.samples * DEGREES[band])
    return found


def agreeing(*shares: float) -> list[_Bin]:
    return [_Bin(0.5, 1.0, 1.0, share, 0.5, 100, known=True) for share in shares]


@pytest.mark.parametrize(
    ("shares", "white"),
    [((0.9,), 1), ((0.675,), 0.5), ((0.4,), 0), ((0.1, 0.2, 0.675), 0.5),
     ((0.3, 0.3, 0.3, 0.3, 0.64, 0.71), 0.5), ((0.85, 0.5, 0.6, 0.5, 0.5), 1)],
)  # fmt: skip
def test_noise_is_as_white_as_the_third_of_brightnesses_that_agree_best(
    shares: tuple[float, ...], white: float
) -> None:
    assert _white_share(quietest(0.0025, 1, 1), agreeing(*shares)) == pytest.approx(white)


@pytest.mark.parametrize(
    ("codes", "finest", "white"),
    [(16, 0.1, 0.9), (32, 0.85, 1), (32, 0.775, 0.5), (32, 0.7, 0), (64, 0.5, 0), (24, 0.7, 0.45)],
)
def test_where_bandwidths_differ_by_more_than_texture_the_quietest_blocks_are_asked(
    codes: float, finest: float, white: float
) -> None:
    """codes: what full bandwidth has beyond the finest band, 8-bit codes squared; white: a share
    that is 0.9 by the brightnesses that agree best."""
    live = quietest(0.0025 * finest + codes / 255**2, 1, finest)
    assert _white_share(live, agreeing(0.815)) == pytest.approx(white, abs=1e-6)


@pytest.mark.parametrize("degrees", [17, 60, 256])
@pytest.mark.parametrize("share", [0.05, 0.5])
def test_quantiles_of_blocks_are_freed_of_their_bias(share: float, degrees: int) -> None:
    assert unit(share, degrees) == pytest.approx(chdtri(degrees, 1 - share) / degrees, rel=5e-3)


@pytest.mark.parametrize(
    ("law", "bound", "even", "kept"),
    [
        (0.001, 0.002, False, 1), (0.0, 0.002, False, 1), (0.1, 0.0, False, 0),
        (1.029 * 1.5 / 255, 1.5 / 255, False, 1),  # light noise: 3 % are nothing
        (1.5 * 1.5 / 255, 1.5 / 255, False, 1 / 1.5),
        (1.34 * 12 / 255, 12 / 255, False, 1), (1.34 * 40 / 255, 40 / 255, False, 1),
        (1.34 * 1 / 255, 1 / 255, True, 1), (1.9 * 12 / 255, 12 / 255, False, 1 / 1.9),
        (1.45 * 12 / 255, 12 / 255, False, 1.35**2 / 1.45**2),  # between, to the bound the faster
        (1.2 * 24**0.5 / 255, 24**0.5 / 255, False, 1.03**2 * (1.35 / 1.03) ** 0.5 / 1.2**2),
    ],
)  # fmt: skip
def test_a_law_is_cut_to_its_bound_but_for_what_heavy_noise_may_have_more(
    law: float, bound: float, even: bool, kept: float
) -> None:
    """From 3 % at sigma 2 to 35 % at 12, with the square of the way on a scale of logarithms."""
    assert cut_to(law, bound, even=even) == pytest.approx(kept, rel=1e-6)


def blocks(level: np.ndarray) -> Blocks:  # type: ignore[type-arg]
    """Of unit noise of 0.05."""
    many, no = len(level), np.zeros(len(level), bool)
    power = np.full((3, many), 0.0025)
    one_way = np.stack([power[1:]] * 2)
    return Blocks(level, power, np.zeros(many), no, no, no, 256, one_way, power[0])


@pytest.mark.parametrize(
    ("counts", "square"), [((1, 3), 0.0325), ((3, 1), 0.0175), ((0, 0), 0.025)]
)
def test_the_mean_of_a_bound_is_that_of_its_blocks(counts: tuple[int, int], square: float) -> None:
    found = Bound((0.2, 0.8), (0.1, 0.2), counts)
    assert found.mean == pytest.approx(square**0.5, rel=1e-6)


def test_blocks_count_that_keep_two_deviations_from_black_and_white_if_a_fifth_do() -> None:
    level = np.array([0.05, 0.09, 0.12, 0.5, 0.85, 0.95])
    assert _inside(blocks(level)).level.tolist() == [0.12, 0.5, 0.85]
    dark = np.array([0.05] * 9 + [0.5] * 2)
    assert len(_inside(blocks(dark)).level) == 11  # two of eleven
    dark[:2] = 0.3
    assert _inside(blocks(dark)).level.tolist() == [0.3, 0.3, 0.5, 0.5]
    assert len(_inside(blocks(level[:0])).level) == 0


@pytest.mark.parametrize(("changing", "noisy"), [(3, False), (4, True)])
def test_where_less_than_a_third_of_a_picture_changes_there_is_no_noise(
    changing: int, noisy: bool
) -> None:
    still = smooth(2)[0]
    shown = pictures([still, still])
    for one in shown:
        rows = 16 * changing  # of 160
        one.planes[0][rows:] = np.float32(np.rint(still[rows:] * 255) / 255)
    assert (bound(shown).mean > 0) == noisy


def test_the_share_of_texture_that_stays_is_told() -> None:
    """Of a scene whose left half stands still; both halves have the same texture."""
    big = texture(2, 0)[0]
    shown = [np.hstack([big[:, :96], big[:, 96 - 3 * t : 192 - 3 * t]]) for t in range(3)]
    found = bound(pictures(shown, 1 / 255))
    assert found.still == pytest.approx(0.5, abs=0.2)
    assert bound(pictures([big] * 3, 1 / 255)).still > 0.8
    assert bound(pictures(texture(2, 3), 1 / 255)).still < 0.2


def test_flat_places_differ_by_their_noise_and_no_others_are_shown() -> None:
    """The right half shows another texture in each frame."""
    left = smooth(2)
    shown = [
        np.hstack([one[:, :96], texture(1, 0)[0][:, 7 * t : 96 + 7 * t]])
        for t, one in enumerate(left)
    ]
    found = flat_difference(Pair(*pictures(shown)), 0)
    assert found.shape == (160, 192)
    assert np.isfinite(found[:, :80]).mean() > 0.6
    assert np.isfinite(found[:, 112:]).mean() < 0.1
    assert np.nanstd(found[:, :80]) == pytest.approx(SIGMA, rel=0.06)
    still = pictures([left[0]] * 2, 0)
    assert not np.isfinite(flat_difference(Pair(*still), 0)).any()


def test_a_law_that_is_lowered_alike_everywhere_stays_a_line() -> None:
    model = NoiseModel((0.01, 0.02), (0.1, 0.2), (0.1, 0.2), 9)
    level = np.array([0.2, 0.8], np.float32)
    assert lowered(model, [np.ones(17)] * 2, level) is model
    assert lowered(model, [np.full(17, 0.5)] * 2, level) == model.scaled(0.5)
    assert lowered(model, [np.full(17, 0.5), np.full(17, 0.25)], level) == model.scaled(0.5, 0.25)
    bent = lowered(model, [np.full(17, 0.5), np.linspace(0.5, 1, 17)], level)
    assert bent.curve is not None
    knots = np.array(model.at_knots()) * [[0.5] * 17, np.linspace(0.5, 1, 17)]
    np.testing.assert_allclose(bent.curve, knots)
    places = np.linspace(0, 1, 17)
    for sigma, old, now, was in zip(bent.sigma, model.sigma, knots, model.at_knots(), strict=True):
        kept = np.interp(level, places, now) ** 2 / (np.interp(level, places, was) ** 2).mean()
        assert sigma == pytest.approx(old * kept.mean() ** 0.5)


@pytest.mark.parametrize(("band", "taps"), [(0, [1]), (1, [1, -1]), (2, [1, -2, 1])])
def test_filtered_noise_has_as_many_degrees_of_freedom_as_its_correlation_leaves(
    band: int, taps: list[int]
) -> None:
    """Of mean squares of Gaussian noise: one a sample, over the sum of squared correlations."""
    line = np.correlate(taps, taps, "full") / np.dot(taps, taps)
    assert DEGREES[band] == pytest.approx(1 / np.square(np.outer(line, line)).sum(), abs=1e-3)


def reference(found: Blocks, *, clipped: bool) -> Bound:
    """By the definition, whose quantiles are those of the chi-squared distribution."""

    def low(power: np.ndarray, band: int, share: float = 0.05) -> float:  # type: ignore[type-arg]
        degrees = 256 * (1, 4 / 9, (36 / 70) ** 2)[band]
        return float(np.quantile(power, share)) / (chdtri(degrees, 1 - share) / degrees)

    def between(value: float, ends: tuple[float, float]) -> float:
        return float(np.interp(value, ends, (0, 1)))

    scene = found.taken(~found.rail)
    if not len(scene.void) or np.mean(~scene.void) < 1 / 3:
        return Bound((0.5,), (0.0,), (len(scene.void),))
    live = scene.taken(~scene.void)
    room = np.minimum(live.level, 1 - live.level) > min(2 * low(live.power[0], 0) ** 0.5, 0.25)
    live = live.taken(room) if room.mean() > 0.2 else live
    full, fine, finest = (low(live.power[band], band) for band in range(3))
    level, powers, flats, agree, counts = [], [], [], [], []
    for part in np.array_split(np.argsort(live.level), min(6, max(len(live.level) // 60, 1))):
        power, error = live.power[:, part], live.error[part]
        bands = [low(power[band], band) for band in range(3)]
        flat = error < 0.05 * bands[2]
        middle = [low(power[band, flat], band, 0.5) for band in range(3)] if flat.any() else bands
        dark = not clipped or live.level[part].mean() <= 0.5
        sparks = dark and bands[2] >= 0.5 * bands[0] and middle[2] > 2.2**2 * bands[2]
        known = flat.sum() >= 12 and not sparks
        bands = middle if known else bands
        most = bands[2] if known else min(bands[2], 1.05**2 * finest)
        level.append(live.level[part].mean())
        agree.append(bands[2] / bands[1])
        powers.append((max(bands[0], bands[2]), most))
        flats.append(flat.mean())
        counts.append(len(part))
    best = np.mean(sorted(agree)[-max(1, len(agree) // 3) :])
    seen = between(full - finest, ((4 / 255) ** 2, 2 * (4 / 255) ** 2))
    white = seen * between(finest / fine, (0.7, 0.85)) + (1 - seen) * between(best, (0.5, 0.85))
    fine = 1 - (1 - white) * between(float(np.average(flats, weights=counts)), (0.01, 0.025))
    variance = np.array([few**fine * more ** (1 - fine) for more, few in powers])
    if clipped:
        variance = undo_clipping(np.array(level), variance)
    even = white > 0.5 and min(more / few for more, few in powers) < 1.3
    return Bound(
        tuple(level), tuple(variance**0.5), tuple(counts),
        float(np.average(flats, weights=counts)), bool(even),
        float(live.error[live.still].sum() / live.error.sum()),
    )  # fmt: skip


@pytest.mark.parametrize("clipped", [False, True])
@pytest.mark.parametrize(
    ("count", "colour", "texture", "void"),
    [(700, 1.0, 0.02, 0.1), (700, 1.0, 9.0, 0.1), (700, 1.6, 0.05, 0.1), (700, 2.5, 0.1, 0.1),
     (200, 1.1, 0.1, 0.4), (90, 1.15, 0.05, 0.6), (90, 1.0, 0.05, 0.9), (40, 1.3, 0.3, 0.0)],
)  # fmt: skip
def test_the_bound_of_blocks_is_the_definitions(
    count: int, colour: float, texture: float, void: float, clipped: bool
) -> None:
    """colour: by how much full bandwidth exceeds the finest; texture: what it adds, typically."""
    rng = np.random.default_rng(count)
    level, unit = rng.random(count), 0.002 * (1 + rng.random(count))
    error = unit * rng.exponential(texture, count)
    power = np.stack([unit * colour, unit * colour**0.3, unit]) + error * [[6], [2], [1]]
    power *= rng.chisquare(100, (3, count)) / 100
    flags = (rng.random((3, count)) < [[void], [0.1], [0.5]]).astype(bool)
    flags[1] &= flags[0]
    one_way = np.stack([power[1:]] * 2)
    shown = Blocks(level, power, error, *flags, 256, one_way, power[0])
    found, wanted = _bound(shown, clipped=clipped), reference(shown, clipped=clipped)
    assert found.counts == wanted.counts
    assert found.level == pytest.approx(wanted.level)
    assert found.sigma == pytest.approx(wanted.sigma, rel=5e-3)
    assert (found.flat, found.still) == pytest.approx((wanted.flat, wanted.still), abs=0.02)
    assert found.white == wanted.white
