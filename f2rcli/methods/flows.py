"""Flows between frames of a clip: searched once, composed, dropped with their frames."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import reduce
from itertools import pairwise
from typing import Any

from f2rcli.methods.base import Prepared
from f2rcli.models.flow import (
    DISFlow,
    Flow,
    FlowEstimator,
    Luma,
    compose,
    consistency,
    doubled,
    halved,
    inside,
)
from f2rcli.window import Window

HALF = 2.0  # pixels of a picture along one of its flows

FramePair = tuple[Prepared, Prepared]  # a flow leads from the first into the second


@dataclass
class Flows(ABC):
    """Flows between frames of a clip, on grids of half the size and in their pixels: DIS looks no
    finer. Those of adjacent frames are computed once and kept while their frames are; longer ones
    begin from them, serve one window and are not kept."""

    _known: dict[tuple[int, int], Any] = field(default_factory=dict, init=False)

    def flow(self, source: Prepared, target: Prepared) -> Any:
        """Flow from `source` into `target`; a longer one starts from adjacent ones, composed."""
        return self._several([(source, target)])[0]

    def known(self, source: int, target: int) -> Any | None:
        """The flow between two adjacent frames by their indices, where it was made."""
        return self._known.get((source, target))

    def back(self, source: Prepared, target: Prepared) -> Any | None:
        """Flow from `target` back into `source` by adjacent ones; None if one is missing."""
        key = (target.index, source.index)
        return self.known(*key) if _adjacent(key) else self._composed(*key)

    def agreement(self, source: Prepared, target: Prepared, flow: Any) -> Any:
        """Agreement of the flow there and back, or whether it stays inside; of the flow's size."""
        back = self.back(source, target)
        return inside(flow, HALF) if back is None else consistency(flow, back, HALF)

    def chain(self, frames: Sequence[Prepared]) -> None:
        """Make sure that both flows of every adjacent pair of these frames are known."""
        near = [(a, b) for a, b in pairwise(frames) if b.index - a.index == 1]
        self._several([pair for a, b in near for pair in ((a, b), (b, a))])

    def rated(self, window: Window[Prepared]) -> list[tuple[Any, Any]]:
        """The flow to every neighbour and how well it agrees with the one back."""
        centre, neighbours = window.centre, window.neighbours
        self.chain([*window.before, centre, *window.after])
        flows = self._several([(centre, neighbour) for neighbour in neighbours])
        return [
            (flow, self.agreement(centre, neighbour, flow))
            for neighbour, flow in zip(neighbours, flows, strict=True)
        ]

    def forget_before(self, index: int) -> None:
        """Drop every flow that touches a frame before this one."""
        self._known = {key: flow for key, flow in self._known.items() if min(key) >= index}

    @abstractmethod
    def whole(self, flow: Any, shape: tuple[int, ...]) -> Any:
        """A flow in the pixels of pictures of this shape (..., H, W)."""

    @abstractmethod
    def _found(self, pairs: Sequence[FramePair], starts: Sequence[Any | None]) -> list[Any]:
        """Flows of several pairs by a search, from where each starts."""

    @abstractmethod
    def look(self, luma: Any) -> Any:
        """What a frame of this brightness is searched in."""

    def _several(self, pairs: Sequence[FramePair]) -> list[Any]:
        """Flows of several pairs: those that are known, and the others in one search."""
        flows = {_key(pair): self.known(*_key(pair)) for pair in pairs}
        new = [pair for pair in pairs if flows[_key(pair)] is None]
        found = self._found(new, [self._composed(*_key(pair)) for pair in new])
        flows |= {_key(pair): flow for pair, flow in zip(new, found, strict=True)}
        self._known |= {key: flow for key, flow in flows.items() if _adjacent(key)}
        return list(flows.values())

    def _look(self, frame: Prepared) -> Any:
        return self.look(frame.luma) if frame.look is None else frame.look

    def _composed(self, source: int, target: int) -> Any | None:
        step = 1 if target > source else -1
        links = [(i, i + step) for i in range(source, target, step)]
        if any(link not in self._known for link in links):
            return None
        *earlier, last = (self._known[link] for link in links)
        return reduce(lambda flow, link: compose(link, flow), reversed(earlier), last)


def _key(pair: FramePair) -> tuple[int, int]:
    return pair[0].index, pair[1].index


def _adjacent(key: tuple[int, int]) -> bool:
    return abs(key[0] - key[1]) == 1


@dataclass
class FlowBook(Flows):
    """Flows (h, w, 2) and agreements (h, w) as arrays on the processor, one after the other."""

    estimator: FlowEstimator = field(default_factory=lambda: DISFlow(halved=True))

    def whole(self, flow: Flow, shape: tuple[int, ...]) -> Flow:
        whole = doubled(flow, shape[-2:])
        whole *= HALF
        return whole

    def _found(self, pairs: Sequence[FramePair], starts: Sequence[Flow | None]) -> list[Flow]:
        return [
            self.estimator(self._look(source), self._look(target), start)
            for (source, target), start in zip(pairs, starts, strict=True)
        ]

    def look(self, luma: Luma) -> Luma:
        return halved(luma)
