"""Flows between frames of a clip where frames stay on a GPU: many in one call."""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from f2rcli.methods.base import Prepared
from f2rcli.methods.flows import Flows, FramePair
from f2rcli.models import motion
from f2rcli.models.motion import Shifts
from f2rcli.models.recorded.graphs import Graphs
from f2rcli.models.variational import variational_flows
from f2rcli.window import Window


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
        looks = [self._look(frame) for frame in frames]
        found = self._graphs(("rated", plan), partial(_rated, *plan), looks, list(links.values()))
        return list(found)

    def whole(self, flow: Shifts, shape: tuple[int, ...]) -> Shifts:
        return motion.doubled_flow(flow, shape)

    def _found(self, pairs: Sequence[FramePair], starts: Sequence[Shifts | None]) -> list[Shifts]:
        found: dict[int, Shifts] = {}
        for begun in (False, True):
            places = [i for i, start in enumerate(starts) if (start is not None) is begun]
            if not places:
                continue
            source, target = (
                torch.cat([self._look(pairs[i][side]) for i in places]) for side in (0, 1)
            )
            given = [start for start in starts if start is not None] if begun else []
            start = (torch.cat(given),) if given else ()
            flows = self._graphs(("search", begun), variational_flows, source, target, *start)
            found |= dict(zip(places, flows.chunk(len(flows)), strict=True))
        return [found[place] for place in range(len(pairs))]

    def look(self, luma: Tensor) -> Tensor:
        """(H, W) -> (1, 1, h, w)."""
        return motion.halved(luma[None, None])


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
