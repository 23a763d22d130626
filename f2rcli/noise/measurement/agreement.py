"""Agreement of different pieces of a row, before and after a frame."""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from f2rcli.frames import Floats
from f2rcli.noise.measurement.blocks import MATCHED
from f2rcli.noise.measurement.profiles import (
    TINY,
    Values,
    parted,
    precision,
    segments,
    standing_out,
)
from f2rcli.order import median, quantile, robust_sigma

PIECES = 8  # of a row; neighbours among them may share noise that is coloured
BLOCKS = 4  # of rows, each of which must show single rows' offsets
# Rows that another frame's may be away, that a filter of them reaches, and most of one step.
FARTHEST, TAPS, BLOCK = 8, 2, 60
# The median of the squares of lines' offsets, by their mean: 0.36 and more over thirteen filmed
# clips with offsets that are Gaussian (0.45), 0.2 and less of scenes' edges.
MANY = 0.25
LOW = 0.25  # quantile of covariances that must still be above 0


def destriped(plane: Values) -> Values:
    """A plane whose rows stand out of those around them no more: to see motion by."""
    offsets, _ = standing_out(*segments(plane, np.ones_like(plane)))
    return np.asarray(plane - offsets[:, None], np.float32)


def pieces(look: Values, others: Sequence[Values]) -> tuple[Values, Values]:
    """Differences of a picture in pieces, without what brightness and the slope explain."""
    width = max(look.shape[1] // PIECES, 1)
    soft = np.asarray(cv2.GaussianBlur(look, (0, 0), 1.2), np.float32)
    slope = np.asarray(cv2.Sobel(soft, cv2.CV_32F, 0, 1, ksize=3, scale=1 / 8), np.float32)
    sigma = max(robust_sigma(others[0]), 0.5 / 255)
    weights = precision(soft, sigma, MATCHED)
    level, tilt = (segments(one, weights, width)[0] for one in (soft, slope))
    first, second = (_left(segments(one, weights, width)[0], level, tilt) for one in others)
    return first, second


def _left(apart: Values, level: Values, tilt: Values) -> Values:
    """Pieces (H, J) without what a fade, a gradient of light, a shift or a comb explains."""
    rows = np.arange(len(apart))
    even = [np.ones(len(rows)), np.linspace(-1, 1, len(rows)), (-1.0) ** rows]
    left = np.empty_like(apart)
    for piece in range(apart.shape[1]):
        known = np.stack([*even, level[:, piece], tilt[:, piece]], 1)
        fit = np.linalg.lstsq(known, apart[:, piece], rcond=None)[0]
        left[:, piece] = apart[:, piece] - known @ fit
    return left


class Agreement(NamedTuple):
    """Agreement of different pieces, before and after a frame."""

    low: float  # what most covariances exceed
    middle: float  # their median: the variance of the offsets
    correlation: float  # the median of all pairs of pieces
    spectrum: Floats  # power of what all pieces have, at rising frequencies
    median: float  # of its squares, by their mean: 0.45 of Gaussian offsets, little of a few edges


def agreement(first: Values, second: Values, *, broad: bool) -> Agreement:
    """Of different pieces before and after, in single rows or in broad bands."""
    parts = []
    for one in (first, second):
        columns = [parted(one[:, piece])[broad] for piece in range(one.shape[1])]
        parts.append(np.stack(columns, 1).astype(np.float64))
    places = np.arange(first.shape[1])
    apart = np.abs(places[:, None] - places) > 1
    blocks = np.array_split(np.arange(len(first)), 1 if broad else BLOCKS)
    found = [parts[0][rows].T @ parts[1][rows] / len(rows) for rows in blocks]
    own = [np.maximum(np.square(part).mean(0), TINY) for part in parts]
    alike = np.mean(found, 0) / np.sqrt(np.outer(*own))
    profile = np.median(np.concatenate(parts, 1), axis=1)
    profile -= profile.mean()
    power = np.square(np.abs(np.fft.rfft(profile)))
    squares = np.square(profile)
    typical = float(np.median(squares)) / max(float(squares.mean()), TINY)
    covariances = np.concatenate([one[apart] for one in found])
    low, middle = float(quantile(covariances, LOW)), float(median(covariances))
    return Agreement(low, middle, float(median(alike[apart])), power, typical)


def of_few(seen: Sequence[Agreement]) -> bool:
    """Whether few lines have most of the offsets, as where edges along rows are matched a little
    off: books on a shelf, siding. A sensor's are Gaussian."""
    return float(np.median([one.median for one in seen])) < MANY


def unexplained(here: Values, others: Sequence[Values]) -> tuple[float, slice]:
    """The power of a profile of rows (H) that filters of others leave, each a step away; and the
    rows that were looked at. Every block of rows has steps and filters of its own.

    Of a step by part of a row sampling makes new mixtures of adjacent rows, other ones at every
    edge: those of two frames, filtered, leave a tenth of what thin lines differ by, one step of one
    frame more than all of it. Offsets that are new in every frame leave half or more.
    """
    edge = FARTHEST + TAPS
    inside = np.arange(edge, len(here) - edge)
    blocks = np.array_split(inside, -(-len(inside) // BLOCK))
    left = [_filtered(here, others, rows) for rows in blocks]
    return float(np.average(left, weights=[len(rows) for rows in blocks])), slice(edge, -edge)


def _filtered(here: Values, others: Sequence[Values], rows: NDArray[np.int64]) -> float:
    """The same of a few rows."""
    known = []
    for one in others:
        steps = range(-FARTHEST, FARTHEST + 1)
        apart = [float(np.square(np.roll(one, by) - here)[rows].mean()) for by in steps]
        best = steps[int(np.argmin(apart))]
        known += [np.roll(one, best + tap)[rows] for tap in range(-TAPS, TAPS + 1)]
    filtered = np.stack(known, 1).astype(np.float64)
    shares, _, rank, _ = np.linalg.lstsq(filtered, here[rows], rcond=None)
    return float(np.square(here[rows] - filtered @ shares).sum()) / (len(rows) - int(rank))
