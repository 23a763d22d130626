"""Detection of pixels that are defects of the sensor beyond doubt.

Optics spread what is light: a point of light in the middle of a pixel gives each of its four
neighbours 50 % of what it gives the pixel itself if its image is 0.8 pixels wide (standard
deviation), 23 % at 0.5, 13 % at 0.4. Noise hides that in one frame, and so does texture. In the
mean of many frames both are less, and what surrounds a pixel tells how much of them is left. Of two
pixels side by side, those across the pair tell: they see the same share of a point between both.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from f2rcli.frames import Floats, Mask, Plane
from f2rcli.order import robust_sigma

LEAST_FRAMES = 5  # that tell by how much samples vary
SURE = 3.0  # standard errors of what they see that are added to it
SHARED = 0.115  # of a defect, at most, that its four neighbours may seem to see
# Of the noise around: what is bright and varies less in so many frames was drawn into the picture;
# in fewer frames samples vary by less by chance.
LIVELY, MOST_FRAMES = 0.35, 9
ROUNDED, STILL = 0.3, 1e-3  # what is dark has little noise: codes, or a share of its depth
TWIN = 0.5  # of a pixel's excess: a neighbour that has more may be a defect as well
STEADY = 0.5  # of what a defect stands out by in the mean, that it does in most frames
OUTLYING = 4.0  # standard deviations of a plane's samples from medians: nearer ones are not defects
MOST_LOOKED_AT = 0.01  # of the samples, for the time it takes
FAR = 3.0  # standard deviations from the surface around a pixel: not part of it
ROUNDS = 3  # in which a surface loses what is not part of it
OTHERS = 4  # of those samples, at most: where more stand out there is no smooth surface

STEPS = np.argwhere(np.ones((7, 7))) - 3  # (49, 2), down and across
FROM_CENTRE = np.abs(STEPS).sum(axis=1)
CENTRE, CROSS = int(np.argmin(FROM_CENTRE)), FROM_CENTRE == 1
Y, X = STEPS.T.astype(np.float64)
TERMS = np.stack([Y**0, Y, X, Y * Y, X * X, X * Y], axis=1)  # of a surface of the second degree
SQUARES = (TERMS[:, :, None] * TERMS[:, None]).reshape(len(STEPS), -1)

Pixels = tuple[NDArray[np.intp], NDArray[np.intp]]  # rows and columns


class Surroundings(NamedTuple):
    """The surroundings of pixels (M,), all in codes."""

    excess: Floats  # of the pixels, over a smooth surface through what surrounds them
    beside: Floats  # the same of the means of their four neighbours, or of the two across a pair
    weights: Floats  # (M, 49), with which samples make the surface at the pixel
    rough: Floats  # standard deviations of samples from the surface
    error: Floats  # standard errors of `beside`
    twin: Floats  # which of STEPS leads to the one beside that stands out too, or CENTRE

    def of(self, some: Mask) -> "Surroundings":
        """The surroundings of some of the pixels."""
        return Surroundings(*(values[some] for values in self))

    def unseen(self, error: Floats) -> Mask:
        """Whose neighbours see nothing of what they stand out by, with this error."""
        return np.asarray(np.abs(self.beside) + SURE * error < SHARED * np.abs(self.excess))


def mean_of(frames: Iterable[Plane]) -> tuple[Floats, int]:
    """The mean of frames (H, W), at least one, and how many they are."""
    total, count = np.zeros(1), 0
    for frame in frames:
        total, count = total + frame, count + 1
    return total / count, count


def defects(frames: Sequence[Plane], mean: Floats, count: int, known: Pixels) -> Mask:
    """Where pixels (H, W) are defects: they stand out in most frames, their neighbours see nothing
    of it, noise and texture allowed for, and they vary from frame to frame as samples do.

    frames: some of the `count` frames (H, W) that `mean` is of; known: pixels that stand out.
    """
    if len(frames) < LEAST_FRAMES or min(mean.shape) < 3:
        return np.zeros(mean.shape, bool)
    outlying = _outlying(mean)
    outlying[known] = True
    rows, columns = np.nonzero(outlying)
    pixels = rows, columns
    return _sure(frames, count, pixels, _surroundings(mean, pixels))


def _sure(frames: Sequence[Plane], count: int, pixels: Pixels, around: Surroundings) -> Mask:
    """Which of some pixels are defects beyond doubt, by what surrounds them."""
    found = np.zeros(frames[0].shape, bool)
    likely = around.unseen(around.error)
    pixels, around = (pixels[0][likely], pixels[1][likely]), around.of(likely)
    near = np.stack([_near(frame, pixels)[0] for frame in frames])
    own = near[..., CENTRE] - (near * around.weights).sum(axis=-1)
    # of light, neighbours would share the noise
    noise = np.maximum(own.var(axis=0, ddof=1) / count - around.rough**2, 0)
    sure = around.unseen(np.sqrt(around.error**2 + SHARED / 4 * noise))
    sure &= np.median(own * np.sign(around.excess), axis=0) > STEADY * np.abs(around.excess)
    sure &= _lively(near, around.excess)
    found[pixels] = sure
    twins = (
        place + step for place, step in zip(pixels, STEPS[around.twin.astype(int)].T, strict=True)
    )
    found[pixels] &= found[tuple(twins)]  # of a pair both, or none
    return found


def _lively(near: NDArray[np.generic], excess: Floats) -> Mask:
    """Whether pixels vary from frame to frame as samples do. near: samples (frames, M, 49)."""
    spread = near.std(axis=0, ddof=1, dtype=np.float64)
    least = LIVELY * len(near) / MOST_FRAMES * np.median(spread, axis=1)
    dark = np.maximum(STILL * np.abs(excess), 0 if near.dtype.kind == "f" else ROUNDED)
    return np.asarray(spread[:, CENTRE] > np.where(excess < 0, np.minimum(dark, least), least))


def _outlying(mean: Floats) -> Mask:
    """Where samples stand out, more than those beside them."""
    import cv2  # not before it is needed: io knows this module

    plane, mirror = mean.astype(np.float32), cv2.BORDER_REFLECT_101
    beyond = plane - cv2.medianBlur(plane, 5)
    cross = np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]], np.float32) / 4
    beside = np.asarray(cv2.filter2D(beyond, -1, cross, borderType=mirror))
    apart = np.abs(beyond)
    far = OUTLYING * robust_sigma(apart)
    apart[apart <= 2 * np.abs(beside)] = 0
    far = max(far, float(np.quantile(apart, 1 - MOST_LOOKED_AT)))
    return np.asarray(apart > far)


def _surroundings(mean: Floats, pixels: Pixels) -> Surroundings:
    """The surroundings of pixels in a mean of frames."""
    near, inside = _near(mean, pixels)
    cross = inside & CROSS
    every = inside & (FROM_CENTRE > 1)
    part = every.copy()
    inverse, apart, rough = _fit(near, part)
    for _ in range(ROUNDS):
        part &= np.abs(apart) <= FAR * rough[:, None]
        inverse, apart, rough = _fit(near, part)
    excess, twin = apart[:, CENTRE], np.full(len(near), CENTRE)
    least = np.maximum(TWIN * np.abs(excess), FAR * rough)
    alike = cross & (apart * np.sign(excess)[:, None] > least[:, None])
    paired = alike.sum(axis=1) == 1
    twin[paired] = alike[paired].argmax(axis=1)
    cross[paired] &= (STEPS[twin[paired]] @ STEPS.T) == 0
    share = cross / cross.sum(axis=1, keepdims=True)
    at = share @ TERMS
    error = rough * np.sqrt((share**2).sum(axis=1) + np.einsum("mi,mij,mj->m", at, inverse, at))
    error[every.sum(axis=1) - part.sum(axis=1) > OTHERS] = np.inf
    weights = part * (inverse[:, 0] @ TERMS.T)
    beside = (share * apart).sum(axis=1)
    return Surroundings(excess, beside, weights, rough, error, twin.astype(np.float64))


def _fit(near: Floats, part: Mask) -> tuple[Floats, Floats, Floats]:
    """Surfaces through parts of samples (M, 49): the inverse matrices of their fits, how far all
    samples lie from them, and the standard deviations of those that they go through."""
    inverse = np.linalg.pinv((part @ SQUARES).reshape(-1, 6, 6), hermitian=True)
    surface = (((part * near) @ TERMS)[:, None] @ inverse)[:, 0]
    apart = near - surface @ TERMS.T
    free = np.maximum(part.sum(axis=1) - TERMS.shape[1], 1)
    rough: Floats = np.sqrt((part * apart**2).sum(axis=1) / free)
    return np.asarray(inverse, np.float64), apart, rough


def _near(plane: NDArray[np.generic], pixels: Pixels) -> tuple[Any, Mask]:
    """Samples (M, 49) of a plane around pixels, and which lie inside it."""
    rows, columns = (places[:, None] + step for places, step in zip(pixels, STEPS.T, strict=True))
    height, width = plane.shape
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    return plane[rows.clip(0, height - 1), columns.clip(0, width - 1)], inside
