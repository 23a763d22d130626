"""F2R's two stages trained on noisy footage alone: no clean frame anywhere."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from f2rcli.engine.worker import at_once
from f2rcli.header import Estimate
from f2rcli.methods.f2r import F2RNetworks
from f2rcli.models.fusion import Anchor
from f2rcli.models.layers import padded
from f2rcli.training.loop.stage import Divisible, placed, side_by_side
from f2rcli.training.methods.f2r.excerpts import CELL, Excerpt, TrainingPair
from f2rcli.training.methods.f2r.stages import BLIND_WEIGHT, FusionBatch, collated, turned
from f2rcli.training.methods.f2r.training_pairs import TAU, TargetKind
from f2rcli.training.methods.losses import Loss, as_stored, psnr_loss
from f2rcli.training.methods.validation import ValidationErrors

LARGEST_HELD_OUT = 448  # pixels per side of the part of a held-out pair that is validated on
STRIDE = 8  # crops are multiples of it


@dataclass
class PairStage(Divisible):
    """Trains one of the networks, or both stages together, on pairs.

    Targets are noisy; their noise is independent of everything the networks are shown, so that
    the mean squared error to them differs from that to the clean picture by a constant.
    """

    networks: F2RNetworks
    excerpts: Sequence[Excerpt]
    held_out: Sequence[Excerpt]  # validated on
    name: str
    batch: int = 8
    crop: int = 96
    # What is trained: coarse, anchor, refiner, or fusion for both of the latter
    part: str = "refiner"
    cost: Loss = psnr_loss

    def __post_init__(self) -> None:
        parts = ("anchor", "refiner") if self.part == "fusion" else (self.part,)
        self.network = nn.ModuleDict({part: getattr(self.networks, part) for part in parts})
        smallest = min(min(e.noisy.shape[1:3]) for e in self.excerpts) if self.excerpts else 0
        self.crop = min(self.crop, smallest // STRIDE * STRIDE)
        self._pairs = [(e, pair) for e in self.excerpts for pair in e.pairs]

    def draw(self, rngs: Sequence[np.random.Generator]) -> FusionBatch:
        crops = []
        for rng in rngs:
            excerpt, pair = self._pairs[rng.integers(len(self._pairs))]
            crops.append(turned(excerpt.draw(pair, self.crop, rng), rng))
        return collated(crops, rngs)

    def share(self, batch: FusionBatch, samples: slice) -> FusionBatch:
        return batch.of(samples)

    def loss(self, batch: FusionBatch) -> Tensor:
        if self.part in ("coarse", "refiner"):
            return self._cost(self.best(batch), batch)
        anchor = _anchor(self.networks, batch)
        blind = self._cost(anchor.strict, batch) + self._cost(anchor.guided(batch.coarse), batch)
        if self.part == "anchor":
            return blind
        return self._cost(_refined(self.networks, batch, anchor), batch) + BLIND_WEIGHT * blind

    def _cost(self, estimate: Tensor, batch: FusionBatch) -> Tensor:
        return self.cost(as_stored(estimate, batch.cut), batch.clean)

    def best(self, batch: FusionBatch) -> Tensor:
        """The estimate that this stage trains, by the networks as they are now."""
        if self.part == "coarse":
            coarse: Tensor = padded(self.networks.coarse, batch.noisy, batch.level)
            return coarse
        estimate = Estimate.ANCHOR if self.part == "anchor" else Estimate.REFINED
        return served(self.networks, batch, estimate)

    def validate(self) -> float | None:
        """Half the log of the mean squared error to the held-out targets."""
        if not any(excerpt.pairs for excerpt in self.held_out):
            return None
        return errors_of(self.networks, self.held_out, self.best).score

    def sample(self) -> NDArray[np.uint8] | None:
        """Noisy, coarse and this stage's estimate of a held-out centre."""
        for excerpt in self.held_out:
            for pair in excerpt.pairs:
                batch = held_out_batch(self.networks, excerpt, pair)
                return side_by_side([batch.noisy, batch.coarse, self.best(batch)])
        return None


def _anchor(networks: F2RNetworks, batch: FusionBatch) -> Anchor:
    anchor: Anchor = padded(networks.anchor, batch.aligned)
    return anchor


def _refined(networks: F2RNetworks, batch: FusionBatch, anchor: Anchor) -> Tensor:
    refined: Tensor = padded(networks.refiner, *batch.seen_beside(anchor))
    return refined


def served(networks: F2RNetworks, batch: FusionBatch, estimate: Estimate) -> Tensor:
    """The pipeline's result with the networks as they are; stage 2 passes stage 1 no gradient."""
    if estimate is Estimate.COARSE:
        return batch.coarse
    anchor = _anchor(networks, batch)
    if estimate is Estimate.ANCHOR:
        return anchor.guided(batch.coarse)
    return _refined(networks, batch, anchor)


def errors_of(
    networks: F2RNetworks,
    excerpts: Sequence[Excerpt],
    estimate: Callable[[FusionBatch], Tensor],
    variance_error: float = 0.0,
) -> ValidationErrors:
    """Errors of an estimate on held-out pairs, several of them at a time on the CPU.

    variance_error: the share of its variance by which the noise drawn for recorrupted pairs may be
    wrong. So much of the noise that the estimate lets through does not cancel: it adds to the error
    twice, and weights that let through less look better by it, or worse, than they are. By as much
    the mean may be off that black and white leave of the noise, which estimates there are held to.
    """
    device = next(networks.parameters()).device
    lowered = torch.is_autocast_enabled(device.type)  # here; threads have states of their own
    kind = torch.get_autocast_dtype(device.type)

    def judged(excerpt: Excerpt, pair: TrainingPair) -> tuple[Tensor, float]:
        with torch.no_grad(), torch.autocast(device.type, kind, enabled=lowered):
            batch = held_out_batch(networks, excerpt, pair)
            guess, asked, cut = estimate(batch), batch.clean, batch.cut
            squares = (as_stored(guess, cut) - asked).square()
            drawn = (batch.noisy - asked) / (1 + TAU[TargetKind.RECORRUPTED] ** 2)
            doubt = 2 * variance_error * (as_stored(guess, cut) * drawn).mean()
            if cut is not None:  # were it drawn too strong, the true sigma would be lower
                weaker = as_stored(guess, cut * (1 - variance_error / 2))
                doubt += (squares - (weaker - asked).square()).mean()
            return squares, float(doubt)

    work = [partial(judged, excerpt, pair) for excerpt in excerpts for pair in excerpt.pairs]
    found = at_once(work, device)
    return ValidationErrors.of([squares for squares, _ in found], [doubt for _, doubt in found])


def held_out_batch(networks: F2RNetworks, excerpt: Excerpt, pair: TrainingPair) -> FusionBatch:
    """The middle of a held-out pair, as a batch of one."""
    sides = [min(n, LARGEST_HELD_OUT) // STRIDE * STRIDE for n in pair.noisy.shape[:2]]
    top, left = ((n - s) // 2 // CELL * CELL for n, s in zip(pair.noisy.shape, sides, strict=False))
    crop = excerpt.crop(pair, top, left, *sides)
    return placed(networks, collated([crop]))
