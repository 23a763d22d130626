"""What clipping does to noise, against a numerical integral."""

import numpy as np
import pytest
import torch

from f2rcli.noise import model as clipping

clipped_mean = clipping.clipped_mean
clipped_moments = clipping.clipped_moments


@pytest.mark.parametrize("sigma", [0.004, 0.1, 0.4])
def test_the_moments_are_those_of_clipped_normal_noise(sigma: float) -> None:
    signal = np.array([0.0, 0.01, 0.3, 0.95, 1.0])
    steps = np.linspace(-8, 8, 160_001)
    weights = np.exp(-0.5 * steps**2)
    clipped = np.clip(signal[:, None] + sigma * steps, 0, 1)
    mean = np.average(clipped, axis=1, weights=weights)
    variance = np.average((clipped - mean[:, None]) ** 2, axis=1, weights=weights)
    given = torch.tensor(signal, dtype=torch.float32).view(1, 1, 1, -1)
    shift, left = clipped_moments(given, torch.full_like(given, sigma))
    np.testing.assert_allclose(shift.flatten(), mean - signal, rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(left.flatten(), variance / sigma**2, rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("sigma", [0.004, 0.1, 0.4])
def test_the_mean_of_what_a_file_stores_is_that_of_clipped_noise(sigma: float) -> None:
    """Of signals beyond black and white too, which lead back by a gradient."""
    signal = np.array([-0.2, 0.0, 0.01, 0.3, 0.95, 1.0, 1.3])
    steps = np.linspace(-8, 8, 160_001)
    stored = np.clip(signal[:, None] + sigma * steps, 0, 1)
    mean = np.average(stored, axis=1, weights=np.exp(-0.5 * steps**2))
    given = torch.tensor(signal, dtype=torch.float32, requires_grad=True)
    found = clipped_mean(given, torch.full_like(given, sigma))
    np.testing.assert_allclose(found.detach(), mean, rtol=1e-4, atol=1e-6)
    (slope,) = torch.autograd.grad(found.sum(), given)
    inside = np.average((stored > 0) & (stored < 1), axis=1, weights=np.exp(-0.5 * steps**2))
    np.testing.assert_allclose(slope, inside, atol=1e-3)
    torch.testing.assert_close(clipped_mean(given, torch.zeros_like(given)), given)
