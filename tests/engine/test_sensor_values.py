"""Stacks of photon counts: black and gain are found, and dim and bright places are restored."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest
import torch
from scipy import ndimage

import f2rcli
from f2rcli.evaluation.noise import measure_noise
from f2rcli.frames import Family, Frame, PlaneLayout
from tests.engine.conftest import (
    clean_clip,
    denoised,
    engine_for,
    estimate_noise,
    frames_of,
    info_of,
)

GAIN, BLACK, READ = 6.0, 100.0, 4.0
LEVELS = (40.0, 440.0)


def light(count: int) -> np.ndarray:
    """Codes without noise (T, H, W): photons over a black that the file does not state."""
    scene = clean_clip(count, height=72, width=96)[:, 0]
    return BLACK + 250 * (scene - 0.1) ** 2


def stack(count: int) -> list[Frame]:
    rng = np.random.default_rng(3)
    clean = light(count)
    noisy = BLACK + GAIN * rng.poisson((clean - BLACK) / GAIN) + rng.normal(0, READ, clean.shape)
    layout = PlaneLayout(family=Family.GRAY, bits=16, levels=LEVELS)
    return frames_of(np.rint(noisy).clip(0).astype(np.uint16), layout)


def test_gain_and_the_black_that_light_adds_to_are_found_in_the_files_own_codes() -> None:
    """By the report of a stack as well, and in a single picture."""
    frames, span = stack(8), LEVELS[1] - LEVELS[0]
    engine, info = engine_for(frames), info_of(frames)
    report = measure_noise(frames, info, engine)
    assert report is not None
    models = [report.model, *(estimate_noise(x, info, engine) for x in (frames, frames[:1]))]
    assert models[0].gain[0] == pytest.approx(models[1].gain[0], rel=0.1)
    for model, near in zip(models, (6, 6, 9), strict=True):
        assert model.curve is None
        gain, start = model.gain[0] * span, LEVELS[0] + span * model.pedestal[0]
        begins = start - (span * model.read[0]) ** 2 / gain  # where the variance would be 0
        assert gain == pytest.approx(GAIN, rel=0.2)
        assert begins == pytest.approx(BLACK - READ**2 / GAIN, abs=near)


def test_photon_noise_goes_and_brightness_stays_in_dim_and_bright_places() -> None:
    frames, clean = stack(8), light(8)
    done = np.stack([f.planes[0] for f in denoised(frames, model="full")[0]])
    noisy = np.stack([f.planes[0] for f in frames]).astype(float)
    for part in (clean < np.quantile(clean, 0.3), clean > np.quantile(clean, 0.7)):
        before, after = (noisy - clean)[part], (done - clean)[part]
        assert np.square(after).mean() < np.square(before).mean() / 7.7
        assert abs(after.mean()) < 0.015 * clean[part].mean()


def bright_stack(shutter: np.ndarray) -> tuple[list[Frame], np.ndarray]:
    """Smooth light of about 100 electrons, a share of it per frame: recorded, and without noise."""
    rng = np.random.default_rng(4)
    rough = cv2.GaussianBlur(rng.normal(size=(96, 96)), (0, 0), 5)
    still = 100 * (1 + 0.15 * rough / rough.std()).clip(0.6)
    light = still * shutter[:, None, None]
    codes = BLACK + GAIN * rng.poisson(light) + rng.normal(0, READ, light.shape)
    layout = PlaneLayout(family=Family.GRAY, bits=16, levels=(100.0, 1300.0))
    return frames_of(np.rint(codes).astype(np.uint16), layout), BLACK + GAIN * light


def noise_left(shutter: np.ndarray) -> np.ndarray:
    """Of every frame of such a stack, the share of the noise's power."""
    frames, clean = bright_stack(shutter)
    done, _ = denoised(frames, model="full")
    before, after = (
        np.square(np.stack([f.planes[0] for f in some]) - clean).mean((1, 2))
        for some in (frames, done)
    )
    return np.asarray(after / before)


def test_bright_places_lose_as_much_noise_as_dark_ones_and_so_do_far_darker_frames() -> None:
    left = noise_left(np.array([1.0] * 9 + [0.1, 0.1]))
    assert left[3:9].mean() < 0.016  # 0.021 where black lay at the law's zero
    assert left[9:].max() < 0.1
    assert max(noise_left(np.array([1.0, dim] * 5)).max() for dim in (0.3, 0.1)) < 0.1


def test_spots_that_blink_keep_their_light() -> None:
    """Of single molecules that are seen now and then, in no two frames at one place."""
    rng, shape, count = np.random.default_rng(0), (96, 96), 25
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    spots = [
        np.exp(-(np.square(rows - y) + np.square(columns - x)) / (2 * 1.2**2))
        for y, x in rng.uniform(8, 88, (count, 2))
    ]
    shown = rng.random((10, count)) < 0.3
    light = 10 + 15 * np.einsum("ts,shw->thw", shown, np.stack(spots))
    codes = np.rint(BLACK + GAIN * rng.poisson(light) + rng.normal(0, READ, light.shape))
    done = (f2rcli.denoise(codes.astype(np.uint16), threads=1) - BLACK) / GAIN
    kept = [
        1 + np.vdot(spot, done[t] - light[t]) / np.vdot(spot, spot) / 15
        for t, s in zip(*np.nonzero(shown), strict=True)
        for spot in [spots[s]]
    ]
    assert np.mean(kept) > 0.9


def softened(stack: np.ndarray) -> np.ndarray:
    """Every frame, blurred a little."""
    return ndimage.gaussian_filter(stack, (0, 0.7, 0.7))


def averaged(stack: np.ndarray) -> np.ndarray:
    """The running mean of three frames."""
    return ndimage.uniform_filter1d(stack, 3, axis=0, mode="nearest")


def brightened(stack: np.ndarray) -> np.ndarray:
    """As one that bleached, and was made as bright as at first."""
    gains = np.exp(np.arange(len(stack)) / len(stack) * 1.2)
    return BLACK + (stack - BLACK) * gains[:, None, None]


def cells(count: int) -> np.ndarray:
    """Photons (count, 128, 160) of cells that rest."""
    rng = np.random.default_rng(9)
    rows, columns = np.mgrid[:128, :160]
    shown = np.full((128, 160), 2.0)
    for row, column, size in rng.uniform((0, 0, 3), (128, 160, 8), (25, 3)):
        shown += 25 * np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / (2 * size**2))
    return np.repeat(shown[None], count, 0)


@pytest.mark.parametrize("before", [softened, averaged, brightened])
def test_noise_goes_from_a_stack_worked_on(before: Callable[[np.ndarray], np.ndarray]) -> None:
    light, rng = cells(12), np.random.default_rng(6)
    noisy = BLACK + GAIN * rng.poisson(light) + rng.normal(0, READ, light.shape)
    clean, given = before(BLACK + GAIN * light), np.float32(before(noisy))
    done = f2rcli.denoise(given)
    assert np.square(done - clean).mean() < np.square(given - clean).mean() / 15


@pytest.mark.parametrize("photons", [0.02, 0.1, 1.0])
def test_photons_of_a_code_each_are_noise_though_a_picture_holds_few_codes(photons: float) -> None:
    light = photons * cells(16)[:, :96, :96]
    codes = np.random.default_rng(3).poisson(light).astype(np.float32)
    done = f2rcli.denoise(codes)
    assert np.square(done - light).mean() < np.square(codes - light).mean() / 20


@pytest.mark.parametrize("photons", [0.1, 1.0, 3.0])
def test_photons_of_cells_on_a_ground_without_any_are_noise(photons: float) -> None:
    light = photons * np.clip(cells(12)[:, :112, :112] - 20, 0, None)
    codes = np.random.default_rng(5).poisson(light).astype(np.uint16)
    assert np.mean(codes == 0) > 0.9
    done, report = f2rcli.denoise(codes, return_report=True)
    assert np.square(done - light).mean() < np.square(codes - light).mean() / 6
    assert any("noise of less than a code" in note for note in report.notes) == (photons < 3)
    steps = np.stack([np.tile((np.arange(64) + t) // 8, (64, 1)) for t in range(8)])
    assert not f2rcli.denoise(steps.astype(np.uint16), axes="TYX", return_report=True)[1].notes


def test_places_of_a_photon_a_pixel_keep_their_light_in_whole_codes() -> None:
    light = cells(9)[:, :96, :96] / 5
    codes = np.random.default_rng(5).poisson(light).astype(np.uint8)
    apart = [one - light for one in (f2rcli.denoise(codes), codes)]
    done, given = (np.square(one.reshape(9, 12, 8, 12, 8).mean((2, 4))).mean() for one in apart)
    assert done < given / 4
    assert np.square(apart[0]).mean() < np.square(apart[1]).mean() / 3


@pytest.mark.parametrize("gain", [0.5, 6.0])
def test_whole_codes_that_cost_much_of_the_gain_are_told(coarse_alone: None, gain: float) -> None:
    rng, light = np.random.default_rng(6), cells(8)[:, :96, :96]
    codes = BLACK + gain * (rng.poisson(light) + rng.normal(0, 1.6, light.shape))
    _, report = f2rcli.denoise(np.rint(codes).astype(np.uint16), return_report=True)
    assert report.noise[0].sigma[0] > 1
    assert any("noise of less than a code" in note for note in report.notes) == (gain < 1)


@pytest.mark.parametrize("deep", [0.0, 0.5])
def test_planes_far_apart_differ_by_what_they_show_and_by_noise(deep: float) -> None:
    rng = np.random.default_rng(1)
    rough = ndimage.gaussian_filter(rng.normal(size=(12, 128, 128)), (deep, 1.5, 1.5))
    light = 50 * np.clip(1 + 0.7 * rough / rough.std(), 0.05, None)
    done = f2rcli.denoise(np.uint16(BLACK + GAIN * rng.poisson(light)), axes="ZYX")
    assert np.square(done - BLACK - GAIN * light).mean() < GAIN**2 * light.mean() / 2


def test_frames_without_light_among_others_stay_as_they_are() -> None:
    light, rng = cells(24), np.random.default_rng(4)
    light[[2, 3, 8, 16]] = 0
    codes = (BLACK + GAIN * rng.poisson(light)).astype(np.float32)
    done = f2rcli.denoise(codes)
    assert np.abs(done[[2, 3, 8, 16]] - BLACK).max() < 1
    errors = [np.square(one[4:8] - BLACK - GAIN * light[4:8]).mean() for one in (done, codes)]
    assert errors[0] < errors[1] / 10


@pytest.mark.parametrize("closed", [4, 9])
def test_a_gain_is_read_in_the_light_that_follows_a_closed_shutter(closed: int) -> None:
    light, rng = cells(closed + 6)[:, :96, :96], np.random.default_rng(4)
    light[:closed] = 0
    noisy = BLACK + GAIN * rng.poisson(light) + rng.normal(0, READ, light.shape)
    codes, clean = np.rint(noisy).astype(np.int32), BLACK + GAIN * light
    done, report = f2rcli.denoise(codes, return_report=True)
    errors = [np.square(one - clean).mean((1, 2)) for one in (done, codes)]
    assert (errors[0] < errors[1] / 25).all()
    assert report.noise[0].gain[0] == pytest.approx(GAIN, rel=0.1)


def test_molecules_that_blink_are_not_taken_for_the_noise_of_bright_places() -> None:
    """Only where they are do frames differ by more than the noise of 100 electrons."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:128, :128]
    light = np.full((8, 128, 128), 100.0)
    for frame in light:
        for row, column in rng.uniform(8, 120, (9, 2)):
            spot = np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / (2 * 2.0**2))
            frame += rng.choice([200, 500, 2000]) * spot / spot.sum()
    codes = BLACK + GAIN * rng.poisson(light) + rng.normal(0, READ, light.shape)
    layout = PlaneLayout(family=Family.GRAY, bits=16, levels=(300.0, 1500.0))
    frames = frames_of(np.rint(codes).astype(np.uint16), layout)
    model = estimate_noise(frames, info_of(frames), engine_for(frames))
    brightest = torch.full((1, 1, 1, 1), (BLACK + GAIN * 180 - 300) / 1200)
    assert 1200 * model.sigma[0] == pytest.approx((GAIN**2 * 100 + READ**2) ** 0.5, rel=0.04)
    assert 1200 * float(model.level(brightest)) < 1.6 * 1200 * model.sigma[0]
