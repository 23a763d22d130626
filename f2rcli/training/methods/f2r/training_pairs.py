"""Training pairs for both stages from noisy footage alone: a centre and its target.

A training pair is one centre as the networks will see it and a target whose noise is independent of
everything they are shown (Frames2Residual, arXiv 2603.10417; recorruption: Pang et al., CVPR 2021).
Whatever depends on the centre (coarse frame, flows) is made from the centre that is shown, by
the pipeline's own code: made from the original it would carry its noise (DESIGN.md D7).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from f2rcli.methods.base import Prepared
from f2rcli.methods.f2r import F2R
from f2rcli.models.fusion import smooth
from f2rcli.models.memory import Memory
from f2rcli.noise.clipping import clipped_moments
from f2rcli.noise.law import NoiseLaw
from f2rcli.noise.model import NoiseModel
from f2rcli.training.footage.windows import channels_first, is_clipped
from f2rcli.training.methods.f2r.excerpts import (
    Excerpt,
    PastMemory,
    StoredPictures,
    TrainingPair,
    describe,
    stored,
)
from f2rcli.window import Window, window_at


class TargetKind(StrEnum):
    """Input and target made from a centre; n' is fresh noise of the measured law."""

    BLIND = "blind"  # the centre itself, for stage 1, which is not shown it
    PSEUDO = "pseudo"  # anchor + n' in, anchor out: the published stage 2
    RECORRUPTED = "recorrupted"  # centre + tau n' in, centre - n' / tau out
    EVEN = "even"  # the same, with as much noise in as out: far from what will be shown, but fast
    RENOISED = "renoised"  # every frame restored and noised afresh in, the restored centre out


# tau of recorruption: the target has 1 + 1/tau^2 times the noise variance, the input 1 + tau^2
TAU = {TargetKind.RECORRUPTED: 0.5, TargetKind.EVEN: 1.0}


def make_pairs(
    method: F2R,
    pictures: NDArray[np.float32],
    centres: Sequence[int],
    target_kind: TargetKind,
    law: NoiseLaw,
    rng: np.random.Generator,
) -> Excerpt:
    """Pairs on these centres of a piece of a shot (T, H, W, C), with noise n' from `law`, whose
    level the networks get."""
    maker = _PairMaker(method, law, is_clipped(pictures), rng)
    frames = maker.prepared(pictures)
    if target_kind is TargetKind.RENOISED:
        return maker.renoised(frames, centres)
    maker.remember(frames)
    pairs = tuple(maker.pair(window_at(frames, c, method.length), target_kind) for c in centres)
    return Excerpt(pictures.astype(np.float16), _coarse(frames), pairs)


@dataclass
class _PairMaker:
    """Makes pairs with one method, for one piece of a shot."""

    method: F2R
    law: NoiseLaw
    clipped: bool
    rng: np.random.Generator
    memories: list[Memory] = field(default_factory=list)  # of all frames, as they are shown

    def prepared(self, pictures: NDArray[np.float32]) -> list[Prepared]:
        """Every frame, as the pipeline prepares it."""
        self.method.forget()
        return [
            self.method.prepare(index, channels_first(picture[None]), self.law.level)
            for index, picture in enumerate(pictures)
        ]

    def remember(self, frames: list[Prepared]) -> None:
        """Make the memories that the pipeline would have at every frame."""
        self.method.flows.chain(frames)
        self.memories = [self.method.remember(frame, self.law.level) for frame in frames]

    def memory(self, window: Window[Prepared]) -> Memory | None:
        """The memory that stands in for a window's first neighbour."""
        return self.memories[window.before[0].index] if window.before else None

    def pair(self, window: Window[Prepared], target_kind: TargetKind) -> TrainingPair:
        """One training pair on the centre of a window."""
        noisy, centre, model = window.centre.noisy, window.centre, self.law.level
        if target_kind is TargetKind.BLIND:
            signal, target = centre.coarse, noisy
        else:
            aligned = self.method.align(window, memory=self.memory(window))
            signal = self.method.anchor(aligned).guided(centre.coarse)
            fresh = self._drawn(signal)  # its level from the anchor, not from the noisy centre
            shown, target = signal + fresh, signal
            if tau := TAU.get(target_kind):
                fresh = fresh * self._share_left(signal)
                shown, target = noisy + tau * fresh, noisy - fresh / tau
                model = model.scaled((1 + tau**2) ** 0.5)
            self.method.flows.forget(centre.index)  # they were those of the original
            centre = self.method.prepare(centre.index, shown, model)
        cut = None if target_kind is TargetKind.PSEUDO else self._cut(signal)
        pair = self.described(centre, window, target, model, cut)
        self.method.flows.forget(centre.index)
        return pair

    def renoised(self, frames: list[Prepared], centres: Sequence[int]) -> Excerpt:
        """Training pairs on a clip that is known: the restored one, with noise of its own again."""
        length, level = self.method.length, self.law.level
        windows = [window_at(frames, place, length) for place in range(len(frames))]
        restored = [self.method.restore(window, level).refined for window in windows]
        noisy = [picture + self._drawn(picture) for picture in restored]
        if self.clipped:
            noisy = [picture.clamp(0, 1) for picture in noisy]
        shown = stored(noisy)
        again = self.prepared(shown.astype(np.float32))
        self.remember(again)
        pairs = tuple(
            self.described(again[c], window_at(again, c, length), restored[c], level, None)
            for c in centres
        )
        return Excerpt(shown, _coarse(again), pairs)

    def described(
        self,
        centre: Prepared,
        window: Window[Prepared],
        target: Tensor,
        model: NoiseModel,
        cut: Tensor | None,
    ) -> TrainingPair:
        view = Window(centre, window.before, window.after)
        memory = self.memory(view)
        flows, agreement, typical = describe(self.method, view, memory)
        noisy, coarse, asked = stored([centre.noisy, centre.coarse, target])
        return TrainingPair(
            noisy,
            coarse,
            asked,
            np.array([n.index for n in window.neighbours], np.int16),
            flows,
            agreement,
            None if memory is None else PastMemory.of(memory),
            typical,
            self.method.conditioned_on(model),
            None if cut is None else stored([cut])[0],
        )

    def _drawn(self, signal: Tensor) -> Tensor:
        generator = torch.Generator().manual_seed(int(self.rng.integers(2**62)))
        return self.law.sample(smooth(signal), generator)

    def _share_left(self, signal: Tensor) -> Tensor | float:
        """The share of the noise's standard deviation that the file's range left.

        Fresh noise has to be as strong as the noise that is there: else the errors of a recorrupted
        centre and of its target depend on each other.
        """
        sigma = self._cut(signal)
        return 1.0 if sigma is None else clipped_moments(signal, sigma)[1].sqrt()

    def _cut(self, signal: Tensor) -> Tensor | None:
        """Standard deviation of noise before the range clipped it, by a smoothed picture, so that a
        target's noise hardly counts; None if unclipped."""
        return self.law.level.level(smooth(signal)) if self.clipped else None


def _coarse(frames: list[Prepared]) -> StoredPictures:
    return stored([frame.coarse for frame in frames])
