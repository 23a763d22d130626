"""The removed signal, averaged over time at every place that stands still.

Noise averages out; what a method loses again and again (fine detail, the shade of a flat area) does
not. After n frames it shows n times as sharply. Averaging what was removed, not the frames, leaves
no ghosts: where something moves, what is removed from it is new noise in every frame.
"""

from dataclasses import dataclass, field

import numpy as np

from f2rcli.engine.contract.limits import LEAST, Real, box, held, power_around
from f2rcli.engine.contract.still import Still
from f2rcli.noise.bands import Shares

MOST = 32.0  # frames that a place may be worth: slow changes must still fade
FINE, LOW = 9, 15  # pixels, of windows that a match is judged over
FINE_SLACK, LOW_SLACK = 1.5, 9.0  # times the noise's power before a mismatch counts
LEAST_STILL = 0.02  # of a picture must stand still for all this to be worth its time
HIDDEN = 9.0  # frames after which half of what shows only in a wide window is given back
SURE = 3.0  # frames from which on the mean is believed in full
# Frames in which the noise in a mean of counts may be twice the law's, and less from then on: in a
# mean of few, places where noise is loud by chance look like something lost.
EARLY = 0.25


@dataclass
class Steady:
    """The mean of the removed signal, per plane, of one stream of frames in order."""

    means: list[Real] = field(default_factory=list)  # of the frames
    counts: list[Real] = field(default_factory=list)  # frames that a place stood still, 1 to MOST
    removed: dict[int, Real] = field(default_factory=dict)  # the mean of what was taken out
    ages: dict[int, Real] = field(default_factory=dict)  # frames in it
    still: Still | None = field(default_factory=Still)  # None: nobody asks for it

    def add(
        self,
        planes: list[Real],
        variances: list[Real],
        shares: tuple[Shares, ...],
        *,
        each: bool = False,
    ) -> None:
        """Take in the next frame's planes; variances (H, W) of their noise; shares: see `held`;
        each: see `Still.add`."""
        if self.still is not None:
            for index, known in enumerate(zip(planes, variances, shares, strict=True)):
                self.still.add(index, *known, each=each)
        if [p.shape for p in planes] != [m.shape for m in self.means]:
            self.means = [plane.copy() for plane in planes]
            self.counts = [np.ones_like(plane) for plane in planes]
            return
        for index, (plane, variance, share) in enumerate(
            zip(planes, variances, shares, strict=True)
        ):
            apart = plane - self.means[index]
            variance = box(variance, 5) if each else variance
            count = _matching(self.counts[index], apart, np.maximum(variance, LEAST), share)
            self.means[index] = self.means[index] + apart / count
            self.counts[index] = count

    @property
    def stands(self) -> bool:
        """Whether enough of the picture has stood still for its past to count."""
        return bool(self.counts) and float((self.counts[0] > SURE).mean()) >= LEAST_STILL

    def lost(
        self, index: int, removed: Real, variance: Real, shares: Shares,
        clipped: Real | None = None, lasting: float = 0.0, *, counts: bool = False,
    ) -> Real:  # fmt: skip
        """What of a plane's `removed` (noisy - restored) is no noise but was lost, as far as what
        was removed before at the same places tells; `add` has seen this frame.

        variance (H, W) of the noise; shares, clipped: see `held`; lasting: the part of the variance
        that is the same in every frame; counts: whether samples are a sensor's counts.
        """
        count = self.counts[index]
        before, age = self.removed.get(index), self.ages.get(index)
        if before is None or age is None or before.shape != removed.shape:
            age, mean = np.ones_like(removed), removed
        else:
            age = np.minimum(age + 1, count)
            mean = before + (removed - before) / age
        self.removed[index], self.ages[index] = mean, age
        if float((age > SURE).mean()) < LEAST_STILL:
            return np.zeros_like(removed)
        hidden = age * age / (age * age + np.float32(HIDDEN**2))
        if removed.shape != self.means[0].shape:  # small fields of colour are wider in light
            hidden = np.zeros_like(hidden)
        if clipped is not None:  # its law is not known well enough to find what is weaker
            hidden = hidden * (1 - clipped)
        of_mean = variance / age * (1 + EARLY / age) if counts else variance / age
        if lasting:
            of_mean += lasting * (variance - of_mean)
        lost = mean - held(mean, of_mean, shares, hidden, clipped)
        lost *= np.minimum((age - 1) / (SURE - 1), 1)
        return lost


def _matching(count: Real, apart: Real, variance: Real, shares: Shares) -> Real:
    """The worth of every place with a frame that differs from the mean by `apart`."""
    share = 1 / count
    expected = variance * (1 + share)
    fine = power_around(apart, FINE)
    fine -= np.float32(FINE_SLACK) * expected
    low = box(apart, LOW)
    low *= low
    expected *= np.float32(LOW_SLACK * left(shares))
    low -= expected
    excess = np.maximum(fine, 0, out=fine)
    excess += 3 * np.maximum(low, 0, out=low)
    excess /= variance
    excess += share
    worth = np.divide(1, excess, out=excess)
    worth += 1
    return np.minimum(worth, np.float32(MOST), out=worth)


def left(shares: Shares) -> float:
    """The share of the noise's variance that a box filter of LOW pixels leaves."""
    return max(sum(shares[3:]), 1 / LOW**2)
