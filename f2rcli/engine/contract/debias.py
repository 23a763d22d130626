"""A zero mean for what is removed from sensor values: brightness is what is measured in them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from f2rcli.engine.contract.limits import Real, box
from f2rcli.frames import Frame, Mask, PlaneLayout
from f2rcli.sensor import pack
from f2rcli.yuv import changed, code_span

SAMPLES = 4096  # of a bin of brightness; the mean of their noise is 1/64 of its deviation
MOST_BINS = 16
SIDE = 7  # pixels, of the mean that says how bright a place is

MOST_DRIFT = 1e-4  # of a written plane's mean; more is undone
ROUNDS = 8  # each leaves as much of what clipping adds as samples are clipped
FARTHEST = 0.5  # of white - black, that a bin's samples are moved after that
HALVINGS = 28  # of twice that range, in search of where to round


Whole = Sequence[Mask | None]  # see `written_of`


def written_of(frame: Frame) -> Whole:
    """Which samples of each of a frame's planes (see `planes_of`) are written with their change;
    None: all. Those set aside, or `stored`, come back as they were, so no mean counts them."""
    mosaic = frame.layout.mosaic
    if not frame.stored and not any(kept.places.size for kept in frame.aside):
        return [None] * (frame.layout.colour_planes if mosaic is None else 4)
    found = [np.ones(plane.shape, np.float32) for plane in frame.planes]
    for own, kept in zip(found, frame.aside, strict=False):
        own.flat[kept.places] = 0
    for own, stored in zip(found, frame.stored, strict=False):
        own[stored] = 0
    if mosaic is not None:
        found = list(pack(found[0], mosaic.pattern))
    return [own > 0 for own in found]


def without_bias(
    changes: list[Real], planes: list[Real], written: Whole | None = None
) -> list[Real]:
    """The change of every plane (H, W) less its mean at every brightness and over everything.

    planes: what is changed; written: see `written_of`. A place's brightness is a mean over 7x7
    pixels of the result, in which a pixel's own noise hardly counts; so noise has no mean at any
    brightness, and what the change has of one is an error of the networks: a shade of one plane
    that is lighter than it was recorded, and shows as a maze once a mosaic is developed.
    """
    return [
        _levelled(change, box(plane + change, SIDE), own)
        for change, plane, own in zip(changes, planes, written or [None] * len(planes), strict=True)
    ]


def _levelled(change: Real, level: Real, own: Mask | None) -> Real:
    """All (H, W). Brightness bins are equally filled; the mean is linear between their middles."""
    change = change - _shade(change, level, own)
    return change - mean_of(change, own)


def mean_of(change: Real, own: Mask | None) -> np.float32:
    """The mean of a change over the samples that are written with it; 0 where none is."""
    counted = _among(change, own)
    return np.float32(counted.mean(dtype=np.float64)) if counted.size else np.float32(0)


def _among(plane: Real, own: Mask | None) -> Real:
    return plane.ravel() if own is None else plane[own]


def _shade(change: Real, level: Real, own: Mask | None) -> Real | np.float32:
    """The mean of a change at every brightness; 0 where there are too few samples for bins."""
    counted = _among(level, own)
    bins, count = _bins(counted)
    if count == 1:
        return np.float32(0)
    filled = np.bincount(bins, minlength=count)
    sums = (np.bincount(bins, part, count) for part in (_among(change, own), counted))
    means, places = (total[filled > 0] / filled[filled > 0] for total in sums)
    return np.interp(level, places, means).astype(np.float32)


def _bins(level: Real) -> tuple[NDArray[np.intp], int]:
    """The bin of brightness of every sample, and how many there are."""
    count = max(1, min(level.size // SAMPLES, MOST_BINS))
    if count == 1:
        return np.zeros(level.size, np.intp), 1
    edges = np.quantile(level, np.linspace(0, 1, count + 1)[1:-1])
    return np.searchsorted(edges, level.ravel()), count


def with_means_kept(frame: Frame, changes: list[Real]) -> list[Real]:
    """The changes of a stack's planes such that the samples written keep their mean.

    Rounding and the end of the range move it where light is a code or less, or below the code 0:
    results beyond the end come back as 0, and those below half a code vanish.
    """
    return [
        _mean_kept(plane, change, frame.layout, own)
        for plane, change, own in zip(frame.planes, changes, written_of(frame), strict=False)
    ]


def _mean_kept(plane: NDArray[Any], change: Real, layout: PlaneLayout, own: Mask | None) -> Real:
    before = plane.astype(np.float64)
    everywhere = np.True_ if own is None else own

    def drift(change: Real) -> NDArray[np.float64]:
        moved: NDArray[np.float64] = (changed(plane, change, layout) - before) * everywhere
        return moved

    most = MOST_DRIFT * abs((before * everywhere).sum())
    enough = plane.dtype.kind == "f" or abs(drift(change).sum()) <= most
    if enough:
        return change
    black, span = code_span(layout, chroma=False)
    level = box(((before - black) / span).astype(np.float32) + change, SIDE)
    limits = np.iinfo(plane.dtype)
    ends = [((end - before) / span).astype(np.float32) for end in (limits.min, limits.max)]
    for _ in range(ROUNDS):
        change = change - _mean(np.clip(change, *ends), level, own)
    bins, count = _bins(level)
    below, above = np.full(count, -FARTHEST), np.full(count, FARTHEST)
    for _ in range(HALVINGS):
        middle = (below + above) / 2
        moved = change + middle.astype(np.float32)[bins].reshape(change.shape)
        low = np.bincount(bins, drift(moved).ravel(), count) < 0
        below, above = np.where(low, middle, below), np.where(low, above, middle)
    for _ in range(ROUNDS):  # one code each
        over = round(float(drift(moved).sum()))
        written = changed(plane, moved, layout)
        codes = before + np.rint(moved * np.float32(span)) - np.sign(over)
        room = np.clip(codes, limits.min, limits.max) != written  # not of those far beyond an end
        room &= everywhere
        if not over or not room.any():
            break
        moved = _evened(moved, span, over, room)
    return moved


def _evened(change: Real, span: float, over: int, room: NDArray[np.bool_]) -> Real:
    """A change that writes so many codes too many (below 0: too few), with a code less for as many
    of the samples with room for it that were rounded up most: samples that are alike cross the
    middle between two codes together, so no common shift is exact."""
    places = np.flatnonzero(room)
    codes = change.flat[places] * np.float32(span)
    whole, step = np.rint(codes), np.sign(over)
    chosen = np.argsort(step * (codes - whole), kind="stable")[: abs(over)]
    change = change.copy()
    change.flat[places[chosen]] = (whole - step)[chosen] / np.float32(span)
    return change


def _mean(change: Real, level: Real, own: Mask | None) -> Real:
    """The mean that `_levelled` subtracts."""
    return change - _levelled(change, level, own)
