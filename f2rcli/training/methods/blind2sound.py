"""Blind2Sound (arXiv 2303.05183): single noisy frames alone, by masking and a blend of branches.

A masked branch is shown a picture in which one pixel of every cell is hidden, and guesses it from
its neighbours; a visible branch is shown all of it. What the two believe is blended, and the blend
must explain the noisy pixel. How strong noise is the paper's second network guesses; here it was
measured.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from f2rcli.errors import InputError
from f2rcli.methods.blind2sound import Blind2SoundNetworks, around
from f2rcli.models.layers import Belief
from f2rcli.training.exams import as_stored
from f2rcli.training.methods.base import TrainingContext, WindowRecipe, WindowStage
from f2rcli.training.stage import StageSpec, gaussian_nll
from f2rcli.training.windows import Sample

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


class MaskedStage(WindowStage):
    """Trains the denoiser by what it says of hidden pixels, by the likelihood of the noisy ones."""

    network: Blind2SoundNetworks

    def loss(self, batch: Sample) -> Tensor:
        noisy, level, cut = (one[:, 0] for one in (batch.noisy, batch.level, batch.cut))
        with torch.no_grad():
            visible = self.network.denoiser.raw(noisy)
        costs = []
        for phase in torch.randperm(CELL**2)[:PHASES].tolist():
            masked = self.network.denoiser.raw(hidden(noisy, phase))
            own, seen = (Belief.of(at(raw, phase)) for raw in (masked, visible))
            belief = blend(own, seen, visibility(self.progress))
            total = belief.noisy_covariance(at(level, phase).square())
            mean = as_stored(belief.mean, at(cut, phase))
            costs.append(gaussian_nll(at(noisy, phase), mean, total).mean())
        return torch.stack(costs).mean()


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
    at(masked, phase).copy_(at(near, phase))
    return masked


def at(maps: Tensor, phase: int) -> Tensor:
    """The pixel at a phase of every cell: (B, C, H, W) -> (B, C, H/cell, W/cell)."""
    row, column = divmod(phase, CELL)
    return maps[..., row::CELL, column::CELL]


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
