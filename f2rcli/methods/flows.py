"""Flows between frames of a clip: searched once, composed, dropped with their frames.

On a processor one after the other, as arrays; where frames stay on a GPU many in one call.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial, reduce
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from f2rcli.methods.base import Prepared
from f2rcli.models.flow import DISFlow, Flow, Luma, Shifts, compose, consistency, halved
from f2rcli.models.placing import at_rest
from f2rcli.models.recorded import Graphs
from f2rcli.models.variational import variational_flows
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

    def chain(self, frames: Sequence[Prepared]) -> None:
        """Make sure that both flows of every pair of these frames in a row are known."""
        self._several([pair for a, b in pairwise(frames) for pair in ((a, b), (b, a))])

    def rated(self, window: Window[Prepared]) -> list[tuple[Any, Any]]:
        """The flow to every neighbour and how well it agrees with the one back; what rests is where
        it was, and agrees."""
        centre, neighbours = window.centre, window.neighbours
        self.chain(window.items)
        flows = self._several([(centre, one) for one in neighbours])
        backs = [self._composed(one.index, centre.index) for one in neighbours]
        links = [(a.index, b.index) for a, b in pairwise(window.items)]
        rests = at_rest(
            [self._known[a, b] for a, b in links], [self._known[b, a] for a, b in links]
        )
        return [
            (stilled(flow, rests), sure_of(consistency(flow, back, HALF), rests))
            for flow, back in zip(flows, backs, strict=True)
        ]

    def forget_before(self, index: int) -> None:
        """Drop every flow that touches a frame before this one."""
        self._known = {key: flow for key, flow in self._known.items() if min(key) >= index}

    def forget_from(self, index: int) -> None:
        """Drop every flow that touches this frame or a later one: it is prepared anew."""
        self._known = {key: flow for key, flow in self._known.items() if max(key) < index}

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


class FlowBook(Flows):
    """Flows (h, w, 2) and agreements (h, w) as arrays on the processor, one after the other."""

    def _found(self, pairs: Sequence[FramePair], starts: Sequence[Flow | None]) -> list[Flow]:
        return [
            DISFlow(halved=True)(source.look, target.look, start)
            for (source, target), start in zip(pairs, starts, strict=True)
        ]

    def look(self, luma: Luma) -> Luma:
        return halved(luma)


class DeviceFlows(Flows):
    """Flows (1, h, w, 2) and agreements (1, 1, h, w) as tensors."""

    def __init__(self, graphs: Graphs | None = None) -> None:
        super().__init__()
        self._graphs = Graphs() if graphs is None else graphs

    def rated(self, window: Window[Prepared]) -> list[tuple[Shifts, Tensor]]:
        frames = window.items
        self.chain(frames)
        first, last = frames[0].index, frames[-1].index
        links = {key: flow for key, flow in self._known.items() if first <= min(key)}
        links = {key: flow for key, flow in links.items() if max(key) <= last}
        indices = tuple(frame.index - first for frame in frames)
        keys = tuple((source - first, target - first) for source, target in links)
        plan = indices, len(window.before), keys
        looks = [frame.look for frame in frames]
        found = self._graphs(("rated", plan), partial(_rated, *plan), looks, list(links.values()))
        return list(found)

    def _found(self, pairs: Sequence[FramePair], starts: Sequence[Shifts | None]) -> list[Shifts]:
        found: dict[int, Shifts] = {}
        for begun in (False, True):
            places = [i for i, start in enumerate(starts) if (start is not None) is begun]
            if not places:
                continue
            source, target = (torch.cat([pairs[i][side].look for i in places]) for side in (0, 1))
            given = [start for start in starts if start is not None] if begun else []
            start = (torch.cat(given),) if given else ()
            flows = self._graphs(("search", begun), variational_flows, source, target, *start)
            found |= dict(zip(places, flows.chunk(len(flows)), strict=True))
        return [found[place] for place in range(len(pairs))]

    def look(self, luma: Tensor) -> Tensor:
        """(H, W) -> (1, 1, h, w)."""
        return halved(luma[None, None])


def _rated(
    indices: tuple[int, ...],
    centre: int,
    keys: tuple[tuple[int, int], ...],
    looks: Sequence[Tensor],
    links: Sequence[Shifts],
) -> list[tuple[Shifts, Tensor]]:
    """`DeviceFlows.rated` as a function of tensors: of looks, and flows between adjacent frames."""
    flows = DeviceFlows()
    flows._known = dict(zip(keys, links, strict=True))
    frames = [Prepared(i, one, one, one, one) for i, one in zip(indices, looks, strict=True)]
    return Flows.rated(flows, Window.of(frames, centre))


def stilled(flow: Any, rests: Tensor) -> Any:
    """A flow, nothing where `rests` (1, 1, h, w)."""
    if isinstance(flow, Tensor):
        return flow * ~rests[:, 0, ..., None]
    return flow * ~rests[0, 0].numpy()[..., None]


def sure_of(agreement: Any, rests: Tensor) -> Any:
    """How well flows agree, 1 where `rests` (1, 1, h, w)."""
    if isinstance(agreement, Tensor):
        return torch.maximum(agreement, rests.to(agreement.dtype))
    return np.maximum(agreement, rests[0, 0].numpy().astype(np.float32))
