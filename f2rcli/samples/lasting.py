"""Pixels of a mosaic that stand out in all of some frames, alone or two side by side.

What surrounds a pixel tells what it would show: in each of four directions the two of its colour
beside it, bent as the colours between them bend. A line or an edge agrees with one of the four, so
what all of them miss is a point. Points are compared with those around, most of them texture; and
optics show what is light to the neighbours too, which have other colours."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from f2rcli.frames import Mask, Plane
from f2rcli.order import robust_sigma
from f2rcli.samples.impulses import CROSS, NOWHERE, OWN_COLOUR, Places, samples_near

WAYS = ((0, 1), (1, 0), (1, 1), (1, -1))  # down and across
BENT = 0.5  # of what the colours between bend by, that a pixel's own does
AROUND, NEAR = 15, 3  # sides of the squares with the points that one is compared with, and without
ALONE = 2.0  # times the most that any other one around does
SURELY = 12.0  # times their root mean square, that one does whatever others do
ROUGHER = 7.0  # times their root mean square, that a defect stands out by
FAR = 4.0  # standard deviations of all that the mean of frames stands out by
SEEN = 0.05  # of a defect, that its neighbours may see at the most
SEEN_AGAIN = 0.025  # of one that shows when looked at again, for the sake of coloured stars
ACROSS = 0.03  # of one of a pair, by those across it: of coloured light they see little
ERRING = 0.2  # of it, with their standard error
TWIN = 0.15  # of it: where one neighbour sees more it may be another, and those across it tell
CHANCE = 3.0  # standard deviations of what neighbours differ by, that it sees more by
STEADY = 0.5  # of it, that it stands out by in most frames
SURE = 7.0  # standard errors, by how much frames differ, that it stands out by
FLOOR = 0.5  # of what those around it differ by: less is chance
LEAST_SHARE = 0.05  # of its light, that a dead one's varies by at the least
LEAST_LIGHT = np.float32(0.02)  # of the mean, for the sake of the dark
LOOSE, TINY = np.float32(0.5), np.float32(1e-9)  # of what directions differ by: noise does it, too
MOST_LOOKED_AT = 0.01  # of the pixels, for the time it takes

Values = NDArray[np.float32]


class _Rough(NamedTuple):
    """What a mosaic's pixels (H, W) stand out by: how far in all four directions, how far by their
    own colour alone, and the mean squares of both around each."""

    least: Values
    middle: Values
    power: Values
    own: Values

    @classmethod
    def of(cls, least: Values, middle: Values) -> "_Rough":
        return cls(least, middle, _power(least), _power(middle))

    def without(self, places: Places) -> "_Rough":
        """The same where some pixels stand out by nothing."""
        least, middle = self.least.copy(), self.middle.copy()
        least.flat[places] = middle.flat[places] = 0
        return self.of(least, middle)


class _Cell(NamedTuple):
    """Codes without light of the four pixels of a cell, and what makes them equally bright."""

    black: Plane
    scale: Plane

    @classmethod
    def of(cls, plane: Plane, black: Plane) -> "_Cell":
        light = [[float(plane[y::2, x::2].mean()) - black[y, x] for x in (0, 1)] for y in (0, 1)]
        return cls(black, 1 / np.maximum(light, 1.0))

    def whole(self, plane: Plane) -> Values:
        """The light of a mosaic."""
        light = np.empty(plane.shape, np.float32)
        for y in (0, 1):
            for x in (0, 1):
                np.subtract(plane[y::2, x::2], np.float32(self.black[y, x]), light[y::2, x::2])
                light[y::2, x::2] *= np.float32(self.scale[y, x])
        return light


def lasting(
    planes: Sequence[Plane], mean: Plane, black: Plane, least: float
) -> tuple[Places, Places]:
    """Places of pixels that are defects in all of some frames of a mosaic (H, W), and those of
    points of light that others see as well.

    mean: of these frames, or of more; black: codes without light of the four pixels of a cell
    (2, 2); least: by how many codes a defect stands out.
    """
    if min(mean.shape) < AROUND:
        return NOWHERE, NOWHERE
    cell = _Cell.of(mean, black)
    light = cell.whole(mean)
    rough, scatter = _roughness(light)
    far = max(FAR * scatter, least * float(cell.scale.min()))
    found, seen = _points(planes, light.copy(), cell, rough, far, SEEN)
    if found.size:  # which hid others around them
        light.flat[found] = _told(light, *np.divmod(found, light.shape[1]))
        more, seen = _points(planes, light, cell, rough.without(found), far, SEEN_AGAIN)
        found = np.append(found, more)
    return np.sort(found), seen


def _points(
    planes: Sequence[Plane], light: Values, cell: _Cell, rough: _Rough, far: float, most: float
) -> tuple[Places, Places]:
    """See `lasting`, of points as far out as `far`, of which neighbours see at most so much; light:
    of the mean, which is changed."""
    likely = np.abs(rough.least) > far
    likely &= np.square(rough.least) > np.float32(ROUGHER**2) * rough.power
    places = np.flatnonzero(likely)
    if not 0 < places.size <= MOST_LOOKED_AT * light.size:
        return NOWHERE, NOWHERE
    unseen, twins = _unseen(light, places, rough, most)
    seen, (places, twins) = places[~unseen], _steady(planes, (places, twins), unseen, light, cell)
    alone = _alone(rough, places)
    # what texture has more of is as good as seen
    seen, places, twins = np.union1d(seen, places[~alone]), places[alone], twins[alone]
    # without those that are sure their twins show, which they may have hidden
    light.flat[places] = _told(light, *np.divmod(places, light.shape[1]))
    hidden = np.setdiff1d(twins, places)
    size = _least(light, hidden)
    hidden = hidden[(np.abs(size) > far) & (size**2 > ROUGHER**2 * rough.power.flat[hidden])]
    unseen, _ = _unseen(light, hidden, rough, most)
    hidden, _ = _steady(planes, (hidden, hidden), unseen, light, cell)
    alone = (twins == places) | np.isin(twins, np.append(places, hidden))
    return np.append(places[alone], np.intersect1d(hidden, twins[alone])), seen


def _alone(rough: _Rough, places: Places) -> Mask:
    """Whether points stand out far more than any other around them: rough texture has many."""
    import cv2

    others, near = np.abs(rough.least), np.zeros(rough.least.shape, np.uint8)
    size, power = others.flat[places], rough.power.flat[places]
    near.flat[places] = 1
    others[cv2.dilate(near, np.ones((NEAR, NEAR), np.uint8)) > 0] = 0
    most = np.asarray(cv2.dilate(others, np.ones((AROUND, AROUND), np.uint8))).flat[places]
    rows, columns = np.divmod(places, others.shape[1])
    height, width = others.shape  # at the border mirror images count twice
    inside = (rows > 2) & (rows < height - 3) & (columns > 2) & (columns < width - 3)
    return np.asarray((size > ALONE * most) | (inside & (size**2 > SURELY**2 * power)))


def in_place(plane: Plane, places: Places, black: Plane) -> Plane:
    """What is around places of a mosaic tells of them, in codes; no more or less than the eight
    nearest of their colour."""
    cell = _Cell.of(plane, black)
    rows, columns = np.divmod(places, plane.shape[1])
    at = rows % 2, columns % 2
    near = _sides(cell.whole(plane), rows, columns)
    step = np.square(near[0, 0] - near[0, 1]) + np.square(near[1, 0] - near[1, 1])
    step /= np.maximum(near[0].mean(axis=0), LEAST_LIGHT)  # noise grows with light
    weights = 1 / (step + LOOSE * step.mean(axis=0) + TINY)  # least across an edge
    told = (_from_sides(near, BENT) * weights).sum(axis=0) / weights.sum(axis=0)
    own = samples_near(plane, rows, columns, np.array(OWN_COLOUR[1:]))
    codes = np.rint(told / cell.scale[at] + black[at])
    whole: Plane = np.clip(codes, own.min(axis=1), own.max(axis=1)).astype(plane.dtype)
    return whole


def _roughness(light: Values) -> tuple[_Rough, float]:
    """How rough a mosaic is everywhere, and the standard deviation of what stands out."""
    low, lower, upper, high = _sorted(_apart(light, BENT))
    least = np.asarray(np.maximum(low, 0) + np.minimum(high, 0), np.float32)
    some = np.s_[:: max(1, least.size >> 15)]
    scatter = robust_sigma((lower.ravel()[some] + upper.ravel()[some]) / 2)
    _, lower, upper, _ = _sorted(_apart(light, 0.0))
    return _Rough.of(least, np.asarray((lower + upper) / 2, np.float32)), scatter


def _apart(light: Values, bent: float) -> list[Values]:
    """How far pixels lie from what each direction tells."""
    import cv2  # not before it is needed: io knows this module

    found = []
    for down, across in WAYS:
        kernel = np.zeros((7, 7), np.float32)
        for far, share in ((0, 0.5), (2, -0.5), (1, -bent / 2), (3, bent / 2)):
            for side in (-far, far):
                kernel[3 + side * down, 3 + side * across] += share
        apart = cv2.filter2D(light, -1, kernel, borderType=cv2.BORDER_REFLECT_101)
        found.append(np.asarray(apart, np.float32))
    return found


def _sorted(four: Sequence[Values]) -> tuple[Values, Values, Values, Values]:
    """Four planes, sorted pixel by pixel."""
    a, b, c, d = four
    a, b, c, d = np.minimum(a, b), np.maximum(a, b), np.minimum(c, d), np.maximum(c, d)
    low, b, c, high = np.minimum(a, c), np.maximum(a, c), np.minimum(b, d), np.maximum(b, d)
    return low, np.minimum(b, c), np.maximum(b, c), high


def _power(points: Values) -> Values:
    """The mean square of the points around each, without its nearest."""
    import cv2

    squares, mirror = points * points, cv2.BORDER_REFLECT_101
    whole, own = (
        cv2.boxFilter(squares, -1, (side, side), normalize=False, borderType=mirror)
        for side in (AROUND, NEAR)
    )
    return np.asarray(np.maximum(whole - own, 0) / np.float32(AROUND**2 - NEAR**2))


def _four(light: Values, rows: Places, columns: Places, bent: float) -> Values:
    """How far pixels lie from what each direction tells, sorted, (4, M)."""
    own = samples_near(light, rows, columns, np.zeros((1, 2), np.intp))[:, 0]
    return np.sort(own - _from_sides(_sides(light, rows, columns), bent), axis=0)


def _sides(light: Values, rows: Places, columns: Places) -> Values:
    """The samples two, one and three steps to both sides of pixels: (3, 2, 4, M)."""
    ways = np.array(WAYS)
    steps = np.concatenate([far * ways for far in (2, -2, 1, -1, 3, -3)])
    return samples_near(light, rows, columns, steps).T.reshape(3, 2, len(WAYS), -1)


def _from_sides(sides: Values, bent: float) -> Values:
    near = sides.mean(axis=1)
    return np.asarray(near[0] + np.float32(bent) * (near[1] - near[2]), np.float32)


def _least(light: Values, places: Places) -> Values:
    four = _four(light, *np.divmod(places, light.shape[1]), BENT)
    return np.asarray(np.maximum(four[0], 0) + np.minimum(four[-1], 0))


def _beyond(light: Values, rows: Places, columns: Places, bent: float = BENT) -> Values:
    """How far pixels lie from what the middle two of four directions tell."""
    return np.asarray(_four(light, rows, columns, bent)[1:3].mean(axis=0))


def _told(light: Values, rows: Places, columns: Places) -> Values:
    own = samples_near(light, rows, columns, np.zeros((1, 2), np.intp))[:, 0]
    return np.asarray(own - _beyond(light, rows, columns))


def _unseen(light: Values, places: Places, rough: _Rough, most: float) -> tuple[Mask, Places]:
    """Whether neighbours see no more than `most` of points, and where a second one may lie beside
    each; itself where it is alone."""
    rows, columns = np.divmod(places, light.shape[1])
    beyond = _beyond(light, rows, columns)
    size, sign = np.abs(beyond), np.sign(beyond)
    # by their own colour alone, too: what is bent by the point has a part of it
    bent, own = (
        np.stack([_beyond(light, rows + y, columns + x, share) for y, x in CROSS]) * sign
        for share in (BENT, 0.0)
    )
    scatter = np.sqrt(rough.own.flat[places])
    paired = own.max(axis=0) > np.maximum(TWIN * size, CHANCE * scatter)
    strongest = own.argmax(axis=0)
    down = strongest < 2
    bent, own = (
        np.where(paired, np.where(down, one[2:].mean(0), one[:2].mean(0)), one.mean(0))
        for one in (bent, own)
    )
    error = scatter / np.where(paired, 2, 4) ** 0.5
    unseen = np.maximum(bent, own) < np.where(paired, min(ACROSS, most), most) * size
    height, width = light.shape  # two steps away there must be no mirror image, which shows a pair
    inside = (rows > 1) & (rows < height - 2) & (columns > 1) & (columns < width - 2)
    unseen &= inside | ~paired
    steps = np.array([y * light.shape[1] + x for y, x in CROSS])[strongest]
    return unseen & (own + error < ERRING * size), places + np.where(paired, steps, 0)


def _steady(
    planes: Sequence[Plane],
    points: tuple[Places, Places],
    unseen: Mask,
    light: Values,
    cell: _Cell,
) -> tuple[Places, Places]:
    """Those of unseen points, with their twins, that stand out in most frames, beyond chance."""
    places, twins = (one[unseen] for one in points)
    rows, columns = np.divmod(places, light.shape[1])
    size, wholes = _beyond(light, rows, columns), [cell.whole(plane) for plane in planes]
    own = np.stack([one.flat[places] for one in wholes])
    beyond = np.stack([_beyond(one, rows, columns) for one in wholes])
    around = [
        np.std([_beyond(one, rows + y, columns + x) for one in wholes], axis=0, ddof=1)
        for y, x in OWN_COLOUR[1::2]
    ]
    error = len(planes) ** -0.5
    spread = np.maximum(beyond.std(axis=0, ddof=1), FLOOR * np.median(around, axis=0))
    sure = np.abs(beyond.mean(axis=0)) > SURE * error * spread
    # the light that a dead one lacks changes with the scene
    share = own / np.maximum(own - beyond, 1e-3)
    varied = np.maximum(share.std(axis=0, ddof=1), LEAST_SHARE)
    sure |= (size < 0) & (1 - share.mean(axis=0) > SURE * error * varied)
    sure &= np.median(beyond * np.sign(size), axis=0) > STEADY * np.abs(size)
    return places[sure], twins[sure]
