"""A window taken apart into tensors and what is no tensor, for work that is recorded."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Self

import numpy as np
from torch import Tensor

from f2rcli.methods.base import Prepared
from f2rcli.models.memory import Memory
from f2rcli.window import Window


class Plan(NamedTuple):
    """Where frames stand, counted from the window's first."""

    indices: tuple[int, ...]
    centre: int  # its place among them
    memory: int | None  # the frame whose grid the memory is on


class Parts(NamedTuple):
    """A window, flows into its neighbours, and the past."""

    plan: Plan
    tensors: Sequence[Any]

    @classmethod
    def of(
        cls, window: Window[Prepared], rated: Iterable[tuple[Tensor, Tensor]], memory: Memory | None
    ) -> Self:
        """Take a window apart whose frames stay on a device."""
        first = window.items[0].index
        plan = Plan(
            tuple(one.index - first for one in window.items),
            len(window.before),
            None if memory is None else memory.index - first,
        )
        pictures = [(one.noisy, one.coarse) for one in window.items]
        past = () if memory is None else (memory.noisy, memory.coarse, memory.count)
        return cls(plan, (pictures, list(rated), past))

    def put_together(
        self,
    ) -> tuple[Window[Prepared], Sequence[tuple[Tensor, Tensor]], Memory | None]:
        """The same as far as it is needed to restore the centre."""
        pictures, rated, past = self.tensors
        none = np.empty((0, 0), np.float32)
        pairs = zip(self.plan.indices, pictures, strict=True)
        frames = [Prepared(i, noisy, coarse, none) for i, (noisy, coarse) in pairs]
        window = Window.of(frames, self.plan.centre)
        return window, rated, None if self.plan.memory is None else Memory(self.plan.memory, *past)
