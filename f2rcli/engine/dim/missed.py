"""Light of single frames that sums miss: what comes or goes.

A frame less its estimate is looked at in places as wide as a cell, over a few frames that begin or
end with it. What noise alone hardly ever does is light.
"""

from collections.abc import Sequence
from itertools import product

import cv2
import numpy as np

from f2rcli.engine.contract.limits import LEAST
from f2rcli.engine.contract.means import Real

LENGTHS = (8, 4, 2, 1)  # frames
WIDTHS = (3.0, 1.5)  # pixels
SURE = 3.0  # standard deviations: of 700 places of noise alone one has so much
SIDE = 9  # pixels, over which the noise is as strong


def missed(row: Sequence[Real], at: int, variance: Real) -> Real:
    """The light missed at every sample of a frame (H, W).

    row: frames of its shot less their estimates, in order; at: its place among them; variance:
    of its noise.
    """
    found = np.zeros_like(variance)
    noise = np.maximum(cv2.blur(variance, (SIDE, SIDE)), LEAST)
    for length, width in product(LENGTHS, WIDTHS):
        given, power = _look(row[at : at + length], width, found, noise)
        if length > 1:
            other, more = _look(row[max(at - length + 1, 0) : at + 1], width, found, noise)
            given = np.where(more > power, other, given)
        found = found + given
    return found


def _look(span: Sequence[Real], width: float, found: Real, noise: Real) -> tuple[Real, Real]:
    """What is missed in places of a width over some frames, beyond what was found, and its power
    before it is shrunk, of the noise's."""
    area = np.float32(4 * np.pi * width**2 * len(span))
    mean: Real = np.mean(span, axis=0, dtype=np.float32)
    left: Real = cv2.GaussianBlur(mean - found, (0, 0), width)  # type: ignore[assignment]  # float32 stays
    power = np.square(left) * area / noise
    return left * np.maximum(1 - np.float32(SURE**2) / np.maximum(power, LEAST), 0), power
