"""Blind2Sound: one frame at a time, told nothing, with an estimator of its own."""

from pathlib import Path

import numpy as np
import pytest
import torch

from f2rcli import methods, weights
from f2rcli.engine.stream import EngineSettings, load_engine, restore_stream
from f2rcli.engine.tiles import Runner
from f2rcli.errors import WeightsError
from f2rcli.frames import Space
from f2rcli.header import Header
from f2rcli.methods.base import Estimating
from f2rcli.methods.blind2sound import Blind2Sound
from f2rcli.methods.f2r import F2R
from f2rcli.models.blind2sound import Blind2SoundNetworks
from f2rcli.noise.model import NoiseModel
from f2rcli.weights import Weights
from f2rcli.window import Window
from tests.engine.conftest import info_of, noisy_clip

CONFIG = {"denoiser": {"width": 4, "wide": 6, "depth": 5}, "estimator": {"widths": (4, 8)}}


def header(channels: int = 3) -> Header:
    space = Space.RGB if channels == 3 else Space.GRAY
    return Header(method="blind2sound", space=space, channels=channels, length=1, config=CONFIG)


def tiny(channels: int = 3, tile: int | None = None) -> Blind2Sound:
    torch.manual_seed(0)
    networks = Blind2SoundNetworks(channels, **CONFIG)
    stored = Weights("tiny", header(channels), networks.state_dict())
    return Blind2Sound.from_weights(stored, Runner(torch.device("cpu"), "fp32", tile))


@pytest.fixture
def saved(tmp_path: Path) -> str:
    path = tmp_path / "tiny.safetensors"
    weights.save(path, header(), tiny().networks.state_dict())
    return str(path)


def test_the_method_is_found_by_its_files_name() -> None:
    assert methods.load("blind2sound") is Blind2Sound
    assert Blind2Sound.length == 1


def test_the_result_is_the_visible_mean_whatever_is_said_of_the_noise() -> None:
    method, noisy = tiny(), torch.rand(1, 3, 41, 50)
    results = []
    for noise in (None, NoiseModel.gaussian(0.2, 3)):
        prepared = method.prepare(0, noisy, noise)
        results.append(method.restore(Window(prepared, (), ()), noise))
        assert prepared.luma.shape == (41, 50)
        assert method.independent_pair(Window(prepared, (), ())) is None
    for one, other in zip(*results, strict=True):
        assert torch.equal(one, other)
    wide = torch.nn.functional.pad(noisy, (0, 14, 0, 23), "replicate")
    torch.testing.assert_close(
        results[0].refined, method.networks.denoiser(wide)[..., :41, :50].detach()
    )


def test_tiles_change_nothing() -> None:
    noisy = torch.rand(1, 1, 90, 420)
    whole = tiny(1).prepare(0, noisy, None).coarse
    torch.testing.assert_close(tiny(1, tile=64).prepare(0, noisy, None).coarse, whole)


def test_only_this_method_brings_an_estimator_of_its_own() -> None:
    assert isinstance(tiny(), Estimating)
    assert not hasattr(F2R, "estimate_noise")


def test_the_estimate_is_one_law_for_all_channels_with_each_ones_level() -> None:
    noisy = torch.rand(1, 3, 40, 50) * torch.tensor([0.2, 0.5, 1.0]).view(1, 3, 1, 1)
    model = tiny().estimate_noise(noisy)
    assert len(set(model.gain)) == len(set(model.read)) == 1
    assert model.gain[0] > 0
    assert model.read[0] > 0
    assert model.sigma[0] < model.sigma[1] < model.sigma[2]
    means = noisy.mean((0, 2, 3))
    expected = (model.gain[0] * means + model.read[0] ** 2).sqrt()
    torch.testing.assert_close(torch.tensor(model.sigma), expected)


def test_a_clip_is_restored_one_frame_for_one(saved: str) -> None:
    frames = noisy_clip(3)
    settings = EngineSettings(
        method="blind2sound", weights=saved, sigma=25.0, device="cpu", precision="fp32"
    )
    engine = load_engine(settings, info_of(frames))
    done = list(restore_stream(iter(frames), engine))
    assert [frame.pts for frame in done] == [frame.pts for frame in frames]
    assert all(
        not np.array_equal(one.planes[0], two.planes[0])
        for one, two in zip(done, frames, strict=True)
    )


def test_weights_of_another_method_are_refused_in_one_line(saved: str) -> None:
    frames = noisy_clip(1)
    with pytest.raises(WeightsError, match="weights for method blind2sound, not f2r"):
        load_engine(EngineSettings(weights=saved), info_of(frames))


def test_tensors_that_do_not_fit_the_header_are_refused() -> None:
    tensors = tiny().networks.state_dict()
    tensors.pop("denoiser.tail.bias")
    with pytest.raises(WeightsError, match=r"denoiser\.tail\.bias"):
        Blind2Sound.from_weights(Weights("cut", header(), tensors), lambda *inputs: None)
