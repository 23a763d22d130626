"""Hum: bands of any width that a sensor or its cables add, new in every frame.

They are measured as lines are (`measurement/lines.py`), with three differences. Flow looks at
pictures whose rows have equal means, because bands slide and flow would follow them. What changes
of light and shifts explain is fitted to all pieces of the rows at once, and doubted where it is
large: pieces of their own would fit a wave by its own traces. Covariances are pooled over all
frames, because waves that happen to have similar phases in two of them agree there the wrong way.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from f2rcli.models.flow import resized, sample
from f2rcli.noise.hum.guards import HALFWAY, Apart, lit, slid, traced
from f2rcli.noise.hum.views import LEAST_COLUMNS, LEAST_ROWS, View, evened
from f2rcli.noise.measurement.agreement import PIECES
from f2rcli.noise.measurement.blocks import MATCHED
from f2rcli.noise.measurement.profiles import TINY, Values, parted, precision, segments
from f2rcli.order import median, quantile, robust_sigma

LEAST = 0.4 / 255  # offsets that are too faint to be worth a pass over every frame
FADE, STEP = 0.1, 0.3  # standard deviations of a change of light, and of rows that flow is off by
BLOCKS = 4, 2  # of rows, most of which must show single ones, and broad ones
LOW = 0.25  # quantile of covariances that must still be above 0
ALIKE = 0.1  # correlation of the pieces of a row
EACH, MOST_SHOW = 0.05, 0.5  # of the pooled variance, that this share of the frames shows at least
FIRST = 2  # frames that must show something

Floats = NDArray[np.float64]


def hum_of(
    views: Sequence[View], group: Sequence[int], far: Sequence[View] = ()
) -> tuple[float, float]:
    """Standard deviations of the fine part and of the broad part of bands that planes share; 0
    where none are sure. far: frames between those two away, which wait until others show bands."""
    shape = views[0].centre.mean(group).shape
    if min(shape) < LEAST_ROWS or max(shape) < LEAST_COLUMNS:
        return 0.0, 0.0
    seen: list[Apart] = []
    for view in (*views, *far):
        seen.append(differences(view, group))
        if len(seen) == FIRST and not any(agreed(seen, broad=part).open for part in (False, True)):
            return 0.0, 0.0
    least = traced(seen)
    told = [agreed(seen, broad=part) for part in (False, True)]
    if not any(one.sigma > least for one in told) or lit(seen) or slid(views, group):
        return 0.0, 0.0
    fine, broad = (max(one.middle, 0.0) ** 0.5 if one.low > 0 else 0.0 for one in told)
    return fine, broad


def of_light(views: Sequence[View], group: Sequence[int]) -> bool:
    """Whether bands that were found otherwise follow the picture's light."""
    return lit([differences(view, group) for view in views])


def lines_of_light(views: Sequence[View], group: Sequence[int], *, turned: bool) -> bool:
    """Whether single rows or columns are light, not offsets."""
    return lit([differences(view, group, turned=turned) for view in views], HALFWAY)


def differences(view: View, group: Sequence[int], *, turned: bool = False) -> Apart:
    """The differences of the rows (columns, if turned) of a frame from its neighbours."""
    centre = view.centre.mean(group)
    others = []
    for near, flow in zip(view.near, view.flows if turned else view.even_flows, strict=True):
        others.append(centre - sample(near.mean(group), resized(flow, centre.shape)))
    if turned:
        centre, *others = (np.ascontiguousarray(one.T) for one in (centre, *others))
    return apart_from(centre, others)


def apart_from(centre: Values, others: Sequence[Values]) -> Apart:
    """others: the differences of a picture from those before and after."""
    scene = np.asarray(centre - (others[0] + others[1]) / 3, np.float32)
    width = max(scene.shape[1] // PIECES, 1)
    soft = np.asarray(cv2.GaussianBlur(scene, (0, 0), 1.2), np.float32)
    slope = np.asarray(cv2.Sobel(soft, cv2.CV_32F, 0, 1, ksize=3, scale=1 / 8), np.float32)
    sigma = max(robust_sigma(evened(others[0])), 0.5 / 255)
    weights = precision(evened(soft), sigma, MATCHED)
    level, tilt = (segments(one, weights, width)[0] for one in (soft, slope))
    first, second = (segments(one, weights, width)[0] for one in others)
    return Apart(_left(first, level, tilt), _left(second, level, tilt), level)


def _left(apart: Values, level: Values, tilt: Values) -> Values:
    """Pieces (H, J) without what an even offset, a gradient or a comb of their own explains, and
    without a fade, a shift of the whole picture and dimmed lines of one parity."""
    rows, count = apart.shape
    comb = (-1.0) ** np.arange(rows)
    own = np.stack([np.ones(rows), np.linspace(-1, 1, rows), comb], 1)
    basis, _ = np.linalg.qr(own)
    across = np.linspace(-1, 1, count)
    dimmed = FADE * level * comb[:, None]  # every other line of a filmed screen
    known = (FADE * level, dimmed, STEP * tilt, STEP * tilt * across)
    left, *fits = (np.ravel(one - basis @ (basis.T @ one)) for one in (apart, *known))
    fit = np.stack(fits, 1)
    doubt = float(np.mean(np.square(left))) * count  # pieces of a row may share all of it
    power = fit.T @ fit + (doubt + TINY) * np.eye(len(known))
    return np.asarray(left - fit @ np.linalg.solve(power, fit.T @ left), np.float32).reshape(
        apart.shape
    )


class Agreed(NamedTuple):
    """The bands that frames agree on."""

    low: float  # what most covariances exceed
    middle: float  # their median: the variance
    correlation: float  # the median of all pairs of pieces
    shown: float  # share of frames that show it

    @property
    def open(self) -> bool:
        """Whether more frames may be sure: similar waves agree the wrong way."""
        return self.low > 0 or abs(self.correlation) > ALIKE

    @property
    def sigma(self) -> float:
        """The standard deviation, or 0."""
        strong = self.middle >= LEAST**2 and self.correlation >= ALIKE
        return self.middle**0.5 if self.low > 0 and strong and self.shown >= MOST_SHOW else 0.0


def agreed(seen: Sequence[Apart], *, broad: bool) -> Agreed:
    """Of different pieces before and after, over all frames."""
    places = np.arange(seen[0].before.shape[1])
    other = np.abs(places[:, None] - places) > 1
    covariances, alike = zip(*_covariances(seen, other, broad=broad), strict=True)
    pooled = np.mean(covariances, 0)
    middle = float(median(pooled))
    shown = [float(median(one)) > EACH * middle for one in covariances]
    low = float(quantile(pooled, LOW))
    return Agreed(low, middle, float(median(np.mean(alike, 0))), float(np.mean(shown)))


def _covariances(
    seen: Sequence[Apart], other: NDArray[np.bool_], *, broad: bool
) -> Iterator[tuple[Floats, Floats]]:
    """Of each frame: covariances of pairs of pieces in blocks of rows, and correlations."""
    for one in seen:
        first, second = (
            np.stack([parted(piece)[broad] for piece in np.ascontiguousarray(side.T)], 1).astype(
                np.float64
            )
            for side in (one.before, one.after)
        )
        blocks = np.array_split(np.arange(len(first)), BLOCKS[broad])
        found = [first[rows].T @ second[rows] / len(rows) for rows in blocks]
        power = [np.maximum(np.square(part).mean(0), TINY) for part in (first, second)]
        alike = np.mean(found, 0) / np.sqrt(np.outer(*power))
        yield np.concatenate([part[other] for part in found]), alike[other]
