"""What is taken out looks like the measured noise, at every scale and place, or it goes back."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from f2rcli.engine.contract.limits import box, changing, held
from f2rcli.noise.bands import BAND_SIDES, bands
from f2rcli.noise.clipping import clipped_moments

Real = NDArray[np.float32]
SIGMA = 0.04


def white(seed: int, side: int = 256) -> Real:
    return (SIGMA * np.random.default_rng(seed).standard_normal((side, side))).astype(np.float32)


def shares() -> tuple[float, ...]:
    power = [float(np.square(band).mean()) for band in bands(white(9, 512))]
    return tuple(p / sum(power) for p in power)


def law(side: int = 256) -> Real:
    return np.full((side, side), SIGMA**2, np.float32)


def test_bands_add_up_to_the_plane() -> None:
    plane = white(0)
    parts = bands(plane)
    assert len(parts) == len(BAND_SIDES) + 1
    assert np.abs(sum(parts) - plane).max() < 1e-6


def test_noise_as_strong_as_measured_stays_removed() -> None:
    noise = white(1)
    kept = held(noise, law(), shares())
    assert float(np.square(kept - noise).mean()) < 0.01 * SIGMA**2


@pytest.mark.parametrize("scale", [1, 4, 12, 40])
def test_what_is_too_strong_at_one_scale_goes_back_whatever_that_scale_is(scale: int) -> None:
    wrong = box(
        np.random.default_rng(2).standard_normal((256, 256)).astype(np.float32), 2 * scale + 1
    )
    wrong *= 2 * SIGMA / wrong.std()
    kept = held(white(3) + wrong, law(), shares())
    left = float((kept * wrong).mean() / (wrong * wrong).mean())
    assert left < 0.45
    assert float(np.square(held(wrong, law(), shares())).mean()) < 1.2 * SIGMA**2


def test_a_shade_goes_back_almost_whole() -> None:
    kept = held(white(4) + np.float32(0.05), law(), shares())
    assert abs(float(kept.mean())) < 0.003


def test_where_there_is_no_noise_nothing_is_removed() -> None:
    removed, variance = white(5), law()
    variance[:64] = 0
    kept = held(removed, variance, shares())
    assert not kept[:60].any()
    assert float(np.square(kept[70:]).mean()) > 0.85 * SIGMA**2
    assert not held(removed, np.zeros_like(variance), shares()).any()


def test_planes_smaller_than_the_windows_are_held_too() -> None:
    assert held(white(6, 5), law(5), shares()).shape == (5, 5)
    assert held(white(6, 256)[:1, :1], law(1), shares()).shape == (1, 1)


def test_moments_of_clipped_noise_are_those_of_samples() -> None:
    restored = torch.tensor([0.0, 0.05, 0.5, 0.98, 1.0]).view(1, 1, 1, 5)
    level = torch.tensor([0.1, 0.2, 0.01, 0.05, 0.1]).view(1, 1, 1, 5)
    drawn = torch.randn(400_000, 5, generator=torch.Generator().manual_seed(0)).double()
    samples = (restored.view(1, 5) + drawn * level.view(1, 5)).clamp(0, 1)
    shift, factor = clipped_moments(restored, level)
    assert (shift.view(5) - (samples.mean(0) - restored.view(5))).abs().max() < 5e-4
    assert (factor.view(5) - samples.var(0) / level.view(5) ** 2).abs().max() < 0.01


def test_what_changes_in_time_bounds_the_noise() -> None:
    scene = np.add.outer(np.sin(np.arange(128) / 2), np.cos(np.arange(128) / 3)).astype(np.float32)
    near = [scene + white(i, 128) for i in (7, 8)]
    centre = scene + white(10, 128)
    still = changing(centre, near, [None, None])
    assert still is not None
    assert float(still.mean()) == pytest.approx(SIGMA**2, rel=0.05)
    assert changing(centre, [], []) is None
    same = changing(scene, [scene], [None])
    assert same is not None
    assert not same.any()


def test_motion_that_is_known_makes_the_bound_sharp() -> None:
    scene = np.random.default_rng(11).standard_normal((128, 140)).astype(np.float32)
    centre, moved = scene[:, 4:132], scene[:, 0:128]  # what is at x here lies at x + 4 there
    x = np.clip(np.arange(128) + 4, 0, 127)
    indices = (np.arange(128)[:, None] * 128 + x).astype(np.int32)
    plain = changing(centre, [np.ascontiguousarray(moved)], [None])
    registered = changing(centre, [np.ascontiguousarray(moved)], [indices])
    assert plain is not None
    assert registered is not None
    assert float(plain[:, 10:110].min()) > 0.1
    assert float(registered[:, 10:110].max()) < 1e-6
