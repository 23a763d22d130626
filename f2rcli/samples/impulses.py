"""Samples of one frame that are no light: impulses, fill values over areas, floats that are no
numbers.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from f2rcli.frames import Floats, Mask, Plane

MAD_TO_SIGMA = 1.4826  # of a Gaussian: its standard deviation by the median of |x|
FAR = 8.0  # standard deviations of the plane's noise that an impulse lies beyond its neighbours
RANGES = 2.5  # of its neighbours that it lies beyond them too; 1.5 takes the sharpest stars along
TWIN = 1  # of the neighbours may be an impulse as well; more of them are an edge, a line, a star
MOST_IMPULSES = 0.003  # of a plane's samples: where more stand out they are its noise
LIKE, MOST_ALIKE = 0.5, 0.01  # so far from their surroundings, of a plane's samples: noise as well
CROSS = ((-1, 0), (1, 0), (0, -1), (0, 1))
MOST_SHARED = 0.05  # of a hot sample that its neighbours in a mosaic, of other colours, see of it
STEPS = [(dy, dx) for dy in range(-2, 3) for dx in range(-2, 3) if dy or dx]
OWN_COLOUR = [(dy, dx) for dy in (0, -2, 2) for dx in (0, -2, 2)]  # in a mosaic, itself first
LEAST_CODES = 8.0  # of integers: fewer may be a few photons in the dark
SAMPLED = 1 << 15  # samples that thresholds are read from

Places = NDArray[np.intp]  # flat, in a whole plane
NOWHERE: Places = np.zeros(0, np.intp)


class Impulses(NamedTuple):
    """Hot and dead samples of a plane."""

    places: Places
    samples: Plane  # as many


NONE = Impulses(NOWHERE, np.zeros(0))


def robust_sigma(apart: NDArray[Any]) -> float:
    """The standard deviation of what is Gaussian around 0 but for a few far off; NaN of nothing."""
    return MAD_TO_SIGMA * float(np.median(np.abs(apart))) if apart.size else np.nan


def without_impulses(plane: Plane, least: float = 0, known: Impulses = NONE) -> tuple[Plane, Mask]:
    """A finite plane (H, W) with medians in place of single samples, or pairs of them, that stand
    out of the 24 around each, and where these are; the plane itself where there are none, or so
    many that they are no defects.

    least: how far from those around it an impulse lies at the least, in codes; known: impulses of
    the frame before, which texture may hide.
    """
    where = np.zeros(plane.shape, bool)
    if min(plane.shape) < 5:
        return plane, where
    places, medians = _impulses(plane, least, known)
    if not places.size:
        return plane, where
    whole = plane.copy()
    whole.flat[places], where.flat[places] = medians, True
    return whole, where


def _impulses(plane: Plane, least: float, known: Impulses) -> tuple[Places, Plane]:
    """Places of impulses, and the medians of what is around them."""
    apart = _apart(plane)
    some = apart.ravel()[:: max(1, apart.size // SAMPLED)]
    if plane.dtype.kind != "f":
        least = max(least, LEAST_CODES)
    middle, high = (float(one) for one in np.percentile(some, (50, 99)))
    far = max(FAR * MAD_TO_SIGMA * middle, least)
    looked_at = apart >= max(far, high)
    looked_at.flat[known.places] = True
    places = np.flatnonzero(looked_at)
    none = NOWHERE, plane[:0, 0]
    if places.size > 0.05 * plane.size:  # for the time it takes
        return none
    centre, around = plane.flat[places].astype(np.float64), _around(plane, places)
    beyond, spread = _beyond(centre, around)
    found = (beyond > far) & (beyond > RANGES * spread)
    if _too_many(apart, apart.flat[places[found]]):
        return none
    before = np.full(places.size, np.inf)
    before[np.searchsorted(places, known.places)] = known.samples
    found |= (beyond > 0) & (np.abs(centre - before) < far / 2)
    return places[found], around[found, len(STEPS) // 2].astype(plane.dtype)


def _too_many(apart: Plane, found: Plane) -> bool:
    """Whether impulses, as far from their surroundings as `found` of all `apart`, are noise."""
    if found.size > max(2.0, MOST_IMPULSES * apart.size):
        return True
    if not found.size:
        return False
    like = np.count_nonzero(apart >= LIKE * float(np.median(found)))
    return bool(like > max(2.0 * found.size, MOST_ALIKE * apart.size))


def _apart(plane: Plane) -> Plane:
    """The distance of every sample from the median of the 5x5 around it."""
    import cv2  # not before it is needed: io knows this module

    values = plane if plane.dtype in (np.uint8, np.uint16) else plane.astype(np.float32)
    return cv2.absdiff(values, cv2.medianBlur(values, 5))


def _beyond(centre: Floats, around: Floats) -> tuple[Floats, Floats]:
    """How far samples (N,) lie beyond all but TWIN of the 24 around, and the range of those."""
    above, below = centre - around[:, -1 - TWIN], around[:, TWIN] - centre
    upper, lower = around[:, -1] - around[:, TWIN], around[:, -1 - TWIN] - around[:, 0]
    return np.maximum(above, below), np.where(above > below, lower, upper)


def _around(plane: Plane, places: Places) -> Floats:
    """The 24 samples around each place, sorted; mirrored at the border."""
    near = samples_near(plane, *np.divmod(places, plane.shape[1]), np.array(STEPS))
    return np.sort(near.astype(np.float64), axis=1)


def lone(plane: Plane, whole: Plane, hot: Mask) -> Places:
    """Places of hot samples of a mosaic whose four neighbours, all of other colours, see nothing of
    them: defects of the sensor, since a lens spreads what is light over more than one pixel.

    whole: the plane with what surrounds each hot sample in its place.
    """
    places = np.flatnonzero(hot)
    rows, columns = np.divmod(places, plane.shape[1])
    beyond = plane.flat[places].astype(np.float64) - whole.flat[places]
    seen = np.mean([_excess(plane, rows + y, columns + x) for y, x in CROSS], axis=0)
    return places[seen * np.sign(beyond) < MOST_SHARED * np.abs(beyond)]


def _excess(plane: Plane, rows: Places, columns: Places) -> Floats:
    """How far samples lie above the median of the eight nearest of their colour."""
    near = samples_near(plane, rows, columns, np.array(OWN_COLOUR)).astype(np.float64)
    return near[:, 0] - np.median(near[:, 1:], axis=1)


def samples_near(plane: Plane, rows: Places, columns: Places, steps: Places) -> Plane:
    """The samples of a plane at steps (M, 2), down and across, from places (N,): (N, M)."""
    down, across = steps.T
    row = _mirrored(rows[:, None] + down, plane.shape[0])
    return plane[row, _mirrored(columns[:, None] + across, plane.shape[1])]


def _mirrored(places: Places, length: int) -> Places:
    """Places beyond the ends of an axis, seen in a mirror that keeps colours."""
    folded = np.abs(places)
    return np.minimum(folded, 2 * (length - 1) - folded)


# Floats so far from 0 are not light, unless most of a plane (in units that make them so large) are
# no more than `BEYOND` times nearer to it. Beyond the last, sums of float32 would overflow.
ABSURD, BEYOND, LARGEST = 1e18, 1e4, 1e36
MOST_FILLED = 0.5  # of a plane's samples: a value that more of them have is its darkness
SOLID = 3, 0.8  # pixels a side of squares that cover that share of an area at the least


def no_light(plane: Plane, *, fills: bool) -> Mask:
    """Where samples of a plane (H, W) are no light: floats that are no numbers or absurd, and if
    `fills`, areas of one value that is the least or the greatest, with all others far from it."""
    bad = np.zeros(plane.shape, bool)
    if plane.dtype.kind == "f":
        most = min(_absurd(plane), LARGEST, float(np.finfo(plane.dtype).max))
        bad = ~(np.abs(plane) <= plane.dtype.type(most))
    if fills:
        _mark_fills(plane, bad)
    return bad


def _absurd(plane: Plane) -> float:
    """How far from 0 floats of a plane (H, W) are no light."""
    if float(np.finfo(plane.dtype).max) < ABSURD:
        return ABSURD
    with np.errstate(invalid="ignore", over="ignore"):
        far = np.abs(plane[np.isfinite(plane)])
    if not np.count_nonzero(far > ABSURD / BEYOND) > far.size / 2:
        return ABSURD
    return max(ABSURD, BEYOND * float(np.median(far)))


def filled(plane: Plane, bad: Mask) -> Plane:
    """The plane (H, W) with its own samples mirrored into what is bad: they have the noise that
    belongs there. The plane itself where nothing is; 0 where everything is."""
    if not bad.any():
        return plane
    if bad.all():
        return np.zeros_like(plane)
    rows, columns = np.nonzero(bad)
    near_row, near_column = _nearest(bad, rows, columns)
    height, width = plane.shape
    far_row, far_column = 2 * near_row - rows, 2 * near_column - columns
    inside = (far_row >= 0) & (far_row < height) & (far_column >= 0) & (far_column < width)
    inside[inside] = ~bad[far_row[inside], far_column[inside]]
    near_row[inside], near_column[inside] = far_row[inside], far_column[inside]
    whole = plane.copy()
    whole[rows, columns] = plane[near_row, near_column]
    return whole


def _nearest(bad: Mask, rows: Places, columns: Places) -> tuple[Places, Places]:
    """Row and column of the good sample that is nearest to each bad one."""
    import cv2  # not before it is needed: io knows this module

    area, how = bad.astype(np.uint8), cv2.DIST_LABEL_PIXEL
    _, labels = cv2.distanceTransformWithLabels(area, cv2.DIST_L2, cv2.DIST_MASK_5, labelType=how)
    good = np.flatnonzero(~bad)
    place = np.zeros(int(labels.max()) + 1, np.intp)
    place[labels.ravel()[good]] = good
    near = place[labels[rows, columns]]
    return near // bad.shape[1], near % bad.shape[1]


def _mark_fills(plane: Plane, bad: Mask) -> None:
    for _ in range(3):  # fill values at either end
        rest = plane[~bad] if bad.any() else plane.ravel()
        if not rest.size:
            return
        ends = rest.min(), rest.max()
        inner = rest[(rest != ends[0]) & (rest != ends[1])]
        if inner.size < (1 - MOST_FILLED) * plane.size:
            return
        # So much of a plane's range, but for 1 % at either end, lies between it and a fill value.
        some = inner[:: max(1, inner.size // SAMPLED)].astype(np.float64)
        far = 0.1 * float(np.ptp(np.percentile(some, (1, 99))))
        far = far if plane.dtype.kind == "f" else max(far, LEAST_CODES)
        apart = float(inner.min()) - float(ends[0]), float(ends[1]) - float(inner.max())
        new = [plane == end for end, gap in zip(ends, apart, strict=True) if gap > far]
        new = [there for there in new if _solid(there)]
        if not new:
            return
        for there in new:
            bad |= there


def _solid(mask: Mask) -> bool:
    """Whether what is marked (anything) are areas, not samples that happen to lie side by side."""
    import cv2  # not before it is needed: io knows this module

    side, share = SOLID
    square = np.ones((side, side), np.uint8)
    areas = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, square)
    return cv2.countNonZero(areas) >= share * int(np.count_nonzero(mask))
