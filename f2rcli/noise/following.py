"""Noise as it is followed from frame to frame: it may rise and fall, at a cut or within a shot."""

from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean

import numpy as np

from f2rcli.frames import Frame
from f2rcli.models.flow import Flow
from f2rcli.noise.bound import BLOCK
from f2rcli.noise.estimate import (
    CHANCE,
    FEWEST,
    SURELY,
    NoiseMap,
    Part,
    diagonal,
    estimate,
    part_of,
    shows_noise,
    single_frame_sigma,
)
from f2rcli.noise.model import HARDLY_ANY, FramePlanes, Grid, PlaneNoise, blend, white_shares

# Times as grainy as the frame that was looked at last, from where on one is; and rows that tell.
GRAINIER, GRAIN_ROWS = 1.15, 128


def followed(
    start: PlaneNoise, shown: Sequence[FramePlanes], flows: Sequence[Flow | None],
    grains: Sequence[float], *, coded: bool, unsure: float = 0.0, whole: bool = False,
    counts: bool = False,
) -> PlaneNoise:  # fmt: skip
    """The noise of the start, moved towards that of a look as far as they differ by more than
    chance, plane by plane; what places differ by is that of the look where others are noisy.

    shown: a frame and one or two neighbours of its shot, or none; grains: of each; unsure: standard
    error of the start, as a share of it; whole: whether all of a large frame is looked at, as its
    places want; counts: whether light tells the noise, as of counts. flows, coded: see `estimate`.
    """
    if min(shown[0].luma.shape) < BLOCK:
        return start
    if len(shown) == 1:
        return _alone(start, shown[0])
    part = None if whole else part_of(shown[0].luma)
    found = _found(shown, flows, grains, part, coded=coded)
    if start.clipped and not found.cut_off(shown[:1]):  # while it was weaker, it did not get there
        start = replace(start, clipped=False)
    places = () if counts else _places(start, found, parts=part is not None)
    seen = found.noise(chroma=shown[0].chroma, clipped=start.clipped, places=places)
    if places and places != start.places:
        return replace(start, model=seen.model, places=places, kept=seen.kept)
    if start.places and not places:
        start = start.everywhere()
    shares = np.zeros(len(found.planes))
    for index, plane in enumerate(found.planes):
        if not plane.level.size:
            continue
        levels = [one.model.at(plane.level, index) for one in (start, seen)]
        powers = [float(np.square(level).mean()) for level in levels]
        apart = abs(float(np.log((powers[1] + 1e-9) / (powers[0] + 1e-9)))) / 2
        share = (apart - CHANCE - 2 * plane.unsure) / (SURELY - CHANCE)
        # One that may be off by more than the start, and by more than counts, weighs as much less.
        weight = (SURELY**2 + unsure**2) / max(plane.unsure, SURELY) ** 2
        shares[index] = min(max(share, 0), 1) * min(weight, 1)
    if shares.max() <= 0:
        return start
    model = blend(start.model, seen.model, shares)
    # A start without noise tells nothing of the scales that it lies at.
    known = [sigma > HARDLY_ANY for sigma in start.model.sigma]
    both = zip(known, start.shares, seen.shares, strict=True)
    return replace(
        start, model=model, shares=tuple(own if sure else now for sure, own, now in both),
        kept=seen.kept,
    )  # fmt: skip


def _places(start: PlaneNoise, found: NoiseMap, *, parts: bool) -> tuple[Grid, ...]:
    """What places differ by: as at the start, if nothing explains a look better that is far from
    it in as many places as are told apart at least. parts: whether parts alone were looked at."""
    now = () if parts else found.places()
    both = [np.log(np.array(one)) if one else np.zeros(1) for one in (start.places, now)]
    other = np.abs(both[1] - both[0]) > SURELY
    clear = parts or other.reshape(len(other), -1).sum(1).max() >= FEWEST**2
    if now == start.places or not clear:
        return start.places
    better = found.uneven(start.places) - found.uneven(now)
    return now if better > (CHANCE if parts else 0) else start.places


def _found(
    shown: Sequence[FramePlanes], flows: Sequence[Flow | None], grains: Sequence[float],
    part: Part | None, *, coded: bool,
) -> NoiseMap:  # fmt: skip
    """What a frame shows beside its neighbours, by preference those that are as grainy."""
    near = list(zip(shown[1:], flows, grains[1:], strict=True))
    near = [one for one in near if as_grainy(one[2], grains[0])] or near
    frames = [shown[0], *(frame for frame, _, _ in near)]
    moves = [flow for _, flow, _ in near]
    found = estimate(frames, moves, part, coded=coded)
    own, theirs = grains[0], fmean(one for _, _, one in near)
    if as_grainy(own, theirs):
        return found
    return found.scaled(2 * own**2 / (own**2 + theirs**2))  # they differ by half the noise of each


def _alone(start: PlaneNoise, frame: FramePlanes) -> PlaneNoise:
    """The noise of the start in a frame that none beside it tells of: white noise is no stronger
    than the finest detail, which a title or a slide has hardly any of."""
    sigma = start.model.sigma[0]
    if start.shares[0] != white_shares() or not sigma or not shows_noise(frame.planes[0]):
        return start
    return start.scaled(min(1, single_frame_sigma(frame.planes[0]) / sigma))


def grain(frame: Frame | FramePlanes) -> float:
    """How grainy the finest detail of a frame is: of its noise and texture together, without what
    is flat as black and white are. The median would go in steps, by half of a code."""
    plane = frame.planes[0]
    pairs = plane[: len(plane) // 2 * 2].reshape(-1, 2, plane.shape[1])
    some = pairs[:: 1 + len(pairs) // GRAIN_ROWS].reshape(-1, plane.shape[1])
    detail = np.abs(diagonal(some.astype(np.float32)))
    detail = detail[detail > 0]
    half = len(detail) // 2
    return float(np.partition(detail, half)[:half].mean()) if half else 0.0


def as_grainy(one: float, other: float) -> bool:
    """Whether two frames of one shot may have the same noise."""
    return max(one, other) <= GRAINIER * min(one, other)
