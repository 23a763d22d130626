"""Blind2Sound: one frame at a time, told nothing."""

from pathlib import Path

import numpy as np
import pytest
import torch

from f2rcli import weights
from f2rcli.engine import device as tiles
from f2rcli.engine import stream
from f2rcli.frames import Family
from f2rcli.methods.blind2sound import Blind2Sound
from f2rcli.models.blind2sound import Blind2SoundNetworks
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


def test_tiles_change_nothing() -> None:
    noisy = torch.rand(1, 1, 90, 420)
    whole = tiny(1).prepared(0, noisy).coarse
    torch.testing.assert_close(tiny(1, tile=64).prepared(0, noisy).coarse, whole)


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
