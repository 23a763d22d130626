"""Noise as it is followed from frame to frame: it may rise and fall, at a cut or within a shot."""

from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean

import numpy as np

from f2rcli.frames import Frame, PlaneLayout
from f2rcli.models.flow import Flow
from f2rcli.noise.bound import BLOCK
from f2rcli.noise.estimate import (
    CHANCE,
    SURELY,
    estimate,
    shows_noise,
    single_frame_sigma,
    squares_of,
)
from f2rcli.noise.model import FramePlanes, PlaneNoise, blend, white_shares

# Times as grainy as the frame that was looked at last, from which on one is looked at; seen on
# pairs of rows.
GRAINIER, GRAIN_ROWS = 1.15, 128


def followed(
    start: PlaneNoise, shown: Sequence[FramePlanes], flows: Sequence[Flow | None],
    grains: Sequence[float], layout: PlaneLayout, *, coded: bool,
) -> PlaneNoise:  # fmt: skip
    """The noise of the start, moved towards that of a look as far as they differ by more than
    chance, plane by plane; that of a look alone, where what places differed by explains it no more.

    shown: a frame and one or two neighbours of its shot, or none; grains: of each. flows and coded:
    see `estimate`.
    """
    frame, *others = shown
    if min(frame.luma.shape) < BLOCK:
        return start
    if not others:
        return _alone(start, frame)
    found = estimate(shown, flows, squares_of(frame.luma), coded=coded)
    own, theirs = grains[0], fmean(grains[1:])
    if not as_grainy(own, theirs):  # frames differ by half the noise of either
        found = found.scaled(2 * own**2 / (own**2 + theirs**2))
    if start.clipped and not found.cut_off(shown[:1]):  # while it was weaker, it did not get there
        start = replace(start, clipped=False)
    if start.places and not found.explained(start.places):
        return replace(found.noise(layout, clipped=start.clipped, places=()), shares=start.shares)
    seen = found.noise(layout, clipped=start.clipped, places=start.places)
    shares = np.zeros(len(found.planes))
    for index, plane in enumerate(found.planes):
        if not plane.level.size:
            continue
        powers = [float(np.square(law.level(index, plane.level)).mean()) for law in (start, seen)]
        apart = abs(float(np.log((powers[1] + 1e-9) / (powers[0] + 1e-9)))) / 2
        shares[index] = (apart - CHANCE - 2 * plane.unsure) / (SURELY - CHANCE)
    if shares.max() <= 0:
        return start
    return replace(start, model=blend(start.model, seen.model, shares.clip(0, 1)))


def _alone(start: PlaneNoise, frame: FramePlanes) -> PlaneNoise:
    """The noise of the start in a frame that none beside it tells of: white noise is no stronger
    than the finest detail, which a title or a slide has hardly any of."""
    sigma = start.model.sigma[0]
    if start.shares[0] != white_shares() or not sigma or not shows_noise(frame.planes[0]):
        return start
    return start.scaled(min(1, single_frame_sigma(frame.planes[0]) / sigma))


def grain(frame: Frame) -> float:
    """How grainy the finest detail of a frame is: of its noise and texture together."""
    plane = frame.planes[0]
    pairs = plane[: len(plane) // 2 * 2].reshape(-1, 2, plane.shape[1])
    some = pairs[:: 1 + len(pairs) // GRAIN_ROWS].reshape(-1, plane.shape[1])
    return single_frame_sigma(some.astype(np.float32))


def as_grainy(one: float, other: float) -> bool:
    """Whether two frames of one shot may have the same noise."""
    return max(one, other) <= GRAINIER * min(one, other)
