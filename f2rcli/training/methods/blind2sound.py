"""Blind2Sound (arXiv 2303.05183): single noisy frames alone, by masking and a blend of branches.

A masked branch is shown a picture in which one pixel of every cell is hidden, and guesses it from
its neighbours; a visible branch is shown all of it. What the two believe is blended, and the blend
must explain the noisy pixel. How strong noise is the paper's second network guesses; here it was
measured.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from f2rcli.errors import InputError
from f2rcli.methods.blind2sound import Blind2SoundNetworks, around
from f2rcli.models.layers import Belief
from f2rcli.training.exams import as_stored
from f2rcli.training.methods.base import TrainingContext, WindowRecipe, WindowStage
from f2rcli.training.stage import StageSpec, gaussian_nll
from f2rcli.training.windows import window_of

SMALL: dict[str, Any] = {"denoiser": {"width": 24, "wide": 48, "depth": 5}}
STRIDE = 32  # crops are multiples of it: five halvings
# Pixels per side of the cells in each of which one pixel is hidden at a time, and how many of a
# cell's are hidden in turn in every step. The paper has 4 and all 16, at 17 passes a step; smaller
# cells hide, and so teach, four times as many pixels a pass.
CELL, PHASES = 2, 2
# The visible branch's weight beside the masked's 1, to begin with and when all is learnt.
FIRST_VISIBILITY, LAST_VISIBILITY = 3.0, 11.0
RISES_AFTER = 0.4  # of the training


class Blind2SoundRecipe(WindowRecipe[StageSpec]):
    def __init__(self, context: TrainingContext) -> None:
        for clip, report in zip(context.footage, context.noise, strict=True):
            if not report.white:
                learnt = "which a method that hides single pixels would learn as picture"
                what = f"{clip.name}: its neighbouring pixels share noise, {learnt}."
                raise InputError(what, hint="Leave this clip out, or pass method='f2r'.")
        super().__init__(context, context.header(1, SMALL), MaskedStage, STRIDE)
        self.specs = [StageSpec(name="denoise", steps=12_000, warmup=300, lr=context.rate)]


class MaskedBatch(NamedTuple):
    """Crops, (B, C, H, W) each, and which pixels of every cell are hidden in this step."""

    noisy: Tensor
    variance: Tensor  # of the noise
    cut: Tensor  # see as_stored
    phases: tuple[int, ...]


class MaskedStage(WindowStage):
    """Trains the denoiser by what it says of hidden pixels, by the likelihood of the noisy ones."""

    network: Blind2SoundNetworks

    def loss(self, batch: MaskedBatch) -> Tensor:
        masked, visible = self.believe(batch)
        belief = blend(masked, visible, visibility(self.progress))
        parts = batch.noisy, batch.variance, batch.cut
        target, variance, cut = (at(part, batch.phases) for part in parts)
        mean = as_stored(belief.mean, cut)
        return gaussian_nll(target, mean, belief.noisy_covariance(variance)).mean()

    def believe(self, batch: MaskedBatch) -> tuple[Belief, Belief]:
        """Both branches' beliefs of the pixels at the batch's phases, the visible without gradient.

        Means (B, C, P H/cell, W/cell), as `gathered` lays them out.
        """
        copies = torch.cat([hidden(batch.noisy, phase) for phase in batch.phases])
        raw = self.network.denoiser.raw(copies).chunk(len(batch.phases))
        with torch.no_grad():
            seen = self.network.denoiser.raw(batch.noisy)
        return Belief.of(gathered(raw, batch.phases)), Belief.of(at(seen, batch.phases))

    def draw(self, rngs: Sequence[np.random.Generator]) -> MaskedBatch:
        """The first generator chooses the phases, for the whole batch."""
        phases = tuple(map(int, rngs[0].permutation(CELL**2)[:PHASES]))
        drawn = [window_of(self.source, rng, (0,), self.crop).turned(rng) for rng in rngs]
        noisy = torch.cat([one.noisy for one in drawn])
        variance = torch.cat([one.level for one in drawn]).square()
        cut = torch.cat([one.cut for one in drawn])
        return MaskedBatch(noisy, variance, cut, phases)


def visibility(progress: float) -> float:
    """Weight of the visible branch after a share of the training, 0..1."""
    risen = max(0.0, progress - RISES_AFTER) / (1 - RISES_AFTER)
    return FIRST_VISIBILITY + (LAST_VISIBILITY - FIRST_VISIBILITY) * min(1.0, risen)


def hidden(noisy: Tensor, phase: int) -> Tensor:
    """The picture (B, C, H, W) with the pixel at `phase`, counted row by row, of every cell
    replaced by the mean of its eight neighbours, the four nearest counting twice; of itself nothing
    is left."""
    channels = noisy.shape[1]
    # Reflected, not repeated: a repeated border would show a hidden border pixel to itself.
    wide = functional.pad(noisy, (1, 1, 1, 1), "reflect")
    near = functional.conv2d(wide, around(noisy).expand(channels, 1, 3, 3), groups=channels)
    masked = noisy.clone()
    row, column = divmod(phase, CELL)
    masked[..., row::CELL, column::CELL] = near[..., row::CELL, column::CELL]
    return masked


def at(maps: Tensor, phases: Sequence[int]) -> Tensor:
    """The pixels at these phases of every cell: (B, C, H, W) -> (B, C, P H/cell, W/cell)."""
    places = [divmod(phase, CELL) for phase in phases]
    return torch.cat([maps[..., row::CELL, column::CELL] for row, column in places], -2)


def gathered(copies: Iterable[Tensor], phases: Sequence[int]) -> Tensor:
    """Of each masked copy's result the pixels that were hidden in it.

    copies (B, C, H, W), one for each of the P phases -> (B, C, P H/cell, W/cell), as from `at`.
    """
    pairs = zip(copies, phases, strict=True)
    return torch.cat([at(copy, (phase,)) for copy, phase in pairs], -2)


def blend(masked: Belief, visible: Belief, weight: float) -> Belief:
    """Both branches' beliefs as one; the visible one has no gradient.

    The mean is (mu_m + b mu_v) / (1 + b), the covariance that of independent branches,
    (S_m + b^2 S_v) / (1 + b)^2. As in the authors' code the mean's gradient to mu_m is 1/2, not
    1 / (1 + b): with rising visibility the masked branch would learn ever less.
    """
    fixed, seen = masked.mean.detach(), visible.mean.detach()
    mean = (masked.mean + fixed) / 2 + (seen - fixed) * (weight / (1 + weight))
    own, other = masked.covariance, visible.covariance.detach()
    spread = (own + weight**2 * other) / (1 + weight) ** 2
    return Belief(mean, spread)


RECIPE = Blind2SoundRecipe
