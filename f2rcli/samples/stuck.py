"""Which of the pixels that always stand out are defects of the sensor, beyond doubt.

Optics spread what is light: a point of light in the middle of a pixel gives each of its four
neighbours 50 % of what it gives the pixel itself if its image is 0.8 pixels wide (standard
deviation), 23 % at 0.5, 13 % at 0.4. One frame hides that in noise; the mean of several tells.
"""

import numpy as np
from numpy.typing import NDArray

from f2rcli.frames import Plane

LEAST_FRAMES = 5  # that tell by how much samples vary
SHARED = 0.1  # of a defect, at most, that its four neighbours may seem to see
SURE = 2.0  # standard errors of what they see that are added to it
LIVELY = 0.5  # of the noise around: what varies less was drawn into the picture

CROSS = ((-1, 0), (1, 0), (0, -1), (0, 1))
RING = [(y, x) for y in range(-2, 3) for x in range(-2, 3) if max(abs(y), abs(x)) == 2]


def certain(
    frames: list[Plane], pixels: tuple[NDArray[np.intp], NDArray[np.intp]]
) -> NDArray[np.bool_]:
    """Which of some pixels (rows and columns) of frames (H, W) are defects: those whose neighbours
    see nothing of what they stand out by, noise allowed for, and that vary from frame to frame as
    samples do."""
    if len(frames) < LEAST_FRAMES or min(frames[0].shape) < 3:
        return np.zeros(pixels[0].size, bool)
    centre = np.stack([frame[pixels].astype(np.float64) for frame in frames])
    ring = _samples(frames, pixels, RING)
    back = np.median(ring, axis=0)
    beside = _samples(frames, pixels, CROSS).mean(axis=0) - back
    noise = np.median(ring.std(axis=1, ddof=1), axis=0)
    # of four neighbours, and of the median of sixteen
    error = np.maximum(beside.std(axis=0, ddof=1), noise * np.sqrt(1 / 4 + np.pi / 2 / len(RING)))
    error /= np.sqrt(len(frames))
    excess = np.abs((centre - back).mean(axis=0))
    unseen = np.abs(beside.mean(axis=0)) + SURE * error < SHARED * excess
    lively = centre.std(axis=0, ddof=1) > LIVELY * noise
    return np.asarray(unseen & lively)


def _samples(
    frames: list[Plane], pixels: tuple[NDArray[np.intp], NDArray[np.intp]],
    steps: list[tuple[int, int]] | tuple[tuple[int, int], ...],
) -> NDArray[np.float64]:  # fmt: skip
    """The samples that many steps away, (steps, frames, pixels); mirrored at the border."""
    height, width = frames[0].shape
    found = []
    for dy, dx in steps:
        rows = height - 1 - np.abs(height - 1 - np.abs(pixels[0] + dy))
        columns = width - 1 - np.abs(width - 1 - np.abs(pixels[1] + dx))
        found.append([frame[rows, columns] for frame in frames])
    return np.array(found, np.float64)
