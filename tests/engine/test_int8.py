"""Where runs take int8: if asked to, for noise that is not faint, by weights with ranges."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from f2rcli import weights
from f2rcli.engine.loading import load_engine
from f2rcli.engine.settings import EngineSettings
from f2rcli.engine.stream import denoise_stream
from f2rcli.errors import ConfigError, WeightsError
from f2rcli.frames import ClipInfo, Frame
from f2rcli.models.convolutions import int8
from f2rcli.training.run.config import TrainConfig
from tests.engine.conftest import info_of, noisy_clip
from tests.models.test_int8 import needs_vnni


@pytest.fixture
def vector_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    """A processor without matrix units, on which float32 is faster than bf16."""
    monkeypatch.setattr("torch.cpu._is_amx_tile_supported", lambda: False)
    monkeypatch.setattr("torch.cpu._is_avx512_bf16_supported", lambda: False)


def bytewise(frames: list[Frame], info: ClipInfo, **settings: object) -> tuple[str, int]:
    """The precision that a run says it has, and how many blocks ran in int8 after the opening."""
    calls, real = [0], int8.residual

    def counted(*given: object) -> torch.Tensor:
        calls[0] += 1
        return real(*given)  # type: ignore[arg-type]

    engine = load_engine(EngineSettings(threads=1, **settings), info)  # type: ignore[arg-type]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(int8, "residual", counted)
        list(denoise_stream(iter(frames), info, engine))
    return engine.precision, calls[0]


@needs_vnni
@pytest.mark.usefixtures("vector_processor")
def test_strong_noise_runs_in_int8_and_loses_nothing_if_asked_to() -> None:
    clean, frames = noisy_clip(3, sigma=0), noisy_clip(3, sigma=25)
    info = info_of(frames)
    precision, calls = bytewise(frames, info, precision="int8")
    assert precision == "int8"
    # coarse once a frame, anchor and refiner once, four blocks each; none while noise is measured
    assert calls == 3 * 3 * 4
    errors = {}
    for kind in ("int8", "fp32"):
        engine = load_engine(EngineSettings(threads=1, precision=kind), info)
        done = [np.stack(f.planes) for f in denoise_stream(iter(frames), info, engine)]
        truth = [np.stack(f.planes).astype(float) for f in clean]
        errors[kind] = np.mean([(a - b) ** 2 for a, b in zip(done, truth, strict=True)])
    assert errors["int8"] < 1.01 * errors["fp32"]
    assert errors["int8"] != errors["fp32"]


@needs_vnni
@pytest.mark.parametrize(("sigma", "chosen"), [(2, "int8"), (25, "auto"), (25, "fp32")])
def test_faint_noise_and_all_other_runs_are_in_floats(sigma: float, chosen: str) -> None:
    frames = noisy_clip(2, sigma=sigma)
    assert bytewise(frames, info_of(frames), precision=chosen)[1] == 0


@needs_vnni
@pytest.mark.usefixtures("vector_processor")
def test_weights_without_ranges_cannot_run_in_int8(tmp_path: Path) -> None:
    """A user's own: the same tensors under another SHA-256."""
    own = weights.load("f2r-rgb-small")
    path = tmp_path / "own.safetensors"
    weights.save(path, replace(own.header, trained_on="something else"), own.tensors)
    info = info_of(noisy_clip(1))
    with pytest.raises(WeightsError, match="ranges are not known"):
        load_engine(EngineSettings(weights=str(path), precision="int8"), info)


def test_damaged_ranges_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "weights"
    shutil.copytree(weights.folder(), folder)
    damaged = folder / "int8.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"\x01")
    monkeypatch.setattr(weights, "folder", lambda: folder)
    with pytest.raises(WeightsError, match=r"int8\.safetensors: SHA-256"):
        weights.ranges(weights.load("f2r-rgb-small"))


def test_networks_learn_in_floats() -> None:
    with pytest.raises(ConfigError, match="learn in floats"):
        TrainConfig(inputs=("clips",), output="own.safetensors", precision="int8")


def test_the_entry_of_ranges_is_no_weights() -> None:
    assert weights.RANGES not in weights.available()
    assert all("method" in entry for entry in weights.manifest().values())
