"""F2R's stages for supervised pre-training: what a batch is, and what its loss is."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from f2rcli.methods.f2r import level_map, photometric
from f2rcli.models.coarse import Coarse
from f2rcli.models.fusion import Aligned, Anchor, BlindAnchor, Refiner
from f2rcli.noise.codec import to_codes, to_unit
from f2rcli.noise.synthesis.corruption import Law, as_gray, draw_law, luma, recolour
from f2rcli.training.footage.augment import dihedral, draw_turn
from f2rcli.training.footage.clips import Clip, Rendition
from f2rcli.training.loop.stage import fixed_loss, placed, sample_rngs, side_by_side
from f2rcli.training.methods.f2r.precomputed import Crop, Precomputed, draw_crop
from f2rcli.training.methods.losses import psnr_loss, relative_loss

RECOLOURED_SHARE = 0.15  # of uncompressed samples
GRAY_SHARE = 0.1  # of uncompressed samples: gray clips go through RGB weights
VALIDATION_BATCHES = 8
LATTICE = 8.0  # see relative_loss

Batch = NDArray[np.float32]


def told_level(level: Batch, rng: np.random.Generator, spread: float = 0.15) -> Batch:
    """What a network is told of the noise: nothing (zero) twice in five, else about right."""
    return level * np.float32(0 if rng.random() < 0.4 else np.exp(rng.normal(0, spread)))


def mixed(rng: np.random.Generator) -> Law | None:
    """What shipped weights learn from: a third compressed renditions, the others `draw_law`'s."""
    return None if rng.random() < 0.35 else draw_law(rng)


@dataclass
class CoarseStage:
    """Trains the single-frame denoiser on crops."""

    network: Coarse
    clips: Sequence[Clip]
    compressed: Sequence[Rendition]
    batch: int = 16
    crop: int = 96
    name: str = "coarse"
    held_out: "CoarseStage | None" = None  # the same network on clips it is not trained on
    draw_law: Callable[[np.random.Generator], Law | None] = mixed  # None: take a compressed one
    gray: bool = False  # train on the clips' luma

    def draw(self, rngs: Sequence[np.random.Generator]) -> tuple[Tensor, ...]:
        """See Stage.draw: noisy, level and clean, each (B, C, H, W)."""
        samples = [self._sample(rng) for rng in rngs]
        return tuple(torch.from_numpy(np.stack(part)) for part in zip(*samples, strict=True))

    def loss(self, batch: tuple[Tensor, ...]) -> Tensor:
        """See Stage.loss."""
        noisy, level, clean = batch
        return psnr_loss(self.network(noisy, level), clean)

    def validate(self) -> float | None:
        """See Stage.validate: the loss on batches of the clips that are held out."""
        return fixed_loss(self.held_out, VALIDATION_BATCHES) if self.held_out else None

    def sample(self) -> NDArray[np.uint8] | None:
        """See Stage.sample: rows of noisy, denoised and clean crops that are held out."""
        if self.held_out is None:
            return None
        noisy, level, clean = self.held_out.draw(sample_rngs((0,), range(4)))
        return side_by_side([noisy, self.network(*placed(self.network, noisy, level)), clean])

    def _sample(self, rng: np.random.Generator) -> tuple[Batch, Batch, Batch]:
        code = draw_turn(rng, self.clips[0].shape[-1])
        law = self.draw_law(rng)
        if law is None:
            item = self.compressed[int(rng.integers(len(self.compressed)))]
            where = _place(item.clean, self.crop, rng)
            clean, noisy = _cut(item.clean, where, self.crop), _cut(item.noisy, where, self.crop)
            if self.gray:
                clean, noisy = luma(clean), luma(noisy)
            level = np.full_like(noisy, item.sigma)
            spread = 0.3
        else:
            clip = self.clips[int(rng.integers(len(self.clips)))]
            clean = _cut(clip, _place(clip, self.crop, rng), self.crop)
            if self.gray:
                clean = luma(clean)
            elif rng.random() < RECOLOURED_SHARE and clean.shape[-1] == 3:
                clean = recolour(clean, rng)
            elif rng.random() < GRAY_SHARE:
                clean, law = as_gray(clean), replace(law, shared=1.0)
            noisy, level, spread = law.add(clean, rng), law.level(clean), 0.15
            if rng.random() < 0.8:  # what files hold
                noisy = to_unit(to_codes(noisy))
        level = told_level(level, rng, spread)
        return tuple(_planar(dihedral(part, code)) for part in (noisy, level, clean))  # type: ignore[return-value]  # three parts in, three out


def _place(clip: Clip, crop: int, rng: np.random.Generator) -> tuple[int, int, int]:
    frames, height, width, _ = clip.shape
    return (
        int(rng.integers(frames)),
        int(rng.integers(height - crop + 1)),
        int(rng.integers(width - crop + 1)),
    )


def _cut(clip: Clip, where: tuple[int, int, int], crop: int) -> Batch:
    frame, top, left = where
    part = clip[frame, top : top + crop, left : left + crop]
    return to_unit(part) if part.dtype == np.uint8 else part.astype(np.float32)


def _planar(crop: Batch) -> Batch:
    return np.ascontiguousarray(crop.transpose(2, 0, 1), np.float32)


class FusionBatch(NamedTuple):
    """Crops with what the pipeline makes of them before stage 1."""

    clean: Tensor  # (B, C, H, W), like the next three
    noisy: Tensor
    coarse: Tensor
    level: Tensor
    aligned: Aligned
    weight: Tensor | None = None  # (B, C, H, W)


@dataclass
class FusionStage:
    """Trains stage 1 (blind anchor, both modes) and stage 2 (refiner) together on crops.

    Stage 2 sees the anchor, but its gradient stops there: the anchor stays an estimate of the
    picture and does not become a message to stage 2.
    """

    anchor: BlindAnchor
    refiner: Refiner
    items: Sequence[Precomputed]
    batch: int = 8
    crop: int = 96
    name: str = "fusion"
    held_out: "FusionStage | None" = None  # the same networks on clips they are not trained on

    @property
    def network(self) -> nn.Module:
        """See Stage.network."""
        return nn.ModuleDict({"anchor": self.anchor, "refiner": self.refiner})

    def draw(self, rngs: Sequence[np.random.Generator]) -> FusionBatch:
        """See Stage.draw."""
        crops = [
            turned(draw_crop(self.items[int(rng.integers(len(self.items)))], self.crop, rng), rng)
            for rng in rngs
        ]
        return collated(crops, rngs)

    def loss(self, batch: FusionBatch) -> Tensor:
        """See Stage.loss."""
        clean, noisy, coarse = batch.clean, batch.noisy, batch.coarse
        anchor: Anchor = self.anchor(batch.aligned)
        fixed = Anchor(*(part.detach() for part in anchor))
        refined = self.refiner(noisy, coarse, batch.level, fixed, batch.aligned)
        blind = relative_loss(anchor.strict, clean, noisy)
        blind = blind + relative_loss(anchor.guided(coarse), clean, noisy)
        return relative_loss(refined, clean, noisy, lattice=LATTICE) + 0.3 * blind

    def validate(self) -> float | None:
        """See Stage.validate: the loss on batches of the clips that are held out."""
        return fixed_loss(self.held_out, VALIDATION_BATCHES) if self.held_out else None

    def sample(self) -> NDArray[np.uint8] | None:
        """See Stage.sample: rows of noisy, anchor, refined and clean crops that are held out."""
        if self.held_out is None:
            return None
        drawn = self.held_out.draw(sample_rngs((0,), range(4)))
        batch = FusionBatch(*placed(self.refiner, *drawn))
        anchor: Anchor = self.anchor(batch.aligned)
        refined = self.refiner(batch.noisy, batch.coarse, batch.level, anchor, batch.aligned)
        return side_by_side([batch.noisy, anchor.guided(batch.coarse), refined, batch.clean])


def collated(crops: list[Crop], rngs: Sequence[np.random.Generator] | None = None) -> FusionBatch:
    """Crops as a batch. With generators a tenth of them lose some of their neighbours, as happens
    in short shots and beside duplicates."""
    clean, noisy, coarse, warped_noisy, warped_coarse, agreement = (
        _stacked([getattr(c, part) for c in crops])
        for part in ("clean", "noisy", "coarse", "warped_noisy", "warped_coarse", "agreement")
    )
    level = torch.cat([level_map(c.told, coarse[i : i + 1]) for i, c in enumerate(crops)])
    typical = torch.tensor([c.typical for c in crops])
    confidence = agreement * photometric(warped_coarse, coarse, typical)
    kept = torch.ones(len(crops), confidence.shape[1], 1, 1, 1)
    for sample, rng in enumerate(rngs or ()):
        if rng.random() < 0.1:
            lost = rng.permutation(confidence.shape[1])[: rng.integers(1, confidence.shape[1])]
            kept[sample, torch.from_numpy(lost)] = 0
    aligned = Aligned(warped_noisy, warped_coarse, confidence * kept)
    weights = [np.ones_like(c.clean) if c.weight is None else c.weight for c in crops]
    weight = None if all(c.weight is None for c in crops) else _stacked(weights)
    return FusionBatch(clean, noisy, coarse, level, aligned, weight)


def turned(crop: Crop, rng: np.random.Generator) -> Crop:
    """A crop flipped and transposed at random; a mosaic's only transposed."""
    code = draw_turn(rng, crop.noisy.shape[-1])
    pictures: tuple[str, ...] = (
        "clean", "noisy", "coarse", "warped_noisy", "warped_coarse", "agreement"
    )  # fmt: skip
    if crop.weight is not None:
        pictures = (*pictures, "weight")
    parts: dict[str, Any] = {part: dihedral(getattr(crop, part), code) for part in pictures}
    return replace(crop, **parts)


def _stacked(pictures: list[Batch]) -> Tensor:
    """(H, W, C) or (N, H, W, C) pictures -> a tensor with channels before rows."""
    stacked = np.moveaxis(np.stack(pictures), -1, -3)
    return torch.from_numpy(np.ascontiguousarray(stacked, np.float32))
