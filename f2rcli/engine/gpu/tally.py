"""`contract/returned.py` on the device: sums that are downloaded only when they are read."""

from collections.abc import Sequence

import torch
from torch import Tensor

from f2rcli.engine.contract.returned import Returned
from f2rcli.engine.gpu.filters import resized


class Tally:
    """Sums of what the contract returned, kept where it is computed."""

    def __init__(self) -> None:
        self._sums: dict[int, Tensor] = {}  # (2,) by plane: energy taken, and given back
        self._maps: Tensor | None = None  # (2, h, w): the same by place

    def add(self, planes: Sequence[int], sums: Tensor, maps: Tensor) -> None:
        """Take in what `energies` gave for a group of these planes; see `Returned.add`."""
        for place, plane in enumerate(planes):
            one = sums[:, place].double()
            self._sums[plane] = one + self._sums[plane] if plane in self._sums else one
        if self._maps is not None and maps.shape != self._maps.shape:  # fields of one row less
            share = maps[0].numel() / self._maps[0].numel()
            maps = resized(maps, self._maps.shape[1:]) * share
        self._maps = maps.double() if self._maps is None else self._maps.add_(maps)

    def into(self, returned: Returned) -> None:
        """Add all sums to an account, and reset."""
        if self._maps is not None:
            sums = {plane: tuple(pair.tolist()) for plane, pair in self._sums.items()}
            returned.add_sums(sums, *self._maps.cpu().numpy())
        self._sums, self._maps = {}, None


def energies(taken: Tensor, stays: Tensor, shape: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Energy removed from a group (P, H, W) and given back: sums (2, P) and maps (2, *shape)."""
    both = torch.stack([taken, taken - stays]).square_()
    share = taken[0].numel() / (shape[0] * shape[1])
    return both.sum((2, 3)), resized(both.sum(1), shape) * share
