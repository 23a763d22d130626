"""All losses of all methods: the cost of an estimate against its target.

Pictures are (B, C, H, W), 0 = black and 1 = white; a weight says how much each sample counts. A
stage's loss is the mean over its batch, so that the shares of several processes add up.
"""

from collections.abc import Callable
from itertools import permutations

import torch
from torch import Tensor
from torch.nn import functional

from f2rcli.models.gaussian import Triangle, cholesky, forward_substituted
from f2rcli.models.layers import SHUFFLE
from f2rcli.noise.anscombe import stabilise, white_level
from f2rcli.noise.clipping import clipped_mean

Loss = Callable[[Tensor, Tensor], Tensor]  # estimate, target -> scalar

LEAST_ERROR = 2e-7  # mean squared error of a tenth of an 8-bit code: better is not seen


def as_stored(estimate: Tensor, cut: Tensor | None) -> Tensor:
    """What a file's range leaves, on average, of noise around an estimate (B, C, H, W): noisy
    targets that were clipped are unbiased for that, and not for the clean picture.

    cut: the standard deviation of a target's noise before it was clipped, 0 where it was not; None:
    nothing was.
    """
    estimate = estimate.float()
    return estimate if cut is None else clipped_mean(estimate, cut)


def l1_loss(estimate: Tensor, target: Tensor) -> Tensor:
    """Mean absolute error: F2R as published (arXiv 2603.10417, code)."""
    return (estimate.float() - target).abs().flatten(1).mean(1).mean()


def mse_loss(estimate: Tensor, target: Tensor) -> Tensor:
    """Mean squared error: FITVNet as published."""
    return (estimate.float() - target).square().flatten(1).mean(1).mean()


def psnr_loss(estimate: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """Mean over the batch of half the log of each picture's squared error.

    Every noise level weighs the same, as it does in a mean of PSNRs; the floor keeps pictures
    that are almost clean from ruling the gradient.
    """
    error = weighted_mean((estimate.float() - target).pow(2), weight)
    return 0.5 * torch.log(error + 2e-5).mean()


def relative_loss(estimate: Tensor, clean: Tensor, noisy: Tensor, lattice: float = 0.0) -> Tensor:
    """Mean over the batch of half the log of each picture's squared error beside its input's own.

    A harm done to light noise costs what a gain on heavy noise earns; the share of the input's
    error that is added keeps pictures which are easy (flat colours) from ruling the gradient.
    lattice: how much the errors' part with the period of PixelShuffle's 2x2 cells counts extra.
    """
    apart = estimate.float() - clean
    error = apart.square().flatten(1).mean(1)
    if lattice:
        error = error + lattice * lattice_power(apart)
    before = (noisy - clean).square().flatten(1).mean(1)
    return 0.5 * torch.log(error + 0.003 * before + LEAST_ERROR).mean()


def lattice_power(error: Tensor) -> Tensor:
    """Power (B,) of an error (B, C, H, W) that repeats from cell to cell of 2x2 pixels: its phases'
    means over 16x16 pixels, less their common mean."""
    cells = functional.pixel_unshuffle(error.flatten(0, 1).unsqueeze(1), SHUFFLE)
    phases = functional.avg_pool2d(cells, 8)
    uneven = phases - phases.mean(1, keepdim=True)
    return uneven.square().mean((1, 2, 3)).view(error.shape[0], -1).mean(1)


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


def weighted_mean(error: Tensor, weight: Tensor | None) -> Tensor:
    """Mean over each picture's samples, (B, C, H, W) -> (B,)."""
    if weight is None:
        return error.flatten(1).mean(1)
    return (weight * error).flatten(1).sum(1) / weight.flatten(1).sum(1).clamp_min(1)
