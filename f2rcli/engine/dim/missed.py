"""Light of single frames that sums miss: what comes or goes, and bright compact places.

A frame less its estimate is looked at in places as wide as a cell, over a few frames that begin or
end with it. What noise alone hardly ever does is light anywhere. Where the picture stands out of
its surroundings more is missed than elsewhere, and places that stand out alike tell how much: they
get back as much power as they miss beyond that of noise.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import product

import cv2
import numpy as np
from numpy.typing import NDArray

from f2rcli.engine.contract.means import Real
from f2rcli.engine.contract.terms import LEAST

LENGTHS = (8, 4, 2, 1)  # frames
WIDTHS = (3.0, 1.5)  # pixels
STAGES = tuple(product(LENGTHS, WIDTHS))
SURE = 3.0  # standard deviations: of 700 places of noise alone one has so much
SIDE = 9  # pixels, over which the noise is as strong
PLACE, AROUND = 3, 25  # pixels, of what stands out and of its surroundings
# Standard deviations of a frame's noise in a place by which classes of them begin to stand out.
CLASSES = 2 * 2 ** (np.arange(12, dtype=np.float32) / 2)
ALONE = 1.0  # places of noise alone that every class begins with


def _none() -> NDArray[np.float64]:
    return np.full((len(STAGES), len(CLASSES) + 1), ALONE)


@dataclass
class Missed:
    """Light missed in a lane's frames so far, by stage and class."""

    power: NDArray[np.float64] = field(default_factory=_none)  # of the noise's, over its places
    places: NDArray[np.float64] = field(default_factory=_none)  # as many as are independent

    def of(self, row: Sequence[Real], at: int, estimate: Real, variance: Real) -> Real:
        """The light missed at every sample of a frame (H, W).

        row: frames of its shot less their estimates, in order; at: its place among them; variance:
        of its noise.
        """
        found = np.zeros_like(estimate)
        noise = np.maximum(cv2.blur(variance, (SIDE, SIDE)), LEAST)
        classes = _classes(estimate, variance)
        for stage, (length, _) in enumerate(STAGES):
            after, before = row[at : at + length], row[max(at - length + 1, 0) : at + 1]
            given, power = self._look(stage, after, found, noise, classes)
            if length > 1:
                other, more = self._look(stage, before, found, noise, classes)
                given = np.where(more > power, other, given)
            found = found + given
        return found

    def _look(
        self, stage: int, span: Sequence[Real], found: Real, noise: Real, classes: NDArray[np.intp]
    ) -> tuple[Real, Real]:
        """What is missed in places of a stage's width over some frames, beyond what was found, and
        its power before it is shrunk, of the noise's."""
        width = STAGES[stage][1]
        area = np.float32(4 * np.pi * width**2 * len(span))
        mean: Real = np.mean(span, axis=0, dtype=np.float32)
        left: Real = cv2.GaussianBlur(mean - found, (0, 0), width)  # type: ignore[assignment]  # float32 stays
        power = np.square(left) * area / noise
        bins = classes.ravel()
        self.places[stage] += np.bincount(bins, minlength=len(CLASSES) + 1) / area
        self.power[stage] += np.bincount(bins, power.ravel(), len(CLASSES) + 1) / area
        share = np.maximum(1 - np.float32(SURE**2) / np.maximum(power, LEAST), 0)
        return left * np.maximum(share, self._shares(stage)[classes]), power

    def _shares(self, stage: int) -> Real:
        """By class, none where nothing stands out."""
        beyond = 1 - self.places[stage] / np.maximum(self.power[stage], self.places[stage])
        beyond[0] = 0
        return np.asarray(np.sqrt(beyond), np.float32)


def _classes(estimate: Real, variance: Real) -> NDArray[np.intp]:
    """The class of every place by how far it stands out."""
    high = _box(estimate, PLACE) - _box(estimate, AROUND)
    deviation = np.sqrt(np.maximum(_box(variance, AROUND), LEAST)) / PLACE
    return np.searchsorted(CLASSES, high / deviation)


def _box(plane: Real, side: int) -> Real:
    return np.asarray(cv2.blur(plane, (side, side), borderType=cv2.BORDER_REFLECT), np.float32)
