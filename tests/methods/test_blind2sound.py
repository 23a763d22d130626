"""Blind2Sound: a network of the published size, one frame at a time, told nothing."""

from pathlib import Path

import numpy as np
import pytest
import torch

from f2rcli import weights
from f2rcli.engine import device as tiles
from f2rcli.engine import stream
from f2rcli.frames import Family
from f2rcli.methods.blind2sound import Blind2Sound, Blind2SoundNetworks, DenoisingUNet, around
from f2rcli.models.layers import Belief
from f2rcli.noise import model as model_room
from f2rcli.weights import Header, Weights
from f2rcli.window import Window
from tests.engine.conftest import info_of, noisy_clip

EngineSettings = stream.EngineSettings
load_engine = stream.load_engine
restore_stream = stream.restore_stream
Runner = tiles.Runner
NoiseModel = model_room.NoiseModel

CONFIG = {"denoiser": {"width": 4, "wide": 6, "depth": 5}}


def header(channels: int = 3) -> Header:
    space = Family.RGB if channels == 3 else Family.GRAY
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


def test_the_result_is_the_visible_mean_whatever_is_said_of_the_noise() -> None:
    method, noisy = tiny(), torch.rand(1, 3, 41, 50)
    results = []
    for noise in (NoiseModel.gaussian(0.0, 3), NoiseModel.gaussian(0.2, 3)):
        prepared = method.prepared(0, noisy)
        results.append(method.restored(Window(prepared, (), ()), noise))
        assert prepared.look.shape[-2:] == (21, 25)
    assert torch.equal(*results)
    wide = torch.nn.functional.pad(noisy, (0, 14, 0, 23), "replicate")
    torch.testing.assert_close(results[0], method.networks.denoiser(wide)[..., :41, :50].detach())


def bundled(space: Family) -> Blind2Sound:
    stored = weights.load(weights.choose("blind2sound", space))
    return Blind2Sound.of(stored, Runner(torch.device("cpu"), "fp32", None))


def flat_places(sigma: float) -> tuple[torch.Tensor, torch.Tensor]:
    """A gray picture (1, 1, 192, 256) of 48 flat places, clean and noisy, in whole codes."""
    rng = np.random.default_rng(0)
    clean = np.kron(rng.uniform(60, 200, (1, 1, 6, 8)), np.ones((1, 1, 32, 32)))
    noisy = np.clip(np.rint(clean + rng.normal(0, sigma, clean.shape)), 0, 255)
    return torch.from_numpy(clean / 255).float(), torch.from_numpy(noisy / 255).float()


def test_gray_pictures_are_better_off_with_weights_of_their_own() -> None:
    clean, noisy = flat_places(30)
    own = bundled(Family.GRAY).prepared(0, noisy).coarse
    through = bundled(Family.RGB).prepared(0, noisy.expand(1, 3, -1, -1)).coarse.mean(1)
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


# --- Its network


TINY = {"width": 4, "wide": 6}


def count(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(
    ("channels", "outputs", "parameters"), [(1, 2, 1.100), (3, 9, 1.103), (4, 14, 1.105)]
)
def test_parameters_are_as_published(channels: int, outputs: int, parameters: float) -> None:
    denoiser = DenoisingUNet(channels)
    assert count(denoiser) / 1e6 == pytest.approx(parameters, abs=5e-4)  # 1.102 M are published
    assert denoiser.tail.out_channels == outputs


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_belief_takes_apart_what_the_denoiser_gives(channels: int) -> None:
    denoiser = DenoisingUNet(channels, **TINY)
    noisy = torch.rand(2, channels, 32, 64)
    belief = Belief.of(denoiser.raw(noisy))
    torch.testing.assert_close(belief.mean, denoiser(noisy))
    assert belief.covariance.shape == (2, 32, 64, channels, channels)
    assert torch.linalg.eigvalsh(belief.covariance.detach().double()).min() > -1e-9


def test_training_begins_with_the_mean_of_each_pixels_neighbours() -> None:
    torch.manual_seed(0)
    noisy = torch.rand(1, 3, 64, 64)
    near = torch.nn.functional.conv2d(noisy, around(noisy).expand(3, 1, 3, 3), groups=3)
    mean = DenoisingUNet(3, **TINY)(noisy)[..., 1:-1, 1:-1]
    torch.testing.assert_close(mean, near)


def test_nothing_beyond_the_reach_changes_a_pixel() -> None:
    torch.manual_seed(0)
    denoiser = DenoisingUNet(1, width=2, wide=2, depth=3).double()
    assert denoiser.reach == 40
    noisy = torch.rand(1, 1, 24, 192, dtype=torch.float64, requires_grad=True)
    for column in (95, 96, 103):
        (gradient,) = torch.autograd.grad(denoiser.raw(noisy)[..., 12, column].sum(), noisy)
        seen = gradient[0, 0].abs().amax(0).nonzero()[:, 0]
        assert column - denoiser.reach <= int(seen.min())
        assert int(seen.max()) <= column + denoiser.reach


@pytest.mark.parametrize("tile", [64, 72, 200])
def test_tiles_give_the_numbers_of_the_whole_picture(tile: int) -> None:
    torch.manual_seed(0)
    denoiser = DenoisingUNet(3, **TINY).eval()
    noisy = torch.rand(1, 3, 72, 411)
    device = torch.device("cpu")
    whole = Runner(device, "fp32", None)(denoiser, noisy)
    torch.testing.assert_close(Runner(device, "fp32", tile)(denoiser, noisy), whole)
