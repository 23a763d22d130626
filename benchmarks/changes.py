"""Variants of the pipeline that ablation.py measures, each with one choice changed."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from f2rcli.engine.stream import Engine
from f2rcli.methods.base import Prepared, Restored
from f2rcli.methods.f2r import F2R
from f2rcli.methods.f2r.alignment import photometric
from f2rcli.methods.f2r.flows import FlowBook, FramePair
from f2rcli.methods.f2r.pipeline import level_map
from f2rcli.models import flow
from f2rcli.models.flow import Flow, FlowEstimator, Luma
from f2rcli.models.fusion import Aligned, Anchor
from f2rcli.models.memory import Memory
from f2rcli.noise.model import NoiseModel
from f2rcli.window import Window


@dataclass
class Search:
    """The package's DIS, some parameters replaced (None: its own), on `flow.halved` pictures."""

    finest: int | None = None  # counted from whole pictures; at least 1
    patch: int | None = None
    alpha: float | None = None

    def __call__(self, source: Luma, target: Luma, start: Flow | None = None) -> Flow:
        """See FlowEstimator. Pictures must not be smaller than the package pads them to."""
        white = max(float(np.quantile(source[::2, ::2], 0.995)), 1e-3)
        first, second = (flow._eight_bits(luma, white) for luma in (source, target))
        search = flow._new_search(finest=(self.finest or 1) - 1, begun=start is not None)
        for value, change in (
            (self.patch, search.setPatchSize),
            (self.alpha, search.setVariationalRefinementAlpha),
        ):
            if value is not None:
                change(value)
        found: Any = search.calc(first, second, None if start is None else start.copy())
        return np.ascontiguousarray(found)


def standing(source: Luma, target: Luma, start: Flow | None = None) -> Flow:
    """A flow estimator that finds no motion."""
    return np.zeros((*source.shape, 2), np.float32)


class DirectBook(FlowBook):
    """Longer flows are estimated from nothing."""

    def _found(self, pairs: Sequence[FramePair], starts: Sequence[Flow | None]) -> list[Flow]:
        return super()._found(pairs, [None] * len(pairs))


class ComposedBook(FlowBook):
    """Longer flows are compositions of adjacent ones and nothing else."""

    def _found(self, pairs: Sequence[FramePair], starts: Sequence[Flow | None]) -> list[Flow]:
        search, both = super()._found, zip(pairs, starts, strict=True)
        return [search([pair], [None])[0] if start is None else start for pair, start in both]


Rate = Callable[[F2R, Window[Prepared], Aligned], Tensor]


def everywhere(method: F2R, window: Window[Prepared], aligned: Aligned) -> Tensor:
    return torch.ones_like(aligned.confidence)


def by_flow(method: F2R, window: Window[Prepared], aligned: Aligned) -> Tensor:
    maps = [agreement for _, agreement in method.rated(window)]
    return torch.from_numpy(np.stack(maps))[None, :, None]


def by_looks(method: F2R, window: Window[Prepared], aligned: Aligned) -> Tensor:
    return photometric(aligned.coarse, window.centre.coarse)


class Trial(F2R):
    """F2R whose confidence or anchor is replaced."""

    rate: Rate | None = None
    strict = False

    def align(
        self,
        window: Window[Prepared],
        rated: Iterable[tuple[Any, Any]] | None = None,
        memory: Memory | None = None,
    ) -> Aligned:
        aligned = super().align(window, rated, memory)
        if self.rate is None:
            return aligned
        return aligned._replace(confidence=type(self).rate(self, window, aligned))  # type: ignore[misc]

    def restore(self, window: Window[Prepared], noise: NoiseModel | None) -> Restored:
        if not self.strict:
            return super().restore(window, noise)
        noisy, coarse = window.centre.noisy, window.centre.coarse
        aligned = self.align(window)
        blind = self.anchor(self.align_strictly(window))
        anchor = Anchor(*blind)._replace(correction=blind.strict - coarse)
        level = level_map(noise, blind.strict)
        refined = self._run(self.networks.refiner, noisy, coarse, level, anchor, aligned)
        return Restored(coarse, blind.strict, refined)


@dataclass(frozen=True)
class Change:
    """One difference from the shipped pipeline."""

    length: int | None = None
    book: Callable[[], FlowBook] = FlowBook
    rate: Rate | None = None
    strict: bool = False

    def method(self, engine: Engine) -> F2R:
        """The engine's method, changed."""
        plain = engine.new_method()
        assert isinstance(plain, F2R)
        kind = type("Changed", (Trial,), {"rate": self.rate, "strict": self.strict})
        method: F2R = kind(plain.networks, plain._run, self.length or plain.length)
        method.flows = self.book()
        return method


SEARCHES: dict[str, FlowEstimator] = {
    "finest scale 2, patch 16": Search(2, 16),
    "finest scale 2, patch 16, alpha 20": Search(2, 16, 20.0),
    "finest scale 2, patch 12": Search(2, 12),
    "finest scale 2, patch 8": Search(2, 8),
    "finest scale 2, patch 8, alpha 20": Search(2, 8, 20.0),
    "finest scale 3, patch 16": Search(3, 16),
    "finest scale 1, patch 16": Search(1, 16),
    "finest scale 1, patch 8": Search(1, 8),
    "finest scale 1, patch 8, alpha 20": Search(1, 8, 20.0),
    "no motion at all": standing,
}
SHIPPED = "as shipped"
CHANGES: dict[str, dict[str, Change]] = {
    "anchor": {"strict anchor handed to stage 2": Change(strict=True)},
    "confidence": {
        "off: one everywhere": Change(rate=everywhere),
        "forward-backward agreement alone": Change(rate=by_flow),
        "photometric agreement alone": Change(rate=by_looks),
    },
    "window": {"T = 3": Change(length=3), "T = 7": Change(length=7)},
    "longer flows": {
        "direct, from scratch": Change(book=DirectBook),
        "composed alone": Change(book=ComposedBook),
    },
    "DIS": {name: Change(book=partial(FlowBook, search)) for name, search in SEARCHES.items()},
    "several at once": {
        "T = 7, finest scale 1, patch 16": Change(length=7, book=partial(FlowBook, Search(1, 16))),
    },
}
ANCHORS = {  # estimates of the shipped pipeline, beside what it writes
    "coarse": lambda method, window, noise: window.centre.coarse,
    "strict anchor": lambda method, window, noise: (
        method.anchor(method.align_strictly(window)).strict
    ),
    "strict head on guided alignment": lambda method, window, noise: (
        method.anchor(method.align(window)).strict
    ),
    "guided anchor": lambda method, window, noise: method.restore(window, noise).anchor,
}
