"""Row noise: offsets that whole rows of a sensor have on their own, new in every frame.

A frame's row differs from the same place of the scene in the frame before it, and in the frame
after it, by the same offset: its own. So the covariance of the two differences, taken between
*different* pieces of the row, is the offsets' variance. White noise has none there, what moves or
was matched wrongly lies in few pieces and has opposite signs before and after, and brightness that
changes evenly is fitted away.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from f2rcli.frames import Floats
from f2rcli.models.flow import DISFlow, Flow, resized, sample
from f2rcli.noise.measurement.blocks import MATCHED, FramePlanes
from f2rcli.noise.measurement.profiles import (
    LEAST_COLUMNS,
    LEAST_ROWS,
    TINY,
    Values,
    parted,
    precision,
    segments,
    standing_out,
)
from f2rcli.noise.standing.evidence import Standing, staying
from f2rcli.order import median, quantile, robust_sigma

MOST = 256, 384  # rows and columns that are looked at, in the middle
PIECES = 8  # of a row; neighbours among them may share noise that is coloured
BLOCKS = 4  # of rows, each of which must show offsets
SURE = 0.75  # of the triples of frames that must show them
LEAST = 0.4 / 255  # standard deviation of offsets; fainter ones are not worth a pass over frames
ALIKE = 0.2  # correlation of the pieces of a row
FEWEST = 2  # triples
LONGEST, PEAK = 20, 0.35  # rows; share of the power of shorter waves that is a grating's
WHITE_SHARE = 0.25  # of the standard deviation of white offsets, that their broad part has
TOGETHER = 0.6  # of the mean variance of planes' offsets, that their mean's has where they share
# Rows that another frame's may be away, that a filter of them reaches, and most of one step.
FARTHEST, TAPS, BLOCK = 8, 2, 60
SHAKEN = 0.4  # of what frames' rows differ by, that such filters leave of a scene that shakes
# The median of the squares of lines' offsets, by their mean: 0.36 and more over thirteen filmed
# clips with offsets that are Gaussian (0.45), 0.2 and less of scenes' edges.
MANY = 0.25
LOW = 0.25  # quantile of covariances that must still be above 0


@dataclass(frozen=True, slots=True)
class LineNoise:
    """Row noise that planes share; standard deviations in their units."""

    planes: tuple[int, ...]  # indices, as `planes_of` gives them
    rows: float  # of what a row stands out by from those around it
    broad: float  # of the rest of its offset


@dataclass(frozen=True, slots=True)
class Lines:
    """The row noise of a clip by groups of planes that share it, and lines that stay."""

    groups: tuple[LineNoise, ...]
    standing: tuple[Standing, ...] = ()  # taken out before the others were looked for

    @property
    def rows(self) -> float:
        """The largest standard deviation of row noise, white - black."""
        return max((group.rows for group in self.groups), default=0.0)

    def words(self) -> str:
        """The findings, for people."""
        named = {
            "row noise": self.rows,
            "column noise": staying(self.standing, columns=True),
            "row noise that stays": staying(self.standing, columns=False),
        }
        found = [f"{name} {255 * sigma:.1f}" for name, sigma in named.items() if sigma]
        return f"{', '.join(found)} of 255 (standard deviations)"

    def values(self) -> list[dict[str, Any]]:
        """One entry a group, as JSON values, in 255ths of a plane's own unit."""
        return [
            {
                "planes": list(group.planes),
                "rows8": 255 * group.rows,
                "columns8": 0.0,
                "staying_rows8": 0.0,
            }
            for group in self.groups
        ] + [one.values() for one in self.standing]


class Agreement(NamedTuple):
    """How far different pieces of rows agree, before and after a frame."""

    low: float  # what most covariances exceed
    middle: float  # their median: the variance of the offsets
    correlation: float  # the median of all pairs of pieces
    spectrum: Floats  # power of what all pieces have, at rising frequencies
    median: float  # of its squares, by their mean: 0.45 of Gaussian offsets, little of a few edges


def find_lines(
    pictures: Sequence[FramePlanes], joined: Sequence[bool], groups: Sequence[tuple[int, ...]]
) -> Lines | None:
    """The row noise of frames in a row; None where none is sure.

    joined: whether each but the first shows the shot of the one before it; groups: planes that may
    share their offsets (the colours of a pixel, those of a mosaic's row).
    """
    if len(pictures) < FEWEST + 2 or min(pictures[0].luma.shape) < LEAST_ROWS:
        return None
    cut = [_Cut(picture) for picture in pictures]
    triples = zip(cut, cut[1:], cut[2:], pairwise(joined), strict=False)
    views = [_View(*frames) for *frames, both in triples if all(both)]
    if len(views) < FEWEST:
        return None
    found = tuple(one for group in groups for one in _of_group(views, group))
    return Lines(found) if found else None


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


def agreement(first: Values, second: Values, *, broad: bool = False) -> Agreement:
    """Of different pieces before and after: of single rows, or of what is broad."""
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


class _Cut:
    """The middle of a picture."""

    def __init__(self, picture: FramePlanes) -> None:
        self.middle = _middle(picture)

    @cached_property
    def look(self) -> Values:
        """Its luma, for motion estimation."""
        return destriped(self.middle.luma)

    def mean(self, group: Sequence[int]) -> Values:
        """The mean of some planes."""
        planes = [self.middle.planes[index] for index in group]
        return planes[0] if len(planes) == 1 else np.asarray(np.mean(planes, axis=0), np.float32)


class _View:
    """A frame between its neighbours, cut to the middle."""

    def __init__(self, before: _Cut, centre: _Cut, after: _Cut) -> None:
        self.centre, self.near = centre, (before, after)

    @cached_property
    def flows(self) -> tuple[Flow, Flow]:
        """Into each neighbour. Most clips have no lines, and a view or two are enough to see it."""
        search, (before, after) = DISFlow(), self.near
        return search(self.centre.look, before.look), search(self.centre.look, after.look)


def _middle(picture: FramePlanes) -> FramePlanes:
    """The middle of all planes; chroma grids stay where they are in luma's."""
    height, width = picture.luma.shape
    rows, columns = min(height, MOST[0]), min(width, MOST[1])
    top, left = ((size - kept) // 8 * 4 for size, kept in ((height, rows), (width, columns)))

    def cut(plane: Values) -> Values:
        by = round(height / plane.shape[0]), round(width / plane.shape[1])
        y, x = top // by[0], left // by[1]
        kept = plane[y : y + rows // by[0], x : x + columns // by[1]]
        return np.ascontiguousarray(kept, np.float32)

    return FramePlanes([cut(plane) for plane in picture.planes], cut(picture.luma), picture.chroma)


def _of_group(views: Sequence[_View], group: tuple[int, ...]) -> Iterator[LineNoise]:
    """The row noise that planes share, or that of each."""
    shared = _measured(views, group)
    if shared is None:  # what planes do not share is in their mean as well
        return
    alone = [_measured(views, (index,)) for index in group] if len(group) > 1 else []
    power = float(np.mean([one.rows**2 if one else 0.0 for one in alone])) if alone else 0.0
    if shared.rows**2 >= TOGETHER * power:
        yield shared
    else:
        yield from (one for one in alone if one)


def _measured(views: Sequence[_View], group: tuple[int, ...]) -> LineNoise | None:
    """The row noise of the mean of some planes, of most triples of frames; None where few agree, or
    where it is the scene's: an edge or two, blinds and lattices, what shakes."""
    seen, slow = list[Agreement](), list[float]()
    most = (1 - SURE) * len(views)
    for view in views:
        pair = _differences(view, group)
        if pair is None:
            return None
        seen.append(agreement(*pair))
        slow.append(agreement(*pair, broad=True).middle)
        blind = sum(one.low <= 0 for one in seen)
        faint = sum(one.middle < LEAST**2 or one.correlation < ALIKE for one in seen)
        if blind > most or faint > len(views) / 2:
            return None
    rows, alike, few = (
        float(np.median([getattr(one, name) for one in seen]))
        for name in ("middle", "correlation", "median")
    )
    if rows < LEAST**2 or alike < ALIKE or few < MANY or _grating(seen) or _shaken(views, group):
        return None
    broad = max(float(np.median(slow)), 0.0) ** 0.5
    return LineNoise(group, rows**0.5, max(broad, WHITE_SHARE * rows**0.5))


def _differences(view: _View, group: tuple[int, ...]) -> tuple[Values, Values] | None:
    """Differences of pieces of rows from the frames before and after."""
    centre = view.centre.mean(group)
    if min(centre.shape) < LEAST_ROWS or max(centre.shape) < LEAST_COLUMNS:
        return None
    others = [
        np.asarray(centre - sample(near.mean(group), resized(flow, centre.shape)), np.float32)
        for near, flow in zip(view.near, view.flows, strict=True)
    ]
    return pieces(destriped(centre), others)


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


def _grating(seen: Sequence[Agreement]) -> bool:
    """Whether rows differ at one frequency: blinds, stairs, lattices that move or shake, a wall of
    lamps whose picture moves."""
    power = np.mean([one.spectrum for one in seen], axis=0)
    fine = power[round(2 * (len(power) - 1) / LONGEST) :]
    peak = np.convolve(fine, np.ones(3), "same").max()
    return bool(peak > PEAK * max(float(fine.sum()), TINY))


def _shaken(views: Sequence[_View], group: Sequence[int]) -> bool:
    """Whether most frames' rows are those of their neighbours, moved up or down: by flow no motion
    is seen along what is nothing but rows. No step and no filter make new offsets alike."""
    return bool(np.median([_unfiltered(view, group) for view in views]) < SHAKEN)


def _unfiltered(view: _View, group: Sequence[int]) -> float:
    """The share of rows' differences from moved neighbouring frames that no filter explains.

    Of a step by part of a row sampling makes new mixtures of adjacent rows, other ones at every
    edge: those of two frames, filtered, leave a tenth of what thin lines differ by, one step of one
    frame more than all of it. Offsets that are new in every frame leave half or more.
    """
    beside = [near.mean(group) for near in view.near]
    moves = (resized(flow, one.shape) for flow, one in zip(view.flows, beside, strict=True))
    warped = [sample(one, move) for one, move in zip(beside, moves, strict=True)]
    here, *others = (
        parted(one.mean(axis=1))[0] for one in (view.centre.mean(group), *beside, *warped)
    )
    edge = FARTHEST + TAPS
    inside = np.arange(edge, len(here) - edge)
    blocks = np.array_split(inside, -(-len(inside) // BLOCK))
    left = [_filtered(here, others[:2], rows) for rows in blocks]
    power = float(np.average(left, weights=[len(rows) for rows in blocks]))
    seen = np.mean([np.square(one - here)[edge:-edge].mean() for one in others[2:]])
    return power / max(float(seen), TINY)


def _filtered(here: Values, others: Sequence[Values], rows: NDArray[np.int64]) -> float:
    """The power of a profile of rows that filters of others leave, each a step away."""
    known = []
    for one in others:
        steps = range(-FARTHEST, FARTHEST + 1)
        apart = [float(np.square(np.roll(one, by) - here)[rows].mean()) for by in steps]
        best = steps[int(np.argmin(apart))]
        known += [np.roll(one, best + tap)[rows] for tap in range(-TAPS, TAPS + 1)]
    filtered = np.stack(known, 1).astype(np.float64)
    shares, _, rank, _ = np.linalg.lstsq(filtered, here[rows], rcond=None)
    return float(np.square(here[rows] - filtered @ shares).sum()) / (len(rows) - int(rank))
