"""The generalised Anscombe transform, its unbiased inverse, and the level of white noise."""

import numpy as np
import pytest
import torch
from torch import Tensor

from f2rcli.noise import stabilising

destabilise = stabilising.destabilise
stabilise = stabilising.stabilise
white_level = stabilising.white_level

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


def test_the_level_of_white_noise_is_found_within_two_percent() -> None:
    noise = torch.randn(4, 3, 128, 128, generator=torch.Generator().manual_seed(1))
    level = white_level(noise)
    assert level.shape == (4, 3)
    assert float(level.mean()) == pytest.approx(1, abs=0.01)
    assert float((level - 1).abs().max()) < 0.04  # the mean of all within 0.02 (methods S-g)


def test_structure_does_not_count_as_noise() -> None:
    generator = torch.Generator().manual_seed(2)
    ramp = torch.linspace(0, 30, 128)
    scene = ramp + 8 * (ramp[:, None] > 12) * (ramp > 20)
    level = white_level(scene + torch.randn(1, 1, 128, 128, generator=generator))
    assert float(level) == pytest.approx(1, abs=0.05)


def test_the_level_has_a_gradient() -> None:
    noise = torch.randn(1, 1, 64, 64, generator=torch.Generator().manual_seed(1)).double()
    scale = torch.tensor(0.5, dtype=torch.float64, requires_grad=True)
    level = white_level(scale * noise).sum()
    level.backward()
    assert float(scale.grad) == pytest.approx(float(level.detach()) / 0.5)


@pytest.mark.parametrize(("gain", "read"), [*LAWS, (0.05, 0.0), (0.3, 0.1)])
def test_below_zero_the_inverse_goes_on_along_its_tangent(gain: float, read: float) -> None:
    law = numbers(gain, read)
    at, step = destabilise(torch.tensor([-2.0, -1.0, 0.0], dtype=torch.float64), *law), 1e-6
    ahead = destabilise(torch.tensor(step, dtype=torch.float64), *law)
    slope = float((ahead - at[2]) / step)
    assert at.diff().tolist() == pytest.approx([slope] * 2, rel=1e-4)


def test_the_level_is_the_root_of_the_smallest_eigenvalues_whose_mean_is_their_median() -> None:
    """The most of them; as many lie below as above, but for one."""
    generator = torch.Generator().manual_seed(4)
    picture = torch.randn(2, 1, 60, 44, generator=generator).double()
    picture[1] += torch.linspace(0, 9, 44).double()
    for plane, level in zip(picture[:, 0].numpy(), white_level(picture)[:, 0], strict=True):
        places = [(y, x) for y in range(0, 53, 2) for x in range(0, 37, 2)]
        patches = np.stack([plane[y : y + 8, x : x + 8].ravel() for y, x in places], 1)
        values = np.linalg.eigvalsh(np.cov(patches, bias=True))
        for count in range(64, 1, -1):
            below = int((values[:count] < values[:count].mean()).sum())
            if below in {count - below - 1, count - below, count - below + 1}:
                break
        assert float(level) == pytest.approx(values[:count].mean() ** 0.5, rel=1e-9)
    assert count < 64
