"""The law of photon counts from what adjacent frames differ by."""

import cv2
import numpy as np
import pytest

from f2rcli.noise.measurement.photons import counted_model, photon_line, pooled
from f2rcli.noise.model import NoiseModel

GAIN, OFFSET, READ = 8.0, 100.0, 4.0
ZERO = OFFSET - READ**2 / GAIN


def dim(photons: float, frames: int = 6, seed: int = 0) -> list[np.ndarray]:  # type: ignore[type-arg]
    """Codes of a picture whose brightness varies smoothly, on average so many photons a pixel."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:128, :128] / 128
    light = photons * (1 + 0.9 * np.sin(7 * rows) * np.cos(9 * columns))
    codes = GAIN * rng.poisson(light, (frames, 128, 128)) + OFFSET
    return list(np.rint(codes + rng.normal(0, READ, codes.shape)).astype(np.float32))


@pytest.mark.parametrize("photons", [0.5, 1, 2])
def test_the_gain_and_the_zero_of_dim_light_are_right_within_ten_percent(photons: float) -> None:
    line = photon_line(dim(photons))
    assert line is not None
    assert line.sure
    assert line.gain == pytest.approx(GAIN, rel=0.1)
    assert abs(line.gain - GAIN) < 4 * line.error
    assert line.zero == pytest.approx(ZERO, abs=0.1 * GAIN)


@pytest.mark.parametrize(("photons", "within"), [(0.1, 0.2), (0.3, 0.1), (1.0, 0.1)])
def test_cells_of_few_photons_tell_their_gain_in_every_stack(photons: float, within: float) -> None:
    for seed in range(8):
        rng = np.random.default_rng(400 + seed)
        codes = GAIN * rng.poisson(cells(photons, rng), (6, 96, 96)) + OFFSET
        line = photon_line(list(np.rint(codes + rng.normal(0, READ, codes.shape)).astype("f4")))
        assert line is not None
        assert line.gain == pytest.approx(GAIN, rel=within)
        assert abs(line.gain - GAIN) < 3.5 * line.error


def cells(photons: float, rng: np.random.Generator) -> np.ndarray:  # type: ignore[type-arg]
    """Light (96, 96) of cells on a texture."""
    texture = cv2.GaussianBlur(rng.normal(size=(96, 96)), (0, 0), 4)
    light = np.clip(1 + 0.5 * texture / texture.std(), 0.1, None)
    rows, columns = np.ogrid[:96, :96]
    for row, column in rng.uniform(0, 96, (8, 2)):
        far = np.hypot(rows - row, columns - column)
        light = light + 3 * rng.uniform(0.3, 1) / (1 + np.exp((far - 5) / 0.8))
    return light * (photons / light.mean())


def test_planes_of_depth_that_show_other_things_keep_the_gain() -> None:
    rng = np.random.default_rng(3)
    rows, columns = np.mgrid[:128, :128]
    light = np.full((6, 128, 128), 1.0)
    for plane, row, column in rng.integers(0, (6, 128, 128), (150, 3)):
        spot = np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / 30)
        light += 40 * spot * np.exp(-((np.arange(6) - plane)[:, None, None] ** 2) / 2)
    codes = GAIN * rng.poisson(light) + OFFSET + rng.normal(0, READ, light.shape)
    line = photon_line(list(np.rint(codes).astype(np.float32)))
    assert line is not None
    assert line.gain == pytest.approx(GAIN, rel=0.15)  # 5.8 by the others' brightness alone
    assert line.zero == pytest.approx(ZERO, abs=GAIN)


def test_a_flat_picture_has_no_sure_gain() -> None:
    rng = np.random.default_rng(1)
    line = photon_line(list(rng.normal(100, 5, (6, 96, 96)).astype(np.float32)))
    assert line is None or not line.sure


def test_lanes_of_one_sensor_share_a_gain_that_is_surer_than_each() -> None:
    lines = [photon_line(dim(1, seed=seed)) for seed in (1, 2)]
    found = [line for line in lines if line is not None]
    gain, error = pooled(found)
    assert gain == pytest.approx(GAIN, rel=0.08)
    assert error < min(line.error for line in found)


def test_too_few_frames_or_pixels_tell_nothing() -> None:
    assert photon_line(dim(1, frames=2)) is None
    assert photon_line([frame[:16, :16] for frame in dim(1)]) is None


@pytest.mark.parametrize(("photons", "read"), [(0.1, 0.0), (0.3, 4.0), (0.5, 4.0), (1.0, 0.0)])
def test_even_light_tells_its_gain_by_the_shape_of_its_noise(photons: float, read: float) -> None:
    rng = np.random.default_rng(4)
    codes = GAIN * rng.poisson(photons, (6, 192, 192)) + OFFSET
    line = photon_line(list((codes + rng.normal(0, read, codes.shape)).astype(np.float32)))
    assert line is not None
    assert line.sure
    assert line.gain == pytest.approx(GAIN, rel=0.1)
    assert abs(line.gain - GAIN) < 3 * line.error
    assert line.level == pytest.approx(GAIN**2 * photons + read**2, rel=0.05)


def test_sigma_is_that_of_the_whole_picture_and_blocks_of_no_light_count() -> None:
    rng = np.random.default_rng(5)
    columns = np.linspace(0, 3, 128)
    light = np.tile(0.03 + np.clip(columns - 1, 0, None) ** 3, (128, 1))  # hardly any in a third
    frames = [[one.astype(np.float32)] for one in OFFSET + GAIN * rng.poisson(light, (6, 128, 128))]
    model = counted_model(frames, NoiseModel.gaussian(10.0, 1))
    assert model is not None
    assert model.gain[0] == pytest.approx(GAIN, rel=0.1)
    assert model.sigma[0] == pytest.approx((GAIN**2 * light.mean()) ** 0.5, rel=0.05)


def test_texture_that_moves_is_not_counted_as_light() -> None:
    rng = np.random.default_rng(6)
    texture = cv2.GaussianBlur(rng.normal(size=(128, 160)), (0, 0), 1.5)
    light = 2 + np.linspace(0, 12, 128)[:, None] * np.clip(1 + 0.5 * texture / texture.std(), 0, 3)
    shown = np.stack([light[:, 3 * t : 3 * t + 128] for t in range(6)])
    line = photon_line(list((GAIN * rng.poisson(shown) + OFFSET).astype(np.float32)))
    assert line is not None
    assert line.gain == pytest.approx(GAIN, rel=0.3)
