"""`contract/outliers.py` as tensors, for groups of planes (P, H, W)."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from f2rcli.engine.contract.limits import LEAST
from f2rcli.engine.contract.outliers import (
    ALIKE,
    ALWAYS,
    BESIDE,
    CHANCE,
    EVERY,
    HEIGHTS,
    KERNELS,
    MOST_OF_ONE,
    TAILS,
    UP_TO,
)
from f2rcli.engine.gpu.filters import mirrored
from f2rcli.models.constants import kept
from f2rcli.order import MAD_TO_SIGMA

FLAT_KERNELS = tuple(np.stack(KERNELS).ravel().tolist())


def noise_share(removed: Tensor, variance: Tensor, clipped: Tensor | None) -> Tensor:
    """The share (P, H, W) of what was removed that is noise; see `contract.outliers`."""
    known = variance > LEAST
    if clipped is not None:
        known = known & (clipped <= 0)
    height = removed / variance.clamp_min(LEAST).sqrt_()
    height *= known
    sides = _standing_out(height)
    ascending = [side.flatten(1).sort(1).values for side in sides]
    samples = known.flatten(1).sum(1, keepdim=True)
    share = torch.ones_like(removed)
    for way, (side, sign) in enumerate(zip(sides, (1, -1), strict=True)):
        table = _shares_at(_between(ascending[way]), _between(ascending[1 - way]), samples)
        near = functional.max_pool2d(side.unsqueeze(1), 3, 1, 1).squeeze(1)
        part = ((sign * height - BESIDE[0]) / (BESIDE[1] - BESIDE[0])).clamp_(0, 1)
        share -= part * (1 - _found(table, near))
    return share


def _standing_out(height: Tensor) -> tuple[Tensor, Tensor]:
    """At every sample the highest of it and the sums around it, and the same of its negative."""
    held = mirrored(height.clamp(-MOST_OF_ONE, MOST_OF_ONE), 1, edge=True).unsqueeze(1)
    found = functional.conv2d(held, kept(FLAT_KERNELS, height).view(-1, 1, 3, 3))
    usual = MAD_TO_SIGMA * found[..., ::EVERY, ::EVERY].abs().flatten(2).quantile(0.5, 2)
    found /= usual.clamp_min_(1)[..., None, None]
    return _highest(height, found), _highest(-height, found.neg_())


def _highest(height: Tensor, found: Tensor) -> Tensor:
    square = functional.pad(found[:, -1:], (0, 1, 0, 1), value=-torch.inf)
    square = functional.max_pool2d(square, 2, 1).squeeze(1)  # each of its four samples
    return torch.maximum(torch.maximum(height, found[:, :-1].amax(1)), square)


def _between(ascending: Tensor) -> Tensor:
    """How many lie between each of HEIGHTS and UP_TO; (P, heights)."""
    ends = kept((*HEIGHTS.tolist(), *UP_TO.tolist()), ascending).repeat(len(ascending), 1)
    below, up_to = torch.searchsorted(ascending, ends, right=True).chunk(2, 1)
    return up_to - below


def _shares_at(mine: Tensor, other: Tensor, samples: Tensor) -> Tensor:
    """See `contract.outliers.shares_at`; (P, heights)."""
    tails, always = (kept(tuple(one.tolist()), mine.float()) for one in (TAILS, ALWAYS))
    chance = torch.maximum(CHANCE * samples * tails, ALIKE * other)
    table = ((always + chance) / mine.clamp_min(1)).clamp_max_(1)
    table[:, 0] = 1
    return table.cummin(1).values


def _found(table: Tensor, height: Tensor) -> Tensor:
    """Shares by height, linear between those of a table (P, heights)."""
    place = ((height - HEIGHTS[0]) / (HEIGHTS[1] - HEIGHTS[0])).clamp_(0, len(HEIGHTS) - 1)
    below = place.long().clamp_max_(len(HEIGHTS) - 2).flatten(1)
    low, high = table.gather(1, below), table.gather(1, below + 1)
    return torch.lerp(low, high, place.flatten(1) - below).view_as(height)
