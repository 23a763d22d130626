"""Convert a method's change of a picture into changes of planes, under the contract."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from f2rcli import yuv
from f2rcli.engine.contract.chroma import smoothed
from f2rcli.engine.contract.limits import (
    LEAST,
    Real,
    box,
    changing,
    falling,
    held,
    sized,
)
from f2rcli.engine.contract.points import PointLosses
from f2rcli.engine.contract.returned import Returned
from f2rcli.engine.contract.shift import clipping, halved, part_removed
from f2rcli.engine.contract.shrinkage import Shrinkage
from f2rcli.engine.contract.steady import Steady
from f2rcli.engine.contract.still.aside import as_before
from f2rcli.engine.gpu.steady import DeviceSteady
from f2rcli.frames import Family, Frame
from f2rcli.models.flow import Flow
from f2rcli.noise.measurement.blocks import whole_landing
from f2rcli.noise.model import NoiseModel
from f2rcli.noise.planes import PlaneNoise, planes_of


@dataclass(frozen=True, slots=True)
class Slack:
    """Tolerances for noise that was measured too low."""

    # Of luma, of chroma; every plane of RGB, gray and mosaics counts as luma.
    noise: tuple[float, float] = (1.0, 1.0)  # factors of the noise's variance
    change: tuple[float, float] = (1.2, 1.2)  # factors of the variance of what changes in time
    # Factor of the noise's standard deviation, when it was clipped. Measured on clipped noise it is
    # one or two hundredths low, and what methods restore holds a rest of the shift.
    clipped: float = 1.08
    # Part of both factors of variance that is for places where noise is loud by chance; means over
    # time see to that themselves.
    chance: float = 1.0
    lasting: tuple[float, float] = (0.0, 0.0)  # parts of the variance that need not change in time
    # Whether results come nearer to those over time: of what stands still, luma and chroma.
    averages: tuple[bool, bool] = (True, True)


# Of the variance: where clipping left less there was some, where more hardly any. By degrees: at a
# hard border one rounding of the networks' sums moved a sample by 6 of 255 codes.
UNCLIPPED = 0.985, 0.995
# Times what changes between frames before it says that less was clipped: beside black and white
# noise has one long tail, so its power in a small window scatters more.
CLIPPED_CHANGE = 1.5
CHANCE = 1.1
STRICT = Slack(noise=(CHANCE, CHANCE), change=(CHANCE * 1.2, 1.2), chance=CHANCE)
# Of a few electrons a pixel: single samples and small windows hold far more than their share of
# noise by chance, and what changes between frames is counted on too few of them.
SPARSE = Slack(noise=(2.0, 2.0), change=(4.0, 4.0), averages=(False, False))
# Frames share part of what a codec did to them, most of it in chroma, and it took noise out after
# that was clipped.
CODED = Slack(noise=(1.4, 3.5), change=(2.0, 5.0), clipped=1.6, averages=(True, False))
# What a codec rounded off is copied from frame to frame, and stays where the scene stands still.
COMPRESSED = replace(CODED, lasting=(0.25, 0.08), averages=(False, False))


@dataclass(frozen=True, slots=True)
class Beside:
    """Knowledge besides a centre: frames next to it, the flow from it into each where that is
    known, what stands still, and the noise."""

    frames: tuple[Frame, ...] = ()
    flows: tuple[Flow | Tensor | None, ...] = ()  # tensors (1, H, W, 2) where frames are on a GPU
    steady: Steady | DeviceSteady | None = None  # the centre and everything before it
    model: NoiseModel | None = None  # the noise of the picture's channels; None: no contract
    noise: PlaneNoise | None = None  # that of the file's planes
    points: PointLosses | None = None  # what points of light lost; None: nobody counts it
    shrinkage: Shrinkage | None = None  # how much of what is removed is noise; None: all of it
    slack: Slack | None = None  # in place of the clip's
    later: tuple[Frame, ...] = ()  # frames after the centre, the next first


ALONE = Beside()


def under_contract(
    frame: Frame,
    asked: Sequence[Real],
    noise: PlaneNoise,
    model: NoiseModel,
    beside: Beside,
    returned: Returned,
    allowance: Sequence[float] = (1.0,),
    slack: Slack = STRICT,
    corrected: Callable[[list[Real]], list[Real]] | None = None,
) -> list[Real]:
    """The part of the changes that a method asks for which is allowed, by a frame's planes; see
    `planes_of` for units.

    noise: the law of every plane; model: of the picture's channels; allowance: factors of the
    deviation of each plane, or of all; corrected: does what else changes need; the mean of a still
    burst, which comes after, does not.
    """
    centre = planes_of(frame)
    removed = [-plane for plane in asked]
    steady = beside.steady if isinstance(beside.steady, Steady) else None
    chroma, photons = frame.layout.family is Family.YUV, frame.layout.counts_light
    if beside.shrinkage is not None:
        levels = levels_of(centre, removed, noise, chroma=chroma)
        counts = [] if steady is None else steady.counts
        removed = _shrunk(removed, levels, beside.shrinkage, counts)
    quiet = _quiet(centre, beside)
    shifts, factor = _clipped(frame, asked, model, noise, centre, quiet, slack)
    levels = levels_of(centre, removed, noise, chroma=chroma)
    if chroma:
        removed = _calmed(centre, removed, levels, slack, allowance)
    out, variances = [], []
    for index, (taken, bound) in enumerate(zip(removed, quiet, strict=True)):
        left = None if factor is None else sized(factor, taken.shape)
        kind, factors = int(chroma and index > 0), allowance[: index + 1]
        variance = _variance(levels[index], left, bound, slack, kind) * np.float32(factors[-1] ** 2)
        shares = noise.shares[index]
        shift = None if shifts is None else part_removed(taken, shifts[index], variance, shares)
        free = taken if shift is None else taken - shift
        cut = None if left is None else falling(left, UNCLIPPED)
        if steady is not None:
            law, lasting = variance / np.float32(slack.chance), slack.lasting[kind]
            variances.append(law)
            free = free - steady.lost(index, free, law, shares, cut, lasting, counts=photons)
        kept = held(free, variance, shares, clipped=cut)
        if shift is not None:
            kept += shift
        returned.add(index, taken, kept)
        out.append(-kept)
    out = out if corrected is None else corrected(out)
    if steady is None or not slack.averages[0]:
        return out
    kinds, even = (slack.averages[int(chroma)], chroma), frame.layout.keeps_means
    mosaic = frame.layout.family is Family.BAYER
    return steady.averaged(
        out, centre, variances, shifts, beside.flows, kinds, even=even, mosaic=mosaic
    )


def _variance(level: Real, left: Real | None, bound: Real | None, slack: Slack, kind: int) -> Real:
    """Of a plane's noise at every sample. left: by clipping; kind: 0 for luma, 1 for chroma."""
    variance = np.square(level) * np.float32(slack.noise[kind])
    if left is not None:
        variance *= left
    if bound is not None:
        changes = bound * np.float32(slack.change[kind])
        if slack.lasting[kind]:
            np.maximum(changes, slack.lasting[kind] * variance, out=changes)
        np.minimum(variance, changes, out=variance)
    return variance


def levels_of(
    planes: list[Real], removed: list[Real], noise: PlaneNoise, *, chroma: bool
) -> list[Real]:
    """The noise's standard deviation at every sample of every plane with this removed. chroma:
    whether all planes but the first go by luma's brightness."""
    light = planes[0] - removed[0]
    return [
        noise.level(i, sized(light, taken.shape) if chroma and i else plane - taken)
        for i, (plane, taken) in enumerate(zip(planes, removed, strict=True))
    ]


def _shrunk(
    removed: list[Real], levels: list[Real], shrinkage: Shrinkage, still: Sequence[Real]
) -> list[Real]:
    """What is removed, as far as it follows noise. Where places have stood `still` for some frames,
    what they lose shows in all of them, and is given back as such."""
    shrunk = []
    for index, (taken, level) in enumerate(zip(removed, levels, strict=True)):
        less = shrinkage.shrunk(index, taken, np.square(level))
        if index < len(still) and still[index].shape == taken.shape:
            less = taken + (less - taken) / still[index]
        shrunk.append(less)
    return shrunk


def _calmed(
    centre: list[Real],
    removed: list[Real],
    levels: list[Real],
    slack: Slack,
    allowance: Sequence[float],
) -> list[Real]:
    """The removed signal of Y'CbCr planes with the colour noise that the method left."""
    restored = [plane - taken for plane, taken in zip(centre, removed, strict=True)]
    typical = [
        float(np.sqrt(np.mean(np.square(level)) * slack.noise[min(i, 1)]))
        * allowance[min(i, len(allowance) - 1)]
        for i, level in enumerate(levels)
    ]
    calm = smoothed(restored, typical)
    return [plane - one for plane, one in zip(centre, calm, strict=True)]


def watched(steady: Steady, frame: Frame, noise: PlaneNoise) -> None:
    """Let what stands still learn of the next frame."""
    planes = as_before(frame, planes_of(frame), steady.still)
    chroma, each = frame.layout.family is Family.YUV, False
    around = [box(plane, 5) for plane in (planes[:1] if chroma else planes)]
    if steady.still is not None and frame.layout.counts_light:
        each = True
        around = [steady.still.light(*known) for known in enumerate(around)]
    variances = [
        np.square(noise.level(i, sized(around[0], p.shape) if chroma else around[i]))
        for i, p in enumerate(planes)
    ]
    steady.add(planes, variances, noise.shares, each=each)


def _quiet(centre: list[Real], beside: Beside) -> list[Real | None]:
    """What changes around every sample, see `changing`."""
    near = [planes_of(frame) for frame in beside.frames]
    bounds = []
    moves: dict[tuple[int, ...], list[NDArray[np.int32] | None]] = {}
    for index, plane in enumerate(centre):
        if plane.shape not in moves:
            flows = (None if isinstance(flow, Tensor) else flow for flow in beside.flows)
            moves[plane.shape] = [
                None if flow is None else whole_landing(flow, plane.shape) for flow in flows
            ]
        bounds.append(changing(plane, [p[index] for p in near], moves[plane.shape]))
    return bounds


def _clipped(
    frame: Frame,
    asked: Sequence[Real],
    model: NoiseModel,
    noise: PlaneNoise,
    centre: list[Real],
    quiet: list[Real | None],
    slack: Slack,
) -> tuple[list[Real] | None, Real | None]:
    """The shift of every plane's mean by clipping, and the variance it left (H, W);
    None twice where the noise was not clipped, or nothing lies near black or white."""
    if not noise.clipped or frame.layout.counts_light:
        return None, None
    # Shifts only limit local means, so half the size is fine enough.
    planes = [plane + change for plane, change in zip(centre, asked, strict=True)]
    yuv_planes = frame.layout.family is Family.YUV
    picture = yuv.joined(planes, frame.layout) if yuv_planes else np.stack(planes)
    restored = halved(torch.from_numpy(picture)[None])
    found = clipping(restored, model, slack.clipped)
    if found is None:
        return None, None
    shift, factor = found
    left = sized(factor[0].mean(0).cpu().numpy(), centre[0].shape)
    shifts = [
        sized(plane, full.shape)
        for plane, full in zip(_mixed(frame, shift[0].cpu().numpy()), centre, strict=True)
    ]
    if quiet[0] is not None:  # where less changes than the law says, less was cut off
        law = noise.level(0, sized(restored[0].mean(0).cpu().numpy(), centre[0].shape))
        seen = quiet[0] * np.float32(CLIPPED_CHANGE) / np.maximum(law * law * left, LEAST)
        share = np.sqrt(np.minimum(seen, 1))
        shifts = [plane * sized(share, plane.shape) for plane in shifts]
    return shifts, left


def _mixed(frame: Frame, picture: NDArray[np.float32]) -> list[Real]:
    """A picture (C, h, w) of any size as the planes of a frame, chroma on the picture's grid."""
    if frame.layout.family is not Family.YUV:
        return list(picture)
    return yuv.split(picture, replace(frame.layout, log2_chroma=(0, 0)))
