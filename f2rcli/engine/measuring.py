"""A clip's noise, measured on its first frames."""

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from statistics import fmean
from typing import NamedTuple

import numpy as np
import torch

from f2rcli.frames import Frame, PlaneLayout, Singles
from f2rcli.noise.bound import BLOCK, CELL
from f2rcli.noise.coding import Compression, compression_of, find_edges
from f2rcli.noise.estimate import (
    CHANCE,
    COLOURED,
    NoiseMap,
    PlaneMap,
    cut_off,
    estimate,
    part_of,
    single_frame_map,
    single_frame_sigma,
)
from f2rcli.noise.following import as_grainy, grain
from f2rcli.noise.model import FramePlanes, Grid, NoiseModel, PlaneNoise, picture_of, side_by_side
from f2rcli.noise.photons import FAINT, FEW, counted_model
from f2rcli.noise.stabilising import VarianceStabiliser, lowest
from f2rcli.window import same_shot, thumbnail
from f2rcli.yuv import to_rgb

PREROLL = 6  # frames, no two alike, that the noise is measured on
SHORTEST = 3  # frames of a shot whose photons are counted
CENTRES = 2  # of them, whose noise is read beside both neighbours


class Even(NamedTuple):
    """A space where the noise of counts is nearly as strong everywhere, and what it is there."""

    space: VarianceStabiliser
    noise: PlaneNoise


def into(space: VarianceStabiliser, counts: FramePlanes) -> FramePlanes:
    """A picture of counts as it is in a space."""
    planes = space.into(torch.from_numpy(np.stack(counts.planes))[None])
    return FramePlanes.of_channels(list(planes[0].numpy()))


class Opening(NamedTuple):
    """The noise of a stream's first frames: the one number that all commands show."""

    planes: PlaneNoise
    found: NoiseMap | None  # block by block; None: single frames alone were looked at
    edges8: float | None = None  # of blocks, that compression left
    compression: Compression | None = None  # its errors, not in `planes`; None: hardly any
    even: Even | None = None  # what looks see counts in
    cost: float = 0.0  # dB, of whole codes, see `cost_of_codes`


def opening_noise(
    frames: Sequence[Frame], *, coded: bool = False, places: tuple[Grid, ...] | None = None
) -> Opening:
    """The noise of a stream's first PREROLL frames, all different. coded: see `estimate`; places:
    where they are known."""
    layout = frames[0].layout
    pictures = [picture_of(frame) for frame in frames]
    found = map_of(pictures, coded=coded, whole=not layout.counts_light)
    if found is None:
        laws = [_of_one(one, counts=layout.counts_light) for one in pictures]
        law = min(laws, key=lambda one: one.sigma)
        planes = PlaneNoise.of(law, clipped=layout.full_range)
    else:
        clipped = ends_at_codes(layout) or found.cut_off(pictures)
        places = () if layout.counts_light else places  # their law says what noise goes by
        planes = found.noise(chroma=pictures[0].chroma, clipped=clipped, places=places)
        if clipped and pictures[0].chroma:
            sigma = planes.picture(layout, 3).sigma
            planes = replace(planes, gamut=cut_off(list(to_rgb(frames[0])), sigma))
    if layout.counts_light:
        return of_counts(pictures, Opening(planes, found), dark=layout.levels is not None)
    edges8 = find_edges([one.luma for one in pictures])
    return Opening(planes, found, edges8, compression_of(frames, edges8))


def _of_one(picture: FramePlanes, *, counts: bool) -> NoiseModel:
    """White noise of every plane, from one picture; counts: of light, whose law is a line."""
    laws = []
    for plane in picture.planes:
        light = picture.luma if picture.chroma else plane
        seen = None if counts else single_frame_map(plane, BLOCK, light)
        rough = NoiseModel.gaussian(single_frame_sigma(plane), 1)
        laws.append(rough if seen is None else seen.law())
    return side_by_side(laws)


def of_counts(pictures: Sequence[FramePlanes], seen: Opening, *, dark: bool) -> Opening:
    """The noise of counts of light, from what was `seen` of it: the law of the blocks of its map
    (without one as it was seen in single frames), or of photons where these tell it.

    dark: whether black may lie above 0. The network that reads noise has learnt from noise that is
    nearly as strong everywhere: it looks where that of counts would be, if nothing else differed.
    """
    most = max(float(plane.max()) for one in pictures for plane in one.planes)
    if seen.found is None:
        law = _alone(pictures[0], most, dark=dark) or seen.planes.model
        return Opening(replace(seen.planes, model=_of_photons(pictures, law, math.inf)), None)
    found = whole = NoiseMap(tuple(plane.whole for plane in seen.found.planes))
    low = lowest([torch.from_numpy(one.planes[0]) for one in pictures]) if dark else None
    space = VarianceStabiliser.of(whole.lines(most, dark=dark), low=low)
    shown = [into(space, one) for one in pictures]
    there = map_of(shown, coded=False, whole=False, like=pictures)
    assert there is not None  # as theirs is not
    even, planes = None, replace(seen.planes, kept=1.0)
    if all(plane.told for plane in there.planes):
        found = NoiseMap(tuple(map(PlaneMap.seen_as, whole.planes, there.planes)))
        if all(plane.noisy for plane in there.planes):  # a few codes look like graphics to it
            even = Even(space, there.noise(chroma=False, clipped=False, places=()))
            planes = replace(even.noise, clipped=planes.clipped)
    law = blocks = found.lines(most, dark=dark)
    new = planes.kept == 1 and all(plane.finest > COLOURED[0] for plane in there.planes)
    alone = _alone(pictures[0], most, dark=dark)
    seen_alone = fmean(alone.sigma) if alone is not None else 0.0
    if even is None or new:  # as photons are, in every sample
        alike = fmean(blocks.sigma) > LEAST_APART * seen_alone > 0
        known = FEW if alike else math.inf
        law = _of_photons(pictures, blocks, FAINT if even is not None else known)
    if alone is not None and seen_alone:
        apart = fmean(law.sigma) / seen_alone
        if apart < LEAST_APART or (apart > MOST_APART and found.unsure > CHANCE / 2):
            law = alone
        elif even is None and law is blocks:  # neither is sure
            law = alone.scaled(apart**0.5)
    return Opening(replace(planes, model=law), found, even=even)


# What frames differ by, beside what one of them by itself takes for noise: from 0.32 times, where
# there is texture, to 1.98, where noise is blurred by 0.6 pixels (130 simulated stacks whose frames
# resemble each other; 0.8 to 1.0 of ten filmed scenes as mosaics). Planes far apart, and whatever
# changes from frame to frame, differ by what they show: 2.3 to 5.4 times; and the network that
# reads noise is three times as unsure there as where noise is blurred by more.
LEAST_APART, MOST_APART = 0.25, 2.2


def _alone(picture: FramePlanes, most: float, *, dark: bool) -> NoiseModel | None:
    """A picture's own law, of white noise; None: too few pixels."""
    maps = tuple(m for plane in picture.planes if (m := single_frame_map(plane, CELL // 2)))
    told = len(maps) == len(picture.planes)
    return NoiseMap(maps).lines(most, dark=dark) if told else None


def _of_photons(pictures: Sequence[FramePlanes], law: NoiseModel, known: float) -> NoiseModel:
    """The law of photons, or the one that is known, from so many photons of a pixel on for sure."""
    first = len(shots_of(pictures)[0])  # too short to count in it is none: noise parts few photons
    shown = [picture.planes for picture in pictures[: first if first >= SHORTEST else None]]
    return counted_model(shown, law, known=known) or law


def map_of(
    pictures: Sequence[FramePlanes], *, coded: bool, whole: bool = True,
    like: Sequence[FramePlanes] | None = None,
) -> NoiseMap | None:  # fmt: skip
    """What a few frames say beside their neighbours of the same shot; None: no two are of one.
    whole: whether all of a large picture is looked at, which tells what places differ by; like:
    pictures that tell which are of one shot, by default these."""
    if len(pictures) < 2 or min(pictures[0].planes[0].shape) < 16:
        return None
    shots = shots_of(like or pictures)
    inner = between(shots)
    begins = next(shot for shot in shots if len(shot) > 1)
    part = part_of(pictures[begins[0]].luma)
    wanted = 1 if part is not None and whole else CENTRES  # a large one tells as much
    # codecs make frames of film more and less grainy, and their noise is one
    grains = [1.0 if whole else grain(one) for one in like or pictures]
    centres = spread(inner, wanted)
    other = [i for i in inner if not any(as_grainy(grains[i], grains[n]) for n in centres)]
    if other and wanted > 1:  # a line is seen best where light differs
        centres[-1] = other[0]
    groups = [_alike(i, shots, grains) for i in centres] or [begins]
    shown = ([pictures[place] for place in places] for places in groups)
    part = None if whole else part
    maps = [estimate(one, [None] * (len(one) - 1), part, coded=coded) for one in shown]
    found = NoiseMap.joined(maps)
    if coded:  # frames differ by less than their noise
        return found
    return NoiseMap(tuple(map(PlaneMap.surely, found.planes)))


def _alike(place: int, shots: Sequence[list[int]], grains: Sequence[float]) -> list[int]:
    """A place and two near it, of its shot, by preference as grainy: light may alternate."""
    shot = next(shot for shot in shots if place in shot)
    near = sorted(shot, key=lambda n: (not as_grainy(grains[n], grains[place]), abs(n - place)))
    return near[:3]


def shots_of(pictures: Sequence[FramePlanes]) -> list[list[int]]:
    """The places of pictures by shot. Where no two are of one, all of them count as such: single
    frames would take texture that is new in each for noise."""
    looks = [thumbnail(picture.luma) for picture in pictures]
    shots = [[0]]
    for place, pair in enumerate(pairwise(looks), 1):
        if not same_shot(*pair):
            shots.append([])
        shots[-1].append(place)
    return shots if len(shots) < len(looks) else [list(range(len(looks)))]


def between(shots: Sequence[list[int]]) -> list[int]:
    """Places of pictures that are of one shot with both neighbours."""
    return [place for shot in shots for place in shot[1:-1]]


def spread(places: Sequence[int], wanted: int) -> list[int]:
    """So many of the places, evenly over them."""
    wanted = min(wanted, len(places))
    return [places[(2 * n + 1) * len(places) // (2 * wanted)] for n in range(wanted)]


def ends_at_codes(layout: PlaneLayout) -> bool:
    """Whether black and white are the ends of a file's codes."""
    return layout.full_range and not layout.float_samples


def lit(frames: Sequence[Frame]) -> Sequence[Frame]:
    """The brightest shot that is long enough to count photons in; all frames where none is."""
    shots = shots_of(list(map(picture_of, frames)))
    long = ([frames[place] for place in shot] for shot in shots if len(shot) >= SHORTEST)
    return max(long, key=lambda shot: np.mean([f.planes[0].mean() for f in shot]), default=frames)


def stated_model(stated: tuple[tuple[float, float], ...], planes: Sequence[Singles]) -> NoiseModel:
    """The law that a file states, its sigma as it is on these planes."""
    means = [float(np.maximum(plane, 0).mean()) for plane in planes]
    gain, read = tuple(g for g, _ in stated), tuple(v**0.5 for _, v in stated)
    sigma = tuple((g * m + v) ** 0.5 for (g, v), m in zip(stated, means, strict=True))
    return NoiseModel(gain, read, sigma)
