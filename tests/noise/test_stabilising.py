"""The space in which sensor noise has one strength."""

import pytest
import torch

from f2rcli.noise import model, stabilising

NoiseModel = model.NoiseModel
PEDESTAL = stabilising.PEDESTAL
VarianceStabiliser = stabilising.VarianceStabiliser
lowest = stabilising.lowest

MODEL = NoiseModel((0.01, 0.02), (0.01, 0.0), (0.05, 0.05), dark=(0.0, 0.25))


DARK = torch.tensor(MODEL.dark).view(1, 2, 1, 1)


def recorded(space: VarianceStabiliser, light: list[float], count: int) -> torch.Tensor:
    """Two channels of so many samples of each light, with the noise of MODEL, (1, 2, N, count)."""
    generator = torch.Generator().manual_seed(0)
    steady = torch.tensor(light).view(1, 1, -1, 1).expand(1, 2, -1, count)
    photons = torch.poisson(steady / space.gain, generator) * space.gain
    return DARK + photons + torch.randn(photons.shape, generator=generator) * space.read


def test_noise_has_one_strength_at_every_brightness_and_in_every_channel() -> None:
    space = VarianceStabiliser.of(MODEL)
    noisy = recorded(space, [0.1, 0.3, 0.9], 60_000)
    spread = space.into(noisy).std(-1) / space.sigma
    assert torch.allclose(spread, torch.ones_like(spread), atol=0.06)


def test_the_mean_in_the_space_goes_back_to_the_mean_of_the_signal() -> None:
    space = VarianceStabiliser.of(MODEL)
    light = [0.02, 0.1, 0.5]
    mean = space.into(recorded(space, light, 200_000)).mean(-1, keepdim=True)
    found = space.back(mean) - DARK
    assert torch.allclose(found, torch.tensor(light).view(1, 1, 3, 1), rtol=0.01, atol=3e-4)


def test_dark_lies_a_pedestal_above_zero_and_white_at_one() -> None:
    space = VarianceStabiliser.of(NoiseModel((0.01,), (0.02,), (0.05,)))
    ends = space.into(torch.tensor([0.0, 1.0]).view(1, 1, 1, 2)).flatten()
    assert ends.tolist() == pytest.approx([PEDESTAL * space.sigma, 1.0], abs=1e-5)


def test_the_darkest_light_of_a_stack_lies_a_pedestal_above_zero() -> None:
    law = NoiseModel((1e-3,), (0.0,), (0.02,))
    torch.manual_seed(0)
    noisy = 0.25 + 0.25e-3**0.5 * torch.randn(1, 1, 300, 300)
    space = VarianceStabiliser.of(law, low=lowest([noisy, noisy + 0.2]))
    assert float(space.into(noisy).mean() / space.sigma) == pytest.approx(PEDESTAL, abs=0.3)
    assert torch.allclose(space.back(space.into(noisy)), noisy, atol=1e-3)  # a gain, at most


def test_a_picture_far_darker_than_its_stack_is_lifted_above_zero() -> None:
    law = NoiseModel((1e-3,), (0.0,), (0.02,))
    space = VarianceStabiliser.of(law, low=0.2)
    assert space.lift(0.2) == space.lift(0.19) == 0
    torch.manual_seed(0)
    dark = torch.full((1, 1, 8, 8), 0.02) + 0.02e-3**0.5 * torch.randn(1, 1, 8, 8)
    assert float(space.into(dark).mean()) < 0
    assert float(space.into(dark).mean() + space.lift(lowest([dark]))) > 0


def test_where_a_stack_is_dark_nothing_comes_closer_to_zero_than_its_dark() -> None:
    law = NoiseModel((0.01,), (0.02,), (0.05,))
    assert VarianceStabiliser.of(law, low=-0.1) == VarianceStabiliser.of(law)


def test_noise_without_a_gain_is_moved_and_scaled_alone() -> None:
    space = VarianceStabiliser.of(NoiseModel.gaussian(0.1, 1))
    signal = torch.linspace(-0.5, 1.5, 9).view(1, 1, 3, 3)
    steps = space.into(signal).flatten().diff()
    assert torch.allclose(steps, steps[:1].expand(8), atol=1e-5)
    assert torch.allclose(space.back(space.into(signal)), signal, atol=1e-5)
    assert space.model.sigma == pytest.approx((0.1 * float(steps[0]) / 0.25,), rel=1e-4)


def test_a_clean_signal_stays_finite() -> None:
    space = VarianceStabiliser.of(NoiseModel.gaussian(0.0, 1))
    signal = torch.linspace(0, 1, 9).view(1, 1, 3, 3)
    assert torch.allclose(space.back(space.into(signal)), signal, atol=1e-4)
