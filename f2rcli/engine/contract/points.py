"""Light of points (molecules, stars, beads) that was taken for noise, given back.

A point of light spreads over a few pixels, where no test of power can tell its loss from noise.
What points of one class (how far they stand out, how wide) lose on average is learnt over a run:
noise added to a picture, and a share of it taken from what was removed, are independent (data
fission: Leiner et al., JASA 2023), so by the one points are found, and by the other their losses
are measured without favouring what chance made bright. Every point of a class gets back the same
share of the light that was left of it; classes that lose nothing for sure get nothing.
"""

from dataclasses import dataclass, field
from functools import cache

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from f2rcli.engine.contract.limits import LEAST
from f2rcli.engine.contract.means import Real
from f2rcli.frames import Frame
from f2rcli.noise.model import PlaneNoise, planes_of

WIDTHS = (1.0, 1.8)  # pixels, standard deviations of the filters that points are looked for with
AROUND = 6.0  # pixels, of that for the light that they stand on
CLASSES = (3.5, 4.5, 5.5, 7, 9, 12, 18, 30)  # standard deviations that points stand out by
ADDED = 0.7  # of a frame's noise, that is added; less finds fainter points and measures them worse
SIDE = 11  # pixels, across a point


@dataclass
class PointLight:
    """By plane, per class: what its points lost, the squares of that, and what was left of them."""

    sums: dict[int, Tensor] = field(default_factory=dict)  # (3, classes)
    draws: int = 0  # of noise

    def given_back(self, frame: Frame, changes: list[Real], noise: PlaneNoise) -> list[Real]:
        """Changes of a frame's planes (H, W) with the light of points added."""
        planes = zip(planes_of(frame), changes, strict=True)
        return [
            change + self._lost(index, plane, change, noise.level(index, plane + change))
            for index, (plane, change) in enumerate(planes)
        ]

    def _lost(self, index: int, plane: Real, change: Real, level: Real) -> Real:
        """level (H, W): the noise's standard deviation."""
        self.draws += 1
        draw = np.random.default_rng(self.draws).standard_normal(plane.shape, np.float32) * level
        shown, light, part = plane + change, np.zeros_like(plane), np.float32(ADDED)
        for added in (draw, -draw):
            *at, kinds = _points(plane + part * added, level)
            if not 0 < kinds.size <= 0.02 * plane.size:  # more of them are texture
                continue
            removed = -change - added / part
            lost = np.choose(kinds % 2, [_excess(removed, width)[*at] for width in WIDTHS])
            left = np.choose(kinds % 2, [_excess(shown, width)[*at] for width in WIDTHS])
            known = self.sums.setdefault(index, torch.zeros(3, 2 * len(CLASSES) + 2))
            found = torch.from_numpy(np.stack([lost, np.square(lost), left]))
            known.index_add_(1, torch.from_numpy(kinds), found)
            total, squares, rest = known.numpy()
            sure = (total > 2 * np.sqrt(squares)) & (rest > 0)
            shares = np.where(sure, np.minimum(total / np.maximum(rest, LEAST), 1), 0)
            around = np.zeros_like(plane)
            around[*at] = shares[kinds]
            light += cv2.dilate(around, _disc()) * (shown - _blurred(shown, AROUND)) / 2
        return light


def _points(plane: Real, level: Real) -> tuple[NDArray[np.intp], ...]:
    """Rows, columns and classes of points that stand out of a plane with ADDED noise."""
    deviation = np.sqrt(_blurred(np.square(level), AROUND) * (1 + ADDED**2)) + LEAST
    seen = np.stack([_excess(plane, width) / (deviation * _of_noise(width)) for width in WIDTHS])
    best = seen.max(0)
    rows, columns = np.nonzero((best > CLASSES[0]) & (best >= cv2.dilate(best, _disc())))
    classes = 2 * np.searchsorted(CLASSES, best[rows, columns]) + seen.argmax(0)[rows, columns]
    return rows, columns, classes


def _excess(plane: Real, width: float) -> Real:
    """What there is more at every sample than around it."""
    return _blurred(plane, width) - _blurred(plane, AROUND)


@cache
def _of_noise(width: float) -> float:
    """The standard deviation that white noise of 1 has in that."""
    dot = np.zeros((63, 63), np.float32)
    dot[31, 31] = 1
    return float(np.sqrt(np.square(_excess(dot, width)).sum()))


def _disc() -> NDArray[np.uint8]:
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (SIDE, SIDE)), np.uint8)


def _blurred(plane: Real, width: float) -> Real:
    return np.asarray(cv2.GaussianBlur(plane, (0, 0), width), np.float32)
