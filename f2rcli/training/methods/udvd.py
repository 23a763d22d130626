"""UDVD (Sheth et al., ICCV 2021): noisy frames are their own targets, on many clips or one.

The network never sees the pixel it is asked for, in any frame. Where noise is independent from
pixel to pixel, what it can predict of the noisy value is the clean one.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from f2rcli.methods.udvd import LENGTH, UDVDNet
from f2rcli.models.layers import Belief
from f2rcli.training.exams import as_stored
from f2rcli.training.methods import base
from f2rcli.training.stage import StageSpec, gaussian_nll, psnr_loss
from f2rcli.training.windows import window_of

# 248 GMAC per megapixel of a stream and 461 of a training window, at 256x128 pixels.
SMALL: dict[str, Any] = {
    "widths": (8, 16, 48, 32, 16), "middle": 8, "last": 24, "radius": 3,
}  # fmt: skip
CROP_STEP = 4  # crops are multiples of it: two halvings

TRAIN = StageSpec(name="train", steps=6000, lr=base.FROM_NOTHING, warmup=300, ema=0.998)
FROM_WEIGHTS = 4e-4  # rate of what goes on from weights that are good already


class UDVDRecipe(base.WindowRecipe[StageSpec]):
    def __init__(self, context: base.TrainingContext) -> None:
        super().__init__(context, context.header(LENGTH, SMALL), BlindStage, CROP_STEP)
        self.specs = [TRAIN if context.start is None else replace(TRAIN, lr=FROM_WEIGHTS)]


class BlindBatch(NamedTuple):
    """Frames as they are seen, the centre as it is asked for, and its noise's variance."""

    frames: Tensor  # (B, T, C, H, W)
    target: Tensor  # (B, C, H, W)
    variance: Tensor  # (B, C, H, W)
    cut: Tensor  # (B, C, H, W), see as_stored


class BlindStage(base.WindowStage):
    """Trains a blind-spot network on windows by likelihood.

    That alone learns the mean slowly at first: as long as that is poor, the cheapest way to
    raise the likelihood is a larger covariance, which then damps the mean's gradient. The log of
    the mean's squared error has the same minimum and no such damping.
    """

    network: UDVDNet

    def draw(self, rngs: Sequence[np.random.Generator]) -> BlindBatch:
        """Windows turned, flipped and reversed in time at random."""
        drawn = [window_of(self.source, rng, range(LENGTH), self.crop) for rng in rngs]
        samples = [one.turned(rng, in_time=True) for one, rng in zip(drawn, rngs, strict=True)]
        middle = LENGTH // 2
        frames = torch.stack([one.noisy for one in samples])
        variance = torch.stack([one.level[middle] for one in samples]).square()
        cut = torch.stack([one.cut[middle] for one in samples])
        return BlindBatch(frames, frames[:, middle], variance, cut)

    def loss(self, batch: BlindBatch) -> Tensor:
        belief = Belief.of(self.network(batch.frames))
        mean = as_stored(belief.mean, batch.cut)
        total = belief.noisy_covariance(batch.variance)
        return gaussian_nll(batch.target, mean, total).mean() + psnr_loss(mean, batch.target)


RECIPE = UDVDRecipe
