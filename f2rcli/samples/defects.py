"""Samples that are no picture: hot and dead ones, fill values, floats that are no numbers, salt
and pepper.

They are set aside before anything looks at a frame, so that no level, flow or noise is made of
them, and put back into what comes out, bit for bit; but hot and dead samples of a mosaic that no
other colour sees are repaired from their own, and salt and pepper from what is around. What is
neither single nor of one value over an area is a picture, whatever its value.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain, islice, pairwise
from typing import NamedTuple

import numpy as np

from f2rcli.frames import Family, Frame, Mask, Plane, PlaneLayout, same_samples
from f2rcli.samples.dead import dead
from f2rcli.samples.fills import filled, no_light
from f2rcli.samples.impulses import (
    FAR,
    NONE,
    NOWHERE,
    RANGES,
    STEADY_FAR,
    STEADY_RANGES,
    STEADY_SHARE,
    Impulses,
    Places,
    lone,
    medians_of_own,
    without_impulses,
)
from f2rcli.samples.salt_pepper import without_salt_and_pepper
from f2rcli.window import windows
from f2rcli.yuv import code_span

LEAST = {True: 1 / 256, False: 1 / 32}  # of white - black, of mosaics (mostly dark) and of others

SEEN_TOGETHER, LEAST_TOGETHER = 7, 3  # frames of mosaics that show what stays in place
COMPARED = 3  # frames of pictures, itself among them, that show what comes and goes


class Kept(NamedTuple):
    """Samples of a plane that were set aside."""

    places: Places
    samples: Plane  # as many
    impulses: Impulses  # those that are hot or dead; the others are fill values,
    unreal: int  # but for so many that are no numbers
    repaired: Places = NOWHERE  # of the impulses, which are not put back
    salted: int = 0  # samples that were salt and pepper; not put back either


NOTHING = Kept(NOWHERE, np.zeros(0), NONE, 0)


def no_numbers(plane: Plane) -> int:
    """The number of samples of a plane that are not finite."""
    return int(plane.size - np.count_nonzero(np.isfinite(plane))) if plane.dtype.kind == "f" else 0


def without_defects(frames: Iterable[Frame]) -> Iterator[Frame]:
    """The frames of a lane as everything may see them: what is no picture lies in `aside`. Holds
    seven mosaics, or three frames of another kind."""
    return (search() for search in searches(frames))


def searches(frames: Iterable[Frame]) -> Iterator[Callable[[], Frame]]:
    """The work that `without_defects` does for each frame, to be done in this order. Frames are
    read as pieces of it are asked for."""
    source = iter(frames)
    first = next(source, None)
    if first is None:
        return
    layout, source, search = first.layout, chain([first], source), _Search()
    if layout.family is Family.BAYER:
        for window in windows(source, SEEN_TOGETHER):
            yield partial(search.aside, window.centre, window.items)
    elif layout.levels is None and first.planes[0].dtype in (np.uint8, np.uint16):
        opening = list(islice(source, COMPARED))
        search.near.extend(opening[:0:-1])
        for frame in chain(opening, source):
            yield partial(search.aside_unsalted, frame)
    else:
        for frame in source:
            yield partial(search.aside, frame)


@dataclass
class _Search:
    """What one frame is searched with that those before it have left."""

    before: tuple[Kept, ...] = ()  # of the frame before
    near: deque[Frame] = field(default_factory=lambda: deque(maxlen=COMPARED))  # different ones

    def aside(self, frame: Frame, near: Sequence[Frame] = ()) -> Frame:
        """See `set_aside`."""
        done = set_aside(frame, self.before, near)
        self.before = done.aside
        return done

    def aside_unsalted(self, frame: Frame) -> Frame:
        """Of a picture, without salt and pepper, of which `aside` tells how much there was. Each is
        compared with the different ones before it, or at the beginning with those after it."""
        others = [one for one in reversed(self.near) if not same_samples(one, frame)]
        done = self.aside(_one_unsalted(frame, others[: COMPARED - 1]))
        if not self.near or not same_samples(self.near[-1], frame):
            self.near.append(frame)
        return done


def set_aside(frame: Frame, before: Sequence[Kept] = (), near: Sequence[Frame] = ()) -> Frame:
    """The frame with what its surroundings suggest in place of samples that are no picture, and
    those in `aside`, an entry a plane; the frame itself where there are none.

    before: what was set aside of the frame before it: its hot samples are looked for less strictly.
    near: of a mosaic, the frames around it and itself: what stands out in all of them is hot too.
    """
    count = frame.layout.colour_planes
    known = before or [NOTHING] * count
    if frame.layout.family is Family.BAYER:
        found = [_of_mosaic(frame, known[0], near)]
    else:
        found = [
            _of_plane(plane, index, frame.layout, known[index])
            for index, plane in enumerate(frame.planes[:count])
        ]
    if not any(kept.places.size or kept.repaired.size for _, kept in found):
        return frame
    planes = tuple(plane for plane, _ in found)
    aside = tuple(kept for _, kept in found)
    if frame.aside:
        pairs = zip(aside, frame.aside, strict=True)
        aside = tuple(kept._replace(salted=was.salted) for kept, was in pairs)
    return replace(frame, planes=planes + frame.planes[count:], aside=aside)


def _one_unsalted(frame: Frame, near: Sequence[Frame]) -> Frame:
    planes, span = frame.planes[: frame.layout.colour_planes], _span(frame.layout, chroma=False)
    width = 1 if frame.layout.family is Family.YUV else len(planes)  # of planes that are alike
    done = [
        one
        for first in range(0, len(planes), width)
        for one in without_salt_and_pepper(
            planes[first : first + width],
            [other.planes[first : first + width] for other in near],
            span,
        )
    ]
    if not any(count for _, count in done):
        return frame
    aside = tuple(NOTHING._replace(salted=count) for _, count in done)
    whole = (plane for plane, _ in done)
    return replace(frame, planes=(*whole, *frame.planes[len(planes) :]), aside=aside)


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
    chroma = layout.family is Family.YUV and index > 0
    least = LEAST[False] * _span(layout, chroma=chroma)
    # black and white in a picture for the eye are no fill values
    bad = no_light(plane, fills=layout.levels is not None or plane.dtype.kind == "f")
    whole, hot = without_impulses(filled(plane, bad), least, before.impulses)
    return whole, _kept(plane, bad, hot & ~bad)


def _of_mosaic(frame: Frame, before: Kept, near: Sequence[Frame]) -> tuple[Plane, Kept]:
    plane = frame.planes[0]
    least = LEAST[True] * _span(frame.layout, chroma=False)
    bad = no_light(plane, fills=True)
    whole, hot = _colours_without_impulses(plane, bad, least, before.impulses)
    hot &= ~bad
    steady, stars = _steady(near, bad, least, before.repaired)
    alone = np.setdiff1d(lone(plane, whole, hot, before.repaired), stars)
    hot.flat[steady] = True
    whole.flat[steady] = medians_of_own(whole, steady)
    return whole, _kept(plane, bad, hot, np.union1d(alone, steady))


def _colours_without_impulses(
    plane: Plane, bad: Mask, least: float, known: Impulses, far: float = FAR, ranges: float = RANGES
) -> tuple[Plane, Mask]:
    """As `without_impulses`, of a mosaic: a colour has neighbours of its own."""
    whole, hot = plane.copy(), np.zeros(plane.shape, bool)
    for row, column in ((0, 0), (0, 1), (1, 0), (1, 1)):
        at = np.s_[row::2, column::2]
        part = filled(np.ascontiguousarray(plane[at]), bad[at])
        here = known.within(row, column, plane.shape[1])
        whole[at], hot[at] = without_impulses(part, least, here, far, ranges)
    return whole, hot


def _steady(
    frames: Sequence[Frame], bad: Mask, least: float, known: Places
) -> tuple[Places, Places]:
    """Places of single samples that stand out in the mean of mosaics, where noise hides less than
    in one: of those that do so in each of them and that no other colour sees (defects), and of
    those that other colours do see (light)."""
    distinct = [two for one, two in pairwise(frames) if not same_samples(one, two)]
    if len(distinct) + 1 < LEAST_TOGETHER:
        return NOWHERE, NOWHERE
    planes = [one.planes[0] for one in (frames[0], *distinct)]
    mean = _mean(planes)
    whole, hot = _colours_without_impulses(mean, bad, least, NONE, STEADY_FAR, STEADY_RANGES)
    hot &= ~bad
    places = lone(mean, whole, hot, known, pairs=True)
    light = np.setdiff1d(np.flatnonzero(hot), places)
    ground = whole.flat[places].astype(np.float64)
    beyond = mean.flat[places] - ground
    shares = [(one.flat[places] - ground) / beyond for one in planes]
    steady = places[np.min(shares, axis=0) >= STEADY_SHARE]
    black = dead(planes, mean, frames[0].layout.mosaic) if frames[0].layout.mosaic else NOWHERE
    black = black[~bad.flat[black]]
    return np.union1d(steady, black), np.setdiff1d(light, black)


def _mean(planes: Sequence[Plane]) -> Plane:
    """Of integers, rounded to their own kind."""
    import cv2  # not before it is needed: io knows this module

    total = np.zeros(planes[0].shape, np.float32)
    for plane in planes:
        cv2.accumulate(plane, total)
    total *= np.float32(1 / len(planes))
    mean: Plane = np.rint(total, out=total).astype(planes[0].dtype)
    return mean


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
