"""Samples that are no light: fill values over areas, floats that are no numbers."""

import numpy as np

from f2rcli.frames import Mask, Plane
from f2rcli.samples.impulses import LEAST_CODES, SAMPLED, Places

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

    _, labels = cv2.distanceTransformWithLabels(
        bad.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
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
        # So much of a plane's range lies between it and a fill value.
        far = 0.1 * _range(inner)
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


def _range(values: Plane) -> float:
    """The range between 1 % and 99 % of samples."""
    some = values[:: max(1, values.size // SAMPLED)].astype(np.float64)
    low, high = np.percentile(some, (1, 99))
    return float(high - low)
