"""Invalid samples: hot and dead pixels, fill values, NaN and infinities.

They are set aside before anything looks at a frame, so that they affect no level, flow or noise
estimate, and put back into the result bit for bit. Hot and dead pixels of a mosaic that no other
colour sees are repaired from their own colour instead.
Samples that are neither single nor of one value over an area are picture, whatever their value.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import NamedTuple

import numpy as np

from f2rcli.frames import Family, Frame, Mask, Plane, PlaneLayout
from f2rcli.samples.impulses import (
    NONE,
    NOWHERE,
    Impulses,
    Places,
    filled,
    lone,
    no_light,
    without_impulses,
)
from f2rcli.samples.lasting import Sensor, in_place
from f2rcli.units import count
from f2rcli.yuv import code_span

LEAST = {True: 1 / 256, False: 1 / 32}  # of white - black, of mosaics (mostly dark) and of others


class Kept(NamedTuple):
    """Samples of a plane that were set aside."""

    places: Places
    samples: Plane  # as many
    impulses: Impulses  # those that are hot or dead; the others are fill values,
    unreal: int  # but for so many that are no numbers
    repaired: Places  # of the impulses, which are not put back


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


def searches(frames: Iterable[Frame]) -> Iterator[Callable[[], Frame]]:
    """`set_aside` of each frame, in order, to be called in order; frames are read as needed."""
    before: tuple[Kept, ...] = ()

    def search(frame: Frame) -> Frame:
        nonlocal before
        done = set_aside(frame, before)
        before = done.aside
        return done

    return (partial(search, frame) for frame in frames)


def set_aside(frame: Frame, before: Sequence[Kept] = ()) -> Frame:
    """The frame with what its surroundings suggest in place of invalid samples, and
    those in `aside`, an entry a plane; the frame itself where there are none.

    before: what was set aside of the frame before it: its hot samples are looked for less strictly.
    """
    count = frame.layout.colour_planes
    if frame.layout.family is Family.BAYER:
        found = [_of_mosaic(frame)]
    else:
        known = [kept.impulses for kept in before] or [NONE] * count
        each = enumerate(zip(frame.planes[:count], known, strict=True))
        found = [_of_plane(plane, index, frame.layout, hot) for index, (plane, hot) in each]
    if not any(kept.places.size or kept.repaired.size for _, kept in found):
        return frame
    planes = tuple(plane for plane, _ in found)
    aside = tuple(kept for _, kept in found)
    return replace(frame, planes=planes + frame.planes[count:], aside=aside)


def all_aside(frame: Frame) -> Frame:
    """The frame with all samples in `aside` that are not `stored`."""
    found = list[Kept]()
    for index, plane in enumerate(put_back(frame).planes):
        places = np.flatnonzero(~frame.stored[index]) if frame.stored else _every(plane.size)
        samples = plane.ravel()[places]
        found.append(Kept(places, samples, NONE, no_numbers(samples), NOWHERE))
    return replace(frame, aside=tuple(found))


_every = lru_cache(1)(np.arange)  # many frames in a row may share it


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


def _of_plane(plane: Plane, index: int, layout: PlaneLayout, known: Impulses) -> tuple[Plane, Kept]:
    # black and white in a picture for the eye are no fill values
    bad = no_light(plane, fills=layout.levels is not None or plane.dtype.kind == "f")
    span = code_span(layout, index)[1]
    whole, hot = without_impulses(filled(plane, bad), LEAST[False] * span, known)
    return whole, _kept(plane, bad, hot & ~bad)


def _of_mosaic(frame: Frame) -> tuple[Plane, Kept]:
    plane, mosaic = frame.planes[0], frame.layout.mosaic
    assert mosaic is not None
    least = LEAST[True] * min(w - b for b, w in zip(mosaic.black, mosaic.white, strict=True))
    bad = no_light(plane, fills=True)
    whole, hot = plane.copy(), np.zeros(plane.shape, bool)
    for row, column in ((0, 0), (0, 1), (1, 0), (1, 1)):  # a colour has neighbours of its own
        at = np.s_[row::2, column::2]
        part = filled(np.ascontiguousarray(plane[at]), bad[at])
        whole[at], hot[at] = without_impulses(part, least)
    hot &= ~bad
    repaired = lone(plane, whole, hot)
    if repaired.size:
        whole.flat[repaired] = in_place(whole, repaired, Sensor.of(whole, mosaic))
    return whole, _kept(plane, bad, hot, repaired)


def _kept(plane: Plane, bad: Mask, hot: Mask, repaired: Places = NOWHERE) -> Kept:
    back = bad | hot
    back.flat[repaired] = False
    places = np.flatnonzero(back)
    samples = plane.ravel()[places]
    impulses = Impulses(at := np.flatnonzero(hot), plane.ravel()[at])
    return Kept(places, samples, impulses, no_numbers(samples), repaired)
