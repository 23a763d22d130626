"""Flows between frames of a clip: searched once, composed, dropped with their frames.

On a processor one after the other; where frames stay on a GPU many in one call.
"""

from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from typing import Any, cast

import torch
from torch import Tensor

from f2rcli.methods.base import Prepared
from f2rcli.models.flow import Flow, compose, consistency, dis_flow
from f2rcli.models.placing import at_rest
from f2rcli.models.recorded import Graphs
from f2rcli.models.variational import variational_flows
from f2rcli.window import Window

HALF = 2.0  # pixels of a picture along one of its flows

FramePair = tuple[Prepared, Prepared]  # a flow leads from the first into the second


class FlowBook:
    """Flows between frames of a clip, on grids of half the size and in their pixels: DIS looks no
    finer. Those of adjacent frames are computed once and kept while their frames are; longer ones
    begin from them, serve one window and are not kept."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, int], Flow] = {}

    def flow(self, source: Prepared, target: Prepared) -> Flow:
        """Flow from `source` into `target`; a longer one starts from adjacent ones, composed."""
        return self._several([(source, target)])[0]

    def known(self, source: int, target: int) -> Flow | None:
        """The flow between two adjacent frames by their indices, where it was made."""
        return self._known.get((source, target))

    def chain(self, frames: Sequence[Prepared]) -> list[Flow]:
        """Both flows of every pair of these frames in a row, there and back, known from now on."""
        return self._several(_both_ways(frames))

    def rated(self, window: Window[Prepared]) -> list[tuple[Flow, Tensor]]:
        """The flow to every neighbour and how well it agrees with the one back, (1, 1, h, w); what
        rests is where it was, and agrees."""
        centre, neighbours = window.centre, window.neighbours
        links = self.chain(window.items)
        flows = torch.cat(self._several([(centre, one) for one in neighbours]))
        backs = self._composed([(one.index, centre.index) for one in neighbours])
        rests = at_rest(links[::2], links[1::2])
        sure = torch.maximum(consistency(flows, torch.cat(backs), HALF), rests.float())
        flows = flows * ~rests[:, 0, ..., None]
        return list(zip(*(one.chunk(len(neighbours)) for one in (flows, sure)), strict=True))

    def forget_before(self, index: int) -> None:
        """Drop every flow that touches a frame before this one."""
        self._known = {key: flow for key, flow in self._known.items() if min(key) >= index}

    def forget_from(self, index: int) -> None:
        """Drop every flow that touches this frame or a later one: it is prepared anew."""
        self._known = {key: flow for key, flow in self._known.items() if max(key) < index}

    def _found(self, pairs: Sequence[FramePair], starts: Sequence[Flow | None]) -> list[Flow]:
        """Flows of several pairs by a search, from where each starts. The way back does not start
        from the one there: where both err alike nothing seems to stand still (0.1 dB of still
        scenes at sigma 50)."""
        looks = ([one.look[0, 0].numpy() for one in pair] for pair in pairs)
        return [
            dis_flow(a, b, start, small=True) for (a, b), start in zip(looks, starts, strict=True)
        ]

    def _several(self, pairs: Sequence[FramePair]) -> list[Flow]:
        """Flows of several pairs: those that are known, and the others in one search."""
        new = [pair for pair in pairs if _key(pair) not in self._known]
        found = self._found(new, self._composed(list(map(_key, new))))
        made = dict(zip(map(_key, new), found, strict=True))
        flows = self._known | made
        self._known |= {(a, b): flow for (a, b), flow in made.items() if abs(a - b) == 1}
        return [flows[_key(pair)] for pair in pairs]

    def _composed(self, pairs: Sequence[tuple[int, int]]) -> list[Any]:
        """Adjacent flows as one, of several pairs of indices; None where not all are known."""
        ways = [self._links(*pair) for pair in pairs]
        found: list[Any] = [way.pop() if way else None for way in ways]
        while left := [place for place, way in enumerate(ways) if way]:
            links = torch.cat([ways[place].pop() for place in left])
            longer = compose(links, torch.cat([found[place] for place in left]))
            for place, flow in zip(left, longer.chunk(len(left)), strict=True):
                found[place] = flow
        return found

    def _links(self, source: int, target: int) -> list[Flow]:
        """The adjacent flows from one frame to another; none where not all are known."""
        step = 1 if target > source else -1
        links = [self._known.get((i, i + step)) for i in range(source, target, step)]
        return [] if any(link is None for link in links) else cast("list[Flow]", links)


def _key(pair: FramePair) -> tuple[int, int]:
    return pair[0].index, pair[1].index


def _both_ways(frames: Sequence[Prepared]) -> list[FramePair]:
    """Every two frames in a row, and the other way round."""
    return [pair for a, b in pairwise(frames) for pair in ((a, b), (b, a))]


class DeviceFlows(FlowBook):
    """Flows on the device of their frames."""

    def __init__(self, graphs: Graphs | None = None) -> None:
        super().__init__()
        self._graphs = Graphs() if graphs is None else graphs

    def rated(self, window: Window[Prepared]) -> list[tuple[Flow, Tensor]]:
        looks, place = [frame.look for frame in window.items], len(window.before)
        work, known = partial(_rated, place), self.chain(window.items)
        return list(self._graphs(("rated", place), work, looks, known))

    def _found(self, pairs: Sequence[FramePair], starts: Sequence[Flow | None]) -> list[Flow]:
        """Of adjacent frames, which start from nothing, or of others, none of which does."""
        if not pairs:
            return []
        source, target = (torch.cat([pair[side].look for pair in pairs]) for side in (0, 1))
        known = [start for start in starts if start is not None]
        start = (torch.cat(known),) if known else ()
        name = "search", bool(known)
        return list(self._graphs(name, variational_flows, source, target, *start).split(1))


def _rated(place: int, looks: Sequence[Tensor], known: Sequence[Flow]) -> list[tuple[Flow, Tensor]]:
    """`DeviceFlows.rated` as a function of tensors: of looks, and flows between adjacent frames."""
    flows, frames = DeviceFlows(), [Prepared(i, one, one, one) for i, one in enumerate(looks)]
    flows._known = dict(zip(map(_key, _both_ways(frames)), known, strict=True))
    return FlowBook.rated(flows, Window.of(frames, place))
