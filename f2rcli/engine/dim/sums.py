"""Means of frames in a row, and what lies between them once they are restored."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

from f2rcli.engine.cuts import same_shot, thumbnail
from f2rcli.frames import Frame
from f2rcli.noise.model import planes_of
from f2rcli.order import Reals

Copies = list[Frame]  # that show one picture
Joined = Callable[[Frame, Frame], bool]

SURE_CUT = 3.0  # times the change that noise alone makes of small pictures


class Shown(NamedTuple):
    """A picture, its place in the clip, and whether a shot begins with it."""

    number: int
    copies: Copies
    begins: bool


@dataclass
class Sum:
    """Pictures in a row of one shot whose mean is restored as one; the last of a shot closes it."""

    members: list[Shown] = field(default_factory=list)
    closes: bool = False

    @property
    def middle(self) -> float:
        """The place of its middle in the clip."""
        return float(np.mean([one.number for one in self.members]))

    @cached_property
    def mean(self) -> tuple[Reals, ...]:
        """The mean of its pictures' planes, in codes."""
        first = self.members[0].copies[0]
        exact = np.float64 if first.planes[0].dtype.itemsize > 2 else np.float32
        planes = zip(*(one.copies[0].planes for one in self.members), strict=True)
        return tuple(np.asarray(np.mean(one, axis=0, dtype=np.float64), exact) for one in planes)

    @property
    def frame(self) -> Frame:
        """Its mean as a frame of floats, with the sum as its `source`."""
        first = self.members[0].copies[0]
        layout = replace(first.layout, bits=32)
        whole = replace(first, aside=(), stored=())
        return replace(whole, planes=self.mean, layout=layout, source=self, context=False)


def joined(variance: float) -> Joined:
    """Whether two frames in a row show the same shot; variance: of their noise, in units of white
    squared, which alone may part small pictures."""

    def same(before: Frame, after: Frame) -> bool:
        planes = [planes_of(frame)[0] for frame in (before, after)]
        looks = [np.asarray(thumbnail(plane)) for plane in planes]
        alone = 2 * variance * looks[0].size / planes[0].size
        change = float(np.mean(np.square(looks[0] - looks[1])))
        return change < SURE_CUT * alone or same_shot(looks[0], looks[1])

    return same


def summed(pictures: Iterable[Copies], size: int, first: int, same: Joined) -> Iterator[Sum]:
    """Pictures, the `first` of the clip and on, in sums of `size` whose bounds are multiples of it;
    none reaches across a cut. What is left of less than half of that joins the sum beside it."""
    done: Sum | None = None
    now = Sum()
    for shown in _shown(pictures, first, same):
        if now.members and (shown.begins or shown.number % size == 0):
            yield from _settled(done, now, size, last=shown.begins)
            done, now = (None, Sum()) if shown.begins else (_kept(done, now, size), Sum())
        now.members.append(shown)
    if now.members:
        yield from _settled(done, now, size, last=True)


def _small(one: Sum, size: int) -> bool:
    return 2 * len(one.members) < size


def _kept(done: Sum | None, now: Sum, size: int) -> Sum:
    """What waits after two sums of a shot: the later, with an earlier too small to stand alone."""
    if done is None or not (_small(done, size) or _small(now, size)):
        return now
    return Sum(done.members + now.members)


def _settled(done: Sum | None, now: Sum, size: int, *, last: bool) -> Iterator[Sum]:
    """Of two sums in a row, those that no later picture changes; last: none of the shot follows."""
    kept = _kept(done, now, size)
    if done is not None and kept is now:
        yield done
    if last:
        kept.closes = True
        yield kept


def _shown(pictures: Iterable[Copies], first: int, same: Joined) -> Iterator[Shown]:
    before: Frame | None = None
    for number, copies in enumerate(pictures, first):
        yield Shown(number, copies, before is None or not same(before, copies[0]))
        before = copies[0]


class Estimated(NamedTuple):
    """A picture, and what it shows by its restored sums: planes in codes."""

    shown: Shown
    planes: tuple[Reals, ...]


def between(restored: Iterable[Frame]) -> Iterator[Estimated]:
    """Every picture of restored `Sum.frame`s in order: linear between middles of a shot's sums."""
    before: Frame | None = None
    waiting: deque[Shown] = deque()
    for after in restored:
        here: Sum = after.source
        waiting.extend(here.members)
        while waiting and (here.closes or waiting[0].number < here.middle):
            shown = waiting.popleft()
            yield Estimated(shown, _mixed(before, after, shown.number))
        before = None if here.closes else after


def _mixed(before: Frame | None, after: Frame, number: int) -> tuple[Reals, ...]:
    if before is None:
        return after.planes
    start, end = before.source.middle, after.source.middle
    share = min((number - start) / (end - start), 1.0)
    return tuple(a + (b - a) * share for a, b in zip(before.planes, after.planes, strict=True))
