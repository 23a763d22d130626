"""A method's own estimate of the noise, beside what blind anchors measure."""

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from torch import Tensor

from f2rcli import weights
from f2rcli.engine import stream
from f2rcli.engine.noise.measurement import estimated, measure_noise, measure_pictures
from f2rcli.noise import model
from tests.engine.conftest import info_of, noisy_clip

EngineSettings = stream.EngineSettings
load_engine = stream.load_engine
NoiseModel = model.NoiseModel

blind2sound = pytest.importorskip("tests.methods.test_blind2sound", reason="it was removed")


class Said:
    """An estimator that says what it was told to."""

    name: ClassVar[str] = "said"

    def __init__(self, *models: NoiseModel) -> None:
        self.models: Iterator[NoiseModel] = iter(models)

    def estimate_noise(self, noisy: Tensor) -> NoiseModel:
        return next(self.models)


def law(gain: float, read: float) -> NoiseModel:
    return NoiseModel((gain,), (read,), ((gain / 2 + read**2) ** 0.5,), 1000)


PICTURES = [torch.rand(1, 1, 32, 32), torch.rand(1, 1, 32, 32)]


def test_estimates_are_averaged_as_variances() -> None:
    report = estimated(Said(law(0.01, 0.1), law(0.03, 0.2)), PICTURES, None, (0.0, 0.0))
    assert report.model.gain == pytest.approx((0.02,))
    assert report.model.read == pytest.approx((0.025**0.5,))
    assert report.model.sigma == pytest.approx((0.035**0.5,))
    assert report.model.samples == 2000
    assert report.by_frame == pytest.approx((0.015**0.5, 0.055**0.5))


def test_without_a_measurement_nothing_is_claimed_of_space_and_time() -> None:
    report = estimated(Said(law(0.01, 0.1)), PICTURES[:1], None, (0.1, 0.2))
    assert (report.estimator, report.measured, report.spectrum) == ("said", None, None)
    assert report.temporal.independent is None
    assert (report.black, report.white_rail) == (0.1, 0.2)
    assert "only one frame could be measured" in report.confidence.reasons
    assert report.values()["estimator"] == "said"


@pytest.fixture
def settings(tmp_path: Path) -> EngineSettings:
    path = tmp_path / "tiny.safetensors"
    weights.save(path, blind2sound.header(), blind2sound.tiny().networks.state_dict())
    return EngineSettings(method="blind2sound", weights=str(path), device="cpu", precision="fp32")


def test_a_clips_report_holds_both_the_estimate_and_the_measurement(
    settings: EngineSettings,
) -> None:
    frames = noisy_clip(5)
    info = info_of(frames)
    engine = load_engine(settings, info)
    report = measure_noise(frames, info, engine, windows_used=1)
    assert report is not None
    assert report.estimator == "blind2sound"
    pictures = [engine.to_tensor(frame) for frame in frames]
    measurer = engine.new_measurer()
    assert measurer is not None
    found = measure_pictures(pictures, measurer, 1)
    assert found is not None
    assert report.measured is not None
    assert report.measured.sigma8 == pytest.approx(found.model.sigma8, rel=0.1)
    assert report.temporal == found.temporal
    first = blind2sound.tiny().estimate_noise(pictures[0])
    assert report.by_frame[0] == pytest.approx(sum(first.sigma) / 3, rel=0.01)


def test_one_frame_is_enough_for_an_estimate(settings: EngineSettings) -> None:
    frames = noisy_clip(1)
    report = measure_noise(frames, info_of(frames), load_engine(settings, info_of(frames)))
    assert report is not None
    assert report.measured is None
    assert report.frames == 1
