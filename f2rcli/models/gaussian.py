"""A Gaussian of every pixel's colour, and its posterior mean given a noisy value.

Sheth et al., ICCV 2021, equations 2 to 4; for the likelihood see `training/stage.py`. Matrices
(B, H, W, C, C) are one per pixel.
"""

from typing import NamedTuple

import torch
from torch import Tensor

JITTER = 1e-5  # added to the variance, as in the release: keeps matrices positive


class Belief(NamedTuple):
    """What a network believes about the clean picture: a mean, and how sure it is."""

    mean: Tensor  # (B, C, H, W)
    covariance: Tensor

    @classmethod
    def of(cls, prediction: Tensor) -> "Belief":
        """Of a network's output (B, C + entries, H, W): the mean, then an upper triangular A row by
        row, whose A^T A is the covariance."""
        channels = next(c for c in range(1, 5) if c + entries(c) == prediction.shape[1])
        triangle = prediction[:, channels:].movedim(1, -1)
        upper = triangle.new_zeros(*triangle.shape[:-1], channels, channels)
        rows, columns = torch.triu_indices(channels, channels, device=prediction.device)
        upper[..., rows, columns] = triangle
        with torch.autocast(prediction.device.type, enabled=False):
            return cls(prediction[:, :channels], upper.mT @ upper)

    def noisy_covariance(self, variance: Tensor) -> Tensor:
        """The covariance plus that of independent noise, variance (B, C, H, W)."""
        return self.covariance + torch.diag_embed(variance.movedim(1, -1) + JITTER)

    def posterior_mean(self, noisy: Tensor, variance: Tensor) -> Tensor:
        """mean + S (S + N)^-1 (noisy - mean), S the covariance and N the noise's: (B, C, H, W)."""
        apart = (noisy - self.mean).movedim(1, -1)[..., None]
        step = self.covariance @ torch.linalg.solve(self.noisy_covariance(variance), apart)
        return self.mean + step[..., 0].movedim(-1, 1)


def entries(channels: int) -> int:
    """The numbers that describe a triangular matrix: 1 for gray, 6 for RGB, 10 for a mosaic."""
    return channels * (channels + 1) // 2
