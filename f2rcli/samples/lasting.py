"""Defects of a sensor beyond doubt: pixels that stand out in the mean of many frames, and no
neighbour sees anything of it.

Optics spread what is light: a point in the middle of a pixel gives each of its four neighbours 50 %
of what it gives the pixel itself if its image is 0.8 pixels wide (standard deviation), 23 % at 0.5,
13 % at 0.4. Noise hides that in one frame, and so does texture; in the mean of many both are less.

What surrounds a pixel tells what it would show: in each of four directions the two samples two
steps away (in a mosaic those of its colour), bent as those between and beyond them bend. A line or
an edge agrees with one of the four, so what all of them miss is a point. Points are compared with
those around, most of them texture.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from f2rcli.frames import Floats, Mask, Plane
from f2rcli.order import robust_sigma
from f2rcli.samples.impulses import CROSS, NOWHERE, OWN_COLOUR, Places, samples_near

LEAST_FRAMES = 3  # that tell what lasts
SEEN = 0.1  # of a defect, that its neighbours may seem to see, with their standard errors
WAYS = ((0, 1), (1, 0), (1, 1), (1, -1))  # down and across
BENT = 0.5  # of what the samples between bend by, that a pixel's own does
AROUND, NEAR = 15, 3  # sides of the squares with the points that one is compared with, and without
ALONE = 2.0  # times the most that any other one around does
ROUGHER = 7.0  # times their root mean square, that a defect stands out by
FAR = 4.0  # standard deviations of all that the mean of frames stands out by
MEAN_TO_SIGMA = 1.2533  # of a Gaussian: its standard deviation by the mean of |x|
# Of the light around: a hole in it that leaves so little in the middle of a pixel is two pixels
# wide, and takes half of the light of each neighbour. A dead pixel's lack less than that.
BLACK, LACKING = 0.1, 0.25
TWIN = 0.15  # of it: where one neighbour sees more it may be another, and those across it tell
CHANCE = 3.0  # standard deviations of what neighbours differ by, that it sees more by
SURE = 7.0  # standard errors, by how much frames differ, that it stands out by
# Of the noise around: what is bright and varies less in so many frames was drawn into the picture;
# in fewer frames samples vary by less by chance.
LIVELY, MOST_FRAMES = 0.35, 9
LOOSE, TINY = np.float32(0.5), np.float32(1e-9)  # of what directions differ by: noise does it, too
LARGEST = 48  # the power of two that values are kept below, so that sums of squares are numbers

Values = NDArray[np.float32]


class Sensor(NamedTuple):
    """The pixels of a sensor, by their place in a cell (2, 2)."""

    black: Plane  # codes without light
    scale: Plane  # makes colours equally bright
    errors: float  # standard errors of what neighbours see that are added to it
    mosaic: bool

    @classmethod
    def of(cls, plane: Plane, black: Plane) -> "Sensor":
        """Of a mosaic."""
        light = [[float(plane[y::2, x::2].mean()) - black[y, x] for x in (0, 1)] for y in (0, 1)]
        return cls(black, 1 / np.maximum(light, 1.0), 1.0, mosaic=True)

    @classmethod
    def of_stack(cls, mean: Plane | Floats) -> "Sensor":
        """Of a stack, in which points may be all there is: none may be lost, and captions may be
        drawn into it. Values whose squares single precision cannot hold are made smaller."""
        _, exponent = np.frexp(np.abs(mean).max())
        scale = np.full((2, 2), 2.0 ** min(0, LARGEST - int(exponent)))
        return cls(np.zeros((2, 2)), scale, 3.0, mosaic=False)

    def light(self, plane: Plane) -> Values:
        """The light of a plane."""
        if not self.mosaic:
            values = plane.astype(np.float32)
            values *= np.float32(self.scale[0, 0])
            return values
        light = np.empty(plane.shape, np.float32)
        for y in (0, 1):
            for x in (0, 1):
                np.subtract(plane[y::2, x::2], np.float32(self.black[y, x]), light[y::2, x::2])
                light[y::2, x::2] *= np.float32(self.scale[y, x])
        return light


class Lasting(NamedTuple):
    """Places that stand out in all of some frames."""

    defects: Places = NOWHERE  # whose neighbours see nothing of it
    light: Places = NOWHERE  # whose neighbours do


class _Points(NamedTuple):
    """What pixels (H, W) of a picture stand out by, in all four directions."""

    least: Values
    power: Values  # the mean square of that around each
    scatter: Values  # the standard deviation around each of what the samples two steps away tell
    far: float  # four standard deviations of all of it

    @classmethod
    def of(cls, light: Values) -> "_Points":
        low, _, _, high = _sorted(_apart(light, BENT))
        _, lower, upper, _ = _sorted(_apart(light, 0.0))
        least, middle = np.maximum(low, 0) + np.minimum(high, 0), (lower + upper) / 2
        far = FAR * robust_sigma(middle.ravel()[:: max(1, middle.size >> 15)])
        mean = np.float32(MEAN_TO_SIGMA) * _around(np.abs(middle))
        return cls(least, _around(least * least), mean, far)


def lasting(
    planes: Sequence[Plane], mean: Plane | Floats, sensor: Sensor, least: float = 0.0
) -> Lasting:
    """What lasts in frames (H, W). mean: of these, or of more; least: codes it stands out by."""
    if min(mean.shape) < AROUND or len(planes) < LEAST_FRAMES:
        return Lasting()
    light = sensor.light(mean)
    least *= float(sensor.scale.min())
    found, seen = _found(planes, light.copy(), sensor, least)
    if found.size:  # which hid others around them
        light.flat[found] = _told(light, found)
        more, seen = _found(planes, light, sensor, least)
        found = np.append(found, more)
    return Lasting(np.sort(found), seen)


def _found(
    planes: Sequence[Plane], light: Values, sensor: Sensor, least: float
) -> tuple[Places, Places]:
    """Defects and points of light. light: of the mean, which is changed."""
    points = _Points.of(light)
    far = max(points.far, least)
    likely = np.square(points.least) > np.float32(ROUGHER**2) * points.power
    if sensor.mosaic:  # a dead pixel hides in texture, which differs by as much as it lacks
        likely |= light < BLACK * (light - points.least)
    places = np.flatnonzero(likely & (np.abs(points.least) > far))
    if not 0 < places.size <= 0.01 * light.size:  # for the time it takes
        return NOWHERE, NOWHERE
    unseen, twins = _unseen(light, places, points, sensor)
    seen, (places, twins) = places[~unseen], (places[unseen], twins[unseen])
    steady = _steady(planes, places, light, sensor)
    places, twins = places[steady], twins[steady]
    alone = _alone(points, places)
    alone |= _black(light, places, sensor)
    # what texture has more of is as good as seen
    seen, places, twins = np.union1d(seen, places[~alone]), places[alone], twins[alone]
    # without those that are sure their twins show, which they may have hidden
    light.flat[places] = _told(light, places)
    hidden = np.setdiff1d(twins, places)
    size = _least(light, hidden)
    hidden = hidden[(np.abs(size) > far) & (size**2 > ROUGHER**2 * points.power.flat[hidden])]
    hidden = hidden[_unseen(light, hidden, points, sensor)[0]]
    hidden = hidden[_steady(planes, hidden, light, sensor)]
    both = (twins == places) | np.isin(twins, np.append(places, hidden))
    return np.append(places[both], np.intersect1d(hidden, twins[both])), seen


def _black(light: Values, places: Places, sensor: Sensor) -> Mask:
    """Which pixels have hardly any light, with much around them."""
    return sensor.mosaic & (light.flat[places] < BLACK * _told(light, places))


def _unseen(light: Values, places: Places, points: _Points, sensor: Sensor) -> tuple[Mask, Places]:
    """Whether neighbours see nothing of points, and where a second one may lie beside each; itself
    where it is alone. Of two side by side those across the pair tell."""
    rows, columns = np.divmod(places, light.shape[1])
    beyond = _beyond(light, rows, columns)
    size, sign = np.abs(beyond), np.sign(beyond)
    # two steps away alone: what is bent by the point has a part of it
    near = np.stack([_beyond(light, rows + y, columns + x, 0.0) for y, x in CROSS]) * sign
    scatter = points.scatter.flat[places]
    paired = near.max(axis=0) > np.maximum(TWIN * size, CHANCE * scatter)
    strongest = near.argmax(axis=0)
    across = np.where(strongest < 2, near[2:].mean(axis=0), near[:2].mean(axis=0))
    seen = np.where(paired, across, near.mean(axis=0))
    error = scatter / np.where(paired, 2, 4) ** 0.5
    height, width = light.shape  # two steps away there must be no mirror image, which shows a pair
    inside = (rows > 1) & (rows < height - 2) & (columns > 1) & (columns < width - 2)
    steps = np.array([y * width + x for y, x in CROSS])[strongest]
    most = np.where(_black(light, places, sensor), LACKING, SEEN) * size
    unseen = (seen + sensor.errors * error < most) & (inside | ~paired)
    return unseen, places + np.where(paired, steps, 0)


def _steady(planes: Sequence[Plane], places: Places, light: Values, sensor: Sensor) -> Mask:
    """Which points stand out in most frames, beyond chance, and vary as samples do."""
    rows, columns = np.divmod(places, light.shape[1])
    size, wholes = _beyond(light, rows, columns), [sensor.light(plane) for plane in planes]
    beyond = np.stack([_beyond(one, rows, columns) for one in wholes])
    around = np.stack([
        np.std([_beyond(one, rows + y, columns + x) for one in wholes], axis=0, ddof=1)
        for y, x in OWN_COLOUR[1::2]
    ])  # fmt: skip
    error = len(planes) ** -0.5
    # Less than half of what those around it differ by is chance.
    spread = np.maximum(beyond.std(axis=0, ddof=1), 0.5 * np.median(around, axis=0))
    sure = np.abs(beyond.mean(axis=0)) > SURE * error * spread
    if sensor.mosaic:  # the light that a dead one lacks changes with the scene
        own = np.stack([one.flat[places] for one in wholes])
        share = own / np.maximum(own - beyond, TINY)
        varied = np.maximum(share.std(axis=0, ddof=1), 0.05)
        sure |= (size < 0) & (1 - share.mean(axis=0) > SURE * error * varied)
    sure &= np.median(beyond * np.sign(size), axis=0) > 0.5 * np.abs(size)
    return np.asarray(sure if sensor.mosaic else sure & _lively(planes, places, size))


def _lively(planes: Sequence[Plane], places: Places, size: Values) -> Mask:
    """Whether pixels vary from frame to frame as those around do, or as what is dark does."""
    shape = np.divmod(places, planes[0].shape[1])
    steps = np.array([(0, 0), *((y, x) for y in (-2, 0, 2) for x in (-2, 0, 2) if y or x)])
    near = np.stack([samples_near(one, *shape, steps) for one in planes]).astype(np.float64)
    spread = near.std(axis=0, ddof=1)
    least = LIVELY * len(planes) / MOST_FRAMES * np.median(spread[:, 1:], axis=1)
    return np.asarray((size < 0) & (spread[:, 0] > 0) | (spread[:, 0] > least))


def _alone(points: _Points, places: Places) -> Mask:
    """Whether points stand out far more than any other around them: rough texture has many."""
    import cv2  # not before it is needed: io knows this module

    others, near = np.abs(points.least), np.zeros(points.least.shape, np.uint8)
    size, power = others.flat[places], points.power.flat[places]
    near.flat[places] = 1
    others[cv2.dilate(near, np.ones((NEAR, NEAR), np.uint8)) > 0] = 0
    most = np.asarray(cv2.dilate(others, np.ones((AROUND, AROUND), np.uint8))).flat[places]
    rows, columns = np.divmod(places, others.shape[1])
    height, width = others.shape  # at the border mirror images count twice
    inside = (rows > 2) & (rows < height - 3) & (columns > 2) & (columns < width - 3)
    return np.asarray((size > ALONE * most) | (inside & (size**2 > 12.0**2 * power)))


def in_place(plane: Plane, places: Places, black: Plane) -> Plane:
    """What is around places of a mosaic tells of them, in codes; no more or less than the eight
    nearest of their colour."""
    sensor = Sensor.of(plane, black)
    rows, columns = np.divmod(places, plane.shape[1])
    at = rows % 2, columns % 2
    near = _sides(sensor.light(plane), rows, columns)
    step = np.square(near[0, 0] - near[0, 1]) + np.square(near[1, 0] - near[1, 1])
    step /= np.maximum(near[0].mean(axis=0), np.float32(0.02))  # noise grows with light
    weights = 1 / (step + LOOSE * step.mean(axis=0) + TINY)  # least across an edge
    told = (_from_sides(near, BENT) * weights).sum(axis=0) / weights.sum(axis=0)
    own = samples_near(plane, rows, columns, np.array(OWN_COLOUR[1:]))
    codes = np.rint(told / sensor.scale[at] + black[at])
    whole: Plane = np.clip(codes, own.min(axis=1), own.max(axis=1)).astype(plane.dtype)
    return whole


def _apart(light: Values, bent: float) -> list[Values]:
    """How far pixels lie from what each direction tells."""
    import cv2

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


def _around(values: Values) -> Values:
    """The mean around each pixel, without what is nearest."""
    import cv2

    whole, own = (
        cv2.boxFilter(values, -1, (side, side), normalize=False, borderType=cv2.BORDER_REFLECT_101)
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


def _told(light: Values, places: Places) -> Values:
    return np.asarray(light.flat[places] - _beyond(light, *np.divmod(places, light.shape[1])))
