"""Blind2Sound's stage: both branches and the noise estimator, trained together on noisy crops."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from f2rcli.frames import Pictures
from f2rcli.models.blind2sound import Belief, Blind2SoundNetworks, NoiseLevel
from f2rcli.training.footage.augment import draw_turn
from f2rcli.training.footage.windows import Sample, WindowSource, channels_first
from f2rcli.training.loop.stage import VALIDATION_SEED, Stage, placed, sample_rngs, side_by_side
from f2rcli.training.methods.blind2sound.masking import (
    at,
    blend,
    gathered,
    hidden,
    noise_covariance,
    total_covariance,
    visibility,
)
from f2rcli.training.methods.losses import gaussian_nll, psnr_loss, stabilised_variance_loss
from f2rcli.training.methods.validation import ValidationErrors

REGULARISED = 0.01  # weight of the Cramer Gaussian loss; the code's default 0 is not the paper's
VALIDATION_BATCHES = 6


class MaskedBatch(NamedTuple):
    """Crops, (B, C, H, W), and which pixels of every cell are hidden in this step."""

    noisy: Tensor  # what the networks are shown
    target: Tensor  # the same noise before a file's range clipped it, where that is known
    trusted: Tensor  # (B, 1, H, W): 1 where the target's mean is the clean picture, else 0
    clean: Tensor | None  # for validation alone; None where nobody knows it
    phases: tuple[int, ...]


@dataclass
class MaskedStage(Stage):
    """Trains the denoiser by what it says of hidden pixels, and the estimator by the likelihood
    of the noisy ones and by the noise's regularity once it is stabilised."""

    network: Blind2SoundNetworks
    source: WindowSource
    held_out: WindowSource  # validated on
    name: str = "denoise"
    batch: int = 8
    crop: int = 96
    cell: int = 4  # pixels per side of the cells in each of which one pixel is hidden at a time
    phases: int = 16  # of a cell's, chosen anew in every step: all as published, costing 17 passes
    progress: float = 0.0  # see Progressing: visibility rises with it

    def draw(self, rngs: Sequence[np.random.Generator]) -> MaskedBatch:
        """The first generator chooses the phases, for the whole batch."""
        order = rngs[0].permutation(self.cell**2)[: self.phases]
        return self._drawn(self.source, rngs, tuple(int(phase) for phase in order))

    def loss(self, batch: MaskedBatch) -> Tensor:
        weight = visibility(self.progress)
        masked, visible = self.believe(batch)
        noise = NoiseLevel.of(self.network.estimator(batch.noisy))
        belief = blend(masked, visible, weight)
        target, trusted = (self._at(part, batch) for part in (batch.target, batch.trusted))
        total = total_covariance(belief, noise_covariance(noise, belief.mean, weight))
        cost = gaussian_nll(target, belief.mean, total)
        trusted = trusted[:, 0]
        counted = trusted.flatten(1).sum(1).clamp_min(1)
        likely = (cost * trusted).flatten(1).sum(1) / counted
        read = noise.read(weight).sqrt()
        regulariser = stabilised_variance_loss(batch.target, noise.gain, read)
        return (likely + REGULARISED * regulariser).mean()

    def believe(self, batch: MaskedBatch) -> tuple[Belief, Belief]:
        """Both branches' beliefs of the pixels at the batch's phases, the visible without gradient.

        Means (B, C, P H/cell, W/cell), as `gathered` lays them out.
        """
        denoiser = self.network.denoiser
        copies = torch.cat([hidden(batch.noisy, phase, self.cell) for phase in batch.phases])
        raw = denoiser.raw(copies).chunk(len(batch.phases))
        with torch.no_grad():
            seen = denoiser.raw(batch.noisy)
        return Belief.of(gathered(raw, batch.phases, self.cell)), Belief.of(self._at(seen, batch))

    def validate(self) -> float:
        """Half the log of the squared error of the visible mean where the clean
        picture is known, of the masked one to the noisy pixels it has not seen elsewhere."""
        return float(np.mean([self._error(number) for number in range(VALIDATION_BATCHES)]))

    def validation_errors(self) -> ValidationErrors:
        """Errors of the visible mean where the clean picture is known, else of what is said of
        hidden pixels, on what this stage is validated on; the same whenever they are looked at."""
        squares = []
        with torch.no_grad():
            for number in range(VALIDATION_BATCHES):
                batch = self._validation_batch(number)
                if batch.clean is not None:
                    error = self.network.denoiser(batch.noisy) - batch.clean
                    squares.append(error.square())
                    continue
                mean, target, trusted = self._hidden(batch)
                squares.append((mean - target).square() * trusted)
        return ValidationErrors.of(squares)

    def sample(self) -> NDArray[np.uint8]:
        """Rows of noisy and denoised crops that are held out."""
        batch = self._validation_batch(0)
        shown = [batch.noisy, self.network.denoiser(batch.noisy)]
        return side_by_side(shown if batch.clean is None else [*shown, batch.clean])

    def _at(self, maps: Tensor, batch: MaskedBatch) -> Tensor:
        return at(maps, batch.phases, self.cell)

    def _error(self, number: int) -> float:
        batch = self._validation_batch(number)
        if batch.clean is not None:
            return float(psnr_loss(self.network.denoiser(batch.noisy), batch.clean))
        return float(psnr_loss(*self._hidden(batch)))

    def _hidden(self, batch: MaskedBatch) -> tuple[Tensor, Tensor, Tensor]:
        """Estimates of hidden pixels, their values, and which of them are trusted."""
        masked, _ = self.believe(batch)
        target, trusted = (self._at(part, batch) for part in (batch.target, batch.trusted))
        return masked.mean, target, trusted.expand_as(target)

    def _validation_batch(self, number: int) -> MaskedBatch:
        rngs = sample_rngs((VALIDATION_SEED, number), range(self.batch))
        phases = tuple((5 * number + step) % self.cell**2 for step in (0, 6, 11))
        return placed(self.network, self._drawn(self.held_out, rngs, phases))

    def _drawn(
        self, source: WindowSource, rngs: Sequence[np.random.Generator], phases: tuple[int, ...]
    ) -> MaskedBatch:
        samples = [_sample(source, rng, self.crop) for rng in rngs]
        noisy, target, trusted = (
            channels_first(np.concatenate(part))
            for part in (
                [sample.noisy for sample in samples],
                [sample.unclipped for sample in samples],
                [trusted_pixels(sample) for sample in samples],
            )
        )
        known = [sample.clean for sample in samples if sample.clean is not None]
        clean = channels_first(np.concatenate(known)) if known else None
        return MaskedBatch(noisy, target, trusted, clean, phases)


def _sample(source: WindowSource, rng: np.random.Generator, crop: int) -> Sample:
    sample = source.window(rng, (0,), crop)
    return sample.turned(draw_turn(rng, sample.noisy.shape[-1]), 0)


def trusted_pixels(sample: Sample) -> Pictures:
    """(T, H, W, 1): 1 where a target's mean is the clean picture, else 0.

    Where footage's range cuts noise off it is not. Such places are known by the eight neighbours
    alone: a choice that depended on the pixel itself would shift the mean of those chosen.
    """
    trusted = np.ones_like(sample.noisy[..., :1])
    if not sample.clipped or sample.measured is None:
        return trusted
    planes = channels_first(sample.noisy)
    around = nn.functional.avg_pool2d(planes, 3, 1, 1, count_include_pad=False)
    near = (9 * around - planes) / 8
    room = 2 * sample.measured.level.level(near)
    inside = ((near > room) & (near < 1 - room)).all(1)
    return inside.numpy().astype(np.float32)[..., None]
