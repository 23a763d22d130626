"""What frames tell of each other is no noise, though flow finds it nowhere."""

from dataclasses import replace

import numpy as np
import pytest

from f2rcli.engine.noise.opening import opening_noise
from f2rcli.engine.noise.predicted import held_predicted, most_unpredicted
from f2rcli.noise.bands import white_shares
from f2rcli.noise.measurement.blocks import FramePlanes
from f2rcli.noise.model import NoiseModel
from f2rcli.noise.planes import Measured, PlaneNoise
from tests.engine.conftest import GRAY8, engine_for, to_frames

SIZE = 136, 200
ROWS, COLUMNS = np.indices(SIZE)
SIGMA = 6 / 255
LAW = [NoiseModel.gaussian(0.1, 1)]


def rings(time: int) -> np.ndarray:
    """A printed screen, filmed: two and a half pixels, and its centre goes by more than half."""
    return 0.5 + 0.35 * np.sin(2.5 * np.hypot(COLUMNS - 60 - 1.6 * time, ROWS - 50))


def noise(seed: int, sigma: float = SIGMA) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, sigma, SIZE)


def pictures(planes: list[np.ndarray]) -> list[FramePlanes]:
    shown = [(np.rint(255 * one) / 255).clip(0, 1).astype(np.float32) for one in planes]
    return [FramePlanes([one], one) for one in shown]


@pytest.mark.parametrize(("sigma", "most"), [(0, 1.5), (3, 8)])
def test_a_printed_screen_is_hardly_noise(sigma: float, most: float) -> None:
    clip = np.stack([rings(t) + noise(t, sigma / 255) for t in range(6)])[:, None]
    frames = to_frames(clip, GRAY8)
    assert opening_noise(frames, engine_for(frames)).planes.models[0].sigma8[0] < most


def test_what_filters_leave_of_the_loudest_frame_bounds_the_law() -> None:
    shown = pictures([rings(t) + (t != 3) * noise(t) for t in range(5)])
    (factor,) = most_unpredicted(shown, LAW)
    assert factor * 0.1 == pytest.approx(SIGMA, rel=0.15)


def test_noise_that_moves_with_nothing_keeps_its_law() -> None:
    known = [NoiseModel.gaussian(SIGMA, 1)]
    still = pictures([0.5 + 0.1 * np.sin(ROWS / 9) + noise(t) for t in range(5)])
    assert most_unpredicted(still, known) == [1.0]


def test_noise_in_a_third_of_the_picture_is_noise() -> None:
    part = np.where(COLUMNS > 130, 1, 0)
    shown = pictures([rings(t) + part * noise(t) for t in range(5)])
    assert most_unpredicted(shown, [NoiseModel.gaussian(SIGMA, 1)]) == [1.0]


def test_a_frame_blended_of_those_beside_it_tells_nothing() -> None:
    own = [0.5 + noise(t) for t in range(6)]
    own[2] = (own[1] + own[3]) / 2
    known = [NoiseModel.gaussian(SIGMA, 1)]
    assert most_unpredicted(pictures(own), known) == [1.0]
    assert most_unpredicted(pictures(own[1:4]), known)[0] < 0.2


def test_what_black_cut_off_and_what_is_painted_is_not_asked() -> None:
    dark = pictures([0.01 + noise(t, 0.1) for t in range(5)])
    painted = pictures([np.full(SIZE, 0.5)] * 5)
    assert most_unpredicted(dark, LAW) == most_unpredicted(painted, LAW) == [1.0]


def flips(time: int) -> np.ndarray:
    """Black and white pixels that change places in every frame."""
    return ((ROWS + COLUMNS + time) % 2).astype(float)


@pytest.mark.parametrize("sigma", [0, 3])
def test_black_and_white_that_change_places_are_no_noise(sigma: float) -> None:
    """Their result was gray: 88 dB of itself became 6."""
    clip = np.stack([flips(t) + noise(t, sigma / 255) for t in range(6)]).clip(0, 1)[:, None]
    frames = to_frames(clip, GRAY8)
    assert opening_noise(frames, engine_for(frames)).planes.models[0].sigma8[0] < 1.5 * sigma + 1


def test_of_noise_around_black_or_white_a_third_is_left() -> None:
    """Its half below black is cut off: the variance of the other is 1/2 - 1/(2 pi)."""
    shown = pictures([flips(t) + noise(t) for t in range(5)])
    (factor,) = most_unpredicted(shown, LAW)
    assert factor * 0.1 == pytest.approx(SIGMA, rel=0.15)
    assert most_unpredicted(shown, [NoiseModel.gaussian(SIGMA, 1)]) == [1.0]


def test_noise_of_which_black_cut_off_most_is_not_judged() -> None:
    """Night, with blacks one deviation below what the file holds: a fifteenth of it is left."""
    night = pictures([noise(t, 0.1) - 0.1 for t in range(5)])
    assert most_unpredicted(night, LAW) == [1.0]


@pytest.mark.parametrize(("height", "told"), [(67, False), (68, True)])
def test_small_planes_have_smaller_blocks(height: int, told: bool) -> None:
    """Two by two of 32 pixels, two from the borders."""
    shown = pictures([rings(t)[:height, :68] for t in range(3)])
    assert (most_unpredicted(shown, LAW)[0] < 0.2) == told


def test_counts_and_two_frames_stay() -> None:
    shown = pictures([rings(t) for t in range(3)])
    found = Measured(LAW[0], PlaneNoise(tuple(LAW), (white_shares(),)), [])
    counts = replace(GRAY8, levels=(0.0, 255.0))
    assert held_predicted(found, shown, counts) is found
    assert held_predicted(found, shown, GRAY8).model.sigma[0] < 0.1 * 0.2
    assert held_predicted(found, shown[:2], GRAY8) is found
