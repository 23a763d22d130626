"""What every place showed so far: the mean of its frames, and what was made of the last.

No window of a few frames comes near the mean of all that are alike. What stands still is brought to
it: detail that networks lose shows there, and noise that they leave does not. Every place counts
how many frames its mean is worth: a Kalman filter whose process noise is whatever a frame differs
by beyond its own noise (Kalman, 1960). A mean would wipe out what is new and leave ghosts of what
is gone, so one test of change looks at single frames, at the mean of the last few, which shows
changes a fourth as strong, and at their power, which shows what flickers (DESIGN.md D47). It looks
at means over cells of 2x2 samples: a third of the time.

How near a result comes to the mean beyond what noise explains is learnt from later frames, whose
noise is new: +0.36 dB of luma at sigma 5, 0.23 at 15 (six filmed stills, `lite`).
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from f2rcli.engine.contract.limits import (
    LEAST,
    TOLERANCE,
    Terms,
    by_plane,
    left_by_box,
    limit_to_noise,
    small_things,
)
from f2rcli.engine.planes_store import Groups
from f2rcli.models.filters import bell, box, halved, here, least_around, resized

MOST = 256.0  # frames that a mean may be worth
MOST_ALIKE = 32.0  # the same of the mean of what was taken out: slow changes must still fade
# Frames in which the noise in a mean may be twice the law's, and less from then on: in a mean of
# few, places where noise is loud by chance look like something lost. Worth 0.2 dB of chroma at
# sigma 20, 0.3 at 40 (four filmed clips, `lite`), and costs 0.03 of luma where all stands still.
EARLY = 0.25
SURE = 3.0  # frames from which on that mean is believed in full
CELL = 2  # samples a side
SIDES = (3, 7)  # cells, of the windows that changes are looked for in: of points, and of shades
LATELY = 1 / 8  # share of a frame in the mean of the last few
LEAST_OF_FEW = 1 / 35  # see `_of_few`
# Times the noise's power in a window, from which a frame or the last few lower a mean's worth: of
# noise alone one window in 10^5 has so much, and there are ten of them in the life of a mean.
JUMP, DRIFT = 20.0, 16.0
# The same from which a place is brought to its mean no more: from the first on in part.
EVENT, DRIFTS = (14.0, 20.0), (12.0, 16.0)
SCATTER = 6.0  # standard deviations of the power in a window: more shows what flickers
AROUND = 3  # cells around an event that stay as well
FEWEST = 4.0, 8.0  # frames: a mean of fewer is not used, one of more is used in full
# Pixels of flow into an adjacent frame, as means over so many pixels: beyond them a place moves.
# The flow of noise that stands still scatters by as much, but not all one way.
RESTING, OVER, STEP = 0.3, 60, 4
CAMERA = 0.4, 0.6  # of a picture's places: where fewer rest the camera moves; where more, things
HARDLY_ANY = 0.03  # the same: noise of 15 of 255 leaves a still picture 0.15 in its first frame
AHEAD = 4  # frames after a result: the first that no window of up to seven holds
FADING = 15 / 16  # of proofs, from frame to frame: excerpts know 24 frames before their first
OVER_CELLS = 25  # a side, over which proofs are summed: fewer cost chroma 0.1 dB at sigma 15
MOVING = 1 / 4  # share of a frame in a place's motion


class Memory(NamedTuple):
    """What groups of planes showed so far, where it is in the last frame; all but means by cell."""

    means: Sequence[Tensor] = ()
    worths: Sequence[Tensor] = ()  # frames in the means, 1 to MOST
    lately: Sequence[Tensor] = ()  # what the last few frames differed by
    calm: Sequence[Tensor] = ()  # 0..1, where nothing happens in the last frame or the last few
    motion: Sequence[Tensor] = ()  # one (2, h, w): pixels a frame of late, over a coarse grid
    matches: Sequence[Tensor] = ()  # frames that a place looked alike in, 1 to MOST_ALIKE
    removed: Sequence[Tensor] = ()  # the mean of what was taken out; empty before any
    ages: Sequence[Tensor] = ()  # frames in it
    # Of the last results, AHEAD of each group, by cell (3, P, h, w): what they lack of their mean,
    # what they show, and the frames in the mean.
    results: Sequence[Tensor] = ()
    proofs: Sequence[Tensor] = ()  # see `_proof`, summed over frames
    powers: Sequence[Tensor] = ()  # the noise's variance in the last frame, () each

    def fits(self, groups: Groups) -> bool:
        """Whether it is of pictures of this size, as far as it knows any."""
        return not self.means or [one.shape for one in self.means] == [one.shape for one in groups]


def added(
    memory: Memory, groups: Groups, variances: Groups, terms: Terms, flows: Sequence[Tensor]
) -> Memory:
    """The memory with the next frame; variances: of its noise; flows (1, H, W, 2): into the frames
    beside it, where known. Where hardly any place rests, it knows nothing but that: means would be
    worth nothing (0.00 dB of luma), and take a tenth of a frame. Devices would have to be asked."""
    motion = _motion(memory, flows)
    if here(groups[0]) and _places_at_rest(motion) < HARDLY_ANY:
        return Memory(motion=motion)
    powers = [variance.mean() for variance in variances]
    if not memory.means:
        cells = [halved(group) for group in groups]
        ones, nought = (
            [fill(one) for one in cells] for fill in (torch.ones_like, torch.zeros_like)
        )
        means = [group.clone() for group in groups]
        return Memory(means, ones, nought, nought, motion, ones, powers=powers)
    # In frames of this noise: what louder ones left in a mean is no detail that was lost.
    pairs = zip(powers, memory.powers, strict=True)
    shares = [(now / was.clamp_min(LEAST)).clamp_(1 / MOST, MOST) for now, was in pairs]
    moves = [one.square().sum(0, keepdim=True) > RESTING**2 for one in motion]
    parts, proofs = [], []
    for kind, (group, variance) in enumerate(zip(groups, variances, strict=True)):
        mean, worth = memory.means[kind], (memory.worths[kind] * shares[kind]).clamp_max_(MOST)
        apart = group - mean
        new = halved(apart)
        few = torch.lerp(memory.lately[kind], new, LATELY)
        seen = new, halved(apart.square()), few
        excess, calm = _changes(*seen, halved(variance), worth, terms, kind)
        if not kind and not terms.layout.counts_light:  # no window of changes shows what is small
            of_both = variance * (1 + 1 / resized(worth, variance.shape[-2:]))
            calm *= 1 - halved(small_things(bell(apart), of_both, terms.band_shares(kind)))
        alike = (1 / (1 / memory.matches[kind] + excess)).add_(1).clamp_max_(MOST_ALIKE)
        for there in moves:  # begins anew
            gone = resized(there.float(), new.shape[-2:])
            excess, few = excess + gone * MOST, few * (1 - gone)
        before, worth = worth, 1 / (1 / worth + excess)
        if len(memory.results) == AHEAD * len(groups):
            kept = memory.proofs[kind] * (worth / before * FADING) if memory.proofs else 0
            proofs.append(kept + _proof(group, memory.results[kind]))
        worth = worth.add_(1).clamp_max_(MOST)
        mean = mean + apart.div_(resized(worth, group.shape[-2:]))
        parts.append((mean, worth, few - new / worth, calm, alike))
    means, worths, lately, calms, matches = map(list, zip(*parts, strict=True))
    return memory._replace(
        means=means, worths=worths, lately=lately, calm=calms, motion=motion, matches=matches,
        proofs=proofs, powers=powers,
        ages=[age * share for age, share in zip(memory.ages, shares, strict=False)],
    )  # fmt: skip


def _changes(
    apart: Tensor, power: Tensor, lately: Tensor, variance: Tensor, worth: Tensor, terms: Terms,
    kind: int,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """What a frame (and its power) and the last few differ from the mean by beyond noise, in units
    of its variance, and how far nothing happens, 0..1; cell by cell."""
    noise, shares = variance.clamp_min(LEAST), terms.band_shares(kind)
    excess, calm = torch.zeros_like(apart), torch.ones_like(apart)
    few = _of_few(worth) * terms.tolerance.repeats
    seen = torch.cat([noise * (1 + 1 / worth), noise * few, apart, lately, power])
    for side in SIDES:
        expected, of_few, event, drift, flicker = box(seen, side).chunk(5)
        left = left_by_box(shares, CELL * side)
        # Noise that neighbours share has fewer independent samples in a window.
        most = 1 + SCATTER * np.sqrt(2 * left * np.maximum(left * (CELL * side) ** 2, 1))
        flicker = flicker.div_(expected).sub_(by_plane(most, apart))
        event = event.square_().div_(expected * (in_box := by_plane(left, apart)))
        drift = drift.square_().div_(of_few * in_box)
        calm *= falling(event, EVENT) * falling(drift, DRIFTS)
        event, drift = event.sub_(JUMP).mul_(in_box), drift.sub_(DRIFT).mul_(in_box * (3 * LATELY))
        for found in (flicker, event, drift):
            excess = torch.maximum(excess, found)
    return excess, least_around(calm, AROUND)


def _motion(memory: Memory, flows: Sequence[Tensor]) -> Sequence[Tensor]:
    """How a place moved of late: weak detail that moves under strong noise shows in no difference
    of frames. Noise makes flows that lead anywhere; their mean over places and frames is next to
    nothing. flows: into the frame before and the one after, or into one of them."""
    if not flows:
        return memory.motion
    ways = [flow[0, ::STEP, ::STEP].permute(2, 0, 1) for flow in flows]
    mean = ways[0] if len(ways) == 1 else (ways[0] - ways[1]) / 2
    mean = box(mean.contiguous(), OVER // STEP)
    return [torch.lerp(one, mean, MOVING) for one in memory.motion] or [mean]


def _places_at_rest(motion: Sequence[Tensor]) -> Tensor:
    """Their share of the picture; all where no motion is known."""
    if not motion:
        return torch.ones(())
    return (motion[0].square().sum(0) <= RESTING**2).float().mean()


def lost(
    memory: Memory, kind: int, removed: Tensor, variance: Tensor, used: Tensor, terms: Terms
) -> tuple[Tensor, Tensor, Tensor]:
    """What of a group's `removed` is no noise but was lost, as what was removed before at the same
    places tells; and the mean of that, and its age (by cell), with this frame.

    Noise averages out; what a method loses again and again (fine detail, faint stars, the shade of
    a flat area) does not: after n frames it shows n times as sharply. Averaging what was removed
    leaves no ghosts: where something moves, what is removed from it is new noise in every frame.
    """
    if not memory.removed:
        return torch.zeros_like(removed), removed, torch.ones_like(memory.worths[kind])
    age = torch.minimum(memory.ages[kind] + 1, memory.matches[kind])
    sure = ((age - 1) / (SURE - 1)).clamp_(0, 1)
    if terms.tolerance.averages[kind]:  # what is brought to its mean gets it back by that
        sure *= 1 - used
    frames, sure = (resized(one, removed.shape[-2:]) for one in (age, sure))
    mean = memory.removed[kind] + (removed - memory.removed[kind]) / frames
    return _beyond_noise(mean, variance, frames, kind, terms) * sure, mean, age


def _proof(group: Tensor, result: Tensor) -> Tensor:
    """What a frame tells of a result before it, whose window did not hold it, as its noise is new:
    the truth in what that lacks of its mean; and the mean's noise, of one frame. (2, P, h, w)"""
    lacks, shown, frames = result
    truth = (group[:, ::CELL, ::CELL] - shown).mul_(lacks)
    return torch.stack([truth, (lacks * lacks).sub_(truth).mul_(frames)])


def nearer(
    memory: Memory, kind: int, shown: Tensor, variance: Tensor, used: Tensor, terms: Terms
) -> tuple[Tensor, Tensor]:
    """What brings a restored group nearer to its mean: what is not the mean's own noise, and of the
    rest the share that later frames prove; and what they are to prove, see `Memory.results`."""
    worth = memory.worths[kind]
    if here(used) and not used.any():  # while a camera moves: a tenth of a frame's time
        return torch.zeros_like(shown), worth.new_zeros(3, *worth.shape)
    frames, used = (resized(one, shown.shape[-2:]) for one in (worth, used))
    apart = memory.means[kind] - shown
    step = _beyond_noise(apart, variance, frames, kind, terms)
    rest = apart - step
    result = torch.stack([one[:, ::CELL, ::CELL] for one in (rest, shown + step, frames)])
    if memory.proofs:
        truth, noise = (box(one, OVER_CELLS).clamp_min_(0) for one in memory.proofs[kind])
        share = truth / (noise / worth).add_(truth).clamp_min_(LEAST)
        step = step + rest * resized(share, rest.shape[-2:])
    return step * used, result


def _beyond_noise(
    mean: Tensor, variance: Tensor, frames: Tensor, kind: int, terms: Terms
) -> Tensor:
    """What a mean of so many frames holds besides noise."""
    lasting = terms.tolerance.lasting
    if terms.tolerance.repeats > 1:
        frames = (frames / terms.tolerance.repeats).clamp_min(1)
    share = frames.reciprocal()
    of_mean = linear(share, lasting, 1 - lasting).mul_(variance)
    of_mean *= linear(share, 1 / TOLERANCE, EARLY / TOLERANCE)
    return mean - limit_to_noise(mean, of_mean, terms, kind)


def mean_used(memory: Memory) -> list[Tensor]:
    """How far the mean of a place is used, 0..1, of every group."""
    rests = 1 - falling(_places_at_rest(memory.motion), CAMERA)
    ways = zip(memory.worths, memory.calm, strict=True)
    return [(1 - falling(worth, FEWEST)) * calm * rests.to(worth.device) for worth, calm in ways]


def falling(value: Tensor, limits: tuple[float, float]) -> Tensor:
    """1 up to the first limit, 0 from the second on."""
    scale = 1 / (limits[1] - limits[0])
    return linear(value, scale * limits[1], -scale).clamp_(0, 1)


def linear(x: Tensor, start: float, slope: float) -> Tensor:
    """start + slope x, in one go over all of it."""
    return torch.rsub(x, start, alpha=-slope)


def _of_few(worth: Tensor) -> Tensor:
    """Of the mean of the last few frames less that of all, the variance in units of a frame's: what
    averages of noise leave, and what the first frames weigh too much."""
    lasting = (LATELY / (2 - LATELY) - 1 / worth).clamp_min_(0)
    beginning = (worth * (2 * math.log(1 - LATELY))).exp_().mul_(0.9)
    return lasting.add_(beginning).clamp_min_(LEAST_OF_FEW)
