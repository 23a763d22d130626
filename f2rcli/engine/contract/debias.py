"""A zero mean for what is removed from sensor values: brightness is what is measured in them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from f2rcli.engine.contract.limits import Real
from f2rcli.frames import Frame, Mask, PlaneLayout
from f2rcli.sensor import pack
from f2rcli.yuv import changed, code_span

MOST_DRIFT = 1e-4  # of a written plane's mean; more is undone
ROUNDS = 8  # each leaves as much of what clipping adds as samples are clipped
FARTHEST = 0.5  # of white - black, that samples are moved after that
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


def without_bias(changes: list[Real], written: Whole) -> list[Real]:
    """The change of every plane (H, W) less its mean over the samples that are written with it:
    noise has none. written: see `written_of`."""
    return [change - mean_of(change, own) for change, own in zip(changes, written, strict=True)]


def mean_of(change: Real, own: Mask | None) -> np.float32:
    """The mean of a change over the samples that are written with it; 0 where none is."""
    counted = change if own is None else change[own]
    return np.float32(counted.mean(dtype=np.float64)) if counted.size else np.float32(0)


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
    _, span = code_span(layout, chroma=False)
    limits = np.iinfo(plane.dtype)
    ends = [((end - before) / span).astype(np.float32) for end in (limits.min, limits.max)]
    for _ in range(ROUNDS):
        change = change - mean_of(np.clip(change, *ends), own)
    below, above = -FARTHEST, FARTHEST
    for _ in range(HALVINGS):
        middle = (below + above) / 2
        moved = change + np.float32(middle)
        below, above = (middle, above) if drift(moved).sum() < 0 else (below, middle)
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
