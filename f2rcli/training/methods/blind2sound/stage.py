"""Blind2Sound's stage: both branches and the noise estimator, trained together on noisy crops."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from f2rcli.models.blind2sound import Belief, Networks, NoiseLevel
from f2rcli.models.layers import split_batch
from f2rcli.noise.codec import to_codes, to_unit
from f2rcli.noise.model import NoiseModel
from f2rcli.noise.synthesis.corruption import Law, as_gray, luma, recolour
from f2rcli.training.footage.augment import dihedral, draw_turn
from f2rcli.training.footage.windows import cut
from f2rcli.training.loop.stage import placed, sample_rngs, side_by_side
from f2rcli.training.methods.blind2sound.loss import (
    at,
    blend,
    gathered,
    gaussian_nll,
    hidden,
    noise_covariance,
    stabilised_variance_loss,
    visibility,
)
from f2rcli.training.methods.f2r.stages import GRAY_SHARE, RECOLOURED_SHARE
from f2rcli.training.methods.losses import psnr_loss

CODED_SHARE = 0.8  # of made noise: what the networks are shown is rounded and clipped to 8 bits
REGULARISED = 0.01  # weight of the Cramer Gaussian loss; the code's default 0 is not the paper's
VALIDATION_BATCHES = 6

Picture = NDArray[np.float32]  # (H, W, C), 0 = black, 1 = white


class Crop(NamedTuple):
    """A noisy picture. No clean one is learnt from."""

    noisy: Picture  # what the networks are shown
    target: Picture  # the same noise before a file's range clipped it, where that is known
    trusted: Picture  # (H, W, 1): 1 where the target's mean is the clean picture, else 0
    clean: Picture | None  # for validation alone; None where nobody knows it


class Batch(NamedTuple):
    """Crops, (B, C, H, W), and which pixels of every cell are hidden in this step."""

    noisy: Tensor
    target: Tensor
    trusted: Tensor  # (B, 1, H, W)
    clean: Tensor | None
    phases: tuple[int, ...]


class Source(Protocol):
    """Where crops come from."""

    @property
    def side(self) -> int:
        """Pixels of the shortest side of any clip."""
        ...

    def crop(self, rng: np.random.Generator, side: int) -> Crop:
        """A square of a random frame of a random clip."""
        ...


@dataclass
class MaskedStage:
    """Trains the denoiser by what it says of hidden pixels, and the estimator by the likelihood
    of the noisy ones and by the noise's regularity once it is stabilised."""

    networks: Networks
    source: Source
    held_out: Source | None = None  # validated on
    name: str = "denoise"
    batch: int = 8
    crop: int = 96
    cell: int = 4  # pixels per side of the cells in each of which one pixel is hidden at a time
    phases: int = 16  # of a cell's, chosen anew in every step: all as published, costing 17 passes
    progress: float = 0.0  # see Progressing: visibility rises with it

    @property
    def network(self) -> nn.Module:
        """See Stage.network."""
        return self.networks

    def draw(self, rngs: Sequence[np.random.Generator]) -> Batch:
        """See Stage.draw. The first generator chooses the phases, for the whole batch."""
        order = rngs[0].permutation(self.cell**2)[: self.phases]
        return self._drawn(self.source, rngs, tuple(int(phase) for phase in order))

    def loss(self, batch: Batch) -> Tensor:
        """See Stage.loss."""
        weight = visibility(self.progress)
        masked, visible = self.believe(batch)
        noise = NoiseLevel.of(self.networks.estimator(batch.noisy))
        belief = blend(masked, visible, weight)
        target, trusted = (self._at(part, batch) for part in (batch.target, batch.trusted))
        cost = gaussian_nll(target, belief, noise_covariance(noise, belief.mean, weight))
        trusted = trusted[:, 0]
        counted = trusted.flatten(1).sum(1).clamp_min(1)
        likely = (cost * trusted).flatten(1).sum(1) / counted
        return (likely + REGULARISED * stabilised_variance_loss(batch.target, noise, weight)).mean()

    def believe(self, batch: Batch) -> tuple[Belief, Belief]:
        """Both branches' beliefs of the pixels at the batch's phases, the visible without gradient.

        Means (B, C, P H/cell, W/cell), as `gathered` lays them out.
        """
        denoiser = self.networks.denoiser
        copies = torch.cat([hidden(batch.noisy, phase, self.cell) for phase in batch.phases])
        raw = split_batch(denoiser.raw(copies), len(batch.phases))
        with torch.no_grad():
            seen = denoiser.raw(batch.noisy)
        return Belief.of(gathered(raw, batch.phases, self.cell)), Belief.of(self._at(seen, batch))

    def validate(self) -> float | None:
        """See Stage.validate. Half the log of the squared error of the visible mean where the clean
        picture is known, of the masked one to the noisy pixels it has not seen elsewhere."""
        if self.held_out is None:
            return None
        return float(np.mean([self._error(number) for number in range(VALIDATION_BATCHES)]))

    def sample(self) -> NDArray[np.uint8] | None:
        """See Stage.sample: rows of noisy and denoised crops that are held out."""
        if self.held_out is None:
            return None
        batch = self._exam(0)
        shown = [batch.noisy, self.networks.denoiser(batch.noisy)]
        return side_by_side(shown if batch.clean is None else [*shown, batch.clean])

    def _at(self, maps: Tensor, batch: Batch) -> Tensor:
        return at(maps, batch.phases, self.cell)

    def _error(self, number: int) -> float:
        batch = self._exam(number)
        if batch.clean is not None:
            return float(psnr_loss(self.networks.denoiser(batch.noisy), batch.clean))
        masked, _ = self.believe(batch)
        target, trusted = (self._at(part, batch) for part in (batch.target, batch.trusted))
        return float(psnr_loss(masked.mean, target, trusted.expand_as(target)))

    def _exam(self, number: int) -> Batch:
        assert self.held_out is not None
        rngs = sample_rngs((977, number), range(self.batch))
        phases = tuple((5 * number + step) % self.cell**2 for step in (0, 6, 11))
        batch = self._drawn(self.held_out, rngs, phases)
        return Batch(*placed(self.networks, *batch))

    def _drawn(
        self, source: Source, rngs: Sequence[np.random.Generator], phases: tuple[int, ...]
    ) -> Batch:
        crops = [source.crop(rng, self.crop) for rng in rngs]
        noisy, target, trusted = (
            _planar([getattr(crop, part) for crop in crops])
            for part in ("noisy", "target", "trusted")
        )
        known = [crop.clean for crop in crops if crop.clean is not None]
        return Batch(noisy, target, trusted, _planar(known) if known else None, phases)


@dataclass
class Made:
    """Clean clips with made noise. Clean pictures are given for validation only."""

    clips: Sequence[NDArray[Any]]  # (T, H, W, C), codes (uint8) or as they are
    draw_law: Callable[[np.random.Generator], Law | None]
    gray: bool = False  # the clips' luma

    @property
    def side(self) -> int:
        """See Source."""
        return min(min(clip.shape[1:3]) for clip in self.clips)

    def crop(self, rng: np.random.Generator, side: int) -> Crop:
        """See Source."""
        clean = cut(self.clips[int(rng.integers(len(self.clips)))], (0,), side, rng)[0]
        law = self.draw_law(rng)
        assert law is not None  # the recipe refuses renditions: their noise is not white
        if self.gray:
            clean = luma(clean)
        elif clean.shape[-1] == 3 and rng.random() < RECOLOURED_SHARE:
            clean = recolour(clean, rng)
        elif clean.shape[-1] == 3 and rng.random() < GRAY_SHARE:
            clean, law = np.ascontiguousarray(as_gray(clean)), replace(law, shared=1.0)
        target = law.add(clean, rng).astype(np.float32)
        noisy = to_unit(to_codes(target)) if rng.random() < CODED_SHARE else target
        return _turned(Crop(noisy, target, np.ones_like(clean[..., :1]), clean), rng)


@dataclass
class Recorded:
    """Noisy footage as it is."""

    clips: Sequence[NDArray[Any]]
    levels: Sequence[NoiseModel]  # of each
    clipped: Sequence[bool]  # whether its values end at black and white

    @property
    def side(self) -> int:
        """See Source."""
        return min(min(clip.shape[1:3]) for clip in self.clips)

    def crop(self, rng: np.random.Generator, side: int) -> Crop:
        """See Source. Where the range cuts noise off, a pixel's mean is not the clean picture: such
        places, told by the eight neighbours alone, teach nothing (methods.md 9.6)."""
        which = int(rng.integers(len(self.clips)))
        noisy = cut(self.clips[which], (0,), side, rng)[0]
        trusted = np.ones_like(noisy[..., :1])
        if self.clipped[which]:
            planes = torch.from_numpy(np.ascontiguousarray(noisy.transpose(2, 0, 1)))[None]
            around = torch.nn.functional.avg_pool2d(planes, 3, 1, 1, count_include_pad=False)
            near = (9 * around - planes) / 8
            room = 2 * self.levels[which].level(near)
            inside = ((near > room) & (near < 1 - room)).all(1)[0]
            trusted = inside.numpy().astype(np.float32)[..., None]
        return _turned(Crop(noisy, noisy, trusted, None), rng)


def _turned(crop: Crop, rng: np.random.Generator) -> Crop:
    code = draw_turn(rng, crop.noisy.shape[-1])
    return Crop._make(None if part is None else dihedral(part, code) for part in crop)


def _planar(pictures: list[Picture]) -> Tensor:
    stacked = np.stack(pictures).transpose(0, 3, 1, 2)
    return torch.from_numpy(np.ascontiguousarray(stacked, np.float32))
