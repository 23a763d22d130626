"""Stacks of a few photons a pixel: frames are summed, as many as restore them best."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

import f2rcli
from f2rcli.frames import Family, PlaneLayout
from f2rcli.window import same_shot, thumbnail
from tests.engine.conftest import denoised, engine_for, estimate_noise, frames_of, info_of

GAIN, BLACK = 8.0, 100.0
LAYOUT = PlaneLayout(family=Family.GRAY, bits=16, levels=(60.0, 260.0))


def counted(light: np.ndarray, seed: int = 0) -> np.ndarray:
    """Codes (T, H, W) of light in photons."""
    return (BLACK + GAIN * np.random.default_rng(seed).poisson(light)).astype(np.uint16)


def scene(count: int, speed: float, side: int = 64) -> np.ndarray:
    """A texture that moves by so many pixels a frame, a photon a pixel: (T, side, side)."""
    rows, columns = np.mgrid[:side, :side].astype(float)
    shown = [np.sin((columns - speed * t) / 3) * np.cos(rows / 4) for t in range(count)]
    return 1 + 0.8 * np.array(shown)


@pytest.mark.parametrize("side", [40, 96])
def test_photons_tell_the_gain_where_the_network_that_reads_noise_is_unsure(side: int) -> None:
    """Texture fills the picture, and there are few blocks of it."""
    layout = replace(LAYOUT, levels=(64.0, 208.0))
    for seed in range(3):
        frames = frames_of(counted(2 * scene(8, 0.0, side), seed), layout)
        model = estimate_noise(frames, info_of(frames), engine_for(frames))
        assert 144 * model.gain[0] == pytest.approx(GAIN, rel=0.3)


@pytest.mark.parametrize("side", [32, 48])
def test_photons_make_no_cut_of_a_small_picture(side: int) -> None:
    looks = [thumbnail((codes - 80.0) / 80) for codes in counted(scene(9, 0.0, side))]
    assert all(same_shot(*pair) for pair in pairwise(looks))


def test_motion_is_no_noise_of_few_photons() -> None:
    rough = gaussian_filter(np.random.default_rng(1).normal(size=(208, 208)), 1.5)
    light = 2.5 * np.clip(1 + 0.6 * rough / rough.std(), 0.1, None)
    codes = counted(np.array([light[6 * t :, 3 * t :][:128, :128] for t in range(8)]))
    frames = frames_of(codes, replace(LAYOUT, levels=(float(codes.min()), float(codes.max()))))
    model = estimate_noise(frames, info_of(frames), engine_for(frames))
    assert float(np.ptp(codes)) * model.gain[0] == pytest.approx(GAIN, rel=0.1)


@pytest.mark.parametrize("speed", [0.0, 1.0])
def test_a_dim_stack_comes_out_better_than_by_any_gaussian_and_as_bright(speed: float) -> None:
    """In the mean of four draws: a single one of so small a stack is a third better or worse."""
    light = 2 * scene(16, speed, side=40)
    several = np.array([counted(light, seed) for seed in range(4)], np.float32)  # as they are
    done = np.array([f2rcli.denoise(codes, threads=1) for codes in several])

    def error(estimate: np.ndarray) -> float:
        return float(np.mean(((estimate - BLACK) / GAIN - light) ** 2))

    widths = ((t, xy) for t in (0.5, 1, 2, 4) for xy in (1.0, 1.5, 2.0))
    best = min(error(gaussian_filter(several, (0, t, xy, xy))) for t, xy in widths)
    assert error(done) < 0.9 * best
    means = [part.mean((2, 3)) - BLACK for part in (several, done)]
    assert means[1] == pytest.approx(means[0], rel=1e-3)


def test_a_cell_that_flashes_for_a_frame_keeps_most_of_its_light() -> None:
    light = np.full((16, 48, 48), 1.0)
    rows, columns = np.mgrid[:48, :48] - 24
    cell = np.hypot(rows, columns) < 6
    light[8][cell] += 6
    done = (f2rcli.denoise(counted(light).astype(np.float32), threads=1) - BLACK) / GAIN
    assert done[8][cell].mean() > 0.6 * 7
    assert done[[2, 14]][:, cell].mean() < 1.5


def test_what_moves_or_flashes_after_the_first_frames_stays_in_a_dim_stack() -> None:
    """Sums are chosen while it rests: where it does no more, single frames tell more."""
    rests, moves = scene(40, 0.0), scene(12, 3.0)
    light = 3 * np.concatenate([rests, moves])
    rows, columns = np.mgrid[:64, :64] - 32
    spot = np.exp(-(rows**2 + columns**2) / (2 * 1.3**2))
    light[36] += 9 * spot
    done = (f2rcli.denoise(counted(light).astype(np.float32)) - BLACK) / GAIN
    alone = gaussian_filter((counted(light) - BLACK) / GAIN, (0, 1.5, 1.5))
    small = spot > 0.3
    assert np.square(done - light)[42:].mean() < 0.9 * np.square(alone - light)[42:].mean()
    assert (done[36] - done[35])[small].mean() > 0.6 * (light[36] - light[35])[small].mean()


def test_every_frame_of_a_dim_excerpt_comes_once_and_in_order(coarse_alone: None) -> None:
    frames = [
        replace(f, index=t, context=t < 8)
        for t, f in enumerate(frames_of(counted(0.3 * scene(16, 0.0, 32)), LAYOUT))
    ]
    done, _ = denoised(frames)
    assert [frame.pts for frame in done] == list(range(8, 16))
    assert done[0].planes[0].dtype == np.uint16
