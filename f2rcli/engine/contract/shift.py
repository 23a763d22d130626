"""The shift of the noise's mean by clipping, and the part of it removed with the noise."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from f2rcli.engine.contract.limits import LARGE, Real, box, on_half, sized
from f2rcli.noise.clipping import clipped_moments
from f2rcli.noise.model import NoiseModel

SHIFT_SIDE = 9  # pixels, over which a mean is compared with what clipping moved it by
SHIFT_BANDS = 2  # finest bands that such a mean holds nothing of
STEPS = 2048  # from black to white, of a table of what clipping does
SHIFT_SURE = 3.0  # standard deviations of it


class Looked(NamedTuple):
    """A picture, looked up in a table from black to white."""

    light: Tensor  # (1, C, 1, STEPS + 1): of the table
    level: Tensor  # the noise's there
    below: Tensor  # (C, H, W): the place in the table at or below every sample
    share: Tensor  # of the step to the next


def clipping(restored: Tensor, model: NoiseModel, stronger: float) -> tuple[Tensor, Tensor] | None:
    """By how much clipping moved the mean of noise on a picture (1, C, H, W), and what it left of
    the variance; None where no noise reaches black or white.

    stronger: factor of the noise's standard deviation when it was clipped.
    """
    seen = looked_up(restored, model, stronger)
    return moved(seen) if any(bool(one) for one in reaching(seen)) else None


def looked_up(restored: Tensor, model: NoiseModel, stronger: float) -> Looked:
    """See `clipping`."""
    light = torch.linspace(0, 1, STEPS + 1, device=restored.device)
    light = light.expand(1, restored.shape[1], 1, -1)
    level = model.level(light) * stronger
    place = restored[0].clamp(0, 1).mul_(STEPS)
    below = place.int().clamp_max_(STEPS - 1)
    return Looked(light, level, below, place.sub_(below))


def reaching(seen: Looked) -> Iterator[Tensor]:
    """Whether noise reaches black or white anywhere, channel by channel."""
    near = (torch.minimum(seen.light, 1 - seen.light) < 3 * seen.level)[0, :, 0, 1:]
    for one, index in zip(near, seen.below, strict=True):
        yield one.index_select(0, index.flatten()).any()


def moved(seen: Looked) -> tuple[Tensor, Tensor]:
    """The shift of the mean, and the factor of the variance."""
    table = torch.cat(clipped_moments(seen.light, seen.level), 2)[0]  # (C, 2, STEPS + 1)
    parts = zip(table, seen.below, seen.share, strict=True)
    shift, factor = torch.stack([_between(*part) for part in parts], 1)
    return shift[None], factor[None]


def _between(table: Tensor, below: Tensor, share: Tensor) -> Tensor:
    """Rows of a table (R, N) between two columns, by a share (H, W) of the step: (R, H, W)."""
    index = below.flatten()
    low, step = (part.index_select(1, index) for part in (table[:, :-1], table.diff()))
    return torch.addcmul(low, share.flatten(), step).view(-1, *below.shape)


def halved(picture: Tensor) -> Tensor:
    """Means over 2x2 pixels, over fewer at an odd border; (1, C, H, W) -> half of both."""
    for axis in (-2, -1):
        lines = picture.movedim(axis, 0)
        even = len(lines) // 2 * 2
        half = (lines[0:even:2] + lines[1:even:2]).div_(2)
        half = torch.cat([half, lines[even:]]) if even < len(lines) else half
        picture = half.movedim(0, axis)
    return picture


def part_removed(taken: Real, shift: Real, variance: Real, shares: Sequence[float]) -> Real:
    """The part of clipping's shift that was removed: the local mean, as far as it lies between
    nothing and all of it by more than noise explains. Of large planes on half their grid."""
    side, whole = SHIFT_SIDE, taken.shape
    if min(whole) >= LARGE:
        side = SHIFT_SIDE // 2 + 1
        taken, shift, variance = (on_half(plane) for plane in (taken, shift, variance))
    mean = box(taken, side)
    room = box(np.sqrt(variance), side)
    room *= np.float32(shift_scatter(shares))
    mean += np.copysign(room, shift, out=room)
    np.clip(mean, np.minimum(shift, 0), np.maximum(shift, 0), out=mean)
    return sized(mean, whole)


def shift_scatter(shares: Sequence[float]) -> float:
    """By how many noise deviations means over SHIFT_SIDE scatter; shares: see `held`."""
    return SHIFT_SURE * max(sum(shares[SHIFT_BANDS:]), 1 / SHIFT_SIDE**2) ** 0.5
