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

from f2rcli.models.gaussian import covariance, noisy_covariance
from f2rcli.models.gaussian import split as mean_and_factor
from f2rcli.models.udvd import LENGTH, UDVDNet
from f2rcli.training.exams import Noise, ValidationErrors, as_stored
from f2rcli.training.methods.base import StageSpec, TrainingContext, WindowRecipe, WindowStage
from f2rcli.training.stage import VALIDATION_SEED, gaussian_nll, placed, psnr_loss, sample_rngs
from f2rcli.training.windows import Sample, tensor
from f2rcli.weights import Header

# 248 GMAC per megapixel of a stream and 461 of a training window, at 256x128 pixels.
SMALL: dict[str, Any] = {
    "widths": (8, 16, 48, 32, 16), "middle": 8, "last": 24, "radius": 3, "covariance": True,
}  # fmt: skip
CROP_STEP = 4  # crops are multiples of it: two halvings
VALIDATION_SIDE, VALIDATION_WINDOWS = 256, 8  # pixels per side of what is validated on

TRAIN = StageSpec(name="train", steps=6000, warmup=300, ema=0.998)
# One clip, 32 epochs as published, ended early by its last frames
SINGLE = replace(TRAIN, name="adapt", steps=900, patience=8, points=20)
FROM_WEIGHTS = 4e-4  # rate of what goes on from weights that are good already
SINGLE_STEPS = 300  # of one clip, from such weights


class UDVDRecipe(WindowRecipe):
    def __init__(self, context: TrainingContext) -> None:
        header = context.header(LENGTH, SMALL)

        def networks(of: Header) -> UDVDNet:
            return UDVDNet(of.channels, of.length, **of.config)

        super().__init__(context, header, networks, BlindStage, CROP_STEP)
        spec = SINGLE if context.config.adapt else TRAIN
        if context.start is not None:
            steps = SINGLE_STEPS if spec is SINGLE else spec.steps
            spec = replace(spec, lr=FROM_WEIGHTS, steps=steps)
        self.specs = [spec]


class BlindBatch(NamedTuple):
    """Frames as they are seen, the centre as it is asked for, and its noise's variance."""

    frames: Tensor  # (B, T, C, H, W)
    target: Tensor  # (B, C, H, W)
    variance: Tensor  # (B, C, H, W)
    cut: Tensor | None  # (B, C, H, W), see as_stored


class BlindStage(WindowStage):
    """Trains a blind-spot network on windows: by likelihood if it gives a covariance, else by the
    squared error.

    Likelihood alone learns the mean slowly at first: as long as that is poor, the cheapest way to
    raise the likelihood is a larger covariance, which then damps the mean's gradient. The log of
    the mean's squared error has the same minimum and no such damping.
    """

    network: UDVDNet

    def draw(self, rngs: Sequence[np.random.Generator]) -> BlindBatch:
        """Windows turned, flipped and reversed in time at random."""
        places = range(self.network.length)
        drawn = [self.source.window(rng, places, self.crop) for rng in rngs]
        samples = [one.turned(rng, in_time=True) for one, rng in zip(drawn, rngs, strict=True)]
        return collated(samples)

    def loss(self, batch: BlindBatch) -> Tensor:
        mean, factor = mean_and_factor(self.network(batch.frames), self.network.channels)
        mean = as_stored(mean, batch.cut)
        if factor is None:
            return (mean - batch.target).square().mean()
        total = noisy_covariance(covariance(factor, self.network.channels), batch.variance)
        return gaussian_nll(batch.target, mean, total).mean() + psnr_loss(mean, batch.target)

    @torch.no_grad()
    def validate(self) -> ValidationErrors:
        """The errors of the mean on held-out centres, the same whenever they are looked at."""
        squares, noise = [], list[Noise | None]()
        crop = min(VALIDATION_SIDE, self.held_out.side) // CROP_STEP * CROP_STEP
        places = range(self.network.length)
        for number in range(VALIDATION_WINDOWS):
            rng = sample_rngs((VALIDATION_SEED, number), (0,))[0]
            sample = self.held_out.window(rng, places, crop)
            batch = placed(self.network, collated([sample]))
            mean, _ = mean_and_factor(self.network(batch.frames), self.network.channels)
            if sample.clean is None:
                squares.append((as_stored(mean, batch.cut) - batch.target).square())
                noise.append(Noise.of_frame(mean.float(), batch.variance.sqrt(), batch.cut))
            else:
                clean = tensor(sample.clean[len(places) // 2][None])
                squares.append((mean.float() - placed(self.network, clean)).square())
                noise.append(None)
        return ValidationErrors.of(squares, noise)


def collated(samples: Sequence[Sample]) -> BlindBatch:
    """Windows as a batch."""
    middle = len(samples[0].noisy) // 2
    frames = tensor(np.stack([sample.noisy for sample in samples]))
    level = tensor(np.stack([sample.level[middle] for sample in samples]))
    clipped = [sample.clipped for sample in samples]
    cut = level * torch.tensor(clipped).view(-1, 1, 1, 1) if any(clipped) else None
    return BlindBatch(frames, frames[:, middle], level.square(), cut)


RECIPE = UDVDRecipe
