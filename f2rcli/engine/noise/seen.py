"""Frames as the line remover sees them, and the flow between them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from f2rcli.engine.cuts import Thumbnail, thumbnail
from f2rcli.frames import Frame
from f2rcli.models.flow import DISFlow, Flow, compose, doubled, halved, resized
from f2rcli.noise.hum.views import evened
from f2rcli.noise.measurement.lines import on_its_side
from f2rcli.noise.measurement.profiles import Values, smooth
from f2rcli.noise.planes import picture_of

LEVEL = 8.0  # rows: of the bands down a picture that flow sees


@dataclass
class Seen:
    """A frame and what the line remover sees of it."""

    copies: list[Frame]
    planes: list[Values]  # as `planes_of` gives them
    small: Values  # luma at half its size, for flow
    shape: tuple[int, ...]  # of luma
    look: Thumbnail
    to_next: "tuple[Seen, Flow] | None" = None

    @classmethod
    def of(cls, copies: list[Frame], *, hum: bool = False, turned: bool = False) -> "Seen":
        """hum: whether it may have bands, which flow must not see; turned: whether it is looked at
        on its side."""
        picture = picture_of(copies[0])
        if turned:
            picture = on_its_side(picture)
        luma = picture.luma
        small = halved(evened(luma) if hum else _levelled(luma))
        return cls(copies, picture.planes, small, luma.shape, thumbnail(luma))

    def flow(self, other: "Seen", start: Flow | None = None) -> Flow:
        """The flow into another frame, at half the size; refined from `start` where it is given."""
        return DISFlow(halved=True)(self.small, other.small, start)

    def onward(self, following: "Seen") -> Flow:
        """The flow into the frame after it, made once."""
        if self.to_next is None or self.to_next[0] is not following:
            self.to_next = (following, self.flow(following))
        return self.to_next[1]

    def sized(self, flow: Flow, shape: tuple[int, ...]) -> Flow:
        """A flow at half the size on the grid of a plane, in its pixels."""
        return resized(doubled(flow, self.shape) * np.float32(2), shape)


def onward(centre: Seen, future: Sequence[Seen]) -> Iterator[Flow]:
    """The flow into each of the frames that follow; long ones begin with those of adjacent ones."""
    flow = None
    for last, one in pairwise([centre, *future]):
        if flow is None:
            flow = centre.onward(one)
        else:
            flow = centre.flow(one, compose(flow, last.onward(one)))
        yield flow


def _levelled(luma: Values) -> Values:
    """A picture with evenly bright rows but for broad bands: flow would take offsets for motion."""
    means = luma.mean(1, keepdims=True)
    return np.asarray(luma - means + smooth(means, LEVEL), np.float32)
