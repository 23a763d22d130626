"""The effect of a file's range on noise: values beyond black and white are cut off there."""

import torch
from torch import Tensor

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
