"""Flows between frames of a clip where frames stay on a GPU: as `FlowBook`, many in one call."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import reduce
from itertools import pairwise
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor

from f2rcli.methods.base import Prepared
from f2rcli.models import motion
from f2rcli.models.motion import Shifts
from f2rcli.models.variational import VariationalFlow
from f2rcli.window import Window

HALF = 2.0  # pixels of a picture along one of its flows

Pair = tuple[Prepared, Prepared]  # a flow leads from the first into the second


class Search(Protocol):
    """Estimates flows of B pairs of pictures (B, 1, h, w) in one call."""

    def __call__(self, source: Tensor, target: Tensor, start: Shifts | None = None) -> Shifts:
        """Flows (B, h, w, 2) from sources into targets."""
        ...


@dataclass
class DeviceFlows:
    """Flows (1, h, w, 2) on grids of half the size and in their pixels, as tensors."""

    maths: ClassVar[Any] = motion

    search: Search = field(default_factory=VariationalFlow)
    calls: int = 0  # estimates made so far, of a pair each
    _known: dict[tuple[int, int], Shifts] = field(default_factory=dict)
    _looks: dict[int, tuple[object, Tensor]] = field(default_factory=dict)  # luma, and halved

    def flow(self, source: Prepared, target: Prepared) -> Shifts:
        """Flow from `source` into `target`; a longer one starts from adjacent ones, composed."""
        known = self.known(source.index, target.index)
        return self._several([(source, target)])[0] if known is None else known

    def fresh(self, source: Prepared, target: Prepared) -> Shifts:
        """A flow that is not looked up and not kept."""
        return self._found([(source, target)], [None])[0]

    def known(self, source: int, target: int) -> Shifts | None:
        """The flow between two adjacent frames by their indices, where it was made."""
        return self._known.get((source, target))

    def chain(self, frames: Sequence[Prepared]) -> None:
        """Make sure that both flows of every adjacent pair of these frames are known."""
        near = [(a, b) for a, b in pairwise(frames) if b.index - a.index == 1]
        wanted = [pair for a, b in near for pair in ((a, b), (b, a))]
        new = [pair for pair in wanted if _key(pair) not in self._known]
        for pair, flow in zip(new, self._found(new, [None] * len(new)), strict=True):
            self._known[_key(pair)] = flow

    def rated(self, window: Window[Prepared]) -> list[tuple[Shifts, Tensor]]:
        """The flow to every neighbour (1, h, w, 2) and how well it agrees with the one back
        (1, 1, h, w)."""
        centre = window.centre
        self.chain([*window.before, centre, *window.after])
        flows = self._several([(centre, neighbour) for neighbour in window.neighbours])
        return [
            (flow, self._agreement((centre.index, neighbour.index), flow))
            for neighbour, flow in zip(window.neighbours, flows, strict=True)
        ]

    def enlarged(
        self, rated: Iterable[tuple[Shifts, Tensor]], frame: Prepared
    ) -> list[tuple[Shifts, Tensor]]:
        """What `rated` gave in a frame's own pixels, (1, H, W, 2) and (1, 1, H, W)."""
        flows, agreements = (torch.cat(part) for part in zip(*rated, strict=True))
        whole = self.whole(flows, frame)
        maps = motion.doubled(agreements, _size(frame))
        return list(zip(whole.chunk(len(whole)), maps.chunk(len(maps)), strict=True))

    def whole(self, flow: Shifts, frame: Prepared) -> Shifts:
        """Flows in a frame's own pixels."""
        return motion.doubled_flow(flow, _size(frame))

    def none(self, frame: Prepared) -> Shifts:
        """The flow of what stands still."""
        return torch.zeros_like(self._look(frame)[:, 0]).unsqueeze(-1).expand(-1, -1, -1, 2)

    def forget_before(self, index: int) -> None:
        """Drop every flow that touches a frame before this one."""
        self._known = {key: flow for key, flow in self._known.items() if min(key) >= index}
        self._looks = {key: look for key, look in self._looks.items() if key >= index}

    def forget(self, index: int) -> None:
        """Drop every flow that touches this frame."""
        self._known = {key: flow for key, flow in self._known.items() if index not in key}

    def _several(self, pairs: Sequence[Pair]) -> list[Shifts]:
        """Flows of several pairs: those that are known, and the others in one search."""
        flows = {_key(pair): self._known.get(_key(pair)) for pair in pairs}
        new = [pair for pair in pairs if flows[_key(pair)] is None]
        found = self._found(new, [self._composed(*_key(pair)) for pair in new])
        flows |= {_key(pair): flow for pair, flow in zip(new, found, strict=True)}
        return [flow for flow in flows.values() if flow is not None]

    def _found(self, pairs: Sequence[Pair], starts: Sequence[Shifts | None]) -> list[Shifts]:
        self.calls += len(pairs)
        found: dict[int, Shifts] = {}
        for begun in (False, True):
            places = [i for i, start in enumerate(starts) if (start is not None) is begun]
            if not places:
                continue
            source, target = (
                torch.cat([self._look(pairs[i][side]) for i in places]) for side in (0, 1)
            )
            given = [start for start in starts if start is not None] if begun else []
            flows = self.search(source, target, torch.cat(given) if given else None)
            found |= dict(zip(places, flows.chunk(len(flows)), strict=True))
        return [found[place] for place in range(len(pairs))]

    def _agreement(self, key: tuple[int, int], flow: Shifts) -> Tensor:
        source, target = key
        near = abs(source - target) == 1
        back = self.known(target, source) if near else self._composed(target, source)
        if back is None:
            return motion.inside(flow, HALF)
        return motion.consistency(flow, back, HALF)

    def _composed(self, source: int, target: int) -> Shifts | None:
        step = 1 if target > source else -1
        links = [self.known(i, i + step) for i in range(source, target, step)]
        known = [link for link in links if link is not None]
        if len(known) < max(len(links), 2):
            return None
        *earlier, last = known
        return reduce(lambda flow, link: motion.compose(link, flow), reversed(earlier), last)

    def _look(self, frame: Prepared) -> Tensor:
        """The frame as flow is looked for in it, (1, 1, h, w)."""
        luma, small = self._looks.get(frame.index, (None, None))
        if small is None or luma is not frame.luma:  # a frame may come again, changed
            small = motion.halved(_tensor(frame))
            self._looks[frame.index] = frame.luma, small
        return small


def _tensor(frame: Prepared) -> Tensor:
    luma = frame.luma
    return (luma if isinstance(luma, Tensor) else frame.noisy.new_tensor(luma))[None, None]


def _size(frame: Prepared) -> tuple[int, ...]:
    return tuple(frame.noisy.shape[-2:])


def _key(pair: Pair) -> tuple[int, int]:
    return pair[0].index, pair[1].index
