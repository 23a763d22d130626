"""The removed signal, averaged over time at every place that stands still.

Noise averages out; what a method loses again and again (fine detail, the shade of a flat area) does
not. After n frames it shows n times as sharply. Averaging what was removed, not the frames, leaves
no ghosts: where something moves, what is removed from it is new noise in every frame.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from f2rcli.engine.contract.limits import LEAST, Real, box, falling, held, power_around
from f2rcli.engine.contract.still import PATIENCE, Still
from f2rcli.models.flow import DISFlow, Flow, resized, sample
from f2rcli.noise.bands import Shares

MOST = 32.0  # frames that a place may be worth: slow changes must still fade
FINE, LOW = 9, 15  # pixels, of windows that a match is judged over
FINE_SLACK, LOW_SLACK = 1.5, 9.0  # times the noise's power before a mismatch counts
# Of the noise's power, over so many pixels, that results may differ by: see `Steady.settled`.
ALIKE = 0.02, 0.06
ALIKE_SIDE = 7
STANDS = np.zeros((1, 1, 2), np.float32)  # the flow of a scene that stands still
# Of the picture's power, from which on noise is strong enough for a flow between restored frames.
LOUD = 0.04
RESTS = 0.02  # pixels of flow that are none: nothing is read between pixels
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
    results: dict[int, Real] = field(default_factory=dict)  # restored planes of the frame before

    def add(
        self,
        planes: list[Real],
        variances: list[Real],
        shares: tuple[Shares, ...],
        *,
        each: bool = False,
    ) -> None:
        """Take in the next frame's planes and their noise's variances; shares: see `held`."""
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

    def averaged(
        self,
        changes: list[Real],
        planes: Sequence[Real],
        variances: Sequence[Real],
        shifts: Sequence[Real] | None,
        flows: Sequence[object],
        kinds: tuple[bool, bool],
        *,
        even: bool,
        mosaic: bool,
    ) -> list[Real]:
        """The changes of a frame's planes with what `Still.brought` and `settled` add to them.

        kinds: whether the last planes come nearer to the mean as the first does, and whether these
        are chroma; otherwise see there.
        """
        if self.still is None:
            return changes
        out, (all_planes, chroma) = list(changes), kinds
        if rests := self.still.rests(flows):
            nearer = self.still.brought(
                changes, planes, variances, shifts, rests, even=even, mosaic=mosaic
            )
            out = nearer if all_planes else [nearer[0], *out[1:]]
        if chroma:
            ways = self._ways(out, planes, variances, flows, rests > 0)
            out = self.settled(out, planes, variances, ways)
        return out

    def _ways(
        self,
        changes: Sequence[Real],
        planes: Sequence[Real],
        variances: Sequence[Real],
        flows: Sequence[object],
        rests: bool,
    ) -> list[Flow | None]:
        """The flow of each plane into the frame before, for `settled`; None: it is not gone to.

        That of the networks is good enough for chroma. Moving luma, which is finer, loses as much
        as it gains along it. Under strong noise a flow between restored frames is nearer to the
        truth, and luma gains. A shot's first frames, which have few others to go by, are not gone
        to.
        """
        assert self.still is not None
        flow = flows[0] if flows and isinstance(flows[0], np.ndarray) else None
        chroma, before = len(planes) - 1, self.results.get(0)
        if self.still.rested[0].shape[1] < PATIENCE:
            return [None] * len(planes)
        if rests:
            return [STANDS, *[flow] * chroma]
        shown = planes[0] + changes[0]
        quiet = float(variances[0].mean()) < LOUD * float(shown.var())
        if quiet or flow is None or before is None or before.shape != shown.shape:
            return [None, *[flow] * chroma]
        return [DISFlow()(shown, before)] * len(planes)

    def settled(
        self,
        changes: Sequence[Real],
        planes: Sequence[Real],
        variances: Sequence[Real],
        ways: Sequence[Flow | None],
    ) -> list[Real]:
        """The changes of planes with half of what brings them to the frame before as it was
        restored, where both differ by far less than noise: the rest of it flickers.

        variances (H, W): of the noise; ways: the flow of each plane into the frame before, `STANDS`
        for none; None keeps its change. What is new stays as it is, since it differs by more; so
        does moving detail where noise is weak. Where a scene stands still, only places without
        detail settle: that still grows from frame to frame.
        """
        out = []
        for index, (change, plane, law, way) in enumerate(
            zip(changes, planes, variances, ways, strict=True)
        ):
            shown = plane + change
            before = self.results.get(index)
            if before is not None and before.shape == shown.shape and way is not None:
                apart = (before if way is STANDS else _moved(before, way)) - shown
                alike = _faint(apart, law)
                if way is STANDS:
                    alike *= _faint(shown - box(shown, 3), law)
                apart *= alike / (1 + alike)
                shown, change = shown + apart, change + apart
            self.results[index] = shown
            out.append(change)
        return out

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


def _faint(apart: Real, law: Real) -> Real:
    """How far a plane lies below the noise, 0..1; see `ALIKE`."""
    power = power_around(apart, ALIKE_SIDE)
    power /= np.maximum(law, LEAST)
    return falling(power, ALIKE)


def _moved(before: Real, flow: Flow) -> Real:
    """A plane (H, W) where the flow (h, w, 2) into it leads."""
    way = resized(flow, before.shape)
    return sample(before, np.where(np.abs(way) < RESTS, np.float32(0), way), cubic=True)


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
