"""What is taken out of sensor values has no mean, over all of them and at any brightness."""

import torch
from torch import Tensor

from f2rcli.engine.debias import without_bias as of_planes


def without_bias(change: Tensor, planes: Tensor) -> Tensor:
    """Of pictures (1, C, H, W)."""
    found = of_planes(list(change[0].numpy()), list(planes[0].numpy()))
    return torch.stack([torch.from_numpy(plane) for plane in found])[None]


def pictures(size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A ramp (1, 2, H, W) and noise that would be taken out of it."""
    ramp = torch.linspace(0.1, 0.9, size).expand(1, 2, size, size)
    return ramp, 0.05 * torch.randn(ramp.shape, generator=torch.Generator().manual_seed(0))


def test_a_shade_that_depends_on_brightness_goes_and_the_noise_stays_taken_out() -> None:
    ramp, noise = pictures(256)
    wrong = torch.tensor([0.02, -0.01]).view(1, 2, 1, 1) * (ramp - 0.3)
    change = without_bias(wrong - noise, ramp + noise)
    left = (change + noise).view(1, 2, 256, 16, 16).mean((2, 4))  # by brightness
    assert left.abs().max() < 0.0015
    assert torch.corrcoef(torch.stack([change.flatten(), noise.flatten()]))[0, 1] < -0.99


def test_the_mean_of_every_plane_is_kept() -> None:
    for size in (8, 256):  # too small for bins of brightness, and large enough
        ramp, noise = pictures(size)
        mean = without_bias(noise + 0.1, ramp).double().mean((2, 3))
        assert mean.abs().max() < 1e-6


def test_pixels_on_their_own_side_of_an_edge_are_not_mixed() -> None:
    step = torch.cat([torch.full((1, 1, 128, 64), 0.2), torch.full((1, 1, 128, 64), 0.8)], 3)
    noise = 0.05 * torch.randn(step.shape, generator=torch.Generator().manual_seed(1))
    change = without_bias(-noise, step + noise)
    assert (change + noise).abs().max() < 0.005
