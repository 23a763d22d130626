"""A clip's noise measured in full, with the shipped weights on small frames."""

import json
from dataclasses import replace

import numpy as np
import pytest

from f2rcli.engine.measuring import measure_noise
from f2rcli.frames import Frame
from f2rcli.noise import NoiseLaw, NoiseReport
from f2rcli.noise.drawing import draw, png
from tests.engine.conftest import GRAY8, clean_clip, engine_for, info_of, to_frames


def measured(frames: list[Frame], *, interlaced: bool = False) -> NoiseReport | None:
    engine = engine_for(frames, interlaced=interlaced)
    return measure_noise(iter(frames), info_of(frames, interlaced=interlaced), engine)


def smooth_clip(count: int = 7, height: int = 144, width: int = 176) -> np.ndarray:
    """A soft scene that moves by two pixels per frame: (T, 3, H, W)."""
    rows, columns = np.indices((height, width + 2 * count))
    scene = 0.5 + 0.15 * np.sin(columns / 19) + 0.15 * np.cos(rows / 23)
    return np.stack([np.stack([scene[:, 2 * t : 2 * t + width]] * 3) for t in range(count)])


def noise_like(clip: np.ndarray, sigma: float = 20, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, sigma / 255, clip.shape)


@pytest.fixture(scope="module")
def report() -> NoiseReport:
    clip = smooth_clip()
    found = measured(to_frames(clip + noise_like(clip)))
    assert found is not None
    return found


def test_white_noise_is_measured_and_called_safe(report: NoiseReport) -> None:
    assert report.model.sigma8 == pytest.approx((20,) * 3, rel=0.06)
    assert report.white
    assert report.separate
    assert report.independent
    assert report.noisy
    assert report.law.kernels is None
    assert report.law.mixing is None
    assert any("sound" in sentence for sentence in report.meaning())


def test_the_report_is_json_and_its_law_comes_back(report: NoiseReport) -> None:
    values = json.loads(json.dumps(report.values(), allow_nan=False))
    assert NoiseLaw.from_values(values["law"]) == report.law
    assert values["flags"]["white"] is True


def test_the_report_can_be_drawn(report: NoiseReport) -> None:
    canvas = draw(report, "clip [1] é.mp4")
    assert canvas.dtype == np.uint8
    assert len(np.unique(canvas.reshape(-1, 3), axis=0)) > 20
    assert png(canvas).startswith(b"\x89PNG")
    assert draw(replace(report, spectrum=None), "clip").shape == canvas.shape


def test_correlated_noise_is_called_coloured() -> None:
    clip = smooth_clip()
    noise = noise_like(clip)
    blurred = (
        noise + np.roll(noise, 1, -1) + np.roll(noise, 1, -2) + np.roll(noise, 1, (-1, -2))
    ) / 2
    found = measured(to_frames(clip + blurred))
    assert found is not None
    assert not found.white
    assert found.spectrum is not None
    assert found.spectrum.rho_x == pytest.approx((0.5,) * 3, abs=0.06)
    assert found.model.sigma8 == pytest.approx((20,) * 3, rel=0.08)


def test_a_fixed_pattern_is_no_independent_noise() -> None:
    clip = smooth_clip()
    pattern = noise_like(clip[:1], 16, seed=5)
    found = measured(to_frames(clip + noise_like(clip, 12) + pattern))
    assert found is not None
    assert found.temporal.fixed is not None
    assert found.temporal.fixed > 0.3
    assert not found.independent


def test_a_clean_clip_has_hardly_any_noise() -> None:
    found = measured(to_frames(smooth_clip()))
    assert found is not None
    assert not found.noisy
    assert "nothing" in found.meaning()[0]


@pytest.mark.parametrize("level", [0.0, 1.0])
def test_a_clip_of_one_colour_ends_well(level: float) -> None:
    frames = to_frames(np.full((6, 3, 64, 80), level))
    frames = [replace(f, planes=(f.planes[0] ^ t, *f.planes[1:])) for t, f in enumerate(frames)]
    found = measured(frames)
    assert found is not None
    assert max(found.model.sigma8) < 2  # the frames differ by up to five codes
    json.dumps(found.values(), allow_nan=False)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_too_few_frames_are_no_measurement(count: int) -> None:
    frames = to_frames(clean_clip(3) + noise_like(clean_clip(3)))
    engine, info = engine_for(frames), info_of(frames)
    assert measure_noise(iter(frames[:count]), info, engine) is None


def test_copies_of_one_frame_are_no_measurement() -> None:
    frames = to_frames(np.repeat(clean_clip(1) + noise_like(clean_clip(1)), 8, axis=0))
    assert measured(frames) is None


def test_tiny_frames_are_no_measurement() -> None:
    clip = clean_clip(6, height=8, width=8)
    assert measured(to_frames(clip + noise_like(clip))) is None


def test_gray_and_interlaced_clips_are_measured() -> None:
    clip = smooth_clip()
    gray = measured(to_frames(clip + noise_like(clip), GRAY8))
    assert gray is not None
    assert gray.model.sigma8 == pytest.approx((20,), rel=0.08)
    fields = measured(to_frames(clip + noise_like(clip)), interlaced=True)
    assert fields is not None
    assert fields.model.sigma8 == pytest.approx((20,) * 3, rel=0.1)
