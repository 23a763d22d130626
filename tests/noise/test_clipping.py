"""What clipping does to noise, against a numerical integral."""

import numpy as np
import pytest
import torch

from f2rcli.noise import model as clipping

clipped_mean = clipping.clipped_mean
clipped_moments = clipping.clipped_moments


@pytest.mark.parametrize("sigma", [0.004, 0.1, 0.4])
def test_means_and_moments_are_those_of_clipped_normal_noise(sigma: float) -> None:
    """Means of signals beyond black and white too, which lead back by a gradient."""
    signal = np.array([-0.2, 0.0, 0.01, 0.3, 0.95, 1.0, 1.3])
    steps = np.linspace(-8, 8, 160_001)
    weights, stored = np.exp(-0.5 * steps**2), np.clip(signal[:, None] + sigma * steps, 0, 1)
    mean = np.average(stored, axis=1, weights=weights)
    given = torch.tensor(signal, dtype=torch.float32, requires_grad=True)
    found = clipped_mean(given, torch.full_like(given, sigma))
    np.testing.assert_allclose(found.detach(), mean, rtol=1e-4, atol=1e-6)
    (slope,) = torch.autograd.grad(found.sum(), given)
    inside = np.average((stored > 0) & (stored < 1), axis=1, weights=weights)
    np.testing.assert_allclose(slope, inside, atol=1e-3)
    torch.testing.assert_close(clipped_mean(given, torch.zeros_like(given)), given)

    variance = np.average((stored - mean[:, None]) ** 2, axis=1, weights=weights)[1:-1]
    within = given.detach()[1:-1].view(1, 1, 1, -1)
    shift, left = clipped_moments(within, torch.full_like(within, sigma))
    np.testing.assert_allclose(shift.flatten(), (mean - signal)[1:-1], rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(left.flatten(), variance / sigma**2, rtol=1e-2, atol=1e-2)
