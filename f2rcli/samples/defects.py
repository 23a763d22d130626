"""Invalid samples: hot and dead pixels, fill values, NaN and infinities.

They are set aside before anything looks at a frame, so that they affect no level, flow or noise
estimate, and put back into the result bit for bit. Hot and dead pixels of a mosaic that no other
colour sees are repaired from their own colour instead.
Samples that are neither single nor of one value over an area are picture, whatever their value.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, pairwise
from typing import NamedTuple

import numpy as np

from f2rcli.frames import Family, Frame, Mask, Plane, PlaneLayout, same_samples
from f2rcli.samples.impulses import (
    NONE,
    NOWHERE,
    Impulses,
    Places,
    filled,
    lone,
    medians_of_own,
    no_light,
    without_impulses,
)
from f2rcli.samples.lasting import Lasting, Sensor, in_place, lasting
from f2rcli.sensor import cell_blacks
from f2rcli.units import count
from f2rcli.window import windows
from f2rcli.yuv import code_span

LEAST = {True: 1 / 256, False: 1 / 32}  # of white - black, of mosaics (mostly dark) and of others

SEEN_TOGETHER, LEAST_TOGETHER = 7, 3  # frames of mosaics that show what stays in place
LOOKED_EVERY = 4  # frames: sensors change less than scenes
MOST_PAST = 24  # mosaics before those, whose mean shows it where the scene moves
# Mosaics before the lead-in of an excerpt that are remembered, too: what was earlier still weighs
# 2 % by the excerpt's first frame.
RECALLED = 72


class Kept(NamedTuple):
    """Samples of a plane that were set aside."""

    places: Places
    samples: Plane  # as many
    impulses: Impulses  # those that are hot or dead; the others are fill values,
    unreal: int  # but for so many that are no numbers
    repaired: Places = NOWHERE  # of the impulses, which are not put back


NOTHING = Kept(NOWHERE, np.zeros(0), NONE, 0)
NOTHING_LASTS = Lasting()


@dataclass
class SetAside:
    """Counts of samples set aside, over a run."""

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
        """The lines worth saying about it."""
        said = []
        if self.impulses:
            most = ("at most ", " a picture,") if self.hit > 1 else ("", "")
            s = "" if self.impulses == 1 else "s"
            what = f"outlier{s} (hot or dead pixel{s})"
            where = f"in {self.hit} of {self.frames} pictures"
            said.append(f"{most[0]}{self.impulses} {what}{most[1]} {where}: {self._fate}")
        if self.unreal:
            said.append(unreal_line(self.unreal))
        if self.fills:
            said.append(f"fill values in {count(self.fills, 'sample')}: kept as stored")
        return said

    @property
    def _fate(self) -> str:
        """The fate of impulses."""
        if not self.repaired:
            return "kept as stored"
        rest = "" if self.repaired == self.impulses else ", the others kept as stored"
        most = f"at most {self.repaired} a picture" if self.hit > 1 else f"{self.repaired}"
        return f"{most} repaired{rest}"


def unreal_line(number: int) -> str:
    """A note on samples that are not finite."""
    return f"{count(number, 'sample')} not finite (NaN or infinite): kept as stored"


def no_numbers(plane: Plane) -> int:
    """The number of samples of a plane that are not finite."""
    return int(plane.size - np.count_nonzero(np.isfinite(plane))) if plane.dtype.kind == "f" else 0


def without_defects(frames: Iterable[Frame]) -> Iterator[Frame]:
    """A lane's frames with `aside` taken out; holds seven mosaics, or one other frame."""
    return (search() for search in searches(frames))


def searches(frames: Iterable[Frame]) -> Iterator[Callable[[], Frame]]:
    """The searches of `without_defects` for each frame, in order; frames are read as needed."""
    source = iter(frames)
    first = next(source, None)
    if first is None:
        return
    source, search = chain([first], source), _Search()
    if first.layout.family is Family.BAYER:
        for window in windows(search.recalling(source), SEEN_TOGETHER):
            yield partial(search.aside, window.centre, window.items)
    else:
        for frame in source:
            yield partial(search.aside, frame)


class _Past:
    """The sum of the mosaics before those seen together; those long ago count less."""

    def __init__(self) -> None:
        self.total: Plane = np.zeros(0)
        self.frames = 0.0
        self.last: Frame | None = None

    def add(self, frame: Frame) -> None:
        """Take in one more, unless it is a copy of the last."""
        if self.last is not None and same_samples(self.last, frame):
            return
        plane, self.last = frame.planes[0], frame
        if self.total.shape != plane.shape:
            self.total, self.frames = plane.astype(np.float32), 1.0
            return
        kept = min(1.0, (MOST_PAST - 1) / self.frames)
        self.total = self.total * np.float32(kept) + plane
        self.frames = self.frames * kept + 1

    def mean(self, planes: Sequence[Plane]) -> Plane:
        """The mean of these and of some more."""
        import cv2  # not before it is needed: io knows this module

        total, frames = np.zeros(planes[0].shape, np.float32), float(len(planes))
        for plane in planes:
            cv2.accumulate(plane, total)
        if self.total.shape == total.shape:
            total, frames = total + self.total, frames + self.frames
        mean: Plane = total / np.float32(frames)
        return mean


class _Search:
    """What one frame is searched with that those before it have left."""

    def __init__(self) -> None:
        self.before: tuple[Kept, ...] = ()  # of the frame before
        self.past = _Past()
        self.first: Frame | None = None  # of the mosaics seen together
        self.lasting = NOTHING_LASTS
        self.looked: int | None = None  # when that was looked for, in LOOKED_EVERY frames
        self.seen = 0  # frames

    def recalling(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """The frames but for the first ones that are only to be remembered, and are."""
        for frame in frames:
            if frame.recalled:
                self.past.add(frame)
            else:
                yield frame

    def aside(self, frame: Frame, near: Sequence[Frame] = ()) -> Frame:
        """See `set_aside`. near: of a mosaic, the frames around it and itself."""
        if near and near[0] is not self.first:
            if self.first is not None and not same_samples(self.first, near[0]):
                self.past.add(self.first)
            self.first = near[0]
        # by places in the clip, so that excerpts look at the frames that the whole run looks at
        turn = (self.seen if frame.index is None else frame.index) // LOOKED_EVERY
        if near and turn != self.looked:
            self.lasting, self.looked = _lasting(near, self.past), turn
        self.seen += 1
        done = set_aside(frame, self.before, self.lasting)
        self.before = done.aside
        return done


def set_aside(frame: Frame, before: Sequence[Kept] = (), lasting: Lasting = NOTHING_LASTS) -> Frame:
    """The frame with what its surroundings suggest in place of invalid samples, and
    those in `aside`, an entry a plane; the frame itself where there are none.

    before: what was set aside of the frame before it: its hot samples are looked for less strictly.
    lasting: of a mosaic, what the frames around it show in its place.
    """
    count = frame.layout.colour_planes
    known = before or [NOTHING] * count
    if frame.layout.family is Family.BAYER:
        found = [_of_mosaic(frame, known[0], lasting)]
    else:
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
    chroma = layout.family is Family.YUV and index > 0
    least = LEAST[False] * _span(layout, chroma=chroma)
    # black and white in a picture for the eye are no fill values
    bad = no_light(plane, fills=layout.levels is not None or plane.dtype.kind == "f")
    whole, hot = without_impulses(filled(plane, bad), least, before.impulses)
    return whole, _kept(plane, bad, hot & ~bad)


def _of_mosaic(frame: Frame, before: Kept, lasting: Lasting) -> tuple[Plane, Kept]:
    plane = frame.planes[0]
    least = LEAST[True] * _span(frame.layout, chroma=False)
    bad = no_light(plane, fills=True)
    whole, hot = _colours_without_impulses(plane, bad, least, before.impulses)
    hot &= ~bad
    steady = lasting.defects[~bad.flat[lasting.defects]]
    alone = np.setdiff1d(lone(plane, whole, hot, before.repaired), lasting.light)
    hot.flat[steady] = True
    repaired = np.union1d(alone, steady)
    whole.flat[steady] = medians_of_own(whole, steady)
    if repaired.size and frame.layout.mosaic is not None:
        whole.flat[repaired] = in_place(whole, repaired, cell_blacks(frame.layout.mosaic))
    return whole, _kept(plane, bad, hot, repaired)


def _colours_without_impulses(
    plane: Plane, bad: Mask, least: float, known: Impulses
) -> tuple[Plane, Mask]:
    """As `without_impulses`, of a mosaic: a colour has neighbours of its own."""
    whole, hot = plane.copy(), np.zeros(plane.shape, bool)
    for row, column in ((0, 0), (0, 1), (1, 0), (1, 1)):
        at = np.s_[row::2, column::2]
        part = filled(np.ascontiguousarray(plane[at]), bad[at])
        here = known.within(row, column, plane.shape[1])
        whole[at], hot[at] = without_impulses(part, least, here)
    return whole, hot


def _lasting(frames: Sequence[Frame], past: _Past) -> Lasting:
    """What lasts in mosaics."""
    distinct = [two for one, two in pairwise(frames) if not same_samples(one, two)]
    mosaic = frames[0].layout.mosaic
    if len(distinct) + 1 < LEAST_TOGETHER or mosaic is None:
        return NOTHING_LASTS
    planes = [one.planes[0] for one in (frames[0], *distinct)]
    mean, least = past.mean(planes), LEAST[True] * _span(frames[0].layout, chroma=False)
    return lasting(planes, mean, Sensor.of(mean, cell_blacks(mosaic)), least)


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
