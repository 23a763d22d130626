"""The losses of all methods: the cost of an estimate against its target.

Pictures are (B, C, H, W), 0 = black and 1 = white. A loss is the mean over its batch.
"""

from itertools import permutations

import torch
from torch import Tensor

from f2rcli.models.gaussian import Triangle, cholesky, forward_substituted
from f2rcli.noise.anscombe import stabilise, white_level


def psnr_loss(estimate: Tensor, target: Tensor) -> Tensor:
    """Mean over the batch of half the log of each picture's squared error.

    Every noise level weighs the same, as it does in a mean of PSNRs; the floor keeps pictures
    that are almost clean from ruling the gradient.
    """
    error = (estimate.float() - target).square().flatten(1).mean(1)
    return 0.5 * torch.log(error + 2e-5).mean()


def gaussian_nll(target: Tensor, mean: Tensor, total: Triangle) -> Tensor:
    """Minus the log-likelihood of noisy values at every pixel, (B, H, W), less the constant
    C / 2 log(2 pi).

    total: lower triangle of the covariance of estimate and noise together, as `noisy_covariance`
    gives it (Sheth et al., ICCV 2021; arXiv 2303.05183).
    """
    lower = cholesky(total)
    whitened = forward_substituted(lower, list((target - mean).unbind(1)))
    cost = torch.stack([value.square() / 2 for value in whitened]).sum(0)
    return cost + torch.stack([line[row].log() for row, line in enumerate(lower)]).sum(0)


def stabilised_variance_loss(noisy: Tensor, gain: Tensor, read: Tensor) -> Tensor:
    """The "Cramer Gaussian loss" (B,): how far the noise is from unit strength once stabilised by
    the estimated law, in all parts of the picture alike.

    gain and read: variance per unit of signal and standard deviation of each picture, (B,).

    Colour (arXiv 2303.05183): sum over pairs of channels j != k of (e_j - 1)^2 + (e_j - e_k)^2, e
    the level of white noise. Gray, and mosaics (the authors' code): mean over the four corner crops
    of 3/4 the size of 1.5 (e - 1)^2 + (e_crop - 1)^2.
    """
    stable = stabilise(noisy, gain.view(-1, 1, 1, 1), read.view(-1, 1, 1, 1))
    whole = white_level(stable)  # (B, C)
    if noisy.shape[1] == 3:
        pairs = [
            (whole[:, j] - 1) ** 2 + (whole[:, j] - whole[:, k]) ** 2
            for j, k in permutations(range(3), 2)
        ]
        return torch.stack(pairs).sum(0)
    rows, columns = (3 * n // 4 for n in noisy.shape[-2:])
    corners = [
        stable[..., rows_, columns_]
        for rows_ in (slice(rows), slice(-rows, None))
        for columns_ in (slice(columns), slice(-columns, None))
    ]
    parts = white_level(torch.cat(corners)).view(4, *whole.shape)
    return (1.5 * (whole - 1) ** 2 + ((parts - 1) ** 2).mean(0)).mean(1)
