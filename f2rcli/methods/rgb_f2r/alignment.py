"""Neighbours on the centre's grid, and how far to trust them."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from f2rcli.methods.base import Prepared
from f2rcli.methods.rgb_f2r.memory import Memory
from f2rcli.models import motion
from f2rcli.models.flow import warp, warp_all
from f2rcli.models.fusion import Aligned, smooth

MISMATCH_FLOOR = 2e-3  # half an 8-bit code: coarse frames never agree better than that
MISMATCH_ALLOWED = 3.0  # times the frame's median mismatch; beyond it confidence falls

Align = Callable[..., Aligned]  # see aligned_one_by_one


def aligned_one_by_one(
    shown: Sequence[Prepared | Memory], rated: Iterable[tuple[Any, Any]], reference: Tensor | None
) -> Aligned:
    """Warp what is shown of the neighbours, and rate it. reference (1, C, H, W): what it should
    look like; without one, the mean of them all. A memory has the confidence of as many frames as
    it is worth."""
    like = shown[-1].coarse
    shape = (1, len(shown), *like.shape[1:])
    noisy, coarse = like.new_empty(shape), like.new_empty(shape)
    agreement = torch.empty((1, len(shown), 1, *like.shape[2:]), device=like.device)
    for place, (one, (flow, agree)) in enumerate(zip(shown, rated, strict=True)):
        agreement[:, place] = torch.from_numpy(agree).to(like.device)
        if isinstance(one, Memory):
            agreement[:, place] *= warp(one.count, flow).clamp_min(1)[:, 0]
        warp_all([one.noisy, one.coarse], flow, [noisy[:, place], coarse[:, place]])
    agreement *= photometric(coarse, coarse.mean(1) if reference is None else reference)
    return Aligned(noisy, coarse, agreement)


def photometric(warped: Tensor, reference: Tensor, typical: Tensor | None = None) -> Tensor:
    """Match of warped neighbours (B, N, C, H, W) with the reference (B, C, H, W): (B, N, 1, H, W).

    1 where they match as most of the picture does, towards 0 where they show something else.
    `typical` (B,): the median mismatch over the whole picture, where only a crop is given.
    """
    mismatch = mismatches(warped, reference)
    if typical is None:
        typical = typical_mismatch(mismatch)
    allowed = MISMATCH_ALLOWED * typical.clamp_min(MISMATCH_FLOOR).view(-1, 1, 1)
    return (mismatch / allowed[:, None]).square_().add_(1).reciprocal_().unsqueeze(2)


def mismatches(warped: Tensor, reference: Tensor) -> Tensor:
    """How far each warped neighbour is from the reference around every pixel: (B, N, H, W)."""
    return smooth((warped - reference.unsqueeze(1)).abs_().mean(2))


def typical_mismatch(mismatch: Tensor, step: int = 4) -> Tensor:
    """Median over neighbours and pixels (B,), on every `step`th row and column."""
    return motion.median(mismatch[..., ::step, ::step].flatten(1))
