"""What is taken out of sensor values must have no mean: brightness is what is measured in them."""

import numpy as np
from numpy.typing import NDArray

from f2rcli.engine.contract.limits import box

SAMPLES = 4096  # of a bin of brightness; the mean of their noise is 1/64 of its deviation
MOST_BINS = 16
SIDE = 7  # pixels, of the mean that says how bright a place is

Plane = NDArray[np.float32]


def without_bias(changes: list[Plane], planes: list[Plane]) -> list[Plane]:
    """The change of every plane (H, W) less its mean at every brightness and over everything.

    planes: what is changed. A place's brightness is a mean over 7x7 pixels of the result, in
    which a pixel's own noise hardly counts; so noise has no mean at any brightness, and what the
    change has of one is an error of the networks: a shade of one plane that is lighter than it was
    recorded, and shows as a maze once a mosaic is developed.
    """
    return [
        _levelled(change, box(plane + change, SIDE))
        for change, plane in zip(changes, planes, strict=True)
    ]


def _levelled(change: NDArray[np.float32], level: NDArray[np.float32]) -> NDArray[np.float32]:
    """Both (H, W). Brightness bins are equally filled; the mean is linear between their middles."""
    count = min(change.size // SAMPLES, MOST_BINS)
    if count > 1:
        edges = np.quantile(level, np.linspace(0, 1, count + 1)[1:-1])
        bins = np.searchsorted(edges, level.ravel())
        filled = np.bincount(bins, minlength=count)
        sums = (np.bincount(bins, part.ravel(), count) for part in (change, level))
        means, places = (total[filled > 0] / filled[filled > 0] for total in sums)
        change = change - np.interp(level, places, means).astype(np.float32)
    return change - np.float32(change.mean(dtype=np.float64))
