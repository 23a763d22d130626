"""Row noise taken out of frames before anything else sees them, where it was measured.

A row's offset is what it has more than the same places of the scene in other frames: in the mean
of those before it, and in the next few. Each of them has offsets of its own, so each is believed
as far as these, its own noise and the match allow (Wiener, 1949); what single frames show of
single rows comes on top, as far as the others leave it open. Nothing is fed back, so no error
stays.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import cv2
import numpy as np

from f2rcli.engine.cuts import Thumbnail, thumbnail
from f2rcli.frames import Frame
from f2rcli.models.flow import DISFlow, Flow, compose, doubled, halved, resized, sample
from f2rcli.noise.measurement.blocks import MATCHED
from f2rcli.noise.measurement.lines import LineNoise, agreement, destriped, pieces
from f2rcli.noise.measurement.profiles import (
    Profile,
    Values,
    common,
    parted,
    precision,
    segments,
    smooth,
    standing_out,
)
from f2rcli.noise.planes import picture_of
from f2rcli.order import robust_sigma

LEVEL = 8.0  # rows: of the bands down a picture that flow sees
MEMORY = 24.0  # frames that the mean of the past is worth at most
LOST = 0.3  # frames that it is worth where nothing matches
MATCH_SIDE, MATCH_SLACK = 7, 4.5  # pixels; standard deviations of their mean before it is lost
LEAST_MATCH = 0.5 / 255  # of a picture's noise: rounding
DOUBT = 2.0  # times the variance that pieces of a row show, a frame away: they may share errors
STEADY = 0.3  # of the doubt of single rows, that of broad bands
EDGES = 32 * MATCHED  # of the gradient's power: what an edge leaves beside a row within a picture
NEWS = 0.25  # of what a frame shows of its rows, in what is believed of the next
ABSENT = 0.02  # of the measured variance: nothing


@dataclass
class Seen:
    """A frame and what the line remover sees of it."""

    copies: list[Frame]
    planes: list[Values]  # as `planes_of` gives them
    small: Values  # luma at half its size, for flow
    shape: tuple[int, ...]  # of luma
    look: Thumbnail
    to_next: "tuple[Seen, Flow] | None" = None

    @classmethod
    def of(cls, copies: list[Frame]) -> "Seen":
        """A run of frames that show one picture."""
        picture = picture_of(copies[0])
        luma = picture.luma
        return cls(copies, picture.planes, halved(_levelled(luma)), luma.shape, thumbnail(luma))

    def flow(self, other: "Seen", start: Flow | None = None) -> Flow:
        """The flow into another frame, at half the size; refined from `start` where it is given."""
        return DISFlow(halved=True)(self.small, other.small, start)

    def onward(self, following: "Seen") -> Flow:
        """The flow into the frame after it, made once."""
        if self.to_next is None or self.to_next[0] is not following:
            self.to_next = (following, self.flow(following))
        return self.to_next[1]

    def sized(self, flow: Flow, shape: tuple[int, ...]) -> Flow:
        """A flow at half the size on the grid of a plane, in its pixels."""
        return resized(doubled(flow, self.shape) * np.float32(2), shape)


def onward(centre: Seen, future: Sequence[Seen]) -> Iterator[Flow]:
    """The flow into each of the frames that follow; long ones begin with those of adjacent ones."""
    flow = None
    for last, one in pairwise([centre, *future]):
        if flow is None:
            flow = centre.onward(one)
        else:
            flow = centre.flow(one, compose(flow, last.onward(one)))
        yield flow


@dataclass
class Reference:
    """The expected picture of a frame, made of others, on its grid."""

    values: Values
    worth: Values  # frames, at every pixel
    flow: Flow
    past: bool = False
    away: int = 1  # frames: the mean of the past is carried on from one to the next
    offset: Profile = field(default_factory=lambda: np.zeros(0, np.float32))
    variance: Profile = field(default_factory=lambda: np.zeros(0, np.float32))


@dataclass
class LineGroup:
    """The lines of planes that share them, as far as known."""

    noise: LineNoise
    mean: Values | None = None  # of the frames before, on the last one's grid
    worth: Values | None = None  # frames in it, at every pixel
    present: float = -1.0  # of the rows' variance as measured, that shows by now; below 0: unseen

    def offsets(self, centre: Seen, references: Sequence["Reference"]) -> Values:
        """The offsets of a frame's planes, (H, W); they are remembered."""
        own = self._own(centre)
        look = destriped(own)
        sigma = _sigma(own, references)
        soft = np.asarray(cv2.GaussianBlur(look, (0, 0), 1.2), np.float32)
        weights = precision(soft, sigma, MATCHED)
        for one in references:
            one.offset, one.variance = common(*segments(own - one.values, weights))
        self._compare(own, look, references)
        rows = self._rows(own, references, soft, sigma)
        self._remember(own, next((one for one in references if one.past), None), sigma)
        return np.asarray(np.zeros_like(own) + rows[:, None], np.float32)

    def _compare(self, own: Values, look: Values, references: Sequence[Reference]) -> None:
        """Whether rows still have offsets of their own: as they were measured, frame by frame."""
        if len(references) < 2:
            self.present = max(self.present, 0.0)
            return
        apart = [np.asarray(own - one.values, np.float32) for one in references[:2]]
        found = agreement(*pieces(look, apart))
        share = 0.0 if found.low <= 0 else min(found.middle / self.noise.rows**2, 1.0)
        share = share if self.present < 0 else self.present + NEWS * (share - self.present)
        self.present = share if share > ABSENT else 0.0

    def _own(self, seen: Seen) -> Values:
        """The mean of the planes."""
        planes = [seen.planes[index] for index in self.noise.planes]
        return planes[0] if len(planes) == 1 else np.asarray(np.mean(planes, axis=0), np.float32)

    def references(
        self, centre: Seen, back: Flow | None, future: Iterable[tuple[Seen, Flow]]
    ) -> list["Reference"]:
        """The expected picture of a frame: the mean of the past, and the next few frames.

        back, and one for each of the next: the flow there, at half the size.
        """
        shape = centre.planes[self.noise.planes[0]].shape
        found = []
        if back is not None and self.mean is not None and self.worth is not None:
            flow = centre.sized(back, shape)
            mean, worth = sample(self.mean, flow, cubic=True), sample(self.worth, flow)
            found.append(Reference(mean, worth, flow, past=True))
        for away, (one, way) in enumerate(future, start=1):
            flow = centre.sized(way, shape)
            own = sample(self._own(one), flow)
            found.append(Reference(own, np.ones_like(own), flow, away=away))
        return found

    def _rows(
        self, own: Values, references: Sequence[Reference], soft: Values, sigma: float
    ) -> Profile:
        rows, left = np.zeros(len(own), np.float32), np.zeros(len(own), np.float32)
        for band, known in enumerate((self.noise.rows, self.noise.broad)):
            prior = known * self.present**0.5
            if not prior:
                continue
            found, total = np.zeros(len(own)), np.full(len(own), 1 / prior**2)
            for one in references:
                doubt = DOUBT * one.away * one.variance * (STEADY if band else 1)
                believed = 1 / (prior**2 / one.worth.mean(1) + doubt)
                found += parted(one.offset)[band] * believed
                total += believed
            rows += (found / total).astype(np.float32)
            if not band:
                left = (1 / total).astype(np.float32)
        if self.present:
            rows += _standing_out(own - rows[:, None], soft, sigma, left)
        return rows

    def _remember(self, own: Values, past: Reference | None, sigma: float) -> None:
        """Take a frame into the mean, with its lines: those of many frames cancel out."""
        if past is None:
            self.mean, self.worth = own, np.ones_like(own)
            return
        apart = np.abs(cv2.blur(own - past.values - past.offset[:, None], (MATCH_SIDE,) * 2))
        most = sigma * np.sqrt(1 + 1 / np.maximum(past.worth, LOST)) / MATCH_SIDE
        worth = np.where(apart < MATCH_SLACK * most + LEAST_MATCH, past.worth, LOST)
        worth = np.minimum(worth, MEMORY)
        self.mean = ((past.values * worth + own) / (worth + 1)).astype(np.float32)
        self.worth = (worth + 1).astype(np.float32)


def _sigma(own: Values, references: Sequence[Reference]) -> float:
    """The noise of a picture, roughly, from what it differs by from a reference."""
    if not references:
        return max(robust_sigma(own - cv2.blur(own, (3, 3))), LEAST_MATCH)
    near = references[-1] if references[0].worth.mean() > 1 else references[0]
    apart = own - near.values
    apart = apart - np.median(apart, axis=1, keepdims=True)
    return max(robust_sigma(apart) / 2**0.5, LEAST_MATCH)


def _standing_out(level: Values, soft: Values, sigma: float, left: Profile) -> Profile:
    """What single rows still stand out by within a frame, as far as their variance, that is left
    open by the others, explains it: all else is the scene."""
    offset, variance = standing_out(*segments(level, precision(soft, sigma, EDGES)))
    offset = parted(offset)[0]
    scene = max(float(np.mean(np.square(offset)) - np.mean(left)), 0.0)
    return np.asarray(offset * left / (left + np.maximum(2 * DOUBT * variance, scene)), np.float32)


def _levelled(luma: Values) -> Values:
    """A picture with evenly bright rows but for broad bands: flow would take offsets for motion."""
    means = luma.mean(1, keepdims=True)
    return np.asarray(luma - means + smooth(means, LEVEL), np.float32)
