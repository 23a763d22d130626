"""Offsets of a frame's rows and columns, estimated from the frames around it.

A row's offset is what it has more than the same places of the scene in other frames: in the mean
of those before it, and in the next few. Each of them has offsets of its own, so each is believed
as far as these, its own noise and the match allow (Wiener, 1949); what single frames show of
single rows comes on top, as far as the others leave it open. Columns stay: their offsets are
learnt from where the scene has moved. Nothing is fed back, so no error stays.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import cv2
import numpy as np

from f2rcli.engine.noise.seen import Seen
from f2rcli.models.flow import Flow, sample
from f2rcli.noise.hum.hum import FADE, agreed, apart_from
from f2rcli.noise.measurement.agreement import agreement, destriped, pieces
from f2rcli.noise.measurement.blocks import MATCHED
from f2rcli.noise.measurement.lines import STILL, LineNoise
from f2rcli.noise.measurement.profiles import (
    FAR,
    TINY,
    Profile,
    Values,
    common,
    parted,
    precision,
    row_mean,
    segments,
    smooth,
    standing_out,
)
from f2rcli.order import robust_sigma

MEMORY = 24.0  # frames that the mean of the past is worth at most
LOST = 0.3  # frames that it is worth where nothing matches
MATCH_SIDE, MATCH_SLACK = 7, 4.5  # pixels; standard deviations of their mean before it is lost
LEAST_MATCH = 0.5 / 255  # of a picture's noise: rounding
DOUBT = 2.0  # times the variance that pieces of a row show, a frame away: they may share errors
STEADY = 0.3  # of the doubt of single rows, that of broad bands
EDGES = 32 * MATCHED  # of the gradient's power: what an edge leaves beside a row within a picture
COLUMN_DRIFT = 0.01  # of the columns' variance, that is new in every frame
COLUMNS_HIGH = 8.0  # columns: what is broader cannot be told from the scene
RELIT = 3  # rounds in which a change of light is fitted
REHEARSALS = 2  # times that columns are learnt from the frames ahead, before the first
NEWS = 0.25  # of what a frame shows of its rows, in what is believed of the next
COMPARED = 3  # pairs of other frames that waves are looked for between
ABSENT = 0.02  # of the measured variance: nothing


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
    columns: Profile | None = None  # what each stands out by
    doubt: Profile | None = None  # the variance of that
    present: float = -1.0  # of the rows' variance as measured, that shows by now; below 0: unseen

    def offsets(self, centre: Seen, references: Sequence["Reference"]) -> Values:
        """The offsets of a frame's planes, (H, W); they are remembered."""
        own = self._own(centre)
        look = destriped(own)
        sigma = _sigma(own, references)
        soft = np.asarray(cv2.GaussianBlur(look, (0, 0), 1.2), np.float32)
        weights = precision(soft, sigma, MATCHED)
        for one in references:
            if self.noise.hum:
                one.values = relit(one.values, own, weights)
            one.offset, one.variance = common(*segments(own - one.values, weights))
        rows = np.zeros(len(own), np.float32)
        if self.noise.rows or self.noise.bands:
            self._compare(own, look, references)
            rows = self._rows(own, references, soft, sigma)
        if self.noise.columns:
            for one in references[:2]:
                self._learn(own, one, weights)
        self._remember(own, next((one for one in references if one.past), None), sigma)
        return np.asarray(np.zeros_like(own) + rows[:, None] + self._across(), np.float32)

    def _compare(self, own: Values, look: Values, references: Sequence[Reference]) -> None:
        """Whether rows still have offsets of their own: as they were measured, frame by frame."""
        if self.noise.hum:
            self._compare_hum(own, references)
            return
        if len(references) < 2:
            self.present = max(self.present, 0.0)
            return
        apart = [np.asarray(own - one.values, np.float32) for one in references[:2]]
        found = agreement(*pieces(look, apart), broad=not self.noise.rows)
        known = (self.noise.rows or self.noise.bands) ** 2
        share = 0.0 if found.low <= 0 else min(found.middle / known, 1.0)
        share = share if self.present < 0 else self.present + NEWS * (share - self.present)
        self.present = share if share > ABSENT else 0.0

    def _compare_hum(self, own: Values, references: Sequence[Reference]) -> None:
        """The same of waves, which may be alike in one pair of frames or another."""
        self.present = 1.0 if self.present < 0 else self.present
        apart = [np.asarray(own - one.values, np.float32) for one in references[: COMPARED + 1]]
        if len(apart) < 2:
            return
        told = [apart_from(own, [apart[0], other]) for other in apart[1:]]
        found = agreed(told, broad=not self.noise.rows)
        known = (self.noise.rows or self.noise.bands) ** 2
        share = 0.0 if found.low <= 0 else min(found.middle / known, 1.0)
        share = self.present + NEWS * (share - self.present)
        self.present = share if share > ABSENT else 0.0

    def look_ahead(self, seen: Sequence[Seen]) -> None:
        """Learn columns from a few frames in a row, before anything comes out."""
        if not self.noise.columns:
            return
        pairs = [*pairwise(seen), *pairwise(seen[::-1])]
        shape = seen[0].planes[self.noise.planes[0]].shape
        flows = [one.sized(one.flow(other), shape) for one, other in pairs]
        for _ in range(REHEARSALS):
            for (one, other), flow in zip(pairs, flows, strict=True):
                own = self._own(one)
                near = Reference(sample(self._own(other), flow), np.ones_like(own), flow)
                soft = np.asarray(cv2.GaussianBlur(own, (0, 0), 1.2), np.float32)
                weights = precision(soft, _sigma(own, [near]), MATCHED)
                near.offset, _ = common(*segments(own - near.values, weights))
                self._learn(own, near, weights)

    def _across(self) -> Profile:
        """The columns' offsets that come out; none where they have become fainter than measured."""
        if self.columns is None or self.doubt is None:
            return np.zeros(1, np.float32)
        expected = max(self.noise.columns**2 - float(self.doubt.mean()), TINY)
        share = min(float(np.mean(np.square(self.columns))) / expected, 1.0)
        return np.asarray(self.columns * np.float32(share), np.float32)

    def _own(self, seen: Seen) -> Values:
        """The mean of the planes without the columns that are known."""
        planes = [seen.planes[index] for index in self.noise.planes]
        mean = planes[0] if len(planes) == 1 else np.mean(planes, axis=0)
        return np.asarray(mean if self.columns is None else mean - self.columns, np.float32)

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
        for band, known in enumerate((self.noise.rows, self.noise.bands)):
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
        if self.noise.rows and self.present:
            rows += _standing_out(own - rows[:, None], soft, sigma, left)
        return np.asarray(rows - rows.mean(), np.float32) if self.noise.hum else rows

    def _learn(self, own: Values, near: Reference, weights: Values) -> None:
        """Learn the offsets of columns where the scene moved across them."""
        if self.columns is None or self.doubt is None:
            self.columns = np.zeros(own.shape[1], np.float32)
            self.doubt = np.full(own.shape[1], self.noise.columns**2, np.float32)
        moved = weights * (np.abs(near.flow[..., 0]) >= STILL)
        apart = own - near.values - near.offset[:, None]
        turned, weight = (np.ascontiguousarray(one.T) for one in (apart, moved))
        found, variance = common(*segments(turned, weight))
        found = found - smooth(found[:, None], COLUMNS_HIGH)[:, 0]
        other = self.doubt / near.worth.mean(0) + DOUBT * variance
        gain = self.doubt / (self.doubt + other)
        self.columns = (self.columns + gain * found).astype(np.float32)
        drift = COLUMN_DRIFT * self.noise.columns**2
        most = np.float32(self.noise.columns**2)
        self.doubt = np.minimum((1 - gain) * self.doubt + drift, most).astype(np.float32)

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


def relit(values: Values, own: Values, weights: Values) -> Values:
    """An expected picture in the frame's light, fitted along rows, so that bands play no part."""
    level, weight = segments(values, weights)
    apart, _ = segments(own - values, weights)
    level, apart = (one - row_mean(one, weight) for one in (level, apart))
    factor, doubted = 0.0, weight
    for _ in range(RELIT):
        factor = float((doubted * level * apart).sum()) / float(
            (doubted * level * level).sum() + 1 / FADE**2
        )
        far = np.square(apart - factor * level) * weight / FAR**2
        doubted = weight / np.square(1 + far)
    return np.asarray(values * np.float32(1 + factor), np.float32)


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
