"""Blind2Sound's masking, blend and losses, against closed forms."""

import pytest
import torch
from torch import Tensor
from torch.distributions import MultivariateNormal

from f2rcli.models.blind2sound import Belief, DenoisingUNet, NoiseLevel, covariance, entries
from f2rcli.noise.anscombe import stabilise, white_level
from f2rcli.training.methods.blind2sound.masking import (
    DARKEST,
    at,
    blend,
    gathered,
    hidden,
    noise_covariance,
    total_covariance,
    visibility,
)
from f2rcli.training.methods.losses import gaussian_nll, stabilised_variance_loss

CELLS = [2, 4]


def picture(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def belief(channels: int, *shape: int, seed: int = 0) -> Belief:
    triangle = picture(shape[0], entries(channels), *shape[1:], seed=seed) - 0.3
    return Belief(picture(shape[0], channels, *shape[1:], seed=seed + 1), covariance(triangle))


def level(masked: float, visible: float, gain: float) -> NoiseLevel:
    parts = (torch.tensor([p], dtype=torch.float64) for p in (masked, visible, gain))
    return NoiseLevel(*parts)


@pytest.mark.parametrize("cell", CELLS)
def test_a_masked_picture_holds_nothing_of_the_pixels_it_hides(cell: int) -> None:
    noisy, other = picture(1, 3, 16, 24), picture(1, 3, 16, 24, seed=1)
    for phase in range(cell**2):
        changed = noisy.clone()
        row, column = divmod(phase, cell)
        changed[..., row::cell, column::cell] = other[..., row::cell, column::cell]
        assert torch.equal(hidden(changed, phase, cell), hidden(noisy, phase, cell))


def test_what_is_gathered_has_no_gradient_to_its_own_pixel() -> None:
    torch.manual_seed(0)
    denoiser = DenoisingUNet(1, width=3, wide=4, depth=3).double()
    noisy = picture(1, 1, 16, 16).requires_grad_()
    for phase in range(16):
        row, column = divmod(phase, 4)
        raw = denoiser.raw(hidden(noisy, phase, 4))[0, :, row + 4, column + 8]
        (gradient,) = torch.autograd.grad(raw.sum(), noisy)
        assert float(gradient[0, 0, row + 4, column + 8]) == 0
        assert int((gradient != 0).sum()) > 200  # of 255 others


@pytest.mark.parametrize("cell", CELLS)
def test_all_phases_together_hold_every_pixel_once(cell: int) -> None:
    pixels = torch.arange(8 * 12.0).view(1, 1, 8, 12)
    found = at(pixels, range(cell**2), cell)
    assert sorted(found.flatten().tolist()) == pixels.flatten().tolist()


def test_of_each_copy_the_pixels_hidden_in_it_are_gathered() -> None:
    copies, phases = picture(3, 2, 1, 8, 8), (5, 0, 15)
    found = gathered(copies, phases, 4)
    assert found.shape == (2, 1, 6, 2)
    for place, phase in enumerate(phases):
        row, column = divmod(phase, 4)
        expected = copies[place, :, :, row::4, column::4]
        torch.testing.assert_close(found[..., 2 * place : 2 * place + 2, :], expected)


@pytest.mark.parametrize("phase", [0, 3, 10, 15])
def test_hidden_pixels_become_the_weighted_mean_of_their_neighbours(phase: int) -> None:
    noisy = picture(1, 1, 12, 12)
    row, column = (4 + place for place in divmod(phase, 4))
    near = noisy[0, 0, row - 1 : row + 2, column - 1 : column + 2]
    kernel = torch.tensor([[0.5, 1, 0.5], [1, 0, 1], [0.5, 1, 0.5]], dtype=torch.float64) / 6
    found = hidden(noisy, phase, 4)[0, 0, row, column]
    torch.testing.assert_close(found, (near * kernel).sum())


def test_hiding_leaves_a_flat_picture_as_it_is() -> None:
    flat = torch.full((1, 3, 8, 8), 0.3, dtype=torch.float64)
    for phase in range(16):
        torch.testing.assert_close(hidden(flat, phase, 4), flat)


def test_the_blend_has_the_published_value_and_gradient() -> None:
    masked, visible = belief(3, 2, 4, 5), belief(3, 2, 4, 5, seed=5)
    for part in (*masked, *visible):
        part.requires_grad_()
    found = blend(masked, visible, 3.0)
    torch.testing.assert_close(found.mean, (masked.mean + 3 * visible.mean) / 4)
    torch.testing.assert_close(found.covariance, (masked.covariance + 9 * visible.covariance) / 16)
    total = found.mean.sum() + found.covariance.sum()
    inputs = [*masked, *visible]
    gradients = torch.autograd.grad(total, inputs, allow_unused=True)
    assert gradients[2:] == (None, None)
    torch.testing.assert_close(gradients[0], torch.full_like(masked.mean, 0.5))
    torch.testing.assert_close(gradients[1], torch.full_like(masked.covariance, 1 / 16))


def test_visibility_rises_from_3_to_11_after_two_fifths() -> None:
    assert [visibility(p) for p in (0, 0.2, 0.4)] == [3, 3, 3]
    assert visibility(0.7) == pytest.approx(7)
    assert visibility(1) == pytest.approx(11)
    assert visibility(1, last=21) == pytest.approx(21)


def nll(noisy: Tensor, believed: Belief, noise: Tensor) -> Tensor:
    return gaussian_nll(noisy, believed.mean, total_covariance(believed, noise))


def variance_loss(noisy: Tensor, noise: NoiseLevel) -> Tensor:
    return stabilised_variance_loss(noisy, noise.gain, noise.read(3.0).sqrt())


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_the_likelihood_is_that_of_torchs_normal_distribution(channels: int) -> None:
    believed, noisy = belief(channels, 2, 3, 5), picture(2, channels, 3, 5, seed=9)
    noise = 0.01 + 0.1 * picture(2, channels, 3, 5, seed=8)
    covariances = believed.covariance.permute(0, 3, 4, 1, 2)
    covariances = covariances + torch.diag_embed(noise.permute(0, 2, 3, 1))
    normal = MultivariateNormal(believed.mean.permute(0, 2, 3, 1), covariances)
    constant = channels / 2 * torch.log(torch.tensor(2 * torch.pi, dtype=torch.float64))
    expected = -normal.log_prob(noisy.permute(0, 2, 3, 1)) - constant
    torch.testing.assert_close(nll(noisy, believed, noise), expected)


def test_the_likelihoods_gradient_is_that_of_torchs_normal_distribution() -> None:
    noisy, noise = picture(1, 3, 2, 2, seed=9), torch.full((1, 3, 2, 2), 0.05).double()
    triangle = (picture(1, 6, 2, 2) - 0.3).requires_grad_()
    mean = picture(1, 3, 2, 2, seed=1).requires_grad_()
    ours = nll(noisy, Belief(mean, covariance(triangle)), noise).sum()
    covariances = covariance(triangle).permute(0, 3, 4, 1, 2) + 0.05 * torch.eye(3)
    normal = MultivariateNormal(mean.permute(0, 2, 3, 1), covariances)
    theirs = -normal.log_prob(noisy.permute(0, 2, 3, 1)).sum()
    for one, two in zip(
        torch.autograd.grad(ours, [mean, triangle]),
        torch.autograd.grad(theirs, [mean, triangle]),
        strict=True,
    ):
        torch.testing.assert_close(one, two)


def test_the_likeliest_variance_is_the_squared_residual_less_the_noise() -> None:
    noisy, mean = torch.full((1, 1, 1, 1), 0.8).double(), torch.full((1, 1, 1, 1), 0.5).double()
    noise = torch.full((1, 1, 1, 1), 0.03).double()
    variances = torch.linspace(0.001, 0.2, 2000, dtype=torch.float64)
    costs = [float(nll(noisy, Belief(mean, v.view(1, 1, 1, 1, 1)), noise)) for v in variances]
    best = float(variances[torch.tensor(costs).argmin()])
    assert best == pytest.approx(0.3**2 - 0.03, abs=2e-4)


def test_the_noises_variance_has_no_gradient_to_the_mean_and_stops_falling_in_the_dark() -> None:
    mean = torch.tensor([-1.0, 0.5], dtype=torch.float64).view(1, 1, 1, 2).requires_grad_()
    noise = level(0.04, 0.02, 0.1)
    noise.gain.requires_grad_()
    found = noise_covariance(noise, mean, 3.0)
    read = (0.04 + 9 * 0.02) / 16
    expected = torch.tensor([read + 0.1 * DARKEST, read + 0.05], dtype=torch.float64)
    torch.testing.assert_close(found.flatten(), expected)
    assert torch.autograd.grad(found.sum(), mean, allow_unused=True, retain_graph=True) == (None,)
    assert float(torch.autograd.grad(found.sum(), noise.gain)[0]) == pytest.approx(0.501)


def grainy(channels: int, gain: float, read: float) -> Tensor:
    generator = torch.Generator().manual_seed(4)
    clean = torch.linspace(0.2, 0.8, 96, dtype=torch.float64).expand(1, channels, 96, 96)
    fresh = torch.randn(clean.shape, generator=generator, dtype=torch.float64)
    return clean + (gain * clean + read**2).sqrt() * fresh


@pytest.mark.parametrize("channels", [1, 3])
def test_the_regulariser_is_smallest_for_the_true_noise(channels: int) -> None:
    gain, read = 0.02, 0.04
    noisy = grainy(channels, gain, read)
    read *= (16 / 10) ** 0.5  # the two branches' variances, blended, are less than either
    true = float(variance_loss(noisy, level(read**2, read**2, gain)))
    for factor in (0.5, 0.7, 1.4, 2.0):
        wrong = level(factor * read**2, factor * read**2, factor * gain)
        assert float(variance_loss(noisy, wrong)) > 2 * true


def test_the_regularisers_gradient_raises_a_noise_that_is_estimated_too_weak() -> None:
    noise = level(0.02**2, 0.02**2, 0.005)
    for part in noise:
        part.requires_grad_()
    cost = variance_loss(grainy(3, 0.02, 0.04), noise).sum()
    assert all(float(g) < 0 for g in torch.autograd.grad(cost, list(noise)))


def test_the_regulariser_of_colour_compares_all_pairs_of_channels() -> None:
    noisy, noise = grainy(3, 0.02, 0.04), level(0.001, 0.001, 0.03)
    law = (torch.tensor(v, dtype=torch.float64) for v in (0.03, (0.001 * 10 / 16) ** 0.5))
    e = white_level(stabilise(noisy, *law))[0].tolist()
    expected = sum(
        (e[j] - 1) ** 2 + (e[j] - e[k]) ** 2 for j in range(3) for k in range(3) if j != k
    )
    assert float(variance_loss(noisy, noise)) == pytest.approx(expected)


def test_the_regulariser_of_gray_compares_the_whole_with_its_corners() -> None:
    noisy, noise = grainy(1, 0.02, 0.04), level(0.001, 0.001, 0.03)
    law = (torch.tensor(v, dtype=torch.float64) for v in (0.03, (0.001 * 10 / 16) ** 0.5))
    stable = stabilise(noisy, *law)
    ends = (slice(0, 72), slice(24, 96))
    corners = [float(white_level(stable[..., a, b])) for a in ends for b in ends]
    expected = 1.5 * (float(white_level(stable)) - 1) ** 2
    expected += sum((e - 1) ** 2 for e in corners) / 4
    assert float(variance_loss(noisy, noise)) == pytest.approx(expected)
