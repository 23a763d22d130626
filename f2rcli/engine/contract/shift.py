"""The shift of the noise's mean by clipping, and the part of it removed with the noise."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from f2rcli.engine.contract.limits import Real, box
from f2rcli.noise.clipping import clipped_moments
from f2rcli.noise.model import NoiseModel

SHIFT_SIDE = 9  # pixels, over which a mean is compared with what clipping moved it by
SHIFT_BANDS = 2  # finest bands that such a mean holds nothing of
SHIFT_SURE = 3.0  # standard deviations of it


def clipping(restored: Tensor, model: NoiseModel, stronger: float) -> tuple[Tensor, Tensor] | None:
    """By how much clipping moved the mean of noise on a picture (1, C, H, W), and what it left of
    the variance; None where no noise reaches black or white.

    stronger: factor of the noise's standard deviation when it was clipped.
    """
    level = model.level(restored) * stronger
    if not bool((torch.minimum(restored, 1 - restored) < 3 * level).any()):
        return None
    return clipped_moments(restored, level)


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
    nothing and all of it by more than noise explains."""
    mean = box(taken, SHIFT_SIDE)
    room = box(np.sqrt(variance), SHIFT_SIDE)
    room *= np.float32(shift_scatter(shares))
    mean += np.copysign(room, shift, out=room)
    return np.clip(mean, np.minimum(shift, 0), np.maximum(shift, 0), out=mean)


def shift_scatter(shares: Sequence[float]) -> float:
    """By how many of the noise's standard deviations its means over SHIFT_SIDE may scatter;
    shares: of its variance in bands, see `held`."""
    return SHIFT_SURE * max(sum(shares[SHIFT_BANDS:]), 1 / SHIFT_SIDE**2) ** 0.5
