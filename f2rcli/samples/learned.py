"""Predict pixels from those around them, learning from the picture nearby.

Edges and texture go on: what predicts their pixels from those around predicts others along the same
edge, several times better than a smooth surface does. Where nothing near by is as rough, nothing is
known.
"""

from math import erf, sqrt
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from f2rcli.frames import Floats, Mask

SIDE = 7  # pixels, of squares whose middle five are predicted from the others
WITHIN = 16  # pixels to the squares that tell how
CLEAR = 4  # and to those that know the pixel or its neighbours
SMOOTH = 1e-3  # of the mean power of samples, that is added to each: weights stay small
ALIKE = 0.5, 4.0  # of what varies around a pixel, that squares alike have,
LEAST_ALIKE = SIDE**2 + 1  # of which there are more than show one and the same thing
LEVER = 0.9  # of a square's own sample, at most, that its prediction has made of it
SHARPEST = 0.4  # pixels (standard deviation): the width of light that is told from defects

INNER = np.abs(np.argwhere(np.ones((SIDE, SIDE))) - SIDE // 2).sum(axis=1) <= 1  # five of 49
OUTER, ITSELF = ~INNER, 2  # of these the one in the middle


class Learned(NamedTuple):
    """A pixel and its four neighbours: up, left, itself, right and down."""

    apart: Floats  # (5,) how far they lie from what is predicted, in codes
    errors: Floats  # (N, 5) the same of N pixels near by, with as much around them
    points: Floats  # (25, 5) the same of points of light, at PLACES
    weights: Floats  # (49,) of the samples that predict the pixel itself


def learned(picture: Floats, row: int, column: int) -> Learned | None:
    """What is learned of one pixel of a picture (H, W); nothing beside a border, or where the
    picture near by tells too little."""
    squares = sliding_window_view(picture, (SIDE, SIDE))
    row, column = row - SIDE // 2, column - SIDE // 2
    if not (0 <= row < squares.shape[0] and 0 <= column < squares.shape[1]):
        return None
    own, others = squares[row, column].reshape(1, -1), _others(squares, row, column)
    samples, wanted = _level(others)
    around, middle = _level(own)
    # errors grow with what varies: each square counts by its own, or strong edges alone would tell
    varies, varied = np.square(samples).sum(axis=1), np.square(around).sum()
    counted = samples / (varies + varied + 1e-9)[:, None]
    counted /= np.mean(1 / (varies + varied + 1e-9))
    power = counted.T @ samples
    power[np.diag_indices(len(power))] += SMOOTH * np.trace(power) / len(power) + 1e-9
    inverse = np.linalg.inv(power)
    weights = inverse @ (counted.T @ wanted)
    # each as the others alone would predict it
    lever = np.minimum(((samples @ inverse) * counted).sum(axis=1), LEVER)
    errors = (wanted - samples @ weights) / (1 - lever)[:, None]
    alike = (varies >= ALIKE[0] * varied) & (varies <= ALIKE[1] * varied)
    if np.count_nonzero(alike) < LEAST_ALIKE:
        return None
    lit, points = _level(POINTS)
    whole = np.zeros(SIDE * SIDE)
    whole[OUTER] = weights[:, ITSELF] + (1 - weights[:, ITSELF].sum()) / len(weights)
    return Learned((middle - around @ weights)[0], errors[alike], points - lit @ weights, whole)


def _others(squares: NDArray[np.float64], row: int, column: int) -> Floats:
    """The squares (N, 49) around one that do not know its middle."""
    rows, columns = (
        np.arange(max(0, place - WITHIN), min(length, place + WITHIN + 1))
        for place, length in zip((row, column), squares.shape[:2], strict=True)
    )
    apart: Mask = np.maximum(np.abs(rows - row)[:, None], np.abs(columns - column)) > CLEAR
    return np.asarray(squares[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1][apart]).reshape(
        -1, SIDE * SIDE
    )


def _level(squares: Floats) -> tuple[Floats, Floats]:
    """The outer samples of squares (N, 49) and the inner ones, without the mean of the outer."""
    outer = squares[:, OUTER]
    mean = outer.mean(axis=1, keepdims=True)
    return outer - mean, squares[:, INNER] - mean


def _point(down: float, across: float) -> Floats:
    """Light (49,) of a point so far from the middle of a square, of which its middle sees 1."""
    sides = []
    for offset in (down, across):
        ends = (np.arange(SIDE + 1) - SIDE / 2 - offset) / (SHARPEST * sqrt(2))
        sides.append(np.diff([erf(end) for end in ends]))
    light = np.outer(*sides).ravel()
    return np.asarray(light / light[light.size // 2])


PLACES = np.argwhere(np.ones((5, 5))) / 4 - 0.5  # pixels from the middle, down and across
POINTS = np.stack([_point(*place) for place in PLACES])
