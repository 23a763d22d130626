"""What the contract gave back, in two sums over a whole run."""

import torch
from torch import Tensor


class Returned:
    """The share of what a method removed that the contract gave back, over a run: of energies, so
    of variance. Sums stay where they are made until somebody reads them."""

    def __init__(self) -> None:
        self._known = [0.0, 0.0]  # taken, back
        self._sums: Tensor | None = None  # (2,): of those since

    def add(self, sums: Tensor) -> None:
        """Take in energies (2,) taken out of a frame and given back."""
        self._sums = sums if self._sums is None else self._sums + sums

    def _settle(self) -> list[float]:
        if self._sums is not None:
            self._known = [a + b for a, b in zip(self._known, self._sums.tolist(), strict=True)]
            self._sums = None
        return self._known

    @property
    def share(self) -> float:
        """Energy given back over energy taken out, 0..1; 0 if nothing was taken."""
        taken, back = self._settle()
        return min(back / taken, 1.0) if taken > 0 else 0.0


def energies(taken: Tensor, kept: Tensor) -> Tensor:
    """(2,): of what was taken out of a group, and of what went back."""
    return torch.stack([taken.square().sum(), (taken - kept).square().sum()])
