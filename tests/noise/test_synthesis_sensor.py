"""Unprocessed clips: what the pixels of a mosaic see, and CRVD's noise on it."""

import numpy as np
import pytest

from f2rcli.noise.synthesis.sensor import (
    CRVD_ISO,
    Unprocessing,
    calibrated,
    draw_raw_law,
    mosaicked,
    sense,
)
from f2rcli.sensor import pack, unpack

SPAN = 4095 - 240


def clip(count: int = 2, size: tuple[int, int] = (12, 16)) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, *size, 3)).astype(np.uint8)


def test_planes_are_those_that_files_are_packed_to() -> None:
    light = np.random.default_rng(1).random((1, 8, 10, 3), np.float32)
    pixels = light[0, ..., 1].copy()
    pixels[::2, ::2], pixels[1::2, 1::2] = light[0, ::2, ::2, 0], light[0, 1::2, 1::2, 2]
    packed = mosaicked(light)
    assert np.array_equal(pack(pixels, "RGGB"), packed[0].transpose(2, 0, 1))
    assert np.array_equal(unpack(packed[0].transpose(2, 0, 1), "RGGB", (8, 10)), pixels)


@pytest.mark.parametrize("size", [(12, 16), (13, 17)])
def test_a_clip_becomes_half_as_large_with_four_planes(size: tuple[int, int]) -> None:
    clean = Unprocessing.draw(np.random.default_rng(2)).packed(clip(3, size))
    assert clean.shape == (3, 6, 8, 4)
    assert clean.dtype == np.float32
    assert 0 <= clean.min() <= clean.max() <= 1


def test_gray_light_shows_the_white_balance_and_the_exposure() -> None:
    camera = Unprocessing(red=2.0, blue=1.6, exposure=0.5, colour=0.7)
    red, green, blue, other = camera.packed(np.full((1, 4, 4, 3), 255, np.uint8))[0, 0, 0]
    assert np.allclose([red, green, blue, other], [0.25, 0.5, 0.3125, 0.5], atol=1e-3)


def test_gamma_is_undone() -> None:
    camera = Unprocessing(red=1, blue=1, exposure=1)
    half = camera.packed(np.full((1, 2, 2, 3), 188, np.uint8))
    assert np.allclose(half, 0.503, atol=2e-3)  # sRGB: code 188 is half the light of white


def test_strong_exposure_saturates_all_planes_at_white() -> None:
    bright = Unprocessing(red=1.5, blue=1.5, exposure=1.6).packed(
        np.full((1, 2, 2, 3), 255, np.uint8)
    )
    assert np.all(bright == 1)


@pytest.mark.parametrize("iso", CRVD_ISO)
def test_crvds_noise_has_its_calibrated_variance(iso: int) -> None:
    a, b = CRVD_ISO[iso]
    law, rng = calibrated(a, b), np.random.default_rng(iso)
    for x in (0.1, 0.3):
        noisy = sense(np.full((1, 200, 250, 4), x, np.float32), law, rng)
        variance = float(((noisy - x) ** 2).mean()) * SPAN**2
        assert variance == pytest.approx(a * x * SPAN + b + 1 / 12, rel=0.02)
        assert float(noisy.mean()) == pytest.approx(
            x, abs=4 * (variance / noisy.size) ** 0.5 / SPAN
        )


def test_what_is_sensed_are_codes_between_zero_and_white() -> None:
    law = calibrated(*CRVD_ISO[25600])
    for level in (0.0, 0.98):
        noisy = sense(np.full((1, 64, 64, 4), level, np.float32), law, np.random.default_rng(3))
        codes = noisy * SPAN + 240
        assert np.allclose(codes, np.rint(codes), atol=1e-2)
        assert codes.min() >= -1e-3
        assert codes.max() <= 4095 + 1e-3


def test_laws_cover_the_calibrated_range_and_far_around_it() -> None:
    rng = np.random.default_rng(4)
    gains = np.array([draw_raw_law(rng).gain * SPAN for _ in range(2000)])
    inside = (gains > 3.5) & (gains < 52.1)
    assert 0.6 < inside.mean() < 0.85
    assert gains.min() < 0.6
    assert gains.max() > 120


def test_drawn_read_noise_follows_the_gain_as_calibrated() -> None:
    rng = np.random.default_rng(5)
    laws = [draw_raw_law(rng) for _ in range(2000)]
    a = np.array([law.gain for law in laws]) * SPAN
    b = (np.array([law.read for law in laws]) * SPAN) ** 2
    slope, offset = np.polyfit(np.log(a), np.log(b), 1)
    assert slope == pytest.approx(1.872, abs=0.05)
    assert offset == pytest.approx(0.059, abs=0.15)


def test_the_same_seed_gives_the_same_clip_and_noise() -> None:
    seeds = [np.random.default_rng(6) for _ in range(2)]
    first, second = (Unprocessing.draw(rng).packed(clip()) for rng in seeds)
    laws = [draw_raw_law(rng) for rng in seeds]
    assert np.array_equal(first, second)
    assert laws[0] == laws[1]
    noisy = [sense(first, laws[0], np.random.default_rng(7)) for _ in range(2)]
    assert np.array_equal(noisy[0], noisy[1])
