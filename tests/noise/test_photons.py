"""The law of photon counts from what adjacent frames differ by."""

import cv2
import numpy as np
import pytest

from f2rcli.noise import model as models
from f2rcli.noise import photons

GAIN, OFFSET, READ = 8.0, 100.0, 4.0
ZERO = OFFSET - READ**2 / GAIN
Light = np.ndarray  # electrons, (H, W) or (T, H, W)


def counted(
    light: Light, seed: int = 0, *, gain: float = GAIN, read: float = READ, frames: int = 6
) -> list[np.ndarray]:
    """Codes of light with read noise, as they are stored."""
    rng = np.random.default_rng(seed)
    light = light if light.ndim == 3 else np.broadcast_to(light, (frames, *light.shape))
    codes = gain * rng.poisson(light) + OFFSET + rng.normal(0, read, light.shape)
    return list(np.rint(codes).astype(np.float32))


def line_of(frames: list[np.ndarray]) -> photons.PhotonLine:
    line = photons.photon_line(frames)
    assert line is not None
    return line


def is_sure(line: photons.PhotonLine) -> bool:
    """Whether there is a gain at all, and variance in the dark."""
    return line.gain > 3 * line.error and line.dark > line.zero


def smooth(electrons: float) -> Light:
    rows, columns = np.mgrid[:128, :128] / 128
    return electrons * (1 + 0.9 * np.sin(7 * rows) * np.cos(9 * columns))


def cells(electrons: float, seed: int = 7) -> Light:
    """Light (96, 96) of cells on a texture."""
    rng = np.random.default_rng(seed)
    texture = cv2.GaussianBlur(rng.normal(size=(96, 96)), (0, 0), 4)
    light = np.clip(1 + 0.5 * texture / texture.std(), 0.1, None)
    rows, columns = np.ogrid[:96, :96]
    for row, column in rng.uniform(0, 96, (8, 2)):
        far = np.hypot(rows - row, columns - column)
        light = light + 3 * rng.uniform(0.3, 1) / (1 + np.exp((far - 5) / 0.8))
    return light * (electrons / light.mean())


@pytest.mark.parametrize("electrons", [0.5, 1, 2, 20])
def test_gain_and_zero_of_uneven_light_are_right_within_ten_percent(electrons: float) -> None:
    line = line_of(counted(smooth(electrons)))
    assert is_sure(line)
    assert line.gain == pytest.approx(GAIN, rel=0.1)
    assert abs(line.gain - GAIN) < 4 * line.unsure
    assert abs(line.zero - ZERO) < max(0.1, 0.05 * electrons) * GAIN


@pytest.mark.parametrize(("electrons", "within"), [(0.3, 0.2), (1.0, 0.1)])
def test_cells_of_dim_light_tell_gain_within_what_is_said(electrons: float, within: float) -> None:
    for seed in range(4):
        line = line_of(counted(cells(electrons, seed), seed))
        assert line.gain == pytest.approx(GAIN, rel=within)
        assert abs(line.gain - GAIN) < 3.5 * line.unsure


@pytest.mark.parametrize(("gain", "electrons"), [(0.5, 0.3), (0.5, 2.0), (0.7, 0.1), (1.0, 1.0)])
def test_codes_coarser_than_electrons_tell_gain_within_error(gain: float, electrons: float) -> None:
    for seed in range(2):
        frames = counted(cells(electrons, seed), seed, gain=gain, read=0.5 * gain, frames=32)
        line = line_of(frames)
        assert abs(line.gain - gain) < 3 * line.unsure


@pytest.mark.parametrize("what", ["texture that moves", "planes of depth"])
def test_what_changes_from_frame_to_frame_is_not_counted_as_light(what: str) -> None:
    rng = np.random.default_rng(6)
    if what == "planes of depth":
        rows, columns = np.mgrid[:128, :128]
        shown = np.full((6, 128, 128), 1.0)
        for plane, row, column in rng.integers(0, (6, 128, 128), (150, 3)):
            spot = np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / 30)
            shown += 40 * spot * np.exp(-((np.arange(6) - plane)[:, None, None] ** 2) / 2)
    else:
        rough = cv2.GaussianBlur(rng.normal(size=(128, 160)), (0, 0), 1.5)
        light = 2 + np.linspace(0, 12, 128)[:, None] * np.clip(1 + 0.5 * rough / rough.std(), 0, 3)
        shown = np.stack([light[:, 3 * t : 3 * t + 128] for t in range(6)])
    assert line_of(counted(shown, read=0.0)).gain == pytest.approx(GAIN, rel=0.3)


def test_a_flat_picture_has_no_sure_gain_and_too_little_tells_nothing() -> None:
    rng = np.random.default_rng(1)
    line = photons.photon_line(list(rng.normal(100, 5, (6, 96, 96)).astype(np.float32)))
    assert line is None or not is_sure(line)
    assert photons.photon_line(counted(smooth(1), frames=2)) is None
    assert photons.photon_line([one[:16, :16] for one in counted(smooth(1))]) is None
    assert photons.photon_line([np.full((96, 96), 7, np.float32)] * 6) is None


def test_a_model_is_that_of_the_whole_picture_where_counts_tell_more_than_anchors() -> None:
    columns = np.linspace(0, 3, 128)
    light = np.tile(0.03 + np.clip(columns - 1, 0, None) ** 3, (128, 1))  # hardly any in a third
    frames = [[one] for one in counted(light, 5, read=0.0)]
    found = photons.counted_model(frames, models.NoiseModel.gaussian(10.0, 1))
    assert found is not None
    assert found.gain[0] == pytest.approx(GAIN, rel=0.1)
    assert found.sigma[0] == pytest.approx((GAIN**2 * light.mean()) ** 0.5, rel=0.05)
    bright = [[one] for one in counted(smooth(20))]
    line = models.NoiseModel((GAIN,), (READ,), (30.0,))
    assert photons.counted_model(bright, line) is None  # anchors know it better


def test_what_moves_in_bright_light_is_no_proof_of_few_photons() -> None:
    """As rippling water in a burst of ISO 200, whose gain was read ten times too high."""
    waves = 1 + 0.6 * np.random.default_rng(3).normal(size=(6, 128, 128))
    frames = [[one] for one in counted(smooth(400) * np.clip(waves, 0.05, None), gain=0.5)]
    blocks = models.NoiseModel((0.5,), (READ,), (10.0,))
    assert photons.counted_model(frames, blocks) is not None
    assert photons.counted_model(frames, blocks, known=photons.FEW) is None


def test_colours_share_a_gain_unless_a_camera_multiplies_some_of_them() -> None:
    light = smooth(2)
    for second in (1.0, 1.8):
        both = counted(light), [OFFSET + second * (one - OFFSET) for one in counted(light, 1)]
        frames = [list(pair) for pair in zip(*both, strict=True)]
        found = photons.counted_model(frames, models.NoiseModel((0.0,) * 2, (9.0,) * 2, (9.0,) * 2))
        assert found is not None
        assert found.gain[0] == pytest.approx(GAIN, rel=0.1)
        assert found.gain[1] == pytest.approx(second * GAIN, rel=0.1)
        assert (found.gain[0] == found.gain[1]) == (second == 1)
