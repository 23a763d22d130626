"""Neighbours on the centre's grid, and how far to trust them."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from f2rcli.fast.support import serve
from f2rcli.methods.base import Prepared
from f2rcli.methods.rgb_f2r.memory import Memory
from f2rcli.models import motion
from f2rcli.models.flow import warp, warp_all
from f2rcli.models.fusion import Aligned, smooth, weighted
from f2rcli.models.large import halves
from f2rcli.models.large.codes import SPAN, alike, distance
from f2rcli.models.layers import box_mean

CELLS = 3  # of 2x2 pixels, about as wide as what `smooth` averages over
MISMATCH_FLOOR = 2e-3  # half an 8-bit code: coarse frames never agree better than that
MISMATCH_ALLOWED = 3.0  # times the frame's median mismatch; beyond it confidence falls

Align = Callable[..., Aligned]  # see aligned_one_by_one


def aligned_one_by_one(
    shown: Sequence[Prepared | Memory], rated: Iterable[tuple[Any, Any]], reference: Tensor | None
) -> Aligned:
    """Warp what is shown of the neighbours, and rate it. reference (1, C, H, W): what it should
    look like; without one, the mean of them all. A memory has the confidence of as many frames as
    it is worth. One neighbour after the other: pictures may be large."""
    like = shown[-1].coarse
    shape = (1, len(shown), *like.shape[1:])
    noisy, coarse = like.new_empty(shape), like.new_empty(shape)
    kind = torch.float16 if like.dtype is torch.uint16 else torch.float32
    agreement = torch.empty((1, len(shown), 1, *like.shape[2:]), dtype=kind, device=like.device)
    for place, (one, (flow, agree)) in enumerate(zip(shown, rated, strict=True)):
        agreement[:, place] = torch.from_numpy(agree).to(like.device)
        if isinstance(one, Memory):
            agreement[:, place] *= warp(one.count, flow).clamp_min(1)[:, 0]
        pictures = [alike(one.noisy, like), alike(one.coarse, like)]
        warp_all(pictures, flow, [noisy[:, place], coarse[:, place]])
    reference = alike(_mean(coarse) if reference is None else reference, coarse)
    for place, rate in enumerate(photometric_cells(coarse, reference).unbind(1)):
        agreement[:, place, 0] *= halves.doubled(rate, like.shape) if halves.serve(coarse) else rate
    return Aligned(noisy, coarse, agreement)


def _mean(pictures: Tensor) -> Tensor:
    """Over N of pictures (B, N, C, H, W); coded ones are decoded one by one."""
    if pictures.dtype is not torch.uint16:
        return pictures.mean(1)
    count = pictures.shape[1]
    return weighted(torch.full((1, count, 1, 1, 1), 1 / count), pictures)


def photometric(warped: Tensor, reference: Tensor, typical: Tensor | None = None) -> Tensor:
    """Match of warped neighbours (B, N, C, H, W) with the reference (B, C, H, W): (B, N, 1, H, W).

    1 where they match as most of the picture does, towards 0 where they show something else.
    `typical` (B,): the median mismatch over the whole picture, where only a crop is given.
    """
    rated = photometric_cells(warped, reference, typical)
    small = halves.serve(warped)
    return (halves.doubled(rated, warped.shape) if small else rated).unsqueeze(2)


def photometric_cells(warped: Tensor, reference: Tensor, typical: Tensor | None = None) -> Tensor:
    """The same (B, N, H, W), on cells of 2x2 pixels where those serve."""
    small = halves.serve(warped)
    mismatch = (_small_mismatches if small else mismatches)(warped, reference)
    if typical is None:
        typical = typical_mismatch(mismatch, 2 if small else 4)
    allowed = MISMATCH_ALLOWED * typical.clamp_min(MISMATCH_FLOOR).view(-1, 1, 1)
    return (mismatch / allowed[:, None]).square_().add_(1).reciprocal_()


def mismatches(warped: Tensor, reference: Tensor) -> Tensor:
    """How far each warped neighbour is from the reference around every pixel: (B, N, H, W)."""
    if warped.device.type != "cpu":
        return smooth((warped - reference.unsqueeze(1)).abs_().mean(2))
    apart = (distance(one, reference) for one in warped.unbind(1))
    return torch.stack([smooth(one[:, None])[:, 0] for one in apart], 1)


def _small_mismatches(warped: Tensor, reference: Tensor) -> Tensor:
    """The same on cells of 2x2 pixels, (B, N, H / 2, W / 2)."""
    even = not (warped.shape[-2] % 2 or warped.shape[-1] % 2)
    if even and len(warped) == 1 and serve(warped) and reference.dtype is warped.dtype:
        from f2rcli.fast import comparing  # brings numba

        unit = 1.0 if warped.is_floating_point() else 1 / SPAN
        cells = comparing.distances(warped, reference, unit)
        return box_mean(cells, CELLS)
    apart = (distance(one, reference) for one in warped.unbind(1))
    return torch.stack([halves.halved(one, CELLS) for one in apart], 1)


def typical_mismatch(mismatch: Tensor, step: int = 4) -> Tensor:
    """Median over neighbours and pixels (B,), on every `step`th row and column."""
    return motion.median(mismatch[..., ::step, ::step].flatten(1))
