"""What is taken out must look like the measured noise, or it goes back.

Whatever a method returns, what it removed is noise plus an error that does not depend on it. In
every band, at every place and brightness, the noise's power is known from the measured law; where
more was removed, the best linear estimate of the noise in it is that much smaller (Wiener, 1949).
So no place, scale or brightness loses more than the noise that was measured there (DESIGN.md D32).
Worth 0.12 to 0.27 dB on filmed clips, 3.8 at sigma 1 (benchmarks/results/2026-11-25-rules.md).

Where black and white cut noise off its mean is moved, and with the noise so much goes. Networks
restore what was there before: in the dark a frame's mean is above that. The part of what is removed
that the shift explains stays removed, though it is no noise (+0.11 dB at sigma 50, 0.02 to 0.03 at
20 to 30, of full-range clips).

Planes of one kind travel together as a group (P, H, W): luma or all planes first, then chroma.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from f2rcli.engine.planes_store import Groups, parts_of
from f2rcli.frames import Family, Floats, PlaneLayout
from f2rcli.models.filters import bands, bell, box, halved, here, least_around, resized
from f2rcli.models.recorded import as_constant
from f2rcli.noise.model import (
    BAND_SIDES,
    KNOTS,
    NoiseModel,
    PlaneNoise,
    Shares,
    clipped_moments,
    factors,
    interpolated,
)
from f2rcli.yuv import matrices

LEAST = 1e-14  # power below which there is nothing to compare
STEPS = 64 * (KNOTS - 1)  # from black to white, of a law's table


@dataclass(frozen=True, slots=True)
class Tolerance:
    """Room for noise that was measured too low: for luma, and for chroma. Every plane of gray
    pictures and mosaics counts as luma."""

    noise: tuple[float, float]  # factors of the noise's variance
    change: tuple[float, float]  # of the variance of what changes from frame to frame
    # Part of both that is for places where noise is loud by chance: means over time see to that.
    chance: float = 1.0
    lasting: float = 0.0  # part of the variance that need not change
    averages: tuple[bool, bool] = (True, True)  # whether frames' means show less noise than one
    clipped: float = 1.0  # times the deviation, that the noise had when black and white cut it off
    apart: float = 1.0  # times half of what frames differ by, that the noise's variance is
    # Frames in a row whose noise counts as that of one, in means over time: (1 + rho) / (1 - rho).
    repeats: float = 1.0


# Noise is loud by chance in places: one window of the contract in twenty holds a tenth more.
STRICT = Tolerance(noise=(1.1, 1.1), change=(1.3, 1.2), chance=1.1)
# Frames share part of what a codec did to them, most of it in chroma, and what it rounded off is
# copied from frame to frame: `lasting` of 0.25 costs coarse Motion JPEG 0.3 dB of chroma (ten
# filmed clips, `lite`). They took noise out after it was clipped.
CODED = Tolerance(
    noise=(1.4, 3.5), change=(2.0, 5.0), lasting=0.3, averages=(True, False), clipped=1.8
)

# Of a few electrons a pixel: single samples and small windows hold far more than their share of
# noise by chance, and what changes between frames is counted on too few of them.
SPARSE = Tolerance(noise=(2.0, 2.0), change=(4.0, 4.0), averages=(False, False))


@dataclass(frozen=True, slots=True)
class Terms:
    """The contract's terms for frames of one layout and law; two that are equal mean the same
    work, which a device need not be told twice."""

    layout: PlaneLayout
    shares: tuple[Shares, ...]  # per plane, see `PlaneNoise`
    clipped: bool
    tolerance: Tolerance = STRICT
    allowance: tuple[float, ...] = (1.0,)  # factors of each plane's deviation, or of all planes'
    gamut: bool = True  # see `PlaneNoise`

    @property
    def chroma(self) -> bool:
        """Whether planes after the first hold colour alone, whose noise goes by the first's."""
        return self.layout.family is Family.YUV

    @property
    def coloured(self) -> bool:
        """Whether three planes show one picture; dyes of a stack have no colour in common."""
        return self.chroma or (self.layout.family is Family.RGB and not self.layout.counts_light)

    @property
    def parts(self) -> list[slice]:
        """The planes that each group holds."""
        return parts_of(self.layout, len(self.shares))

    def band_shares(self, kind: int) -> tuple[Shares, ...]:
        """Of every plane of a group, the share of its variance in each band."""
        return self.shares[self.parts[kind]]

    def allowed(self, kind: int) -> float:
        """The factor of a group's variance that was asked for."""
        return self.allowance[min(kind, len(self.allowance) - 1)] ** 2


def left_by_box(shares: Sequence[Shares], side: int) -> Floats:
    """(P,): the share of each plane's variance that means over side x side samples keep: no less
    than of white noise, and about what lies in the bands that wider filters part."""
    wider = [[sum(one[band + 1 :]) for band in range(len(BAND_SIDES))] for one in shares]
    places, wanted = np.log(BAND_SIDES), np.log(side)
    found = (np.exp(np.interp(wanted, places, np.log(np.maximum(one, LEAST)))) for one in wider)
    return np.maximum([*found], 1 / side**2)


def by_plane(values: Floats, like: Tensor) -> Tensor:
    """A number (P,) for each plane, (P, 1, 1), as a constant on the device of others."""
    return as_constant(tuple(values.tolist()), like).view(-1, 1, 1)


class Law(NamedTuple):
    """The variance of every plane's noise, group by group."""

    tables: Groups  # (P, STEPS + 1), from black to white
    places: Groups  # (P, R, C), factors over the picture; none where it is the same everywhere


def law_of(noise: PlaneNoise, terms: Terms, groups: Groups) -> Law:
    """The law on the device of a frame's groups."""
    tables = _made(noise.model, terms, groups[0].device, torch.is_inference_mode_enabled())
    if not noise.places:
        return Law(tables, [])
    found = factors(noise.places, groups[0].device).square()
    return Law(tables, [found[part] for part in terms.parts])


@lru_cache(maxsize=8)  # those of a few steps of an encoder
def _made(model: NoiseModel, terms: Terms, device: torch.device, _inference: bool) -> Groups:
    light = torch.linspace(0, 1, STEPS + 1, device=device).expand(1, len(terms.shares), 1, -1)
    table = model.level(light)[0, :, 0].square()
    return [table[part] for part in terms.parts]


def variances_by(law: Law, shown: Groups, terms: Terms) -> Groups:
    """The noise's variance by its law where groups are as bright as `shown`; chroma's by luma."""
    light = [
        resized(shown[0], group.shape[-2:]) if terms.chroma and kind else group
        for kind, group in enumerate(shown)
    ]
    found = [interpolated(*one).clamp_min_(0) for one in zip(law.tables, light, strict=True)]
    for one, factor in zip(found, law.places, strict=False):
        one *= resized(factor, one.shape[-2:])
    return found


def without(groups: Groups, removed: Groups) -> Groups:
    """Groups without what is removed from them."""
    return [group - taken for group, taken in zip(groups, removed, strict=True)]


# Bands are judged on coarser grids, as their power changes slowly from one sample to the next: the
# two finest on a grid of half the size, the next two are parted there, too, and the two coarsest on
# a grid of a quarter. Sides of the box filters that part them, and windows that their power is
# counted over, in samples of their grid.
FINE_SIDES, FINE_WINDOW = BAND_SIDES[:2], 7
HALF_SIDES, HALF_WINDOW = (7, 15), 15
QUARTER_SIDES, QUARTER_WINDOW = (15,), 11
# White noise's power there, in that of `bands` for the same bands.
GAINS = (1.0, 1.0, 0.8378, 1.1497, 1.0478, 1.0981)
TOLERANCE = 1.2  # times the noise's power before anything goes back
# Standard deviations of a mean over a bell of 3x3 samples, from which on it holds what noise does
# in one place of 10,000. With 3.7 a satellite of 4 sigma keeps 0.62 of its light for 0.57, and
# filmed clips at sigma 40 show three times as many specks.
LIGHT = 3.9
BELL_GAIN = 9 * (6 / 16) ** 2  # noise in such a mean, in that of a flat one
CHANGE_SIDE = 9  # samples, over which differences of frames are counted


def limit_to_noise(removed: Tensor, variance: Tensor, terms: Terms, kind: int) -> Tensor:
    """The part of what is `removed` from a group (noisy - restored) that may stay removed.

    removed, variance (of the noise): (P, H, W).
    """
    shares = terms.band_shares(kind)
    kept = _of_all_bands(removed, variance, shares)
    # Neither is chroma's noise any finer, nor are tails of counts as short.
    if not kind and not terms.layout.counts_light:
        mean = bell(kept)  # as a light is, noise less so; sharpened by what a mean blurs
        sharp = torch.sub(bell(mean), mean, alpha=2)
        kept.addcmul_(small_things(mean, variance, shares), sharp)
    most = variance.sqrt().mul_(4.0)  # more at one sample is not noise
    return kept.clamp_(-most, most)


def small_things(seen: Tensor, variance: Tensor, shares: Sequence[Shares]) -> Tensor:
    """Where planes (P, H, W) of noise, `seen` through a bell, hold stars, satellites and the like,
    0..1: two pixels wide, too little for a test of power, and often too fast to be seen twice. A
    mean over their own shape shows them best (North, 1943)."""
    noise = box(variance, 3) * by_plane(BELL_GAIN * LIGHT**2 * left_by_box(shares, 3), seen)
    noise = noise.div_(seen.square().clamp_min_(LEAST)).square_().square_()
    return 1 - least_around(noise.clamp_max_(1), 3)


def _of_all_bands(removed: Tensor, variance: Tensor, by_band: Sequence[Shares]) -> Tensor:
    ways = zip(zip(*by_band, strict=True), GAINS, strict=True)
    most = tuple(TOLERANCE * gain * share for shares, gain in ways for share in shares)
    shares = as_constant(most, removed).view(-1, len(by_band), 1, 1)
    half = halved(variance)
    *fine, low = bands(removed, FINE_SIDES)
    kept = _of_bands(fine, half, shares[:2], FINE_WINDOW)
    small = halved(low)
    *middle, lower = bands(small, HALF_SIDES)
    stays = _of_bands(middle, half, shares[2:4], HALF_WINDOW)
    tiny = halved(lower)
    coarse = _of_bands(bands(tiny, QUARTER_SIDES), halved(half), shares[4:], QUARTER_WINDOW)
    back = small - stays - lower + resized(tiny - coarse, small.shape[-2:])
    kept += low - resized(back, low.shape[-2:])  # what goes back is as smooth as its band
    return kept


def _of_bands(parts: Sequence[Tensor], variance: Tensor, shares: Tensor, window: int) -> Tensor:
    """The sum of what may stay of two bands, on the grid of `variance` or of twice its size; shares
    (2, P, 1, 1) of the noise that each may hold."""
    count, size = len(variance), variance.shape[-2:]
    powers = resized(torch.cat([*parts]).square_(), size)
    around = box(torch.cat([powers, variance]), window)
    stays = (around[-count:] * shares).flatten(0, 1)
    stays = stays.div_(around[:-count].clamp_min_(LEAST)).clamp_max_(1)
    first, second = resized(stays, parts[0].shape[-2:]).chunk(2)
    return (first * parts[0]).addcmul_(second, parts[1])


def changing(
    centre: Tensor, near: Sequence[Tensor], moves: Sequence[Tensor | None], terms: Terms
) -> Tensor:
    """The variance of what differs between planes and their neighbours' around every place: an
    upper bound of the noise. Letters, drawn parts and bars stay by it; 0 where none can be.

    near: the same planes of frames beside them, at least one; moves: where each sample lies there,
    as flat indices; None: only the same place is compared.
    """
    total, most = torch.zeros_like(centre), torch.zeros_like(centre)
    for other, move in zip(near, moves, strict=True):
        apart = (centre - other).square_()
        most = torch.maximum(most, apart)
        found = box(apart, CHANGE_SIDE)
        if move is not None:
            there = other.flatten(1).index_select(1, move).view_as(other)
            found = torch.minimum(found, box((centre - there).square(), CHANGE_SIDE))
        total += found
    # A sample has no noise where it is within any window that stays the same to the last bit; of a
    # codec's files, which copy noise from frame to frame, any such that is flat.
    most = -least_around(-most, CHANGE_SIDE)
    if terms.tolerance.lasting:
        high, low = -least_around(-centre, CHANGE_SIDE), least_around(centre, CHANGE_SIDE)
        most = torch.maximum(most, high - low)
    changes = least_around(most, CHANGE_SIDE) > 0
    return total.div_(2 * len(near)).clamp_min_(LEAST).mul_(changes)


SIDE = 9  # samples, over which a mean is compared with what clipping moved it by
SURE = 3.0  # standard deviations of that mean
# Times the noise's power and what changes between frames, beside black and white: noise has one
# long tail there, so its power in a small window scatters more. Worth 0.08 to 0.10 dB of a bright
# clip at sigma 30 and of its shot noise.
TAIL = 2.0


def shifts_removed(
    groups: Groups, removed: Groups, variances: Groups, quiet: Groups, terms: Terms
) -> tuple[Groups, Groups]:
    """Per group, the part of clipping's shift of the mean that is removed with the noise, and times
    its power that noise may have; empty lists where the file's range cut nothing off.

    variances: of the noise by the law; quiet: what changes from frame to frame, or nothing.
    """
    if not terms.clipped or terms.layout.counts_light:
        return [], []
    shown = [halved(one) for one in without(groups, removed)]  # fine enough for means
    size = tuple(shown[0].shape[-2:])
    to_range, back = _ranges(terms, shown[0])
    planes = torch.cat([resized(one, size) for one in shown])
    level = torch.cat([resized(halved(one), size) for one in variances])
    channels = (to_range @ planes.flatten(1)).view(-1, *size)
    deviation = (to_range.square() @ level.flatten(1)).sqrt_().view(-1, *size)
    deviation *= terms.tolerance.clipped
    if here(planes) and not (torch.minimum(channels, 1 - channels) < SURE * deviation).any():
        return [], []
    shift, left = (one[0] for one in clipped_moments(channels[None], deviation[None]))
    shift, left = (back @ shift.flatten(1)).view_as(planes), left.mean(0, keepdim=True)
    if quiet:  # where less changes than the law says, less was cut off
        seen = halved(quiet[0][:1]) * TAIL
        expected = halved(variances[0][:1]) * left
        shift *= (seen / expected.clamp_min_(LEAST)).clamp_max_(1).sqrt_()
    parts = shift.split_with_sizes([len(one) for one in groups])
    found = enumerate(zip(removed, parts, variances, strict=True))
    tails = [_tail(resized(left, one.shape[-2:])) for one in groups]
    return [_part_removed(*some, terms, kind) for kind, some in found], tails


def _tail(left: Tensor) -> Tensor:
    """TAIL where clipping took some of the variance, 1 where it left all; by degrees, as at a hard
    border one rounding of the networks' sums would show."""
    quiet, some = 0.005, 0.015  # of the variance, that clipping took: hardly any, and some
    untouched = ((some - 1 + left) / (some - quiet)).clamp_(0, 1)
    return 1 + (TAIL - 1) * (1 - untouched)


def _part_removed(
    taken: Tensor, shift: Tensor, variance: Tensor, terms: Terms, kind: int
) -> Tensor:
    """The local mean of what is removed, between nothing and all of the shift, beyond its noise."""
    scatter = by_plane(SURE * np.sqrt(left_by_box(terms.band_shares(kind), SIDE)), taken)
    mean = box(halved(taken), SIDE // 2 + 1)
    shift = resized(shift, mean.shape[-2:])
    mean += box(halved(variance.sqrt()), SIDE // 2 + 1).mul_(scatter).copysign_(shift)
    mean = torch.minimum(torch.maximum(mean, shift.clamp_max(0)), shift.clamp_min(0))
    return resized(mean, taken.shape[-2:])


def _ranges(terms: Terms, like: Tensor) -> list[Tensor]:
    """From planes (P) to what the file's range cut off, and back: noise of Y'CbCr files was cut off
    in red, green and blue, if not in luma alone."""
    own = np.eye(len(terms.shares), dtype=np.float32)
    both = own[:1], own[:, :1]
    if terms.gamut:
        both = matrices(terms.layout.matrix) if terms.layout.family is Family.YUV else (own, own)
    return [as_constant(tuple(map(float, one.ravel())), like).view(one.shape) for one in both]
