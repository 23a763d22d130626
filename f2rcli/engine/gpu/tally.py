"""`contract/returned.py` on the device: sums that come over only when somebody asks for them."""

from collections.abc import Sequence

import torch
from torch import Tensor

from f2rcli.engine.contract.returned import Returned, map_shape
from f2rcli.engine.gpu.filters import resized


class Tally:
    """Sums of what the contract returned, kept where it is computed."""

    def __init__(self) -> None:
        self._sums: dict[int, Tensor] = {}  # (2,) by plane: energy taken, and given back
        self._maps: Tensor | None = None  # (2, h, w): the same by place

    def add(self, planes: Sequence[int], taken: Tensor, stays: Tensor) -> None:
        """Take in a group (P, H, W) of these planes; see `Returned.add`."""
        both = torch.stack([taken, taken - stays]).square_()
        sums = both.sum((2, 3))
        for place, plane in enumerate(planes):
            one = sums[:, place].double()
            self._sums[plane] = one + self._sums[plane] if plane in self._sums else one
        shape = map_shape(*taken.shape[-2:]) if self._maps is None else self._maps.shape[-2:]
        share = taken[0].numel() / (shape[0] * shape[1])
        maps = resized(both.sum(1), shape).double().mul_(share)
        self._maps = maps if self._maps is None else self._maps.add_(maps)

    def into(self, returned: Returned) -> None:
        """Add all of it to an account, and begin anew."""
        if self._maps is not None:
            sums = {plane: tuple(pair.tolist()) for plane, pair in self._sums.items()}
            returned.add_sums(sums, *self._maps.cpu().numpy())
        self._sums, self._maps = {}, None
