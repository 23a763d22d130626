"""Flows between frames of a clip where frames stay on a GPU: many in one call."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from f2rcli.methods.base import Prepared
from f2rcli.methods.f2r.flows import Flows, FramePair
from f2rcli.models import motion
from f2rcli.models.motion import Shifts
from f2rcli.models.variational import variational_flows


class DeviceFlows(Flows):
    """Flows (1, h, w, 2) and agreements (1, 1, h, w) as tensors."""

    def enlarged(
        self, rated: Iterable[tuple[Shifts, Tensor]], frame: Prepared
    ) -> list[tuple[Shifts, Tensor]]:
        flows, agreements = (torch.cat(part) for part in zip(*rated, strict=True))
        whole = self.whole(flows, frame)
        maps = motion.doubled(agreements, _size(frame))
        return list(zip(whole.chunk(len(whole)), maps.chunk(len(maps)), strict=True))

    def whole(self, flow: Shifts, frame: Prepared) -> Shifts:
        return motion.doubled_flow(flow, _size(frame))

    def none(self, frame: Prepared) -> Shifts:
        return torch.zeros_like(self._look(frame)[:, 0]).unsqueeze(-1).expand(-1, -1, -1, 2)

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
            flows = variational_flows(source, target, torch.cat(given) if given else None)
            found |= dict(zip(places, flows.chunk(len(flows)), strict=True))
        return [found[place] for place in range(len(pairs))]

    def look(self, luma: Tensor) -> Tensor:
        """(H, W) -> (1, 1, h, w)."""
        return motion.halved(luma[None, None])


def _size(frame: Prepared) -> tuple[int, ...]:
    return tuple(frame.noisy.shape[-2:])
