"""The power of differences between blocks of pictures, at full bandwidth and high-passed.

Every band keeps the power of white noise, so its bands tell white noise from what is coarser.
"""

from statistics import NormalDist

import cv2
import numpy as np
from numpy.typing import NDArray

from f2rcli.frames import Floats, Singles, in_cells
from f2rcli.order import quantile

QUIETEST = 0.05  # quantile of blocks that is believed where nothing is flat
DEGREES = (1.0, 0.444, 0.265)  # of freedom per sample of white noise, per bandwidth
FULL, FINE, FINEST = range(3)

Taps = NDArray[np.float32]
TAPS: tuple[Taps, Taps] = (
    np.array([-1, 1, 0], np.float32) / np.float32(2**0.5),
    np.array([1, -2, 1], np.float32) / np.float32(6**0.5),
)


def tiles(plane: Singles, side: int) -> Singles:
    """Whole blocks of a plane (H, W): (N, side * side)."""
    return in_cells(plane, side).swapaxes(1, 2).reshape(-1, side**2)


def power(difference: Singles, side: int) -> Floats:
    """Power of every block in three bandwidths, (3, N): its variance, [1 -1] and [1 -2 1] twice."""
    full = tiles(difference, side).var(1, ddof=1)
    return np.stack([full, *(_passed(difference, side, taps, taps) for taps in TAPS)])


def _passed(difference: Singles, side: int, across: Taps, down: Taps) -> Floats:
    """Mean square of every block after a filter."""
    high = np.asarray(cv2.sepFilter2D(difference, -1, across, down), np.float32)
    return np.asarray(np.square(tiles(high, side)).mean(1), np.float64)


def quietest(powers: Floats, degrees: float) -> float:
    """A low quantile of powers, freed of its bias."""
    return float(quantile(powers, QUIETEST)) / unit(QUIETEST, degrees)


def unit(share: float, degrees: float) -> float:
    """The quantile of a mean of so many squares of unit noise (Wilson and Hilferty, 1931)."""
    spread = 2 / (9 * degrees)
    return float((1 - spread + NormalDist().inv_cdf(share) * spread**0.5) ** 3)
