"""A Gaussian of every pixel's colour, and its posterior mean given a noisy value.

Sheth et al., ICCV 2021, equations 2 to 4; for the likelihood see `training/methods/losses.py`.
Matrices are C x C, one per pixel; C is 1, 3 or 4, so that decompositions are written out over
channels and run over all pixels at once.
"""

from functools import reduce

import torch
from torch import Tensor

JITTER = 1e-5  # added to the variance, as in the release: keeps matrices positive

Triangle = list[list[Tensor]]  # lower triangles, entries (B, H, W)


def split(prediction: Tensor, channels: int) -> tuple[Tensor, Tensor]:
    """A network's output -> mean (B, C, H, W), and the factor's entries."""
    return prediction[:, :channels], prediction[:, channels:]


def covariance(factor: Tensor, channels: int) -> Triangle:
    """A^T A of an upper triangular A, given row by row as (B, C (C + 1) / 2, H, W)."""
    entries = iter(factor.unbind(1))
    upper = [{column: next(entries) for column in range(row, channels)} for row in range(channels)]
    return [
        [reduce(torch.add, (upper[k][row] * upper[k][column] for k in range(column + 1)))
         for column in range(row + 1)]
        for row in range(channels)
    ]  # fmt: skip


def noisy_covariance(own: Triangle, variance: Tensor) -> Triangle:
    """The covariance plus that of independent noise, variance (B, C, H, W)."""
    return [
        [entry + (variance[:, row] + JITTER) if row == column else entry
         for column, entry in enumerate(line)]
        for row, line in enumerate(own)
    ]  # fmt: skip


def cholesky(matrix: Triangle) -> Triangle:
    """The lower triangular L with L L^T = matrix."""
    lower: Triangle = []
    for row, line in enumerate(matrix):
        found: list[Tensor] = []
        for column in range(row + 1):
            above = found if row == column else lower[column]
            rest = line[column]
            for k in range(column):
                rest = rest - found[k] * above[k]
            root = rest.clamp_min(JITTER / 2).sqrt() if row == column else rest / above[column]
            found.append(root)
        lower.append(found)
    return lower


def forward_substituted(lower: Triangle, values: list[Tensor]) -> list[Tensor]:
    """L^-1 values."""
    solved: list[Tensor] = []
    for row, line in enumerate(lower):
        rest = values[row]
        for k in range(row):
            rest = rest - line[k] * solved[k]
        solved.append(rest / line[row])
    return solved


def _backward(lower: Triangle, values: list[Tensor]) -> list[Tensor]:
    """L^-T values."""
    size = len(lower)
    solved: dict[int, Tensor] = {}
    for row in reversed(range(size)):
        rest = values[row]
        for k in range(row + 1, size):
            rest = rest - lower[k][row] * solved[k]
        solved[row] = rest / lower[row][row]
    return [solved[row] for row in range(size)]


def posterior_mean(noisy: Tensor, mean: Tensor, factor: Tensor, variance: Tensor) -> Tensor:
    """mean + S (S + N)^-1 (noisy - mean), S the covariance and N the noise's: (B, C, H, W)."""
    channels = noisy.shape[1]
    own = covariance(factor, channels)
    lower = cholesky(noisy_covariance(own, variance))
    part = _backward(lower, forward_substituted(lower, list((noisy - mean).unbind(1))))
    step = [
        reduce(torch.add, (own[max(r, c)][min(r, c)] * part[c] for c in range(channels)))
        for r in range(channels)
    ]
    return mean + torch.stack(step, 1)
