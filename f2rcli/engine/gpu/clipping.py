"""What clipping did to noise, as `contract/shift.py` and `contract/residual.py` say, as tensors."""

from collections.abc import Sequence

import torch
from torch import Tensor

from f2rcli.engine.contract.limits import LEAST
from f2rcli.engine.contract.residual import CLIPPED_CHANGE
from f2rcli.engine.contract.shift import SHIFT_SIDE, looked_up, moved, shift_scatter
from f2rcli.engine.gpu.colour import Groups, split
from f2rcli.engine.gpu.filters import box, resized
from f2rcli.engine.gpu.terms import Law, Terms
from f2rcli.models.constants import kept
from f2rcli.noise.bands import Shares


def cut_off(
    restored: Tensor, groups: Groups, quiet: Groups, terms: Terms, law: Law
) -> tuple[Groups, Tensor]:
    """The shift of every plane's mean by clipping, and the variance it left (1, H, W).

    restored (1, C, h, w): the picture at half its size; groups: of the sizes to give; quiet: what
    changes in time, or nothing.
    """
    assert terms.model is not None  # there is a picture
    shift, factor = moved(looked_up(restored, terms.model, terms.slack.clipped))
    size = groups[0].shape[-2:]
    left = resized(factor[0].mean(0, keepdim=True), size)
    shifts = [
        resized(group, full.shape[-2:])
        for group, full in zip(split(shift, terms.layout), groups, strict=True)
    ]
    if quiet:  # where less changes than the law says, less was cut off
        noise = law.level(0, resized(restored[0].mean(0, keepdim=True), size))[:1]
        seen = quiet[0][:1] * CLIPPED_CHANGE / (noise.square() * left).clamp_min_(LEAST)
        share = seen.clamp_max_(1).sqrt_()
        shifts = [group * resized(share, group.shape[-2:]) for group in shifts]
    return shifts, left


def part_removed(
    taken: Tensor, shift: Tensor, variance: Tensor, shares: Sequence[Shares]
) -> Tensor:
    """The part of clipping's shift that was removed; see `contract.shift.part_removed`."""
    room = kept(tuple(shift_scatter(one) for one in shares), taken).view(-1, 1, 1)
    mean = box(taken, SHIFT_SIDE)
    mean += box(variance.sqrt(), SHIFT_SIDE).mul_(room).copysign_(shift)
    return torch.minimum(torch.maximum(mean, shift.clamp_max(0)), shift.clamp_min(0))
