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
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from f2rcli.frames import Floats, Mask, Mosaic, Plane
from f2rcli.samples.impulses import CROSS, NOWHERE, OWN_COLOUR, Places, robust_sigma, samples_near
from f2rcli.yuv import plane_colours

SEEN = 0.1  # of a defect, that its neighbours may seem to see, with their standard errors
WAYS = ((0, 1), (1, 0), (1, 1), (1, -1))  # down and across
BENT = 0.5  # of what the samples between bend by, that a pixel's own does
AROUND, NEAR = 15, 3  # sides of the squares with the points that one is compared with, and without
ROUGHER = 7.0  # times their root mean square, that a defect stands out by
FAR = 4.0  # standard deviations of all that the mean of frames stands out by
# Of the light around: a hole in it that leaves so little in the middle of a pixel is two pixels
# wide, and takes half of the light of each neighbour. A dead pixel's lack less than that.
BLACK, LACKING = 0.1, 0.25
SURE = 7.0  # standard errors, by how much frames differ, that it stands out by
# Of the noise around: what is bright and varies less in so many frames was drawn into the picture;
# in fewer frames samples vary by less by chance.
LIVELY, MOST_FRAMES = 0.35, 9
LARGEST = 48  # the power of two that values are kept below, so that sums of squares are numbers

Values = NDArray[np.float32]


class Sensor(NamedTuple):
    """The pixels of a sensor, by their place in a cell (2, 2)."""

    black: Plane  # codes without light
    scale: Plane  # makes colours equally bright
    errors: float  # standard errors of what neighbours see that are added to it
    mosaic: bool

    @classmethod
    def of(cls, plane: Plane | Floats, mosaic: Mosaic | None) -> "Sensor":
        """By a picture of it, (H, W). Without a mosaic it is a stack's, in which points may be all
        there is: none may be lost, and captions may be drawn into it. Values whose squares single
        precision cannot hold are made smaller."""
        if mosaic is None:
            _, exponent = np.frexp(np.abs(plane).max())
            scale = np.full((2, 2), 2.0 ** min(0, LARGEST - int(exponent)))
            return cls(np.zeros((2, 2)), scale, 3.0, mosaic=False)
        black = np.array(mosaic.black)[np.array(plane_colours(mosaic.pattern))]
        light = [[float(plane[y::2, x::2].mean()) - black[y, x] for x in (0, 1)] for y in (0, 1)]
        return cls(black, 1 / np.maximum(light, 1.0), 1.0, mosaic=True)

    def light(self, plane: Plane | Floats) -> Values:
        light = np.empty(plane.shape, np.float32)
        for y in (0, 1):
            for x in (0, 1):
                part = plane[y::2, x::2].astype(np.float32) - np.float32(self.black[y, x])
                light[y::2, x::2] = part * np.float32(self.scale[y, x])
        return light


def lasting(planes: Sequence[Plane], mean: Plane | Floats, mosaic: Mosaic | None = None) -> Places:
    """The defects that some frames (H, W) of a lane show. mean: of these, or of more."""
    planes = [*planes[:1], *(b for a, b in pairwise(planes) if not np.array_equal(a, b))]
    # fewer do not tell by how much samples vary
    if min(mean.shape) < AROUND or len(planes) < (5 if mosaic is None else 3):
        return NOWHERE
    sensor = Sensor.of(mean, mosaic)
    light, found = sensor.light(mean), NOWHERE
    for _ in range(8):  # the brightest hide others around them: of 2 % of all, some for six rounds
        if not (new := _found(planes, light, sensor)).size:
            break
        light.flat[new] -= _beyond(light, *np.divmod(new, light.shape[1]))
        found = np.union1d(found, new)
    # Fewer are no pattern.
    return NOWHERE if found.size > 0.005 * mean.size and _regular(found, light.shape) else found


def _regular(places: Places, shape: tuple[int, ...]) -> bool:
    """Whether most places have another at one and the same step: points of a pattern do, while
    where a sensor has one defect says nothing of where it has others."""
    marks = np.zeros(shape, np.float32)
    marks.flat[places] = 1
    pairs = np.fft.irfft2(np.square(np.abs(np.fft.rfft2(marks))), shape)  # by step, around the ends
    pairs[0, 0] = 0
    return bool(pairs.max() > places.size / 2)


def _found(planes: Sequence[Plane], light: Values, sensor: Sensor) -> Places:
    low, lower, upper, high = _sorted(_apart(light))
    points, middle = np.maximum(low, 0) + np.minimum(high, 0), (lower + upper) / 2
    far = FAR * robust_sigma(middle.ravel()[:: max(1, middle.size >> 15)])
    likely = np.square(points) > np.float32(ROUGHER**2) * _around(points * points)
    if sensor.mosaic:  # a dead pixel hides in texture, which differs by as much as it lacks
        likely |= light < BLACK * (light - points)
    places = np.flatnonzero(likely & (np.abs(points) > far))
    if not 0 < places.size <= 0.05 * light.size:  # for the time it takes
        return NOWHERE
    # A Gaussian's standard deviation is 1.25 times the mean of |x|.
    scatter = np.float32(1.2533) * _around(np.abs(middle))
    places = places[_unseen(light, places, scatter.flat[places], sensor)]
    return places[_steady(planes, places, light, sensor)]


def _unseen(light: Values, places: Places, scatter: Values, sensor: Sensor) -> Mask:
    """Whether neighbours see nothing of points."""
    rows, columns = np.divmod(places, light.shape[1])
    beyond = _beyond(light, rows, columns)
    # two steps away alone: what is bent by the point has a part of it
    near = np.mean([_beyond(light, rows + y, columns + x, 0.0) for y, x in CROSS], axis=0)
    dark = sensor.mosaic & (light.flat[places] < BLACK * (light.flat[places] - beyond))
    most = np.where(dark, LACKING, SEEN) * np.abs(beyond)
    return np.asarray(near * np.sign(beyond) + sensor.errors * scatter / 2 < most)


def _steady(planes: Sequence[Plane], places: Places, light: Values, sensor: Sensor) -> Mask:
    """Which points stand out in most frames, beyond chance, and vary as samples do."""
    rows, columns = np.divmod(places, light.shape[1])
    size = _beyond(light, rows, columns)
    own, beyond, around, near = [], [], [], []
    for plane in planes:
        whole = sensor.light(plane)
        own.append(whole.flat[places])
        beyond.append(_beyond(whole, rows, columns))
        around.append([_beyond(whole, rows + y, columns + x) for y, x in OWN_COLOUR[1::2]])
        near.append(samples_near(whole, rows, columns, np.array(OWN_COLOUR)))
    error, each = len(planes) ** -0.5, np.stack(beyond)
    # Less than half of what those around it differ by is chance.
    usual = np.median(np.std(around, axis=0, ddof=1), axis=0)
    spread = np.maximum(each.std(axis=0, ddof=1), 0.5 * usual)
    sure = np.abs(each.mean(axis=0)) > SURE * error * spread
    if sensor.mosaic:  # the light that a dead one lacks changes with the scene
        share = np.stack(own) / np.maximum(np.stack(own) - each, np.float32(1e-9))
        varied = np.maximum(share.std(axis=0, ddof=1), 0.05)
        sure |= (size < 0) & (1 - share.mean(axis=0) > SURE * error * varied)
    sure &= np.median(each * np.sign(size), axis=0) > 0.5 * np.abs(size)
    if sensor.mosaic:
        return np.asarray(sure)
    # What is dark varies less than what is around it, what is drawn not at all.
    noise = np.std(near, axis=0, ddof=1)
    lively = LIVELY * len(planes) / MOST_FRAMES * np.median(noise[:, 1:], axis=1)
    return np.asarray(sure & (noise[:, 0] > np.where(size < 0, 0, lively)))


def in_place(plane: Plane, places: Places, sensor: Sensor) -> Plane:
    """What is around places tells of them, in codes, within the eight nearest of their colour."""
    rows, columns = np.divmod(places, plane.shape[1])
    at, light = (rows % 2, columns % 2), sensor.light(plane)
    told = light.flat[places] - _beyond(light, rows, columns)
    around = np.array(OWN_COLOUR[1:]) // (1 if sensor.mosaic else 2)
    near = samples_near(plane, rows, columns, around)
    codes = told / sensor.scale[at] + sensor.black[at]
    whole: Plane = np.clip(codes, near.min(axis=1), near.max(axis=1))
    return (whole if plane.dtype.kind == "f" else np.rint(whole)).astype(plane.dtype)


def _apart(light: Values) -> list[Values]:
    """How far pixels lie from what each direction tells."""
    import cv2  # not before it is needed: io knows this module

    found = []
    for down, across in WAYS:
        kernel = np.zeros((7, 7), np.float32)
        for far, share in ((0, 0.5), (2, -0.5), (1, -BENT / 2), (3, BENT / 2)):
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


def _beyond(light: Values, rows: Places, columns: Places, bent: float = BENT) -> Values:
    """How far pixels lie from what the middle two of four directions tell: the samples two, one and
    three steps to both sides."""
    steps = np.concatenate([far * np.array(WAYS) for far in (2, -2, 1, -1, 3, -3)])
    own = samples_near(light, rows, columns, np.zeros((1, 2), np.intp))[:, 0]
    near = samples_near(light, rows, columns, steps).T.reshape(3, 2, len(WAYS), -1).mean(axis=1)
    told = near[0] + np.float32(bent) * (near[1] - near[2])
    return np.asarray(np.sort(own - told, axis=0)[1:3].mean(axis=0))
