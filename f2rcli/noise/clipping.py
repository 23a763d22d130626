"""The effect of a file's range on noise: values beyond black and white are cut off there."""

from math import erf, exp, pi, sqrt

import numpy as np
import torch
from torch import Tensor

from f2rcli.frames import Floats

LEAST_SIGMA = 1e-6  # of white - black: noise below it is none
# Standard deviations from where on a density counts for nothing in float32. Processors take ten
# times as long for numbers below its range.
FARTHEST = 10.0


def clipped_moments(signal: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
    """By how much clipping to 0..1 moves the mean of noise, and what of its variance it leaves.

    signal, sigma (B, C, H, W): the clean values and the noise's standard deviation -> the shift
    in the units of `signal`, and a factor from 0 to 1. Inside the range: 0 and 1.
    """
    sigma, signal = sigma.clamp_min(LEAST_SIGMA), signal.clamp(0, 1)
    low, high = -signal / sigma, (1 - signal) / sigma
    ends = _density(low), _density(high)
    mean, inside, above = _clipped_mean(signal, sigma, low, high, ends)
    square = (
        (signal.square() + sigma.square()) * inside
        + sigma * (signal * ends[0] - (1 + signal) * ends[1])
        + above
    )
    variance = (square - mean.square()).clamp_min(0) / sigma.square()
    return mean - signal, variance.clamp_max(1)


def clipped_mean(signal: Tensor, sigma: Tensor) -> Tensor:
    """Mean of the clipped noisy values, as a file stores them, where the clean one is `signal`.

    Both (B, C, H, W); where sigma is 0, nothing is clipped and the mean is `signal`. The signal may
    lie beyond 0..1, so that an estimate there still has a gradient. A noisy target that was clipped
    is an unbiased target for this mean, not for the signal itself: a loss between the two needs no
    choice of samples by their noisy values, which would shift the mean of those chosen.
    """
    safe = sigma.clamp_min(LEAST_SIGMA)
    low, high = -signal / safe, (1 - signal) / safe
    mean, _, _ = _clipped_mean(signal, safe, low, high, (_density(low), _density(high)))
    return torch.where(sigma > 0, mean, signal)


def _clipped_mean(
    signal: Tensor, sigma: Tensor, low: Tensor, high: Tensor, ends: tuple[Tensor, Tensor]
) -> tuple[Tensor, Tensor, Tensor]:
    """The mean, and the shares inside and above the range; ends: densities at black and white."""
    below, above = _normal(low), 1 - _normal(high)
    inside = 1 - below - above
    return signal * inside + sigma * (ends[0] - ends[1]) + above, inside, above


def _normal(x: Tensor) -> Tensor:
    return 0.5 * (1 + torch.erf(x * 0.7071067811865476))


def _density(x: Tensor) -> Tensor:
    return torch.exp(-0.5 * x.clamp(-FARTHEST, FARTHEST).square()) * 0.3989422804014327


def undo_clipping(level: Floats, held: Floats) -> Floats:
    """Variance before the range clipped it, from that left at a mean level (rectified Gaussian)."""
    variance = held.copy()
    for _ in range(6):
        sigma = np.sqrt(np.maximum(variance, 1e-12))
        left = _left(level / sigma) + _left((1 - level) / sigma) - 1
        variance = held / np.maximum(left, 0.2)
    return variance


def _rectified(u: float) -> tuple[float, float]:
    """Mean and variance of max(0, z), z ~ N(u, 1)."""
    below, bell = 0.5 * (1 + erf(u / sqrt(2))), exp(-(u**2) / 2) / sqrt(2 * pi)
    mean = u * below + bell
    return mean, (1 + u**2) * below + u * bell - mean**2


_TABLE = np.array([_rectified(u) for u in np.linspace(-3, 6, 181)])


def _left(mean: Floats) -> Floats:
    """Variance of a rectified unit Gaussian with this mean (after clipping)."""
    return np.asarray(np.interp(mean, _TABLE[:, 0], _TABLE[:, 1]), np.float64)
