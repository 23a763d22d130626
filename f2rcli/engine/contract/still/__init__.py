"""The mean of all frames so far, at every place that shows the same thing in all of them.

No window of seven frames comes near the mean of sixty-four that are alike. A mean may stand in for
a restored place only where nothing has happened: it would wipe out what is new and leave ghosts of
what is gone. So it is tested on what single frames differ from it by, on the mean of the last few,
which shows changes a fourth as strong, and on their power, which shows what flickers. What is too
weak for all of these is guessed from the rest of the picture: a mean is used if all else is still.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from f2rcli.engine.contract.limits import LEAST, Real, box, falling, power_around
from f2rcli.engine.contract.still.supported import Near, near_agreed, near_sure, often, supported
from f2rcli.frames import Floats

MOST = 256.0  # frames that a mean may be worth
SIDES = (3, 7, 15)  # pixels, of windows that changes are looked for in; as bands part
LATELY = 1 / 8  # share of a frame in the mean of the last few
FLICKER = 1 / 16  # the same for the power of changes
JUMP, DRIFT = 20.0, 16.0  # times the noise's power in a window, from which a change counts
RESTLESS = 1.4  # the same of its mean over time
# Times the noise's power: from the first on some of what is new stays, from the second on all.
EVENT = 14.0, 20.0
AROUND = 5  # pixels around an event that stay as well
FLICKERS = 7  # pixels, of windows that flicker is looked for in
SIDE = 9  # pixels, over which results are compared
# Frames until one comes that no result had to do with: windows may reach four frames ahead.
LATER = 5
LEARNT = 1 / 8, 1 / 4  # a frame, of what is learnt from it: of few samples, and of many
# Times the noise's power that the last few frames may differ: up to the first that holds in full,
# from the second on not at all.
HOLDS = 4.0, 8.0
DOUBT = 500.0  # samples: what is known without any is worth so many
MOST_ASKED = 1 << 16  # samples of a plane that are asked, for memory
FEWEST = 4.0, 8.0  # frames: a mean of fewer is not used, one of more is used in full
WORN = 0.03, 0.06  # of a picture's places: so many may have changed lately, or too many have
NEW = 16.0, 0.75  # frames, and the share of them that a place has to be worth
MOVED = 1.8, 2.5  # likewise the mean power of drifts, of the noise's
LEAST_OF_FEW = 1 / 35  # see `_of_few`
CALMING = 1 / 16  # a frame; calm is believed slowly
# Pixels of flow into an adjacent frame, as means over so many: beyond them the camera moves. The
# flow of noise that stands still scatters by as much, but not all one way.
RESTING, OVER = 0.3, 60
ALL_MOVES = 0.03, 0.1  # of a picture's places: where fewer rest, all of it moves; where more, not
PATIENCE = 3  # frames in a row whose flows must say so: those of a few stars are noise


@dataclass
class Still:
    """The mean of the frames of one shot, by plane."""

    means: dict[int, Real] = field(default_factory=dict)
    worths: dict[int, Real] = field(default_factory=dict)  # frames in them, 1 to MOST
    lately: dict[int, Real] = field(default_factory=dict)  # what the last few differed by
    flicker: dict[int, Real] = field(default_factory=dict)  # power of differences, of the noise's
    events: dict[int, Real] = field(default_factory=dict)  # the same of the last frame, the most
    drifts: dict[int, Real] = field(default_factory=dict)  # the same of the last few together
    sure: dict[int, Near] = field(default_factory=dict)  # 1 near what the last few surely show
    come: dict[int, Real] = field(default_factory=dict)  # (1, 1): see `often`
    calm: dict[int, Real] = field(default_factory=dict)  # (1, 2): how still all is, 0..1; frames
    rested: dict[int, Real] = field(default_factory=dict)  # 0: what `resting` said of the last few
    # (LATER, 2, h, w): of the last frames, how far results lay from the mean, over the variance of
    # its noise, and the mean
    asked: dict[int, Real] = field(default_factory=dict)
    owned: dict[int, Real] = field(default_factory=dict)  # (1, 2): see `_ask`; sums over samples

    def add(
        self,
        index: int,
        plane: Real,
        variance: Real,
        shares: Sequence[float],
        *,
        each: bool = False,
    ) -> None:
        """Take in the next frame; variance (H, W) of its noise, shares: see `held`; each: whether
        the variance is that of each sample, or of what is around it."""
        if index not in self.means or self.means[index].shape != plane.shape:
            calm = float(index in self.means or index not in self.calm)
            self._drop(index)
            self.means[index], self.worths[index] = plane.copy(), np.ones_like(plane)
            self.calm[index] = np.array([[calm, 1]], np.float32)
            return
        self._ask(index, plane)
        noise = np.maximum(variance, LEAST)
        apart, worth = plane - self.means[index], self.worths[index]
        lately = _known(self.lately, index, plane, 0)
        lately = lately + np.float32(LATELY) * (apart - lately)
        expected, of_few = noise * (1 + 1 / worth), noise * _of_few(worth)
        event, drifts, excess = (np.zeros_like(plane) for _ in range(3))
        flicker, sure = _known(self.flicker, index, plane, 1), np.zeros(plane.shape, np.uint8)
        for place, side in enumerate(SIDES):
            left = np.float32(max(sum(shares[place + 1 :]), 1 / side**2))
            power = _squared(apart, side) / (_over(expected, side, each) * left)
            drift = _squared(lately, side) / (_over(of_few, side, each) * left)
            np.maximum(event, power, out=event)
            np.maximum(drifts, drift, out=drifts)
            sure |= near_sure(drift, place)
            np.maximum(excess, (power - JUMP) * left, out=excess)
            np.maximum(excess, (drift - DRIFT) * (left * np.float32(3 * LATELY)), out=excess)
            if side == FLICKERS:
                flicker = (flicker + np.float32(FLICKER) * (power - flicker)).astype(np.float32)
                np.maximum(excess, (box(flicker, SIDES[-1]) - RESTLESS) * left, out=excess)
        worth = np.minimum(1 / (1 / worth + excess) + 1, MOST).astype(np.float32)
        step = apart / worth
        self.means[index] = self.means[index] + step
        self._settle(index, worth, float(np.minimum(drift, JUMP).mean()))
        self.worths[index], self.lately[index] = worth, lately - step
        come = often(float(self.come[index][0, 0]) if index in self.come else 1.0, event, EVENT[0])
        self.events[index] = supported(event, self.sure.get(index), EVENT[1], come)
        self.drifts[index] = drifts
        self.flicker[index], self.sure[index] = flicker, sure
        self.come[index] = np.array([[come]], np.float32)

    def light(self, index: int, around: Real) -> Real:
        """How bright a plane is, by the frames so far where these are many, elsewhere by what is
        `around` in one. By that alone fine texture of a few bright samples seems to be dark, and
        its noise, which grows with light, like change."""
        if index not in self.means or self.means[index].shape != around.shape:
            return around
        return np.where(self.worths[index] < FEWEST[1], around, self.means[index])

    def rests(self, flows: Sequence[object]) -> float:
        """See `resting`, of the last few frames; where all of the picture moves in all of them,
        what is still is forgotten. Flows that are no arrays tell nothing."""
        before = self.rested.get(0, np.zeros((1, 0), np.float32))[:, 1 - PATIENCE :]
        now = resting([flow for flow in flows if isinstance(flow, np.ndarray)])
        self.rested[0] = np.append(before, np.array([[now]], np.float32), axis=1)
        found = float(self.rested[0].max())
        if not found:
            self.forget()
        return found

    def forget(self) -> None:
        """Begin again with the next frame: all of the picture moves. Calm grows from nothing."""
        for index in list(self.means):
            self._drop(index)

    def _drop(self, index: int) -> None:
        """Forget a plane but for how calm all was, and what its means own."""
        for known in (
            self.means, self.worths, self.lately, self.flicker, self.events, self.drifts,
            self.sure, self.come, self.asked,
        ):  # fmt: skip
            known.pop(index, None)

    def _settle(self, index: int, worth: Real, drift: float) -> None:
        before, age = self.calm[index][0]
        least = NEW[1] * min(age + 1, NEW[0])
        worn = float((worth[::2, ::2] < least).mean())
        now = min(falling(worn, WORN), falling(drift, MOVED), float(before) + CALMING)
        self.calm[index] = np.array([[now, age + 1]], np.float32)

    def _ask(self, index: int, plane: Real) -> None:
        """Learn from a frame how much of the mean's own noise results lack that came before it.

        A result's error holds a share of the mean's noise, since both come from the same frames,
        and errors of its own. How far the two lie apart cannot tell one from the other; a frame
        that neither of them had to do with can.
        """
        if index not in self.asked:
            return
        apart, mean = self.asked[index][0]
        step = _step(plane.shape)
        apart = apart * (self.worths[index][::step, ::step] > FEWEST[0] + LATER)
        found = np.array([[np.vdot(apart, mean - plane[::step, ::step]), np.count_nonzero(apart)]])
        new = np.clip(apart.size / MOST_ASKED, *LEARNT)
        kept = self._owned(index) * np.float32(1 - new)
        self.owned[index] = (kept + found).astype(np.float32)
        self.asked[index] = np.roll(self.asked[index], -1, axis=0)
        self.asked[index][-1] = 0

    def _owned(self, index: int) -> Real:
        return self.owned.get(index, np.zeros((1, 2), np.float32))

    def _remember(self, index: int, apart: Real, own: Real) -> None:
        step = _step(apart.shape)
        some = np.s_[::step, ::step]
        shown = np.stack([apart[some] / np.maximum(own[some], LEAST), self.means[index][some]])
        if index not in self.asked:
            self.asked[index] = np.zeros((LATER, *shown.shape), np.float32)
        self.asked[index][-1] = shown

    def brought(
        self,
        changes: Sequence[Real],
        planes: Sequence[Real],
        variances: Sequence[Real],
        shifts: Sequence[Real] | None,
        rests: float,
        *,
        even: bool,
        mosaic: bool,
    ) -> list[Real]:
        """The changes of a frame's planes with what brings the results closer to the mean.

        variances (H, W): of the noise; shifts: what clipping moved the planes' means by; rests: see
        `resting`; even: whether every plane keeps its mean; mosaic: whether they are one's colours.
        """
        out, near = [], near_agreed(self.drifts) if mosaic else {}
        parts = zip(changes, planes, variances, strict=True)
        for index, (change, plane, variance) in enumerate(parts):
            shown = plane + change
            if shifts is not None:
                shown += shifts[index]
            nearer = self.nearer(index, shown, variance, near.get(index))
            if nearer is not None:
                if even:
                    nearer -= np.float32(nearer.mean(dtype=np.float64))
                change = change + rests * nearer
            out.append(change)
        return out

    def nearer(
        self, index: int, restored: Real, variance: Real, near: Near | None = None
    ) -> Real | None:
        """A correction of a restored plane towards the mean; None for nothing. near: 1 where the
        last few frames surely show a change; None: as this plane by itself says."""
        if index not in self.means or self.means[index].shape != restored.shape:
            return None
        events, drifts = (known.pop(index, None) for known in (self.events, self.drifts))
        if events is None or drifts is None:
            return None
        worth = self.worths[index]
        calm = self.calm[index][0, 0]
        if not calm or not (worth > FEWEST[0]).any():
            return None
        apart = self.means[index] - restored
        own = box(variance / worth, SIDE)
        self._remember(index, apart, own)
        owned, samples = self._owned(index)[0]
        lacking = np.clip((owned + DOUBT) / (samples + DOUBT), 0, 1)
        rest = falling(drifts * (self.sure[index] if near is None else near), HOLDS)
        lacking = 1 - (1 - lacking) * rest
        share = 1 - lacking * own / power_around(apart, SIDE, LEAST)
        share = np.maximum(share, 0, out=share)
        share *= np.clip((worth - FEWEST[0]) / (FEWEST[1] - FEWEST[0]), 0, 1)
        quiet = falling(events, EVENT)
        quiet = np.asarray(cv2.erode(quiet, np.ones((AROUND, AROUND), np.uint8)), np.float32)
        found: Real = (apart * share * quiet * calm).astype(np.float32)
        return found


def _known(known: dict[int, Real], index: int, plane: Real, begin: float) -> Real:
    """What is known of a plane; before that it is the same everywhere, and takes no memory."""
    return known[index] if index in known else np.full_like(plane, begin)


def _over(variance: Floats | Real, side: int, each: bool) -> Real:
    """The variance of windows' samples; of each by itself, or as it is around."""
    own = np.asarray(variance, np.float32)
    return box(own, side) if each else own


def resting(flows: Sequence[NDArray[np.float32]]) -> float:
    """0 where flows (H, W, 2) into adjacent frames say that the whole picture moves, else 1, and
    between: weak detail that moves under strong noise shows in no difference of frames."""
    shares = []
    for flow in flows:
        mean = cv2.blur(np.ascontiguousarray(flow[::4, ::4]), (OVER // 4, OVER // 4))
        shares.append(float((np.square(mean).sum(-1) < RESTING**2).mean()))
    low, high = ALL_MOVES
    return min(max((min(shares, default=1.0) - low) / (high - low), 0.0), 1.0)


def _squared(plane: Real, side: int) -> Real:
    """The squared mean over side x side pixels, less at the border, where windows are mirrored: so
    few samples that count twice scatter by up to twice as much an axis."""
    power = np.square(box(plane, side))
    twice = np.arange(side // 2, 0, -1, dtype=np.float32)  # of a window's rows, from the border on
    gain = (1 + 2 * twice / side)[:, None]
    for edge in (power, power[::-1], power.T, power.T[::-1]):
        edge[: gain.size] /= gain[: len(edge)]
    return power


def _step(shape: tuple[int, ...]) -> int:
    """Of the grid of a plane's samples that are asked."""
    return max(1, math.ceil(math.sqrt(math.prod(shape) / MOST_ASKED)))


def _of_few(worth: Real) -> Real:
    """Of the mean of the last few frames less that of all, the variance in units of a frame's: what
    averages of noise leave, and what the first frames weigh too much."""
    lasting = np.maximum(np.float32(LATELY / (2 - LATELY)) - 1 / worth, 0)
    beginning = np.float32(0.9) * np.float32((1 - LATELY) ** 2) ** worth
    total: Real = np.maximum(lasting + beginning, np.float32(LEAST_OF_FEW))
    return total
