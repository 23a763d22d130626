"""F2R's two stages trained on noisy footage alone: no clean frame anywhere."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from f2rcli.header import Estimate
from f2rcli.methods.f2r import F2RNetworks
from f2rcli.models.fusion import Anchor
from f2rcli.models.layers import padded
from f2rcli.training.loop.stage import placed, side_by_side
from f2rcli.training.methods.f2r.precomputed import CELL, WindowCrop
from f2rcli.training.methods.f2r.stages import FusionBatch, collated, turned
from f2rcli.training.methods.f2r.training_pairs import Excerpt, TrainingPair
from f2rcli.training.methods.losses import Loss, as_stored, psnr_loss
from f2rcli.training.methods.validation import ValidationErrors

LARGEST_HELD_OUT = 448  # pixels per side of the part of a held-out pair that is validated on
STRIDE = 8  # crops are multiples of it


@dataclass
class PairStage:
    """Trains stage 1, stage 2 or both on pairs.

    Targets are noisy; their noise is independent of everything the networks are shown, so that
    the mean squared error to them differs from that to the clean picture by a constant.
    """

    networks: F2RNetworks
    excerpts: Sequence[Excerpt]
    held_out: Sequence[Excerpt]  # validated on
    name: str
    batch: int = 8
    crop: int = 96
    parts: tuple[str, ...] = ("anchor", "refiner")  # those that are trained
    cost: Loss = psnr_loss
    blind_share: float = 0.3  # of stage 1's cost where both are trained
    network: nn.Module = field(init=False)

    def __post_init__(self) -> None:
        self.network = nn.ModuleDict({part: getattr(self.networks, part) for part in self.parts})
        smallest = min(min(e.noisy.shape[1:3]) for e in self.excerpts) if self.excerpts else 0
        self.crop = min(self.crop, smallest // STRIDE * STRIDE)
        self._pairs = [(e, pair) for e in self.excerpts for pair in e.pairs]

    def draw(self, rngs: Sequence[np.random.Generator]) -> FusionBatch:
        """See Stage.draw."""
        return collated([turned(self._crop(rng), rng) for rng in rngs], rngs)

    def loss(self, batch: FusionBatch) -> Tensor:
        """See Stage.loss."""
        if self.parts == ("coarse",):
            return self._cost(self.coarse(batch), batch)
        anchor, refined = self.estimate(batch)
        blind = self._cost(anchor.strict, batch) + self._cost(anchor.guided(batch.coarse), batch)
        if refined is None:
            return blind
        cost = self._cost(refined, batch)
        return cost + self.blind_share * blind if "anchor" in self.parts else cost

    def _cost(self, estimate: Tensor, batch: FusionBatch) -> Tensor:
        return self.cost(as_stored(estimate, batch.cut), batch.clean)

    def coarse(self, batch: FusionBatch) -> Tensor:
        """The single-frame estimate by the network as it is now."""
        coarse: Tensor = padded(self.networks.coarse, batch.noisy, batch.level)
        return coarse

    def best(self, batch: FusionBatch) -> Tensor:
        """The last estimate that this stage trains."""
        if self.parts == ("coarse",):
            return self.coarse(batch)
        anchor, refined = self.estimate(batch)
        return anchor.guided(batch.coarse) if refined is None else refined

    def estimate(self, batch: FusionBatch) -> tuple[Anchor, Tensor | None]:
        """Both stages' estimates; the second's is None where it is not trained."""
        anchor: Anchor = padded(self.networks.anchor, batch.aligned)
        if "refiner" not in self.parts:
            return anchor, None
        fixed = Anchor(*(part.detach() for part in anchor))
        inputs = (batch.noisy, batch.coarse, batch.level, fixed, batch.aligned)
        return anchor, padded(self.networks.refiner, *inputs)

    def validate(self) -> float | None:
        """See Stage.validate: half the log of the mean squared error to the held-out targets."""
        if not any(excerpt.pairs for excerpt in self.held_out):
            return None
        return errors_of(self.networks, self.held_out, self.best).score

    def sample(self) -> NDArray[np.uint8] | None:
        """See Stage.sample: noisy, coarse and this stage's estimate of a held-out centre."""
        for excerpt in self.held_out:
            for pair in excerpt.pairs:
                batch = held_out_batch(self.networks, excerpt, pair)
                return side_by_side([batch.noisy, batch.coarse, self.best(batch)])
        return None

    def _crop(self, rng: np.random.Generator) -> WindowCrop:
        excerpt, pair = self._pairs[rng.integers(len(self._pairs))]
        rows, columns = pair.noisy.shape[:2]
        top, left = (int(rng.integers((n - self.crop) // CELL + 1)) * CELL for n in (rows, columns))
        return excerpt.crop(pair, top, left, self.crop, self.crop)


def served(networks: F2RNetworks, batch: FusionBatch, estimate: Estimate) -> Tensor:
    """What the pipeline gives out of a centre, by the networks as they are now."""
    if estimate is Estimate.COARSE:
        return batch.coarse
    anchor: Anchor = padded(networks.anchor, batch.aligned)
    if estimate is Estimate.ANCHOR:
        return anchor.guided(batch.coarse)
    inputs = (batch.noisy, batch.coarse, batch.level, anchor, batch.aligned)
    refined: Tensor = padded(networks.refiner, *inputs)
    return refined


def errors_of(
    networks: F2RNetworks,
    excerpts: Sequence[Excerpt],
    estimate: Callable[[FusionBatch], Tensor],
) -> ValidationErrors:
    """Errors of an estimate on held-out pairs."""
    squares = []
    with torch.no_grad():
        for excerpt in excerpts:
            for pair in excerpt.pairs:
                batch = held_out_batch(networks, excerpt, pair)
                squares.append((as_stored(estimate(batch), batch.cut) - batch.clean).square())
    return ValidationErrors.of(squares)


def held_out_batch(networks: F2RNetworks, excerpt: Excerpt, pair: TrainingPair) -> FusionBatch:
    """The middle of a held-out pair, as a batch of one."""
    sides = [min(n, LARGEST_HELD_OUT) // STRIDE * STRIDE for n in pair.noisy.shape[:2]]
    top, left = ((n - s) // 2 // CELL * CELL for n, s in zip(pair.noisy.shape, sides, strict=False))
    crop = excerpt.crop(pair, top, left, *sides)
    return FusionBatch(*placed(networks, *collated([crop])))
