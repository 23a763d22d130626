"""The camera: its noise, and that it changes nothing else."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from f2rcli.noise.synthesis.camera import Camera, demosaic


def patches(size: int = 96) -> np.ndarray:
    """Large flat patches of muted colours, (H, W, 3) codes."""
    rng = np.random.default_rng(0)
    colours = rng.uniform(70, 180, (3, 3, 1)) + rng.uniform(-25, 25, (3, 3, 3))
    return np.kron(colours, np.ones((size, size, 1))).astype("u1")


def noise(camera: Camera, scene: np.ndarray, seed: int = 0) -> np.ndarray:
    shot = camera.shoot(scene, np.random.default_rng(seed)).astype(float)
    return shot - camera.quiet.shoot(scene, np.random.default_rng(seed))


@pytest.mark.parametrize("seed", range(4))
def test_without_noise_the_mean_colour_stays(seed: int) -> None:
    scene = patches()
    camera = Camera.draw(np.random.default_rng(seed)).quiet
    seen = camera.shoot(scene, np.random.default_rng(0))
    assert np.abs(seen.mean((0, 1)) - scene.mean((0, 1))).max() < 0.5
    middle = seen[40:56, 40:56].reshape(-1, 3)
    assert np.abs(middle.astype(int) - scene[48, 48]).max() <= 2


def test_moderate_noise_keeps_the_mean_colour() -> None:
    error = noise(Camera(shot=0.0005, read=0.002), patches())
    assert 2 < error.std() < 12
    assert np.abs(error.mean((0, 1))).max() < 0.5


def test_noise_grows_with_iso() -> None:
    scene = patches()
    levels = [noise(Camera(shot=s, read=2 * s), scene).std() for s in (2e-4, 1e-3, 5e-3, 2e-2)]
    assert all(b > 1.5 * a for a, b in itertools.pairwise(levels))


@pytest.mark.parametrize("malvar", [True, False])
def test_demosaicked_noise_is_correlated_in_space(malvar: bool) -> None:
    error = noise(Camera(shot=0.002, read=0.004, malvar=malvar), patches())
    for channel in range(3):
        plane = error[..., channel]
        assert np.corrcoef(plane[:, 1:].ravel(), plane[:, :-1].ravel())[0, 1] > 0.1
        assert np.corrcoef(plane[1:].ravel(), plane[:-1].ravel())[0, 1] > 0.1


def test_demosaicking_keeps_its_samples_and_is_exact_on_ramps() -> None:
    rows, columns = np.indices((32, 40), dtype=np.float32)
    ramp = 0.01 * rows + 0.02 * columns
    assert np.abs(demosaic(ramp)[4:-4, 4:-4] - ramp[4:-4, 4:-4, None]).max() < 1e-5
    pixels = np.random.default_rng(0).random((16, 16), np.float32)
    full = demosaic(pixels)
    assert np.array_equal(full[::2, ::2, 0], pixels[::2, ::2])
    assert np.array_equal(full[1::2, ::2, 1], pixels[1::2, ::2])
    assert np.array_equal(full[1::2, 1::2, 2], pixels[1::2, 1::2])


def test_white_balance_makes_red_and_blue_noisier_than_green() -> None:
    red, green, blue = noise(Camera(shot=0.002, read=0.004, colour=0), patches()).std((0, 1))
    assert red > 1.2 * green
    assert blue > 1.2 * green


def test_chroma_smoothing_sharpening_and_denoising_do_what_they_say() -> None:
    plain, scene = Camera(shot=0.004, read=0.01), patches()
    error = noise(plain, scene)
    smooth = noise(replace(plain, smooth=1.5), scene)
    assert np.ptp(smooth, axis=2).mean() < 0.6 * np.ptp(error, axis=2).mean()
    assert noise(replace(plain, sharpen=0.8), scene).std() > 1.2 * error.std()
    assert noise(replace(plain, denoise=2.5), scene).std() < 0.9 * error.std()


def test_a_sensor_without_colours_gives_white_noise_in_one_channel() -> None:
    scene = patches()[..., :1]
    error = noise(Camera(shot=0.002, read=0.004, denoise=0.0), scene)
    assert error.shape == scene.shape
    assert error.std() > 2
    assert abs(np.corrcoef(error[:, 1:, 0].ravel(), error[:, :-1, 0].ravel())[0, 1]) < 0.03
    assert Camera(shot=0.002, read=0.004, denoise=2.0, sharpen=0.5).shoot(
        scene, np.random.default_rng(0)
    ).shape == (*scene.shape[:2], 1)


def test_the_same_seed_is_the_same_camera_and_the_same_noise() -> None:
    one, two = (Camera.draw(np.random.default_rng(3)) for _ in range(2))
    assert one == two
    assert np.array_equal(noise(one, patches(), 5), noise(two, patches(), 5))
    assert not np.array_equal(noise(one, patches(), 5), noise(two, patches(), 6))
