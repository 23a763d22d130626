"""Blind2Sound's networks: sizes as published, covariances that are some, what tiles need."""

import pytest
import torch

from f2rcli.engine import device as tiles
from f2rcli.models.blind2sound import LEAST, DenoisingUNet, Estimator, NoiseLevel, around
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


def test_the_published_estimator_has_as_many_parameters_as_the_paper_counts() -> None:
    assert count(Estimator(1)) == 1_677_507  # 1.68 M


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


def test_the_estimator_says_three_positive_numbers_of_every_picture() -> None:
    torch.manual_seed(0)
    estimator = Estimator(3, (4, 8, 8))
    for parameter in estimator.parameters():
        torch.nn.init.normal_(parameter)
    found = NoiseLevel.of(estimator(torch.randn(5, 3, 32, 48)))
    assert all(part.shape == (5,) and bool((part >= LEAST).all()) for part in found)
    dark = NoiseLevel.of(estimator(torch.zeros(1, 3, 32, 32)))
    assert all(bool((part > 0).all()) for part in dark)


def test_the_branches_read_variances_are_blended_by_visibility() -> None:
    noise = NoiseLevel(torch.tensor([4.0]), torch.tensor([2.0]), torch.tensor([1.0]))
    assert float(noise.read(3)) == pytest.approx((4 + 9 * 2) / 16)
