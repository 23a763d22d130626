"""The generalised Anscombe transform and its unbiased inverse."""

import pytest
import torch
from torch import Tensor

from f2rcli.noise import stabilising

destabilise = stabilising.destabilise
stabilise = stabilising.stabilise

LAWS = [(0.01, 0.02), (0.05, 0.02), (0.0135, 0.011)]


def numbers(*values: float) -> tuple[Tensor, ...]:
    return tuple(torch.tensor(value, dtype=torch.float64) for value in values)


def noisy(signal: float, gain: float, read: float, count: int = 400_000) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    mean = torch.full((1, 1, 1, count), signal / gain, dtype=torch.float64)
    shot = gain * torch.poisson(mean, generator=generator)
    return shot + read * torch.randn(mean.shape, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize(("gain", "read"), LAWS)
@pytest.mark.parametrize("electrons", [20, 60])
def test_the_transforms_noise_has_variance_one(gain: float, read: float, electrons: int) -> None:
    stable = stabilise(noisy(electrons * gain, gain, read), *numbers(gain, read))
    assert float(stable.var()) == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize(("gain", "read"), LAWS)
@pytest.mark.parametrize(("electrons", "within"), [(2, 0.02), (5, 0.005), (20, 0.003)])
def test_a_mean_becomes_the_signal(gain: float, read: float, electrons: int, within: float) -> None:
    mean = stabilise(noisy(electrons * gain, gain, read), *numbers(gain, read)).mean()
    found = float(destabilise(mean, *numbers(gain, read)))
    assert found == pytest.approx(electrons * gain, rel=within)


def test_the_inverse_is_the_published_closed_form() -> None:
    gain, read = numbers(0.03, 0.02)
    stable = torch.linspace(0, 12, 50, dtype=torch.float64)
    z = stable + 2 * torch.sqrt(0.375 + (read / gain) ** 2)  # the transform before its shift
    root = 1.5**0.5
    published = gain * (
        (z / 2) ** 2 + root / 4 / z - 11 / 8 / z**2 + 5 / 8 * root / z**3 - 1 / 8
        - (read / gain) ** 2
    )  # fmt: skip
    torch.testing.assert_close(destabilise(stable, gain, read), published)


def test_the_transform_is_the_published_one_but_for_its_shift() -> None:
    gain, read = numbers(0.03, 0.02)
    y = torch.linspace(-0.5, 1.5, 80, dtype=torch.float64)
    root = torch.sqrt((y / gain + 0.375 + (read / gain) ** 2).clamp_min(0))
    shift = 2 * torch.sqrt(0.375 + (read / gain) ** 2)
    torch.testing.assert_close(stabilise(y, gain, read), 2 * root - shift, atol=1e-4, rtol=1e-6)


def test_without_gain_the_transform_divides_by_the_read_noise_and_back() -> None:
    gain, read = numbers(0.0, 0.1)
    y = torch.linspace(-0.5, 1.5, 9, dtype=torch.float64)
    torch.testing.assert_close(stabilise(y, gain, read), y / read)
    torch.testing.assert_close(destabilise(y / read, gain, read), y)


def test_without_gain_no_sample_is_too_low() -> None:
    gain, read = numbers(0.0, 1e-6)
    y = torch.tensor([-30.0, -3.0, 3.0], dtype=torch.float64)
    torch.testing.assert_close(stabilise(y, gain, read), y / read)


def test_the_limit_of_small_gain_is_reached_smoothly() -> None:
    gain, read = numbers(1e-9, 0.1)
    y = torch.linspace(-0.5, 1.5, 9, dtype=torch.float64)
    torch.testing.assert_close(stabilise(y, gain, read), y / read, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(destabilise(y / read, gain, read), y, rtol=1e-6, atol=1e-6)


def test_each_channel_has_its_own_law() -> None:
    gain = torch.tensor([0.0, 0.01, 0.05]).view(1, 3, 1, 1)
    read = torch.tensor([0.05, 0.02, 0.0]).view(1, 3, 1, 1)
    y = torch.rand(2, 3, 4, 5)
    whole = stabilise(y, gain, read)
    for channel in range(3):
        alone = stabilise(y[:, channel], gain[0, channel], read[0, channel])
        torch.testing.assert_close(whole[:, channel], alone)


@pytest.mark.parametrize("gain", [0.0, 0.001, 0.05])
def test_the_inverse_rises_everywhere_and_its_gradient_is_finite(gain: float) -> None:
    law = [part.requires_grad_() for part in numbers(gain, 0.02)]
    stable = torch.linspace(-20, 30, 400, dtype=torch.float64, requires_grad=True)
    found = destabilise(stable, *law)
    assert bool((found.diff() > 0).all())
    gradients = torch.autograd.grad(found.sum(), [stable, *law])
    assert all(bool(g.isfinite().all()) for g in gradients)


@pytest.mark.parametrize("read", [0.0, 0.02])
@pytest.mark.parametrize("gain", [0.0, 0.05])
def test_gradients_of_the_transform_are_finite(gain: float, read: float) -> None:
    law = [part.requires_grad_() for part in numbers(gain, read)]
    y = torch.linspace(-1, 2, 50, dtype=torch.float64, requires_grad=True)
    gradients = torch.autograd.grad(stabilise(y, *law).sum(), [y, *law])
    assert all(bool(g.isfinite().all()) for g in gradients)


@pytest.mark.parametrize(("gain", "read"), [*LAWS, (0.05, 0.0), (0.3, 0.1)])
def test_below_zero_the_inverse_goes_on_along_its_tangent(gain: float, read: float) -> None:
    law = numbers(gain, read)
    at, step = destabilise(torch.tensor([-2.0, -1.0, 0.0], dtype=torch.float64), *law), 1e-6
    ahead = destabilise(torch.tensor(step, dtype=torch.float64), *law)
    slope = float((ahead - at[2]) / step)
    assert at.diff().tolist() == pytest.approx([slope] * 2, rel=1e-4)
