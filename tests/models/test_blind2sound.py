"""Blind2Sound's network: sizes as published, covariances that are some, what tiles need."""

import pytest
import torch

from f2rcli.engine import device as tiles
from f2rcli.models.blind2sound import DenoisingUNet, around
from f2rcli.models.layers import Belief

Runner = tiles.Runner

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
