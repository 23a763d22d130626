"""A Gaussian of every pixel's colour, and its posterior mean given a noisy value.

Sheth et al., ICCV 2021, equations 2 to 4; for the likelihood see `training/stage.py`. Matrices
(B, H, W, C, C) are one per pixel.
"""

import torch
from torch import Tensor

JITTER = 1e-5  # added to the variance, as in the release: keeps matrices positive


def split(prediction: Tensor, channels: int) -> tuple[Tensor, Tensor]:
    """A network's output -> mean (B, C, H, W), and the factor's entries."""
    return prediction[:, :channels], prediction[:, channels:]


def covariance(factor: Tensor, channels: int) -> Tensor:
    """A^T A of an upper triangular A, given row by row as (B, C (C + 1) / 2, H, W)."""
    entries = factor.movedim(1, -1)
    upper = entries.new_zeros(*entries.shape[:-1], channels, channels)
    rows, columns = torch.triu_indices(channels, channels, device=factor.device)
    upper[..., rows, columns] = entries
    with torch.autocast(factor.device.type, enabled=False):
        return upper.mT @ upper


def noisy_covariance(own: Tensor, variance: Tensor) -> Tensor:
    """The covariance plus that of independent noise, variance (B, C, H, W)."""
    return own + torch.diag_embed(variance.movedim(1, -1) + JITTER)


def posterior_mean(noisy: Tensor, mean: Tensor, factor: Tensor, variance: Tensor) -> Tensor:
    """mean + S (S + N)^-1 (noisy - mean), S the covariance and N the noise's: (B, C, H, W)."""
    own = covariance(factor, noisy.shape[1])
    apart = (noisy - mean).movedim(1, -1)[..., None]
    step = own @ torch.linalg.solve(noisy_covariance(own, variance), apart)
    return mean + step[..., 0].movedim(-1, 1)
