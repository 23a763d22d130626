"""Light that shines in few frames (molecules, cosmic rays) and is not noise.

It looks like noise that grows with light: sparse molecules on an even background of 50 electrons
were taken for a gain twenty times the true one.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from f2rcli.frames import Plane
from f2rcli.order import robust_sigma

FEWEST = 5  # frames
SIDE = 5  # pixels, over which light is summed
AROUND = 15  # pixels, over which noise is measured, and that a flash spans at most
# Standard deviations of such a mean: of even light not one in 10^6 samples is so bright.
SUDDEN = 5.5
FEW = 3  # a frame in so many may be sudden at one place
CALM = 3.5  # standard deviations that no other may have there
BESIDE, FAR = 2.0, 13  # standard deviations, and pixels across: its outskirts
MOVING = 0.01  # of all else: where more is not calm the scene moves
MOST = 0.2  # of a frame; where more is sudden the light itself flickers


def without_flashes(frames: Sequence[Plane]) -> list[Plane]:
    """Frames (H, W) of one shot with places that are bright in few of them replaced by what another
    frame shows there: the one half of them later, counted in a circle, or the next that is calm."""
    if len(frames) < FEWEST or min(frames[0].shape) < AROUND:
        return list(frames)
    flashes = _flashes(np.stack(frames).astype(np.float32))
    filled = []
    for number, one in enumerate(frames):
        left = flashes[number].copy()
        for step in range(len(frames) // 2, len(frames)):
            other = (number + step) % len(frames)
            one = np.where(left & ~flashes[other], frames[other], one)
            left &= flashes[other]
        filled.append(one)
    return filled


def _flashes(stack: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Where frames (T, H, W) are far brighter than the median frame, and few others are."""
    apart = _standing_out(stack)
    others = np.sort(np.abs(apart), axis=0)[-1 - len(apart) // FEW]
    sudden = [_compact(one) for one in (apart > SUDDEN) & (others < CALM)]
    near, far = (np.stack([_widened(one, side) for one in sudden]) for side in (SIDE, FAR))
    found: NDArray[np.bool_] = near | (far & (apart > BESIDE))
    found &= found.mean((1, 2), keepdims=True) < MOST
    restless = np.count_nonzero(np.abs(apart[~far]) > CALM)
    found &= restless < MOVING * np.count_nonzero(~far)
    return found


def _standing_out(stack: NDArray[np.float32]) -> NDArray[np.float32]:
    """The excess of means of SIDE x SIDE pixels over the median frame, in standard deviations."""
    # Floats may be so large or small that their squares are beyond float32.
    stack = np.ldexp(stack, -int(np.frexp(np.abs(stack).max())[1]))
    means = np.stack([cv2.blur(one, (SIDE, SIDE)) for one in stack])
    pairs = np.diff(stack, axis=0)
    # A star's own noise is seen close to it alone.
    near, wide = (
        np.median([_power(one, side) for one in pairs], axis=0) for side in (SIDE, AROUND)
    )
    noise = np.maximum(near, wide) / (2 * SIDE**2)
    noise = np.maximum(noise, np.median(noise) / SIDE**2)
    apart = means - np.median(means, axis=0)
    apart -= np.median(apart, axis=(1, 2), keepdims=True)
    apart /= np.sqrt(np.maximum(noise, np.finfo(np.float32).tiny))
    scale = robust_sigma(apart[:, ::SIDE, ::SIDE])
    return np.asarray(apart / max(scale, 1.0), np.float32)


def _power(apart: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """Around every place, of the finest band of a picture (H, W), where little is that moves."""
    fine = cv2.filter2D(apart, cv2.CV_32F, np.array([[1, -1], [-1, 1]], np.float32) / 2)
    return np.asarray(cv2.blur(np.square(fine), (side, side)), np.float32)


def _compact(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Places of no more than AROUND pixels across: the others are edges that move."""
    _, labels, boxes, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    sizes = np.asarray(boxes)[:, [cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT]]
    small: NDArray[np.bool_] = np.asarray((sizes <= AROUND).all(1))
    small[0] = False  # what is not in the mask
    found: NDArray[np.bool_] = small[labels]
    return found


def _widened(mask: NDArray[np.bool_], side: int) -> NDArray[np.bool_]:
    return np.asarray(cv2.dilate(mask.astype(np.uint8), np.ones((side, side), np.uint8)), bool)
