"""The mean of everything before, at every place of a plane that stands still.

Where nothing moves, the mean of n frames holds a n-th of the noise, so it tells n times as
sharply whether a method's result has lost something: fine detail, or a shade of a flat area.
"""

from dataclasses import dataclass, field

import numpy as np

from f2rcli.engine.contract import LEAST, Real, box, held
from f2rcli.noise.colour import Shares

MOST = 32.0  # frames that a place may be worth: slow changes must still fade
FINE, LOW = 9, 15  # pixels, of windows that a match is judged over
FINE_SLACK, LOW_SLACK = 1.5, 9.0  # times the noise's power before a mismatch counts
LEAST_STILL = 0.02  # of a picture must stand still for the mean to be worth its time
SHARPER = 0.6  # see `held`: the mean is to give back detail, and none of its noise
SURE = 3.0  # frames from which on the mean is believed in full


@dataclass
class Steady:
    """Of one stream of frames that come in order: per plane, means and what they are worth."""

    means: list[Real] = field(default_factory=list)
    counts: list[Real] = field(default_factory=list)  # frames, 1 to MOST

    def add(self, planes: list[Real], variances: list[Real], shares: tuple[Shares, ...]) -> None:
        """Take in the next frame's planes; variances (H, W) of their noise; shares: see `held`."""
        if [p.shape for p in planes] != [m.shape for m in self.means]:
            self.means = [plane.copy() for plane in planes]
            self.counts = [np.ones_like(plane) for plane in planes]
            return
        for index, (plane, variance, share) in enumerate(
            zip(planes, variances, shares, strict=True)
        ):
            count = self._matching(index, plane, np.maximum(variance, LEAST), share)
            apart = plane - self.means[index]
            self.means[index] = self.means[index] + apart / count
            self.counts[index] = count

    def _matching(self, index: int, plane: Real, variance: Real, shares: Shares) -> Real:
        """What every place is worth with this frame."""
        count = self.counts[index]
        apart = plane - self.means[index]
        expected = variance * (1 + 1 / count)
        fine = box(apart * apart, FINE) - np.float32(FINE_SLACK) * expected
        low = np.square(box(apart, LOW)) - np.float32(LOW_SLACK * _left(shares)) * expected
        excess = (np.maximum(fine, 0) + 3 * np.maximum(low, 0)) / variance
        worth: Real = 1 / (1 / count + excess)
        return np.minimum(worth + 1, MOST).astype(np.float32)

    def mended(self, index: int, restored: Real, variance: Real, shares: Shares) -> Real:
        """A restored plane with what the mean shows and it has lost; `add` has seen its frame."""
        count = self.counts[index]
        if float((count > SURE).mean()) < LEAST_STILL:
            return restored
        apart = self.means[index] - restored
        lost = apart - held(apart, variance / count, shares, SHARPER)
        lost *= np.clip((count - 1) / (SURE - 1), 0, 1)
        mended: Real = restored + lost
        return mended


def _left(shares: Shares) -> float:
    """The share of the noise's variance that a box filter of LOW pixels leaves."""
    return max(sum(shares[3:]), 1 / LOW**2)
