"""Where black and white cut noise off its mean is moved, and with the noise so much goes.

Networks restore what was there before: in the dark a frame's mean is above that. The part of what
is removed that the shift explains stays removed, though it is no noise (+0.11 dB at sigma 50,
0.02 to 0.03 at 20 to 30, of full-range clips).
"""

import numpy as np
import torch
from torch import Tensor

from f2rcli.engine.contract.filters import box, halved, here, resized
from f2rcli.engine.contract.terms import LEAST, Groups, Law, Terms, left_by_box
from f2rcli.frames import Family
from f2rcli.models.recorded import as_constant
from f2rcli.noise.clipping import clipped_moments
from f2rcli.yuv import matrices

SIDE = 9  # samples, over which a mean is compared with what clipping moved it by
SURE = 3.0  # standard deviations of that mean
# Times the noise's power and what changes between frames, beside black and white: noise has one
# long tail there, so its power in a small window scatters more. Worth 0.08 to 0.10 dB of a bright
# clip at sigma 30 and of its shot noise.
TAIL = 2.0


def shifts_removed(
    groups: Groups, removed: Groups, variances: Groups, quiet: Groups, law: Law, terms: Terms
) -> tuple[Groups, Groups]:
    """Per group, the part of clipping's shift of the mean that is removed with the noise; and what
    clipping left of the variance, (1, h, w). Empty lists where the file's range cut nothing off.

    variances: of the noise by the law; quiet: what changes from frame to frame, or nothing.
    """
    if not terms.clipped or terms.layout.counts_light:
        return [], []
    shown = [halved(a - b) for a, b in zip(groups, removed, strict=True)]  # fine enough for means
    size = tuple(shown[0].shape[-2:])
    to_range, back = _ranges(terms, shown[0])
    planes = torch.cat([resized(one, size) for one in shown])
    level = torch.cat([resized(halved(one), size) for one in variances])
    channels = (to_range @ planes.flatten(1)).view_as(planes)
    deviation = (to_range.square() @ level.flatten(1)).sqrt_().view_as(planes)
    deviation *= terms.tolerance.clipped
    if here(planes) and not _reaches(channels, deviation):
        return [], []
    shift, left = (one[0] for one in clipped_moments(channels[None], deviation[None]))
    shift, left = (back @ shift.flatten(1)).view_as(planes), left.mean(0, keepdim=True)
    if quiet:  # where less changes than the law says, less was cut off
        seen = halved(quiet[0][:1]) * TAIL
        expected = halved(variances[0][:1]) * left
        shift *= (seen / expected.clamp_min_(LEAST)).clamp_max_(1).sqrt_()
    parts = shift.split_with_sizes([len(one) for one in groups])
    found = enumerate(zip(removed, parts, variances, strict=True))
    return [_part_removed(*some, terms, kind) for kind, some in found], [left]


def untouched(left: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Where on a grid clipping left the variance as it was, 0..1; by degrees, as at a hard border
    one rounding of the networks' sums would show."""
    quiet, some = 0.005, 0.015  # of the variance, that clipping took: hardly any, and some
    return ((some - 1 + resized(left, shape)) / (some - quiet)).clamp_(0, 1)


def _reaches(channels: Tensor, deviation: Tensor) -> bool:
    return bool((torch.minimum(channels, 1 - channels) < SURE * deviation).any())


def _part_removed(
    taken: Tensor, shift: Tensor, variance: Tensor, terms: Terms, kind: int
) -> Tensor:
    """The local mean of what is removed, as far as it lies between nothing and all of the shift by
    more than noise explains."""
    scatter = left_by_box(terms.band_shares(kind), SIDE, taken).sqrt() * SURE
    mean = box(halved(taken), SIDE // 2 + 1)
    shift = resized(shift, tuple(mean.shape[-2:]))
    mean += box(halved(variance.sqrt()), SIDE // 2 + 1).mul_(scatter).copysign_(shift)
    mean = torch.minimum(torch.maximum(mean, shift.clamp_max(0)), shift.clamp_min(0))
    return resized(mean, tuple(taken.shape[-2:]))


def _ranges(terms: Terms, like: Tensor) -> list[Tensor]:
    """From planes to what the file's range cut off, and back, (P, P) each: noise of Y'CbCr files
    was cut off in red, green and blue."""
    count = len(terms.shares)
    yuv = terms.layout.family is Family.YUV
    both = matrices(terms.layout.matrix) if yuv else (np.eye(count), np.eye(count))
    return [as_constant(tuple(map(float, one.ravel())), like).view(count, count) for one in both]
