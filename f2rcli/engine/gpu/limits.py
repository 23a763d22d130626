"""`contract/limits.py` as tensors, for groups of planes (P, H, W)."""

from collections.abc import Sequence

import torch
from torch import Tensor

from f2rcli.engine.contract.limits import (
    CHANGE_SIDE,
    CLIPPED_MOST,
    CLIPPED_TOLERANCES,
    EVIDENT,
    LEAST,
    MOST,
    QUIETEST,
    SMALL,
    SMALL_TOLERANCE,
    TOLERANCE,
    WIDE,
    WINDOWS,
)
from f2rcli.engine.gpu.filters import blurred, box, least_around, power_around
from f2rcli.models.constants import kept
from f2rcli.noise.bands import BAND_SIDES, Shares


def held(
    removed: Tensor,
    variance: Tensor,
    shares: Sequence[Shares],
    lasting: Tensor | None = None,
    clipped: Tensor | None = None,
) -> Tensor:
    """The part of `removed` (P, H, W) that may stay removed; see `contract.limits.held`."""
    stays = torch.zeros_like(removed)
    shortest = min(removed.shape[-2:])
    side, around = 0, variance
    by_band = kept(tuple(share for plane in shares for share in plane), removed)
    by_band = by_band.view(len(shares), -1, 1, 1)
    wide = min(WIDE, (shortest - 1) // 2 * 2 + 1)
    far = None if lasting is None else box(variance, wide)
    for index, band in enumerate(_bands(removed)):
        fits = min(WINDOWS[index], (shortest - 1) // 2 * 2 + 1)
        if fits != side:  # neighbouring bands share a window
            side, around = fits, box(variance, fits)
        allowed = around * by_band[:, index]
        if clipped is not None:
            allowed *= 1 + (CLIPPED_TOLERANCES[index] / TOLERANCE - 1) * clipped
        allowed /= power_around(band, side).clamp_min_(LEAST)
        if lasting is None or far is None:
            allowed *= TOLERANCE
        else:
            allowed *= allowed * TOLERANCE
            seen = _seen(band, far * by_band[:, index], wide)
            allowed = torch.minimum(allowed, 1 - lasting * seen)
        stays.addcmul_(band, allowed.clamp_max_(1))
    few = box(variance, SMALL).mul_(SMALL_TOLERANCE)
    few /= power_around(stays, SMALL).clamp_min_(LEAST)
    stays *= few.clamp_max_(1).sqrt_()
    most = variance.sqrt().mul_(MOST)
    if clipped is not None:
        most *= 1 + (CLIPPED_MOST / MOST - 1) * clipped
    return torch.minimum(torch.maximum(stays, -most), most)


def _seen(band: Tensor, noise: Tensor, wide: int) -> Tensor:
    """`contract.limits._lasting_share` of planes: how surely even quiet windows exceed noise."""
    quiet, sure = EVIDENT
    ratio = power_around(band, wide).div_(noise.clamp_min_(LEAST))
    least = least_around(ratio, wide)
    wrong = torch.quantile(least[:, ::4, ::4].flatten(1), QUIETEST, dim=1).div_(quiet)
    least /= wrong.clamp_min_(1)[:, None, None]
    return least.sub_(quiet).div_(sure - quiet).clamp_(0, 1)


def _bands(residual: Tensor) -> list[Tensor]:
    """Planes in six bands that add up to them, the finest first; see `noise.bands.bands`."""
    parts, low = [], residual
    for side in BAND_SIDES:
        below = blurred(low, side)
        parts.append(low - below)
        low = below
    return [*parts, low]


def changing(centre: Tensor, near: Sequence[Tensor], moves: Sequence[Tensor | None]) -> Tensor:
    """See `contract.limits.changing`: the variance of differences from neighbours, at least one."""
    bounds = []
    for other, move in zip(near, moves, strict=True):
        found = power_around(centre - other, CHANGE_SIDE)
        if move is not None:
            there = other.flatten(1).index_select(1, move).view_as(other)
            found = torch.minimum(found, power_around(centre - there, CHANGE_SIDE))
        bounds.append(found)
    return torch.stack(bounds).sum(0) / (2 * len(bounds))
