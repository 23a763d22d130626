"""F2R's stages for supervised pre-training: what a batch is, and what its loss is."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from f2rcli.frames import Singles
from f2rcli.methods.f2r.alignment import photometric
from f2rcli.methods.f2r.pipeline import level_map
from f2rcli.models.coarse import Coarse
from f2rcli.models.fusion import Aligned, Anchor, BlindAnchor, Refiner
from f2rcli.training.footage.augment import dihedral, draw_turn
from f2rcli.training.footage.windows import WindowSource, channels_first, conditioning_level
from f2rcli.training.loop.stage import Stage, fixed_loss, shown_batch, side_by_side
from f2rcli.training.methods.f2r.excerpts import Excerpt, WindowCrop
from f2rcli.training.methods.losses import psnr_loss, relative_loss

VALIDATION_BATCHES = 8
BLIND_WEIGHT = 0.3  # of stage 1's losses beside stage 2's
LATTICE = 8.0  # see relative_loss
WARPED = ("warped_noisy", "warped_coarse", "agreement")  # parts of a WindowCrop per neighbour
PICTURES = ("clean", "noisy", "coarse", *WARPED)


@dataclass
class CoarseStage(Stage):
    """Trains the single-frame denoiser on crops."""

    network: Coarse
    source: WindowSource
    batch: int = 16
    crop: int = 96
    relative: bool = False  # whether errors count beside the input's own
    name: str = "coarse"
    held_out: "CoarseStage | None" = None  # the same network on clips it is not trained on

    def draw(self, rngs: Sequence[np.random.Generator]) -> tuple[Tensor, ...]:
        """Noisy, level and clean, each (B, C, H, W)."""
        samples = [self._sample(rng) for rng in rngs]
        return tuple(channels_first(np.concatenate(part)) for part in zip(*samples, strict=True))

    def loss(self, batch: tuple[Tensor, ...]) -> Tensor:
        noisy, level, clean = batch
        estimate = self.network(noisy, level)
        return (
            relative_loss(estimate, clean, noisy) if self.relative else psnr_loss(estimate, clean)
        )

    def validate(self) -> float | None:
        """The loss on batches of the clips that are held out."""
        return fixed_loss(self.held_out, VALIDATION_BATCHES) if self.held_out else None

    def sample(self) -> NDArray[np.uint8] | None:
        """Rows of noisy, denoised and clean crops that are held out."""
        if self.held_out is None:
            return None
        noisy, level, clean = shown_batch(self.held_out)
        return side_by_side([noisy, self.network(noisy, level), clean])

    def _sample(self, rng: np.random.Generator) -> tuple[Singles, ...]:
        sample = self.source.window(rng, (0,), self.crop)
        sample = sample.turned(draw_turn(rng, sample.noisy.shape[-1]), 0)
        assert sample.clean is not None  # clean clips alone are trained on
        return sample.noisy, conditioning_level(sample.level, rng, sample.spread), sample.clean


class FusionBatch(NamedTuple):
    """Crops with what the pipeline makes of them before stage 1."""

    clean: Tensor  # (B, C, H, W), like the next three
    noisy: Tensor
    coarse: Tensor
    level: Tensor
    aligned: Aligned
    cut: Tensor | None = None  # (B, C, H, W), sigma of targets that a range clipped; 0: of others

    def of(self, samples: slice) -> "FusionBatch":
        """A subset of its samples."""
        clean, noisy, coarse, level = (one[samples] for one in self[:4])
        aligned = Aligned(*(one[samples] for one in self.aligned))
        cut = None if self.cut is None else self.cut[samples]
        return FusionBatch(clean, noisy, coarse, level, aligned, cut)

    def seen_beside(self, anchor: Anchor) -> tuple[Any, ...]:
        """Stage 2's input, with an anchor that its gradient does not reach."""
        fixed = Anchor(*(part.detach() for part in anchor))
        return self.noisy, self.coarse, self.level, fixed, self.aligned


@dataclass
class FusionStage(Stage):
    """Trains stage 1 (blind anchor, both modes) and stage 2 (refiner) together on crops.

    Stage 2 sees the anchor, but its gradient stops there: the anchor stays an estimate of the
    picture and does not become a message to stage 2.
    """

    anchor: BlindAnchor
    refiner: Refiner
    items: Sequence[Excerpt]
    batch: int = 8
    crop: int = 96
    name: str = "fusion"
    held_out: "FusionStage | None" = None  # the same networks on clips they are not trained on

    def __post_init__(self) -> None:
        self.network = nn.ModuleDict({"anchor": self.anchor, "refiner": self.refiner})

    def draw(self, rngs: Sequence[np.random.Generator]) -> FusionBatch:
        return collated([turned(self._crop(rng), rng) for rng in rngs], rngs)

    def loss(self, batch: FusionBatch) -> Tensor:
        clean, noisy, coarse = batch.clean, batch.noisy, batch.coarse
        anchor: Anchor = self.anchor(batch.aligned)
        refined = self.refiner(*batch.seen_beside(anchor))
        blind = relative_loss(anchor.strict, clean, noisy)
        blind = blind + relative_loss(anchor.guided(coarse), clean, noisy)
        return relative_loss(refined, clean, noisy, lattice=LATTICE) + BLIND_WEIGHT * blind

    def validate(self) -> float | None:
        """The loss on batches of the clips that are held out."""
        return fixed_loss(self.held_out, VALIDATION_BATCHES) if self.held_out else None

    def sample(self) -> NDArray[np.uint8] | None:
        """Rows of noisy, anchor, refined and clean crops that are held out."""
        if self.held_out is None:
            return None
        batch = shown_batch(self.held_out)
        anchor: Anchor = self.anchor(batch.aligned)
        refined = self.refiner(*batch.seen_beside(anchor))
        return side_by_side([batch.noisy, anchor.guided(batch.coarse), refined, batch.clean])

    def _crop(self, rng: np.random.Generator) -> WindowCrop:
        item = self.items[int(rng.integers(len(self.items)))]
        return item.draw(item.pairs[int(rng.integers(len(item.pairs)))], self.crop, rng)


def collated(
    crops: list[WindowCrop], rngs: Sequence[np.random.Generator] | None = None
) -> FusionBatch:
    """Crops as a batch. With generators a tenth of them lose some of their neighbours, as happens
    in short shots and beside duplicates; what short clips lack counts for nothing either."""
    most = max(len(crop.agreement) for crop in crops)
    crops = [_padded(crop, most) for crop in crops]
    clean, noisy, coarse, warped_noisy, warped_coarse, agreement = (
        channels_first(np.stack([getattr(c, part) for c in crops])) for part in PICTURES
    )
    level = torch.cat([level_map(c.conditioned_on, coarse[i : i + 1]) for i, c in enumerate(crops)])
    typical = torch.tensor([c.typical for c in crops])
    confidence = agreement * photometric(warped_coarse, coarse, typical)
    kept = torch.ones(len(crops), confidence.shape[1], 1, 1, 1)
    for sample, rng in enumerate(rngs or ()):
        if rng.random() < 0.1:
            lost = rng.permutation(confidence.shape[1])[: rng.integers(1, confidence.shape[1])]
            kept[sample, torch.from_numpy(lost)] = 0
    aligned = Aligned(warped_noisy, warped_coarse, confidence * kept)
    cuts = [np.zeros_like(c.clean) if c.cut is None else c.cut for c in crops]
    cut = None if all(c.cut is None for c in crops) else channels_first(np.stack(cuts))
    return FusionBatch(clean, noisy, coarse, level, aligned, cut)


def _padded(crop: WindowCrop, neighbours: int) -> WindowCrop:
    """The crop with so many neighbours, the last ones of no agreement."""
    more = [(0, neighbours - len(crop.agreement)), (0, 0), (0, 0), (0, 0)]
    parts: dict[str, Any] = {part: np.pad(getattr(crop, part), more) for part in WARPED}
    return replace(crop, **parts)


def turned(crop: WindowCrop, rng: np.random.Generator) -> WindowCrop:
    """A crop flipped and transposed at random; a mosaic's only transposed."""
    code = draw_turn(rng, crop.noisy.shape[-1])
    pictures = PICTURES if crop.cut is None else (*PICTURES, "cut")
    parts: dict[str, Any] = {part: dihedral(getattr(crop, part), code) for part in pictures}
    return replace(crop, **parts)
