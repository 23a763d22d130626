"""Blind2Sound: one frame at a time, told nothing, with an estimator of its own."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from f2rcli import methods, weights
from f2rcli.engine import stream, tiles
from f2rcli.errors import WeightsError
from f2rcli.frames import Space
from f2rcli.header import CHANNELS, Header
from f2rcli.methods.base import Estimating
from f2rcli.methods.blind2sound import Blind2Sound
from f2rcli.methods.rgb_f2r import F2R
from f2rcli.models.blind2sound import Blind2SoundNetworks
from f2rcli.noise import model as model_room
from f2rcli.weights import Weights
from f2rcli.window import Window
from tests.engine.conftest import info_of, noisy_clip

EngineSettings = stream.EngineSettings
load_engine = stream.load_engine
restore_stream = stream.restore_stream
Runner = tiles.Runner
NoiseModel = model_room.NoiseModel

CONFIG = {"denoiser": {"width": 4, "wide": 6, "depth": 5}, "estimator": {"widths": (4, 8)}}


def header(channels: int = 3) -> Header:
    space = Space.RGB if channels == 3 else Space.GRAY
    return Header(method="blind2sound", space=space, channels=channels, length=1, config=CONFIG)


def tiny(channels: int = 3, tile: int | None = None) -> Blind2Sound:
    torch.manual_seed(0)
    networks = Blind2SoundNetworks(channels, **CONFIG)
    stored = Weights("tiny", header(channels), networks.state_dict())
    return Blind2Sound.of(stored, Runner(torch.device("cpu"), "fp32", tile))


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


class Saying(torch.nn.Module):
    """An estimator that says of every place what a function of its brightness does."""

    stride = reach = 8

    def __init__(self, said: Callable[[torch.Tensor], list[torch.Tensor]]) -> None:
        super().__init__()
        self.said = said

    def forward(self, noisy: torch.Tensor) -> torch.Tensor:
        return torch.cat(self.said(noisy.mean(1, keepdim=True)), 1)


def estimated(
    noisy: torch.Tensor, said: Callable[[torch.Tensor], list[torch.Tensor]]
) -> NoiseModel:
    method = tiny(noisy.shape[1])
    method.networks.estimator = Saying(said)  # type: ignore[assignment]
    return method.estimate_noise(noisy)


def ramp(channels: int = 3) -> torch.Tensor:
    return torch.linspace(0.2, 0.9, 64).repeat(48, 1).expand(1, channels, 48, 64)


def test_white_noise_is_not_shared_out_between_shot_and_read_noise() -> None:
    white = 0.01
    model = estimated(ramp(), lambda x: [*[white - 0.006 * x] * 2, torch.full_like(x, 0.006)])
    weight = (1 + 11**2) / 12**2  # of both branches, which read alike
    expected = white * weight + (1 - weight) * 0.006 * 0.55
    assert model.gain[0] < 2e-3
    assert model.sigma[0] ** 2 == pytest.approx(expected, rel=0.02)


def test_shot_noise_is_told_by_how_it_grows_with_the_light() -> None:
    model = estimated(ramp(1), lambda x: [0 * x, 144 / 121 * (0.001 + 0.007 * x), 0.003 + 0 * x])
    assert model.gain[0] == pytest.approx(0.01, rel=1e-3)
    assert model.read[0] ** 2 == pytest.approx(0.001, rel=1e-2)


@pytest.mark.parametrize("size", [(64, 64), (5, 40)])
def test_of_one_brightness_the_strength_is_still_right(size: tuple[int, int]) -> None:
    flat = torch.full((1, 3, *size), 0.4)
    model = estimated(flat, lambda x: [0 * x, 144 / 121 * (0.004 + 0 * x), 0.01 + 0 * x])
    assert model.sigma[0] ** 2 == pytest.approx(0.008, rel=1e-3)


def test_neither_shot_nor_read_noise_is_below_none() -> None:
    falling = estimated(ramp(), lambda x: [0 * x, 144 / 121 * (0.01 - 0.005 * x), 0 * x])
    steep = estimated(ramp(), lambda x: [0 * x, 144 / 121 * (0.02 * x - 0.003).relu(), 0 * x])
    assert (falling.gain[0], steep.read[0]) == (0, 0)
    assert steep.sigma[0] ** 2 == pytest.approx(0.008, rel=0.05)


def test_the_estimate_is_one_law_for_all_channels_with_each_ones_level() -> None:
    tint = torch.tensor([0.2, 0.5, 1.0]).view(1, 3, 1, 1)
    noisy = ramp() * tint
    model = estimated(noisy, lambda x: [0 * x, 144 / 121 * (0.001 + 0 * x), 0.01 + 0 * x])
    assert len(set(model.gain)) == len(set(model.read)) == 1
    assert model.sigma[0] < model.sigma[1] < model.sigma[2]
    expected = (model.gain[0] * noisy.mean((0, 2, 3)) + model.read[0] ** 2).sqrt()
    torch.testing.assert_close(torch.tensor(model.sigma), expected)


def test_places_where_white_cuts_noise_off_do_not_count() -> None:
    noisy = ramp().clone()
    noisy[..., 40:] = 1
    cut = estimated(noisy, lambda x: [0 * x, 144 / 121 * torch.where(x < 0.9, 0.01, 0.004), 0 * x])
    assert cut.gain[0] == pytest.approx(0, abs=1e-6)
    assert cut.sigma[0] ** 2 == pytest.approx(0.01, rel=1e-3)
    noisy[:] = 1
    all_white = estimated(noisy, lambda x: [0 * x, 144 / 121 * (0.004 + 0 * x), 0 * x])
    assert all_white.sigma[0] ** 2 == pytest.approx(0.004, rel=1e-3)


def bundled(space: Space) -> Blind2Sound:
    stored = weights.load(weights.choose("blind2sound", space))
    return Blind2Sound.of(stored, Runner(torch.device("cpu"), "fp32", None))


def flat_places(sigma: float) -> tuple[torch.Tensor, torch.Tensor]:
    """A gray picture (1, 1, 192, 256) of 48 flat places, clean and noisy, in whole codes."""
    rng = np.random.default_rng(0)
    clean = np.kron(rng.uniform(60, 200, (1, 1, 6, 8)), np.ones((1, 1, 32, 32)))
    noisy = np.clip(np.rint(clean + rng.normal(0, sigma, clean.shape)), 0, 255)
    return torch.from_numpy(clean / 255).float(), torch.from_numpy(noisy / 255).float()


@pytest.mark.parametrize("space", [Space.RGB, Space.GRAY])
@pytest.mark.parametrize("sigma", [20, 30])
def test_the_bundled_estimators_read_white_noise_as_white(sigma: float, space: Space) -> None:
    clean, _ = flat_places(0)
    wide = clean.expand(1, CHANNELS[space], -1, -1)
    noise = torch.randn(wide.shape, generator=torch.Generator().manual_seed(0)) * sigma / 255
    model = bundled(space).estimate_noise((wide + noise).clamp(0, 1))
    assert model.sigma8 == pytest.approx((sigma,) * CHANNELS[space], rel=0.1)
    assert 255 * model.read[0] > 0.8 * sigma


def test_gray_pictures_are_better_off_with_weights_of_their_own() -> None:
    clean, noisy = flat_places(30)
    own = bundled(Space.GRAY).prepare(0, noisy, None).coarse
    through = bundled(Space.RGB).prepare(0, noisy.expand(1, 3, -1, -1), None).coarse.mean(1)
    errors = [float((picture - clean).square().mean()) for picture in (noisy, through, own)]
    assert errors[2] < errors[1] / 1.3 < errors[0] / 3


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
        Blind2Sound.of(Weights("cut", header(), tensors), lambda *inputs: None)
