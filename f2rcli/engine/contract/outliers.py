"""Single samples and short strokes that stand out of the noise, and so are no part of it.

No test of power in windows sees a spark of one pixel, and the limit of a sample (`limits.held`)
takes four standard deviations of it. Noise as strong is rare, by a law that is known, and has two
tails that are alike; what one side has beyond that is detail (DESIGN.md D54).
"""

from math import erfc, sqrt

import cv2
import numpy as np
from numpy.typing import NDArray

from f2rcli.engine.contract.limits import LEAST, Real
from f2rcli.frames import Floats
from f2rcli.order import MAD_TO_SIGMA, median

# Standard deviations, and the steps between them, at which samples that stand out are counted.
HEIGHTS = np.arange(3.75, 10.01, 0.25)
# Those between each of them and this, so that what is far out says nothing about noise that is not.
UP_TO = np.where(HEIGHTS > 8, np.inf, HEIGHTS + 2)
# A sample counts as high as the highest of these sums around it: three in a row, and a square of
# four. A single one adds no more than MOST_OF_ONE to what is beside it.
SUMS = (
    ((1, 0), (1, 1), (1, 2)), ((0, 1), (1, 1), (2, 1)), ((0, 0), (1, 1), (2, 2)),
    ((0, 2), (1, 1), (2, 0)), ((0, 0), (0, 1), (1, 0), (1, 1)),
)  # fmt: skip
MOST_OF_ONE = 4.0
EVERY = 8  # samples across and down, of which that of sums is found: noise may be correlated
# Noise that stands out so far: so many times what one look at each sample leaves by chance (there
# are six, and the law may say too little), and what the other side has: film, codecs and impulses
# have longer tails than the law, on both.
CHANCE, ALIKE = 15.0, 3.0
# As many samples that stand out are noise in any picture; fewer, the farther they stand out.
FEW, FEWER = (5.0, 8.0), (3.0, 0.3)
BESIDE = 1.0, 2.0  # standard deviations, from which a sample belongs to what stands out beside it


def kernel(places: tuple[tuple[int, int], ...]) -> NDArray[np.float32]:
    """A filter of 3x3 samples that leaves white noise as strong as it is."""
    weights = np.zeros((3, 3), np.float32)
    for place in places:
        weights[place] = len(places) ** -0.5
    return weights


KERNELS = [kernel(places) for places in SUMS]
SQUARE, FOUR = KERNELS[-1], np.ones((2, 2), np.uint8)
TAILS = np.array([0.5 * erfc(height / sqrt(2)) for height in HEIGHTS])
ALWAYS = np.interp(HEIGHTS, FEW, FEWER)


def noise_share(removed: Real, variance: Real, clipped: Real | None) -> Real:
    """The share (H, W) of what was removed that is noise, not a spark or a stroke of one pixel.

    removed, variance: of a plane, see `limits.held`; clipped: where black or white cut the noise
    off it is not 0, and nothing is told, since one tail is longer there.
    """
    known = variance > LEAST
    if clipped is not None:
        known &= clipped <= 0
    height = np.divide(removed, np.sqrt(np.maximum(variance, LEAST)), dtype=np.float32)
    height *= known
    highest, lowest = _standing_out(height)
    sides = highest, np.negative(lowest, out=lowest)
    up, down = (np.sort(one[one > HEIGHTS[0]]) for one in sides)
    share: Real = np.ones_like(removed)
    samples = int(np.count_nonzero(known))
    for side, mine, other, sign in ((highest, up, down, 1), (lowest, down, up, -1)):
        if not mine.size:
            continue
        table = shares_at(_between(mine), _between(other), samples)
        near = cv2.dilate(side, np.ones((3, 3), np.uint8))
        at = np.flatnonzero((near > HEIGHTS[0]) & (sign * height > BESIDE[0]))
        part = np.clip((sign * height.flat[at] - BESIDE[0]) / (BESIDE[1] - BESIDE[0]), 0, 1)
        share.flat[at] = 1 - part * (1 - np.interp(near.flat[at], HEIGHTS, table))
    return share


def _standing_out(height: Real) -> tuple[Real, Real]:
    """At every sample, the highest and lowest of itself and the sums around it."""
    highest, lowest = height.copy(), height.copy()
    held = np.clip(height, -MOST_OF_ONE, MOST_OF_ONE)
    for weights in KERNELS:
        found: Real = cv2.filter2D(held, cv2.CV_32F, weights, borderType=cv2.BORDER_REFLECT)  # type: ignore[assignment]  # float32 as asked
        usual = MAD_TO_SIGMA * float(median(np.abs(found[::EVERY, ::EVERY])))
        found /= np.float32(max(usual, 1.0))
        if weights is SQUARE:  # each of its four samples
            np.maximum(highest, cv2.dilate(found, FOUR, anchor=(0, 0)), out=highest)
            np.minimum(lowest, cv2.erode(found, FOUR, anchor=(0, 0)), out=lowest)
        else:
            np.maximum(highest, found, out=highest)
            np.minimum(lowest, found, out=lowest)
    return highest, lowest


def _between(ascending: Real) -> Floats:
    """How many lie between each of HEIGHTS and UP_TO."""
    more, less = (np.searchsorted(ascending, ends, "right") for ends in (UP_TO, HEIGHTS))
    return (more - less).astype(np.float64)


def shares_at(mine: Floats, other: Floats, samples: int) -> Floats:
    """Of the samples that stand out by each of HEIGHTS to one side, the share that is noise; all
    of it at the first, and less the farther they do.

    mine, other: how many do, to this side and to the other; samples: how many there are.
    """
    chance = np.maximum(CHANCE * samples * TAILS, ALIKE * other)
    table: Floats = np.minimum((ALWAYS + chance) / np.maximum(mine, 1), 1)
    table[0] = 1
    return np.minimum.accumulate(table)
