"""Frames between their neighbours, as lines and bands are looked for in them."""

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from f2rcli.models.flow import DISFlow, Flow
from f2rcli.noise.measurement.agreement import destriped
from f2rcli.noise.measurement.blocks import FramePlanes
from f2rcli.noise.measurement.profiles import Values

MOST = 256, 384  # rows and columns that are looked at, in the middle
LEAST_ROWS, LEAST_COLUMNS = 48, 64  # of a plane


class Cut:
    """The middle of a picture."""

    def __init__(self, picture: FramePlanes) -> None:
        self.middle = middle(picture)

    @cached_property
    def look(self) -> Values:
        """Its luma, for motion estimation."""
        return destriped(self.middle.luma)

    @cached_property
    def even(self) -> Values:
        """Its luma with rows of equal means, however broad a band is."""
        return evened(self.middle.luma)

    def mean(self, group: Sequence[int]) -> Values:
        """The mean of some planes."""
        planes = [self.middle.planes[index] for index in group]
        return planes[0] if len(planes) == 1 else np.asarray(np.mean(planes, axis=0), np.float32)


class View:
    """A frame between its neighbours, cut to the middle."""

    def __init__(self, before: Cut, centre: Cut, after: Cut) -> None:
        self.centre, self.near = centre, (before, after)

    @cached_property
    def flows(self) -> tuple[Flow, Flow]:
        """Into each neighbour. Most clips have no lines, and a view or two are enough to see it."""
        search, (before, after) = DISFlow(), self.near
        return search(self.centre.look, before.look), search(self.centre.look, after.look)

    @cached_property
    def even_flows(self) -> tuple[Flow, Flow]:
        """The same by pictures whose rows have equal means: bands are no motion."""
        search, (before, after) = DISFlow(), self.near
        return search(self.centre.even, before.even), search(self.centre.even, after.even)


def evened(luma: Values) -> Values:
    """A picture whose rows have equal means."""
    means = luma.mean(1, keepdims=True)
    return np.asarray(luma - means + means.mean(), np.float32)


def middle(picture: FramePlanes) -> FramePlanes:
    """The middle of all planes; chroma grids stay where they are in luma's."""
    height, width = picture.luma.shape
    rows, columns = min(height, MOST[0]), min(width, MOST[1])
    top, left = ((size - kept) // 8 * 4 for size, kept in ((height, rows), (width, columns)))

    def cut(plane: Values) -> Values:
        by = round(height / plane.shape[0]), round(width / plane.shape[1])
        y, x = top // by[0], left // by[1]
        kept = plane[y : y + rows // by[0], x : x + columns // by[1]]
        return np.ascontiguousarray(kept, np.float32)

    return FramePlanes([cut(plane) for plane in picture.planes], cut(picture.luma), picture.chroma)
