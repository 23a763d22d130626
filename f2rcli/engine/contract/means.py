"""A zero mean for what is removed from sensor values: brightness is what is measured in them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from f2rcli.frames import Frame, Mask, PlaneLayout
from f2rcli.sensor import pack
from f2rcli.yuv import changed, code_span

Real = NDArray[np.float32]  # (H, W), in units of a plane


def _written(frame: Frame) -> list[Mask]:
    """Which samples of each of a frame's planes (see `planes_of`) are written with their change.
    Those set aside, or `stored`, come back as they were, so no mean counts them."""
    mosaic, count = frame.layout.mosaic, frame.layout.colour_planes
    found = [np.ones(plane.shape, np.float32) for plane in frame.planes[:count]]
    for own, kept in zip(found, frame.aside, strict=False):
        own.flat[kept.places] = 0
    for own, stored in zip(found, frame.stored, strict=False):
        own[stored] = 0
    if mosaic is not None:
        found = list(pack(found[0], mosaic.pattern))
    return [own > 0 for own in found]


def without_bias(frame: Frame, changes: list[Real]) -> list[Real]:
    """The changes of a frame's planes, less the mean of each over the samples that are written."""
    pairs = zip(changes, _written(frame), strict=True)
    return [change - _mean_of(change, own) for change, own in pairs]


def _mean_of(change: Real, own: Mask) -> np.float32:
    """0 where no sample is written."""
    counted = change[own]
    return np.float32(counted.mean(dtype=np.float64)) if counted.size else np.float32(0)


def with_means_kept(frame: Frame, changes: list[Real]) -> list[Real]:
    """The changes of a stack's planes such that the samples written keep their mean to 0.01 %.

    Rounding and the end of the range move it where light is a code or less, or below the code 0.
    """
    return [
        _mean_kept(plane, change, frame.layout, own)
        for plane, change, own in zip(frame.planes, changes, _written(frame), strict=False)
    ]


def _mean_kept(plane: NDArray[Any], change: Real, layout: PlaneLayout, own: Mask) -> Real:
    before = plane[own].astype(np.float64)
    _, span = code_span(layout)
    after = changed(plane, change * span, layout)[own].astype(np.float64)
    if plane.dtype.kind == "f" or abs(after.sum() - before.sum()) <= 1e-4 * abs(before.sum()):
        return change
    ends = np.iinfo(plane.dtype)
    codes = before + change[own] * np.float64(span)
    for _ in range(8):  # each leaves as much of what clipping adds as samples are clipped
        codes += before.mean() - np.clip(codes, ends.min, ends.max).mean()
    np.clip(codes, ends.min, ends.max, out=codes)
    whole = np.floor(codes)
    more = round(float(before.sum() - whole.sum()))  # samples that are to be rounded up
    share = codes - whole
    share[whole >= ends.max] = -1
    # Places that are alike cross the middle between two codes together: chance parts them.
    order = np.argsort(-share - np.random.default_rng(0).random(len(share)) * 1e-3, kind="stable")
    whole[order[: max(more, 0)]] += 1
    exact = change.copy()
    exact[own] = (whole - before) / span
    return exact
