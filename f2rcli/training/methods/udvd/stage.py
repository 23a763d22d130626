"""Blind-spot training: noisy windows whose own noisy centres are the targets.

The network never sees the pixel it is asked for, in any frame. Where noise is independent from
pixel to pixel, what it can predict of the noisy value is the clean one (Sheth et al., ICCV 2021).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from f2rcli.frames import Pictures
from f2rcli.models.fusion import smooth
from f2rcli.models.gaussian import covariance, noisy_covariance, posterior_mean, split
from f2rcli.models.udvd import UDVDNet
from f2rcli.training.footage.augment import draw_turn
from f2rcli.training.footage.windows import Sample, WindowSource, channels_first, channels_last
from f2rcli.training.loop.stage import VALIDATION_SEED, Stage, placed, sample_rngs, side_by_side
from f2rcli.training.methods.losses import as_stored, gaussian_nll, psnr_loss
from f2rcli.training.methods.validation import ValidationErrors

VALIDATION_SIDE = 256  # pixels per side of what is validated on


class BlindBatch(NamedTuple):
    """Frames as they are seen, the centre as it is asked for, and its noise's variance."""

    frames: Tensor  # (B, T, C, H, W)
    target: Tensor  # (B, C, H, W)
    variance: Tensor  # (B, C, H, W)
    cut: Tensor | None = None  # (B, C, H, W), see as_stored


@dataclass
class BlindStage(Stage):
    """Trains a blind-spot network on windows: by likelihood if it gives a covariance, else by the
    squared error.

    Likelihood alone learns the mean slowly at first: as long as that is poor, the cheapest way to
    raise the likelihood is a larger covariance, which then damps the mean's gradient. `mse_weight`
    adds the log of the mean's squared error, which has the same minimum and no such damping.
    """

    network: UDVDNet
    source: WindowSource
    held_out: WindowSource  # validated on
    name: str
    batch: int = 8
    crop: int = 96
    validation_windows: int = 8
    mse_weight: float = 1.0  # weight; 0: as published

    def draw(self, rngs: Sequence[np.random.Generator]) -> BlindBatch:
        """Windows turned, flipped and reversed in time at random."""
        return collated([self._sample(rng) for rng in rngs])

    def loss(self, batch: BlindBatch) -> Tensor:
        mean, factor = split(self.network(batch.frames), self.network.channels)
        mean = as_stored(mean, batch.cut)
        if factor is None:
            return (mean - batch.target).square().mean()
        total = noisy_covariance(covariance(factor, self.network.channels), batch.variance)
        cost = gaussian_nll(batch.target, mean, total).mean()
        return cost + self.mse_weight * psnr_loss(mean, batch.target) if self.mse_weight else cost

    def validate(self) -> float | None:
        """Half the log of the mean's squared error to held-out centres."""
        return self.validation_errors().score

    def validation_errors(self) -> ValidationErrors:
        """The errors of the mean on held-out windows, the same whenever they are looked at."""
        squares = []
        with torch.no_grad():
            for number in range(self.validation_windows):
                window = self._held_out_window(number)
                mean, _ = split(self.network(window.frames), self.network.channels)
                squares.append((as_stored(mean, window.cut) - window.target).square())
        return ValidationErrors.of(squares)

    def sample(self) -> NDArray[np.uint8] | None:
        """A held-out centre, the mean, and the mean combined with the centre."""
        window = self._held_out_window(0)
        mean, factor = split(self.network(window.frames), self.network.channels)
        columns = [window.target, mean]
        if factor is not None:
            columns.append(posterior_mean(window.target, mean, factor, window.variance))
        return side_by_side([column[:, :3] for column in columns])

    def _held_out_window(self, number: int) -> BlindBatch:
        """A held-out window; the same number gives the same one."""
        rng = sample_rngs((VALIDATION_SEED, number), (0,))[0]
        crop = min(VALIDATION_SIDE, self.held_out.side) // 4 * 4
        window = self.held_out.window(rng, range(self.network.length), crop)
        return placed(self.network, collated([window]))

    def _sample(self, rng: np.random.Generator) -> Sample:
        sample = self.source.window(rng, range(self.network.length), self.crop)
        return sample.turned(draw_turn(rng, sample.noisy.shape[-1]), int(rng.integers(2)))


def collated(samples: Sequence[Sample]) -> BlindBatch:
    """Windows as a batch. Targets are centres before a file's range cut off their noise: so the
    network learns what clipped neighbours say of a mean that is not clipped. Footage tells those
    after it alone, and the loss knows what the range does to a mean."""
    middle = len(samples[0].noisy) // 2
    frames = channels_first(np.stack([sample.noisy for sample in samples]))
    target = channels_first(np.stack([sample.unclipped[middle] for sample in samples]))
    variance = channels_first(np.stack([_variance(sample, middle) for sample in samples]))
    clipped = [sample.clipped and sample.measured is not None for sample in samples]
    cut = variance.sqrt() * torch.tensor(clipped).view(-1, 1, 1, 1) if any(clipped) else None
    return BlindBatch(frames, target, variance, cut)


def _variance(sample: Sample, middle: int) -> Pictures:
    """The variance of the centre's noise, as far as noisy pictures tell it: (H, W, C)."""
    if sample.law is None:
        return np.square(sample.level[middle])
    smoothed = channels_last(smooth(channels_first(sample.unclipped[middle : middle + 1])))
    return np.square(sample.law.level(smoothed[0]))
