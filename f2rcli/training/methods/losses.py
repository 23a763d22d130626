"""Losses that several methods' stages share."""

import torch
from torch import Tensor
from torch.nn import functional

from f2rcli.models.layers import SHUFFLE

LEAST_ERROR = 2e-7  # mean squared error of a tenth of an 8-bit code: better is not seen


def psnr_loss(estimate: Tensor, clean: Tensor, weight: Tensor | None = None) -> Tensor:
    """Mean over the batch of half the log of each sample's squared error.

    Every noise level weighs the same, as it does in a mean of PSNRs; the floor keeps samples
    that are almost clean from ruling the gradient. weight: of every pixel's error, or none.
    """
    error = weighted_mean((estimate.float() - clean).pow(2), weight)
    return 0.5 * torch.log(error + 2e-5).mean()


def relative_loss(estimate: Tensor, clean: Tensor, noisy: Tensor, lattice: float = 0.0) -> Tensor:
    """Mean over the batch of half the log of each sample's squared error beside its input's own.

    A harm done to light noise costs what a gain on heavy noise earns; the share of the input's
    error that is added keeps samples which are easy (flat colours) from ruling the gradient.
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


def weighted_mean(error: Tensor, weight: Tensor | None) -> Tensor:
    """Mean over each sample's pixels, (B, C, H, W) -> (B,)."""
    if weight is None:
        return error.flatten(1).mean(1)
    return (weight * error).flatten(1).sum(1) / weight.flatten(1).sum(1).clamp_min(1)
