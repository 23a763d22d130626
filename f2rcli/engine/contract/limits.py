"""What is taken out must look like the measured noise, or it goes back.

Whatever a method returns, what it removed is noise plus an error that does not depend on it. In
every band, at every place and brightness, the noise's power is known from the measured law; where
more was removed, the best linear estimate of the noise in it is that much smaller (Wiener, 1949).
So no place, scale or brightness loses more than the noise that was measured there (DESIGN.md D32).
Worth 0.12 to 0.27 dB on filmed clips, 3.8 at sigma 1 (benchmarks/results/2026-11-25-rules.md).
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from f2rcli.engine.contract.filters import (
    blurred,
    box,
    halved,
    least_around,
    power_around,
    resized,
)
from f2rcli.engine.contract.terms import LEAST, by_band
from f2rcli.models.recorded import as_constant
from f2rcli.noise.bands import BAND_SIDES, Shares

# Bands are judged on coarser grids, as their power changes slowly from one sample to the next: the
# two finest on a grid of half the size, the next two are parted there, too, and the two coarsest on
# a grid of a quarter. Sides of the box filters that part them, and windows that their power is
# counted over, in samples of their grid.
FINE_SIDES, FINE_WINDOWS = BAND_SIDES[:2], (7, 7)
HALF_SIDES, HALF_WINDOWS = (7, 15), (13, 15)
QUARTER_SIDES, QUARTER_WINDOWS = (15,), (11, 11)
# White noise's power there, in that of `noise.bands` for the same bands.
GAINS = (0.8378, 1.1497, 1.0478, 1.0981)
TOLERANCE = 1.2  # times the noise's power before anything goes back
SMALL = 5  # samples: within so few no more goes than
SMALL_TOLERANCE = 4.0  # times the noise's power
# Of a mean over time: the part of the noise's power that the quietest wide windows around a place
# have, from which on there is detail; and of a picture's places, those in which even these hold
# more if the law says too little.
EVIDENT, QUIETEST = (0.95, 1.0), 0.1
HALF_WIDE, QUARTER_WIDE = 15, 7
CHANGE_SIDE = 9  # samples, over which differences of frames are counted


def limit_to_noise(
    removed: Tensor, variance: Tensor, shares: Sequence[Shares], sought: Tensor | None = None
) -> Tensor:
    """The part of `removed` (noisy - restored, planes (P, H, W)) that may stay removed.

    variance (P, H, W): of the noise; shares: the part of it that every band of a plane holds;
    sought: of a mean over time, the share (P, H, W) that goes back of what shows only in wide
    windows, see `_of_mean`.
    """
    kept = _of_all_bands(removed, variance, by_band(shares, removed), sought)
    allowed = box(variance, SMALL).mul_(SMALL_TOLERANCE)
    allowed /= power_around(kept, SMALL).clamp_min_(LEAST)
    kept *= allowed.clamp_(0, 1).sqrt_()
    most = variance.sqrt().mul_(4.0)  # more at one sample is not noise
    return torch.minimum(torch.maximum(kept, -most), most)


def _of_all_bands(
    removed: Tensor, variance: Tensor, shares: Tensor, sought: Tensor | None
) -> Tensor:
    half, some = halved(variance), None if sought is None else halved(sought)
    *fine, low = bands(removed, FINE_SIDES)
    kept = _of_bands(fine, half, shares[:, :2], FINE_WINDOWS, some, HALF_WIDE)
    shares = shares[:, 2:] * _gains(GAINS, removed)
    small = halved(low)
    *middle, lower = bands(small, HALF_SIDES)
    stays = _of_bands(middle, half, shares[:, :2], HALF_WINDOWS, some, HALF_WIDE)
    tiny = halved(lower)
    quarter, few = halved(half), None if some is None else halved(some)
    coarse = _of_bands(
        bands(tiny, QUARTER_SIDES), quarter, shares[:, 2:], QUARTER_WINDOWS, few, QUARTER_WIDE
    )
    back = small - stays - lower + resized(tiny - coarse, tuple(small.shape[-2:]))
    kept += low - resized(back, tuple(low.shape[-2:]))  # what goes back is as smooth as its band
    return kept


def _gains(values: tuple[float, ...], like: Tensor) -> Tensor:
    return as_constant(values, like).view(1, -1, 1, 1)


def bands(planes: Tensor, sides: Sequence[int]) -> list[Tensor]:
    """Planes in bands that add up to them, the finest first."""
    parts, low = [], planes
    for side in sides:
        below = blurred(low, side)
        parts.append(low - below)
        low = below
    return [*parts, low]


def _of_bands(
    parts: Sequence[Tensor],
    variance: Tensor,
    shares: Tensor,
    windows: Sequence[int],
    sought: Tensor | None,
    wide: int,
) -> Tensor:
    """The sum of what may stay of some bands, on the grid of `variance` or of twice its size.
    shares (P, bands, 1, 1)"""
    kept = torch.zeros_like(parts[0])
    side, around = 0, variance
    for index, (band, window) in enumerate(zip(parts, windows, strict=True)):
        if window != side:  # neighbouring bands share a window
            side, around = window, box(variance, window)
        power = band.square()
        power = halved(power) if power.shape != around.shape else power
        stays = around * shares[:, index]
        stays /= box(power, side).clamp_min_(LEAST)
        if sought is not None:
            stays = _of_mean(stays, power, variance * shares[:, index], sought, wide)
        stays = (stays * TOLERANCE).clamp_max_(1)
        kept.addcmul_(band, resized(stays, tuple(band.shape[-2:])))
    return kept


def _of_mean(stays: Tensor, power: Tensor, noise: Tensor, sought: Tensor, wide: int) -> Tensor:
    """The share of a band of a mean over time that may stay removed, by Wiener's share of it: the
    square, so that much less than noise stays where far more was removed. Where even the quietest
    of the wide windows around a place holds more than noise, there is weak detail everywhere, and
    at least the share that is sought goes back."""
    quiet, sure = EVIDENT
    far = least_around(box(power, wide) / box(noise, wide).clamp_min_(LEAST), wide)
    wrong = torch.quantile(far[:, ::4, ::4].flatten(1), QUIETEST, dim=1).div_(quiet).clamp_min_(1)
    seen = (far / wrong[:, None, None]).sub_(quiet).div_(sure - quiet).clamp_(0, 1)
    return torch.minimum(stays.square(), (1 - sought * seen) / TOLERANCE)


def changing(centre: Tensor, near: Sequence[Tensor], moves: Sequence[Tensor | None]) -> Tensor:
    """The variance of what differs between planes and their neighbours' around every place: an
    upper bound of the noise. Letters and drawn parts stay by it.

    near: the same planes of frames beside them, at least one; moves: where each sample lies there,
    as flat indices; None: only the same place is compared.
    """
    total = torch.zeros_like(centre)
    for other, move in zip(near, moves, strict=True):
        found = power_around(centre - other, CHANGE_SIDE)
        if move is not None:
            there = other.flatten(1).index_select(1, move).view_as(other)
            found = torch.minimum(found, power_around(centre - there, CHANGE_SIDE))
        total += found
    return total.div_(2 * len(near))


def landing(flow: Tensor, size: tuple[int, ...]) -> Tensor:
    """Where samples of a plane of this size land by a flow (2, h, w) in pixels of its own grid, to
    whole samples, as flat indices."""
    height, width = size
    across, down = resized(flow, size)
    x = (across * (width / flow.shape[2])).round_().int()
    y = (down * (height / flow.shape[1])).round_().int()
    x += torch.arange(width, dtype=torch.int32, device=flow.device)
    y += torch.arange(height, dtype=torch.int32, device=flow.device).unsqueeze(1)
    return (y.clamp_(0, height - 1) * width + x.clamp_(0, width - 1)).flatten()
