"""Blind2Sound's RGB tensors as those of gray networks."""

import torch
from torch import Tensor


def narrowed(wide: Tensor, shape: torch.Size) -> Tensor:
    """A tensor for one channel: what the three channels of a gray picture would make together,
    inputs summed and means averaged; its variance is that of the last channel."""
    if wide.shape == shape:
        return wide
    if wide.shape[0] != shape[0]:  # the denoiser's tail: three means, and a triangle row by row
        return torch.stack([wide[:3].mean(0), wide[-1]])
    return torch.cat([wide[:, :-3], wide[:, -3:].sum(1, keepdim=True)], 1)  # the picture is last
