"""Predict pixels from those around them, learning from the picture nearby.

Edges and texture go on: what predicts their pixels from those around predicts others along the same
edge, several times better than a smooth surface does. Where nothing near by is as rough, nothing is
known.
"""

from collections.abc import Sequence
from math import erf, sqrt
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from f2rcli.frames import Floats, Mask

SIDE = 7  # pixels, of squares whose middle five are predicted from the others
WITHIN = 16  # pixels to the squares that tell how
WITHIN_MOSAICS = 24  # and in mosaics, which have fewer: they are alike every two pixels
CLEAR = 4  # and to those that know the pixel or its neighbours
SMOOTH = 1e-4  # of the mean power of samples, that is added to each: weights stay small
ALIKE = 0.5, 4.0  # of what varies around a pixel, that squares alike have,
LEAST_ALIKE = SIDE**2 + 1  # of which there are more than show one and the same thing
SHARED = 0.115  # of a defect, at most, that its four neighbours may seem to see
CHANCE = 3.0  # standard errors
MOST = 256  # points of a mosaic, for the time it takes
TAILS = 4 / 3  # such errors have longer tails
LEVER = 0.9  # of a square's own sample, at most, that its prediction has made of it
SHARPEST = 0.4  # pixels (standard deviation): the width of light that is told from defects

Step = tuple[int, int]
Places = NDArray[np.intp]

ITSELF, BESIDE = 2, (0, 1, 3, 4)  # of the five in the middle


class Window(NamedTuple):
    """A square, or one longer by a pixel for two side by side, and what is predicted in it."""

    sides: tuple[int, int]
    inner: Mask  # of its samples: one or two pixels, and all beside them
    points: Floats  # (P, samples) light of points where they may be mistaken for these

    @property
    def places(self) -> NDArray[np.intp]:
        """Those of what is predicted, (K, 2), from the first of the pixels."""
        return np.asarray(np.argwhere(self.inner.reshape(self.sides)) - SIDE // 2)

    @classmethod
    def of(cls, step: tuple[int, int], places: Floats) -> "Window":
        """That of a pixel and the one a step beside it; places: of points."""
        sides = SIDE + step[0], SIDE + step[1]
        grid = np.argwhere(np.ones(sides)) - SIDE // 2
        near = [np.abs(grid - at).sum(axis=1) for at in ((0, 0), step)]
        points = np.stack([_point(sides, *place) for place in places])
        return cls(sides, np.minimum(*near) <= 1, points)


class Seen(NamedTuple):
    """What pixels show to those beside them, in codes; means of both."""

    excess: float  # of the pixels, over what is predicted
    beside: float  # of those beside them
    error: float  # standard error of what these see more of them than of light
    shared: float  # of light, that these would see at the least

    def told(self) -> tuple[float, float, float]:
        """What is seen, with its sign; its error; the share that a defect may show at most."""
        shared, beside = min(SHARED, self.shared), float(np.sign(self.excess)) * self.beside
        if -beside < shared * abs(self.excess):  # less than nothing is no light
            beside = max(beside, 0.0)
        return beside, TAILS * self.error, shared


class Learned(NamedTuple):
    """What is predicted of a pixel and its four neighbours: up, left, itself, right and down; or
    of two and their six, in the order of `Window.places`."""

    apart: Floats  # (5,) how far they lie from what is predicted, in codes
    errors: Floats  # (N, 5) the same of N pixels near by, with as much around them
    points: Floats  # (25, 5) the same of points of light
    weights: Floats  # (49,) of the samples that predict the pixel itself

    def seen(self, own: Sequence[int], beside: Sequence[int]) -> Seen:
        """What some of these pixels show to others of them."""
        at, by = list(own), list(beside)
        light = self.points[:, by].mean(axis=1) / self.points[:, at].mean(axis=1)
        shared = float(light.min())
        # what is missed of a pixel is missed of its neighbours too, and tells of it
        missed = self.errors[:, by].mean(axis=1) - shared * self.errors[:, at].mean(axis=1)
        error = float(np.sqrt(np.square(missed).mean()))
        return Seen(float(self.apart[at].mean()), float(self.apart[by].mean()), error, shared)


def seen_of_pair(picture: Floats, pixel: Places, step: Places) -> list[Seen]:
    """What two pixels of a picture (H, W), one a step beside the other, show to the four across
    them: both together, and each to its own two; nothing where that is not known."""
    first, way = np.minimum(pixel, pixel + step), (int(abs(step[0])), int(abs(step[1])))
    known, places = learned(picture, int(first[0]), int(first[1]), way), WINDOWS[way].places
    if known is None:
        return []
    both = [int(np.flatnonzero((places == one).all(axis=1))[0]) for one in ((0, 0), way)]
    across = [
        np.flatnonzero((np.abs(places - places[one]) == way[::-1]).all(axis=1)).tolist()
        for one in both
    ]
    each = [known.seen([one], beside) for one, beside in zip(both, across, strict=True)]
    return [known.seen(both, across[0] + across[1]), *each]


def learned(
    picture: Floats, row: int, column: int, step: Step = (0, 0), every: int = 1
) -> Learned | None:
    """What is learned of one pixel of a picture (H, W), or of it and the one a step down or right
    of it; nothing beside a border, or where the picture near by tells too little. every: 2 for a
    mosaic, whose squares are alike every two pixels."""
    window = WINDOWS[step]
    squares = sliding_window_view(picture, window.sides)
    row, column = row - SIDE // 2, column - SIDE // 2
    if not (0 <= row < squares.shape[0] and 0 <= column < squares.shape[1]):
        return None
    inner = window.inner
    own, others = squares[row, column].reshape(1, -1), _others(squares, (row, column), step, every)
    samples, wanted = _level(others, inner)
    around, middle = _level(own, inner)
    # errors grow with what varies: each square counts by its own, or strong edges alone would tell
    varies, varied = np.square(samples).sum(axis=1), np.square(around).sum()
    counted = samples / (varies + varied + 1e-9)[:, None]
    counted /= np.mean(1 / (varies + varied + 1e-9))
    # what goes on one way goes on the other way: each square tells once more, upside down
    power, goal = (_turned_too(counted.T @ one) for one in (samples, wanted))
    power[np.diag_indices(len(power))] += SMOOTH * np.trace(power) / len(power) + 1e-9
    inverse = np.linalg.inv(power)
    weights = inverse @ goal
    missed, spread = wanted - samples @ weights, samples @ inverse
    # each as the others alone would predict it
    even, levers = (missed + missed[:, ::-1]) / 2, [(spread * counted).sum(axis=1)]
    levers += [(spread * counted[:, ::-1]).sum(axis=1)]
    errors = sum(
        part / (1 - np.minimum(levers[0] + sign * levers[1], LEVER))[:, None]
        for part, sign in ((even, 1), (missed - even, -1))
    )
    alike = (varies >= ALIKE[0] * varied) & (varies <= ALIKE[1] * varied)
    if np.count_nonzero(alike) < LEAST_ALIKE:
        return None
    lit, points = _level(window.points, inner)
    whole, itself = np.zeros(inner.size), weights[:, ITSELF]
    whole[~inner] = itself + (1 - itself.sum()) / len(weights)
    return Learned((middle - around @ weights)[0], errors[alike], points - lit @ weights, whole)


def unseen_near(light: NDArray[np.float32], places: Places, most: float, erring: float) -> Places:
    """Those of the first points of a mosaic (H, W), equally bright in all colours, of which their
    four neighbours see less than `most`, and less than `erring` with three standard errors."""
    found, far = [], WITHIN_MOSAICS + SIDE // 2
    for place in places[:MOST]:
        row, column = divmod(int(place), light.shape[1])
        top, left = max(row - far, 0), max(column - far, 0)
        near = light[top : row + far + 1, left : column + far + 1].astype(np.float64)
        known = learned(near, row - top, column - left, every=2)
        if known is not None:
            seen = known.seen([ITSELF], BESIDE)
            (beside, error, _), size = seen.told(), abs(seen.excess)
            if beside < most * size and beside + CHANCE * error < erring * size:
                found.append(place)
    return np.array(found, np.intp)


def _others(squares: NDArray[np.float64], place: tuple[int, int], step: Step, every: int) -> Floats:
    """The squares (N, 49) around one that do not know its middle."""
    most = WITHIN if every == 1 else WITHIN_MOSAICS
    rows, columns = (
        np.arange(at - min(at, most) // every * every, min(length, at + most + 1), every)
        for at, length in zip(place, squares.shape[:2], strict=True)
    )
    apart: Mask = np.abs(rows - place[0])[:, None] > CLEAR + step[0]
    apart = apart | (np.abs(columns - place[1]) > CLEAR + step[1])
    near = squares[rows[0] : rows[-1] + 1 : every, columns[0] : columns[-1] + 1 : every][apart]
    return np.asarray(near).reshape(len(near), -1)


def _turned_too(products: Floats) -> Floats:
    """Sums of products over squares, and over the same squares turned by half."""
    return products + products[::-1, ::-1]


def _level(squares: Floats, inner: Mask) -> tuple[Floats, Floats]:
    """The outer samples of squares (N, 49) and the inner ones, without the mean of the outer."""
    outer = squares[:, ~inner]
    mean = outer.mean(axis=1, keepdims=True)
    return outer - mean, squares[:, inner] - mean


def _point(sides: tuple[int, int], down: float, across: float) -> Floats:
    """Light (49,) of a point so far from the pixel, of which that sees 1."""
    lines = []
    for side, offset in zip(sides, (down, across), strict=True):
        ends = (np.arange(side + 1) - SIDE / 2 - offset) / (SHARPEST * sqrt(2))
        lines.append(np.diff([erf(end) for end in ends]))
    light = np.outer(*lines)
    return np.asarray((light / light[SIDE // 2, SIDE // 2]).ravel())


PLACES = np.argwhere(np.ones((5, 5))) / 4 - 0.5  # pixels from the middle, down and across
BETWEEN = np.array([0.4, 0.45, 0.5, 0.55, 0.6])  # of two pixels, that show a point about alike
WINDOWS = {
    (0, 0): Window.of((0, 0), PLACES),
    (0, 1): Window.of((0, 1), np.array([(down, at) for down in PLACES[::5, 0] for at in BETWEEN])),
    (1, 0): Window.of(
        (1, 0), np.array([(at, across) for across in PLACES[:5, 1] for at in BETWEEN])
    ),
}
