"""The Gaussian of a pixel's colour, against NumPy, closed forms and quadrature."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from f2rcli.models.layers import JITTER, Belief
from f2rcli.training.stage import gaussian_nll


def drawn(channels: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """noisy, mean, factor and variance of random pixels."""
    torch.manual_seed(channels)
    entries = channels * (channels + 1) // 2
    noisy, mean = torch.randn(2, 2, channels, 3, 4, dtype=torch.double)
    factor = torch.randn(2, entries, 3, 4, dtype=torch.double)
    return noisy, mean, factor, torch.rand(2, channels, 3, 4, dtype=torch.double) + 0.1


def full(factor: Tensor, channels: int) -> Tensor:
    """A^T A as matrices (B, H, W, C, C), by torch."""
    upper = torch.zeros(*factor[:, 0].shape, channels, channels, dtype=factor.dtype)
    rows, columns = torch.triu_indices(channels, channels)
    upper[..., rows, columns] = factor.permute(0, 2, 3, 1)
    return upper.mT @ upper


def believed(mean: Tensor, factor: Tensor) -> Belief:
    return Belief.of(torch.cat([mean, factor], 1))


def last(x: Tensor) -> Tensor:
    return x.permute(0, 2, 3, 1)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_the_nll_is_minus_the_log_likelihood(channels: int) -> None:
    noisy, mean, factor, variance = drawn(channels)
    total = (full(factor, channels) + torch.diag_embed(last(variance + JITTER))).numpy()
    apart = last(noisy - mean).numpy()
    far = np.einsum("...i,...ij,...j", apart, np.linalg.inv(total), apart)
    expected = (far + np.linalg.slogdet(total)[1] + channels * math.log(2 * math.pi)) / 2
    found = gaussian_nll(noisy, mean, believed(mean, factor).noisy_covariance(variance))
    np.testing.assert_allclose(found, expected, rtol=1e-7)


def test_the_nll_is_as_exact_where_networks_run_in_bfloat16() -> None:
    noisy, mean, factor, variance = (one.float() for one in drawn(3))

    def nll() -> Tensor:
        return gaussian_nll(noisy, mean, believed(mean, factor).noisy_covariance(variance))

    with torch.autocast("cpu", torch.bfloat16):
        found = nll()
    torch.testing.assert_close(found, nll())


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_both_forms_of_the_posterior_mean_agree(channels: int) -> None:
    noisy, mean, factor, variance = drawn(channels)
    own = full(factor, channels).inverse()
    noise = torch.diag_embed(1 / last(variance + JITTER))
    weighed = own @ last(mean)[..., None] + noise @ last(noisy)[..., None]
    expected = torch.linalg.solve(own + noise, weighed)[..., 0]
    found = last(believed(mean, factor).posterior_mean(noisy, variance))
    torch.testing.assert_close(found, expected, rtol=1e-7, atol=1e-7)


def test_the_posterior_mean_is_the_integral_over_the_posterior() -> None:
    noisy, mean, spread, sigma = 0.7, 0.3, 0.2, 0.1
    x = torch.linspace(-3, 4, 200_001, dtype=torch.double)
    law = torch.exp(-((x - mean) ** 2) / 2 / spread**2 - (noisy - x) ** 2 / 2 / (sigma**2 + JITTER))
    expected = float((x * law).sum() / law.sum())
    one = torch.ones(1, 1, 1, 1, dtype=torch.double)
    found = believed(mean * one, spread * one).posterior_mean(noisy * one, sigma**2 * one)
    assert float(found) == pytest.approx(expected, abs=1e-9)
