"""Offsets of lines that stay, from how a picture steps from each line to the next.

A line of a sensor steps from its neighbour by the same amount along its whole length; a scene does
so in places. So steps are voted on by all segments of a line. What is left of the scene in them
lies in broad bands, because a lens draws no line of one pixel, while offsets that lines have each
of their own are white: the two are parted by their spectra (Wiener, 1949).
"""

from itertools import combinations
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from f2rcli.frames import Floats
from f2rcli.noise.measurement.blocks import MATCHED
from f2rcli.noise.measurement.profiles import TINY, Profile, Values, common, precision, segments
from f2rcli.order import median, robust_sigma

EDGES = 32 * MATCHED  # of the gradient's power: what an edge leaves in a step
SOFT = 1.2  # pixels
OUTLYING = 4.5  # standard deviations of the steps, from where one is an edge all along a line
FLOOR = 0.02  # of the mean power of steps, that a fit to their spectrum always allows
FITS = 8
ROUNDS = 3  # in which edges are found in the picture without the offsets
LEAST_SIGMA = 0.5 / 255  # of a picture's noise: rounding
MOSTLY = 0.5  # of what runs across the lines at one place, that is painted
PAINTED = 5  # pixels: what is the same sample for sample around is not a sensor's


class Steps(NamedTuple):
    """Steps from each line (a row of the picture, which may lie on its side) to the next."""

    values: Values  # (H - 1, J): of segments of the lines
    weights: Values  # (H - 1, J): 1 / variance


class Offsets(NamedTuple):
    """What lines are offset by, and their standard deviation, white - black."""

    values: Profile  # (H,)
    sigma: float


def steps_of(picture: Values, known: Profile, painted: NDArray[np.bool_] | None = None) -> Steps:
    """Line steps of a picture (H, W), less known offsets (H,), without what is painted."""
    if painted is not None:  # what is hardly anything else must not say how far segments scatter
        kept = painted.mean(0) < MOSTLY
        if not kept.any():
            return Steps(*np.zeros((2, len(picture) - 1, 1), np.float32))
        picture, painted = np.ascontiguousarray(picture[:, kept]), painted[:, kept]
    soft = np.asarray(cv2.GaussianBlur(picture - known[:, None], (0, 0), SOFT), np.float32)
    across = picture[:, 1:] - picture[:, :-1]
    sigma = max(robust_sigma(across) / 2**0.5, LEAST_SIGMA)
    weights = precision(soft, sigma, EDGES)
    if painted is not None:
        weights[painted] = TINY
    both = np.asarray(1 / (1 / weights[1:] + 1 / weights[:-1]), np.float32)
    return Steps(*segments(picture[1:] - picture[:-1], both))


def offsets_of(steps: NDArray[np.floating]) -> Offsets:
    """The offsets that lines have each of their own, from the steps (H - 1,) between them."""
    centred = steps - median(steps)
    inside = np.abs(centred) <= OUTLYING * robust_sigma(centred) + TINY
    kept = np.where(inside, centred - centred[inside].mean(), 0.0)
    own, *scene = _parts(kept, float(inside.mean()))
    level = np.concatenate([[0.0], np.cumsum(kept)])
    curve = _curve(len(level) + 1)
    curve[0] = 1.0
    lost = sum(part / curve**power for power, part in enumerate(scene))
    share = own * curve / np.maximum(own * curve + lost, TINY)
    share[0] = 0.0
    found = np.fft.irfft(np.fft.rfft(_mirrored(level)) * share)[: len(level)]
    return Offsets(found.astype(np.float32), own**0.5)


def estimated(picture: Values, painted: NDArray[np.bool_] | None = None) -> Offsets:
    """The offsets of the lines of a picture (H, W)."""
    found = Offsets(np.zeros(len(picture), np.float32), 0.0)
    for _ in range(ROUNDS):
        found = offsets_of(common(*steps_of(picture, found.values, painted))[0])
    return found


def painted(plane: Values, near: Values) -> NDArray[np.bool_]:
    """Where two frames are the same sample for sample: bars, graphics, clipped light."""
    apart = cv2.blur(np.abs(plane - near), (PAINTED, PAINTED))
    return np.asarray(apart <= np.float32(TINY), np.bool_)


def _parts(steps: Floats, known: float) -> tuple[float, ...]:
    """The variance of offsets of their own, and of what the scene adds to steps: white, and rising
    with the square and the fourth power of the wavelength. known: the share of steps that are."""
    count = len(steps)
    waves = np.fft.rfft(_mirrored(steps))[1:-1]  # the last one is 0
    power = np.square(np.abs(waves)) / (2 * count * max(known, 0.1))
    curve = _curve(count + 1)[1:-1]
    shapes = np.stack([curve, np.ones_like(curve), 1 / curve, 1 / curve**2], 1)
    floor = FLOOR * float(power.mean()) + TINY
    expected = np.full(len(power), float(power.mean()) + TINY)
    parts = np.zeros(shapes.shape[1])
    for _ in range(FITS):
        parts = _positive(shapes / expected[:, None], power / expected)
        expected = shapes @ parts + floor
    return tuple(float(part) for part in parts)


def _positive(known: Floats, wanted: Floats) -> Floats:
    """The least squares' solution that has nothing below 0, of a few unknowns."""
    scale = np.sqrt(np.square(known).sum(0)) + TINY
    gram, right = (known / scale).T @ (known / scale), (known / scale).T @ wanted
    best, least = np.zeros(len(right)), 0.0
    for count in range(1, len(right) + 1):
        for some in map(list, combinations(range(len(right)), count)):
            found, *_ = np.linalg.lstsq(gram[np.ix_(some, some)], right[some], rcond=None)
            error = -float(found @ right[some])  # beside the power of what is wanted
            if error < least and found.min() >= 0:
                best, least = np.zeros(len(right)), error
                best[some] = found
    return np.asarray(best / scale, np.float64)


def _mirrored(profile: Floats) -> Floats:
    """A profile and its reflection, which has cosines only."""
    return np.concatenate([profile, profile[::-1]])


def _curve(count: int) -> Floats:
    """The power that differences of adjacent samples keep of waves, from none to the finest."""
    return np.asarray(2 - 2 * np.cos(np.linspace(0, np.pi, count)), np.float64)
