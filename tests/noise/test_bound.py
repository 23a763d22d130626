"""The bound of sigma: what adjacent frames differ by, whatever the picture shows."""

from itertools import pairwise, starmap

import cv2
import numpy as np
import pytest

from f2rcli.noise.measurement.blocks import Pair, Picture, Values
from f2rcli.noise.measurement.bound import Bound, bounds_of, lowered
from f2rcli.noise.model import NoiseModel

SIGMA = 10 / 255


def pictures(scene: list[np.ndarray], sigma: float = SIGMA, seed: int = 0) -> list[Picture]:
    """Gray pictures of a scene (H, W), in 0..1, with white noise; rounded, not clipped."""
    rng = np.random.default_rng(seed)
    planes = [np.rint((one + rng.normal(0, sigma, one.shape)) * 255) / 255 for one in scene]
    return [Picture([p.astype(np.float32)], p.clip(0, 1).astype(np.float32)) for p in planes]


def bound(shown: list[Picture], *, clipped: bool = False) -> Bound:
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
    assert bound([Picture([one], one) for one in scene]).mean == 0


def test_correlated_noise_is_not_underestimated() -> None:
    rng = np.random.default_rng(3)
    soft = [cv2.GaussianBlur(rng.normal(0, 1, (160, 192)), (0, 0), 0.8) for _ in range(5)]
    scene = [one + SIGMA * n / n.std() for one, n in zip(smooth(), soft, strict=True)]
    found = bound(pictures(scene, 0))
    assert found.mean == pytest.approx(SIGMA, rel=0.1)
    assert not found.white


def test_noise_cut_off_by_black_is_undone() -> None:
    scene = [np.zeros((160, 192))] * 5
    shown = [Picture([p.planes[0].clip(0)], p.luma) for p in pictures(scene, 20 / 255)]
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


def test_frames_smaller_than_a_block_bound_nothing() -> None:
    tiny: Values = np.zeros((6, 6), np.float32)
    found = bounds_of([Pair(Picture([tiny], tiny), Picture([tiny], tiny))], [True])
    assert found[0].factors(told(0.1)).tolist() == [1] * 17
    assert bounds_of([], [True]) == []
