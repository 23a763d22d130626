"""Samples that are no picture: hot and dead ones, fill values, floats that are no numbers.

They are set aside before anything looks at a frame, so that no level, flow or noise is made of
them, and put back into what comes out, bit for bit; but hot and dead samples of a mosaic that no
other colour sees are repaired from their own. What is neither single nor of one value over
an area is a picture, whatever its value.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from f2rcli.frames import Family, Frame, Plane, PlaneLayout
from f2rcli.yuv import code_span

FAR = 8.0  # standard deviations of the plane's noise that an impulse lies beyond its neighbours
RANGES = 2.5  # of its neighbours that it lies beyond them too; 1.5 takes the sharpest stars along
TWIN = 1  # of the neighbours may be an impulse as well; more of them are an edge, a line, a star
MOST_IMPULSES = 0.003  # of a plane's samples: where more stand out they are its noise
LIKE, MOST_ALIKE = 0.5, 0.01  # so far from their surroundings, of a plane's samples: noise as well
MOST_LOOKED_AT = 0.05  # of a plane's samples, for the time it takes
LEAST = {True: 1 / 256, False: 1 / 32}  # of white - black, of mosaics (mostly dark) and of others
LEAST_CODES = 8.0  # of integers: fewer may be a few photons in the dark
ABSURD = 1e18  # floats as far from 0 are no light, and their squares would overflow
MOST_FILLED = 0.5  # of a plane's samples: a value that more of them have is its darkness
GAP = 0.1  # of the range of a plane's samples, that lies between them and a fill value
SOLID = 3, 0.8  # pixels a side of squares that cover that share of an area at the least
CROSS = ((-1, 0), (1, 0), (0, -1), (0, 1))
MOST_SHARED = 0.05  # of a hot sample that its neighbours in a mosaic, of other colours, see of it
VALUES = 3  # fill values at either end that are looked for
SAMPLED = 1 << 15  # samples that thresholds are read from

Mask = NDArray[np.bool_]  # (H, W)
Places = NDArray[np.intp]  # flat, in a whole plane
NOWHERE: Places = np.zeros(0, np.intp)
STEPS = [(dy, dx) for dy in range(-2, 3) for dx in range(-2, 3) if dy or dx]


class Impulses(NamedTuple):
    """Hot and dead samples of a plane."""

    places: Places
    samples: Plane  # as many

    def within(self, row: int, column: int, width: int) -> "Impulses":
        """Those in plane[row::2, column::2] of a plane of this width, placed there."""
        rows, columns = np.divmod(self.places, width)
        here = (rows % 2 == row) & (columns % 2 == column)
        places = rows[here] // 2 * ((width - column + 1) // 2) + columns[here] // 2
        return Impulses(places, self.samples[here])


NONE = Impulses(NOWHERE, np.zeros(0))


class Kept(NamedTuple):
    """Samples of a plane that were set aside."""

    places: Places
    samples: Plane  # as many
    impulses: Impulses  # those that are hot or dead; the others are fill values,
    unreal: int  # but for so many that are no numbers
    repaired: Places = NOWHERE  # of the impulses, which are not put back


NOTHING = Kept(NOWHERE, np.zeros(0), NONE, 0)


@dataclass
class SetAside:
    """What was set aside, over a run."""

    frames: int = 0  # that were looked at
    hit: int = 0  # that held hot or dead samples
    impulses: int = 0  # most in a frame
    repaired: int = 0  # of these, most in a frame
    unreal: int = 0  # in all frames
    fills: int = 0  # in all frames

    def add(self, aside: Sequence[Kept]) -> None:
        """Take in what the planes of a frame held."""
        repaired = sum(one.repaired.size for one in aside)
        impulses = sum(one.impulses.places.size for one in aside)
        unreal = sum(one.unreal for one in aside)
        self.frames += 1
        self.hit += impulses > 0
        self.impulses = max(self.impulses, impulses)
        self.repaired = max(self.repaired, repaired)
        self.unreal += unreal
        self.fills += sum(one.places.size for one in aside) + repaired - impulses - unreal

    def lines(self) -> list[str]:
        """What is worth saying of it."""
        said = []
        if self.impulses:
            most = "at most " if self.hit > 1 else ""
            said.append(
                f"{most}{_samples(self.impulses)} a frame far from all around (hot or dead), in "
                f"{self.hit} of {self.frames} frames: {self._fate}"
            )
        if self.unreal:
            said.append(unreal_line(self.unreal))
        if self.fills:
            said.append(f"fill values in {_samples(self.fills)}: kept as stored")
        return said

    @property
    def _fate(self) -> str:
        """What became of impulses."""
        if not self.repaired:
            return "kept as stored"
        rest = "" if self.repaired == self.impulses else ", the others kept as stored"
        return f"{'at most ' if self.hit > 1 else ''}{self.repaired} a frame repaired{rest}"


def unreal_line(count: int) -> str:
    """What to say of so many samples that are no numbers."""
    return f"{_samples(count)} not finite (NaN or infinite): kept as stored"


def no_numbers(plane: Plane) -> int:
    """How many samples of a plane are not finite."""
    return int(plane.size - np.count_nonzero(np.isfinite(plane))) if plane.dtype.kind == "f" else 0


def _samples(count: int) -> str:
    return "1 sample" if count == 1 else f"{count} samples"


def without_defects(frames: Iterable[Frame]) -> Iterator[Frame]:
    """The frames of a lane as everything may see them: what is no picture lies in `aside`."""
    before: tuple[Kept, ...] = ()
    for frame in frames:
        done = set_aside(frame, before)
        before = done.aside
        yield done


def set_aside(frame: Frame, before: Sequence[Kept] = ()) -> Frame:
    """The frame with what its surroundings suggest in place of samples that are no picture, and
    those in `aside`, an entry a plane; the frame itself where there are none.

    before: what was set aside of the frame before it: its hot samples are looked for less strictly.
    """
    count = frame.layout.colour_planes
    known = before or [NOTHING] * count
    found = [
        _of_plane(plane, index, frame.layout, known[index])
        for index, plane in enumerate(frame.planes[:count])
    ]
    if not any(kept.places.size or kept.repaired.size for _, kept in found):
        return frame
    planes = tuple(plane for plane, _ in found)
    aside = tuple(kept for _, kept in found)
    return replace(frame, planes=planes + frame.planes[count:], aside=aside)


def put_back(frame: Frame) -> Frame:
    """The frame with what was set aside where it was."""
    if not frame.aside:
        return frame
    planes = list(frame.planes)
    for index, kept in enumerate(frame.aside):
        if kept.places.size:
            planes[index] = planes[index].copy()
            planes[index].flat[kept.places] = kept.samples
    return replace(frame, planes=tuple(planes), aside=())


def _of_plane(plane: Plane, index: int, layout: PlaneLayout, before: Kept) -> tuple[Plane, Kept]:
    mosaic, known = layout.family is Family.BAYER, before.impulses
    chroma = layout.family is Family.YUV and index > 0
    least = LEAST[mosaic] * _span(layout, chroma=chroma)
    # black and white in a picture for the eye are no fill values
    bad = no_light(plane, fills=mosaic or layout.levels is not None or plane.dtype.kind == "f")
    if not mosaic:
        whole = filled(plane, bad)
        whole, hot = without_impulses(whole, least, known)
        return whole, _kept(plane, bad, hot & ~bad)
    whole, hot = plane.copy(), np.zeros(plane.shape, bool)
    for row, column in ((0, 0), (0, 1), (1, 0), (1, 1)):  # a colour has neighbours of its own
        at = np.s_[row::2, column::2]
        part = filled(np.ascontiguousarray(plane[at]), bad[at])
        whole[at], hot[at] = without_impulses(
            part, least, known.within(row, column, plane.shape[1])
        )
    hot &= ~bad
    return whole, _kept(plane, bad, hot, _alone(plane, whole, hot, before.repaired))


def _span(layout: PlaneLayout, *, chroma: bool) -> float:
    if layout.mosaic is None:
        return code_span(layout, chroma=chroma)[1]
    ends = zip(layout.mosaic.black, layout.mosaic.white, strict=True)
    return min(white - black for black, white in ends)


def _kept(plane: Plane, bad: Mask, hot: Mask, repaired: Places = NOWHERE) -> Kept:
    back = bad | hot
    back.flat[repaired] = False
    places, impulses = np.flatnonzero(back), np.flatnonzero(hot)
    if not places.size and not repaired.size:
        return NOTHING
    samples, found = plane.ravel()[places], Impulses(impulses, plane.ravel()[impulses])
    return Kept(places, samples, found, no_numbers(samples), repaired)


def _alone(plane: Plane, whole: Plane, hot: Mask, known: Places) -> Places:
    """Places of hot samples of a mosaic whose four neighbours, all of other colours, see nothing of
    them: defects of the sensor, since a lens spreads what is light over more than one pixel.

    whole: the plane with what surrounds each hot sample in its place. known: places that were such
    defects in the frame before, of which noise may hide more.
    """
    places = np.flatnonzero(hot)
    rows, columns = np.divmod(places, plane.shape[1])
    beyond = plane.flat[places].astype(np.float64) - whole.flat[places]
    most = np.where(np.isin(places, known), 3 * MOST_SHARED, MOST_SHARED)
    shared = np.mean([_excess(plane, rows + y, columns + x) for y, x in CROSS], axis=0)
    alone: Places = places[shared * np.sign(beyond) < most * np.abs(beyond)]
    return alone


def _excess(plane: Plane, rows: Places, columns: Places) -> NDArray[np.float64]:
    """How far samples lie above the median of the eight nearest of their colour; mirrored at the
    border."""
    near = [
        plane[_mirrored(rows + y, plane.shape[0]), _mirrored(columns + x, plane.shape[1])]
        for y in (0, -2, 2) for x in (0, -2, 2)
    ]  # fmt: skip
    own, *around = np.array(near, np.float64)
    excess: NDArray[np.float64] = own - np.median(around, axis=0)
    return excess


def _mirrored(places: Places, length: int) -> Places:
    """Places beyond the ends of an axis, seen in a mirror that keeps colours."""
    folded = np.abs(places)
    mirrored: Places = np.minimum(folded, 2 * (length - 1) - folded)
    return mirrored


def no_light(plane: Plane, *, fills: bool) -> Mask:
    """Where samples of a plane (H, W) are no light: floats that are no numbers or absurd, and if
    `fills`, areas of one value that is the least or the greatest, with all others far from it."""
    bad = np.zeros(plane.shape, bool)
    if plane.dtype.kind == "f":
        most = min(ABSURD, float(np.finfo(plane.dtype).max))
        bad = ~(np.abs(plane) <= plane.dtype.type(most))
    if fills:
        _mark_fills(plane, bad)
    return bad


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
        bad.astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    good = np.flatnonzero(~bad)
    place = np.zeros(int(labels.max()) + 1, np.intp)
    place[labels.ravel()[good]] = good
    near = place[labels[rows, columns]]
    return near // bad.shape[1], near % bad.shape[1]


def _mark_fills(plane: Plane, bad: Mask) -> None:
    for _ in range(VALUES):
        rest = plane[~bad] if bad.any() else plane.ravel()
        if not rest.size:
            return
        ends = rest.min(), rest.max()
        inner = rest[(rest != ends[0]) & (rest != ends[1])]
        if inner.size < (1 - MOST_FILLED) * plane.size:
            return
        far = GAP * _range(inner)
        far = far if plane.dtype.kind == "f" else max(far, LEAST_CODES)
        apart = float(inner.min()) - float(ends[0]), float(ends[1]) - float(inner.max())
        new = [plane == end for end, gap in zip(ends, apart, strict=True) if gap > far]
        new = [there for there in new if _solid(there)]
        if not new:
            return
        for there in new:
            bad |= there


def _solid(mask: Mask) -> bool:
    """Whether what is marked are areas, not samples that happen to lie side by side."""
    import cv2  # not before it is needed: io knows this module

    side, share = SOLID
    square = np.ones((side, side), np.uint8)
    areas = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, square)
    count = cv2.countNonZero(areas)
    return count > 0 and count >= share * int(np.count_nonzero(mask))


def _range(values: Plane) -> float:
    """What lies between 1 % and 99 % of samples."""
    some = values[:: max(1, values.size // SAMPLED)].astype(np.float64)
    low, high = np.percentile(some, (1, 99))
    return float(high - low)


def without_impulses(
    plane: Plane, least: float = 0.0, known: Impulses = NONE
) -> tuple[Plane, Mask]:
    """A finite plane (H, W) with medians in place of single samples, or pairs of them, that stand
    out of the 24 around each, and where these are; the plane itself where there are none, or so
    many that they are no defects.

    least: how far from those around it an impulse lies at the least, in codes; known: impulses of
    the frame before.
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
    far = max(FAR * 1.4826 * middle, least)
    looked_at = apart >= max(far, high)
    looked_at.flat[known.places] = True
    places = np.flatnonzero(looked_at)
    none = NOWHERE, plane[:0, 0]
    if not 0 < places.size <= MOST_LOOKED_AT * plane.size:
        return none
    centre, around = plane.flat[places].astype(np.float64), _around(plane, places)
    beyond, ranges = _beyond(centre, around)
    found = (beyond > far) & (beyond > RANGES * ranges)
    if _too_many(apart, apart.flat[places[found]]):
        return none
    found |= (beyond > 0) & (np.abs(centre - _samples_before(known, places)) < far / 2)
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
    """How far every sample lies from the median of the 5x5 around it."""
    import cv2  # not before it is needed: io knows this module

    values = plane if plane.dtype in (np.uint8, np.uint16) else plane.astype(np.float32)
    apart: Plane = cv2.absdiff(values, cv2.medianBlur(values, 5))
    return apart


def _samples_before(known: Impulses, places: Places) -> NDArray[np.float64]:
    """The impulses of the frame before at these places (sorted); infinity where there were none."""
    samples = np.full(places.size, np.inf)
    samples[np.searchsorted(places, known.places)] = known.samples
    return samples


def _beyond(
    centre: NDArray[np.float64], around: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How far samples (N,) lie above or below all but TWIN of those around them (N, 24), and the
    range of all but these."""
    above, below = centre - around[:, -1 - TWIN], around[:, TWIN] - centre
    upper, lower = around[:, -1] - around[:, TWIN], around[:, -1 - TWIN] - around[:, 0]
    return np.maximum(above, below), np.where(above > below, lower, upper)


def _around(plane: Plane, places: Places) -> NDArray[np.float64]:
    """The 24 samples around each place, sorted; mirrored at the border."""
    height, width = plane.shape
    steps = np.array(STEPS)
    rows = np.abs(places[:, None] // width + steps[:, 0])
    columns = np.abs(places[:, None] % width + steps[:, 1])
    rows = np.minimum(rows, 2 * (height - 1) - rows)
    columns = np.minimum(columns, 2 * (width - 1) - columns)
    return np.sort(plane[rows, columns].astype(np.float64), axis=1)
