"""Light that shines in few frames (molecules, cosmic rays) and is not noise.

It looks like noise that grows with light: sparse molecules on an even background of 50 electrons
were taken for a gain a hundred times the true one.
"""

from collections.abc import Sequence

import cv2
import numpy as np

from f2rcli.frames import Plane
from f2rcli.order import robust_sigma

SIDE, AROUND = 5, 15  # pixels, over which light is summed, and noise is measured
SUDDEN = 5.5  # standard deviations of such a sum: of even light not one in 10^6 is so bright


def without_flashes(frames: Sequence[Plane]) -> list[Plane]:
    """Frames (H, W) of one shot with places that are far brighter than in the median frame replaced
    by what another frame shows there: the one half of them later, counted in a circle, or the next
    that is calm."""
    count = len(frames)
    if count < 5 or min(frames[0].shape) < AROUND:
        return list(frames)
    stack = np.stack(frames).astype(np.float32)
    # Floats may be so large or small that their squares are beyond float32.
    stack = np.ldexp(stack, -int(np.frexp(np.abs(stack).max())[1]))
    sums = np.stack([cv2.blur(one, (SIDE, SIDE)) for one in stack])
    powers = [cv2.blur(np.square(one), (AROUND, AROUND)) for one in np.diff(stack, axis=0)]
    noise = np.median(powers, axis=0) / (2 * SIDE**2)
    apart = (sums - np.median(sums, axis=0)) / np.sqrt(np.maximum(noise, np.finfo(np.float32).tiny))
    apart -= np.median(apart, axis=(1, 2), keepdims=True)
    sudden = apart > SUDDEN * max(robust_sigma(apart[:, ::SIDE, ::SIDE]), 1.0)
    wide = np.ones((2 * SIDE - 1, 2 * SIDE - 1), np.uint8)
    flashes = np.stack([cv2.dilate(one.astype(np.uint8), wide) > 0 for one in sudden])
    if flashes.mean() > 0.2:  # the scene moves, or its light flickers
        return list(frames)
    filled = []
    for number, one in enumerate(frames):
        left = flashes[number].copy()
        for step in range(count // 2, count):
            other = (number + step) % count
            one = np.where(left & ~flashes[other], frames[other], one)
            left &= flashes[other]
        filled.append(one)
    return filled
