"""FITVNet's stage: the image module and the blocks after it, trained together (methods.md 2.3).

L_pd = sum_k ||Psi(y_k) - target_k||^2      L_st = ||Phi({Psi(y_k)}) - target||^2
L    = (alpha / e) L_pd + L_st              e = 1, 2, ... epochs so far
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from f2rcli.methods.fitvnet import LENGTH, MIDDLE, Networks, mirrored
from f2rcli.models.layers import padded
from f2rcli.training.footage.windows import Pictures, Sample, Source, turned
from f2rcli.training.loop.stage import fixed_loss, placed, sample_rngs, side_by_side
from f2rcli.training.methods.losses import psnr_loss, weighted_mean

EPOCHS = 40  # of a schedule, as published
MIRRORED_SHARE = 0.15  # of windows: as the first and last frames of a shot are seen
VALIDATION_BATCHES = 4

Cost = Callable[[Tensor, Tensor, Tensor | None], Tensor]


def squared(estimate: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """Mean squared error: the published loss."""
    return weighted_mean((estimate.float() - target).square(), weight).mean()


@dataclass(frozen=True, slots=True)
class Variant:
    """What both losses compare with. Where nobody knows the clean frames, copies with independent
    noise stand in for them: their mean is the same."""

    alpha: float  # weight of L_pd in the first epoch; 0: none
    clean: bool = False  # L_pd against clean frames; False: against a second noisy copy
    own: bool = False  # L_st against the image module's own estimate of the reference
    stop_gradient: bool = True  # of that estimate; without it both ends of L_st drift together
    hidden: bool = False  # from Phi: the reference. L_st is then against the noisy reference


# The paper gives no value of alpha; these are ours.
VARIANTS = {
    "base": Variant(0.0),
    "jsn": Variant(1.0),
    "jsc": Variant(1.0, clean=True),
    "unsupervised": Variant(10.0, own=True),
    "unsupervised-drift": Variant(10.0, own=True, stop_gradient=False),
    "unsupervised-hidden": Variant(10.0, hidden=True),
}


class Batch(NamedTuple):
    """Windows, (B, 5, C, H, W) each, level (B, 5, 1, H, W)."""

    noisy: Tensor
    second: Tensor
    clean: Tensor | None
    level: Tensor
    weight: Tensor | None


@dataclass
class JointStage:
    """Trains the image module alone (`blocks` False: L_pd alone, on single frames) or everything.

    Sums over five frames and means over them differ by a factor that alpha takes.
    """

    networks: Networks
    source: Source
    variant: Variant
    name: str = "joint"
    batch: int = 16
    crop: int = 96
    blocks: bool = True
    cost: Cost = psnr_loss
    held_out: "JointStage | None" = None  # the same networks on what they are not trained on
    progress: float = 0.0  # of the schedule, 0..1; the trainer says

    @property
    def network(self) -> nn.Module:
        """See Stage.network."""
        return self.networks if self.blocks else self.networks.image

    def draw(self, rngs: Sequence[np.random.Generator]) -> Batch:
        """See Stage.draw."""
        samples = [
            turned(self.source.window(rng, self._places(rng), self.crop), rng) for rng in rngs
        ]
        return Batch(*(_stacked(samples, part) for part in Sample._fields))  # type: ignore[arg-type]

    def loss(self, batch: Batch) -> Tensor:
        """See Stage.loss."""
        if not self.blocks:
            return self.image_loss(self.networks.image(batch.noisy.flatten(0, 1)), batch)
        estimates, restored = self.networks(batch.noisy, batch.level)
        loss = self.video_loss(estimates, restored, batch)
        if not self.variant.alpha:
            return loss
        weight = self.variant.alpha / self.epoch
        return loss + weight * self.image_loss(estimates.flatten(0, 1), batch)

    @property
    def epoch(self) -> int:
        """e, from 1."""
        return 1 + min(int(EPOCHS * self.progress), EPOCHS - 1)

    def image_loss(self, estimates: Tensor, batch: Batch) -> Tensor:
        """L_pd of Psi's estimates (B * T, C, H, W), a mean over the T frames."""
        knows = self.variant.clean and batch.clean is not None
        target = batch.clean if knows else batch.second
        assert target is not None  # just looked at
        weight = None if knows or batch.weight is None else batch.weight.flatten(0, 1)
        return self.cost(estimates, target.flatten(0, 1), weight)

    def video_loss(self, estimates: Tensor, restored: Tensor, batch: Batch) -> Tensor:
        """L_st: `estimates` (B, 5, C, H, W) are Psi's, `restored` (B, C, H, W) is Phi's."""
        variant, weight = self.variant, batch.weight
        if variant.own:
            own = estimates[:, MIDDLE]
            return self.cost(restored, own.detach() if variant.stop_gradient else own, None)
        if variant.hidden:  # blind to the reference: its own noise is independent of the estimate
            target = batch.noisy
        else:
            target = batch.second if batch.clean is None else batch.clean
        cares = None if weight is None or batch.clean is not None else weight[:, MIDDLE]
        return self.cost(restored, target[:, MIDDLE], cares)

    def validate(self) -> float | None:
        """See Stage.validate: half the log of the squared error of what is trained, against what
        is best known of the held-out frames."""
        return fixed_loss(self.held_out.exam(), VALIDATION_BATCHES) if self.held_out else None

    def exam(self) -> "JointStage":
        """The same with a loss that does not change as training goes on."""
        variant = Variant(0.0) if self.blocks else Variant(1.0, clean=True)
        return JointStage(
            self.networks, self.source, variant, self.name, self.batch, self.crop, self.blocks
        )

    def sample(self) -> NDArray[np.uint8] | None:
        """See Stage.sample: rows of noisy, single-frame and restored crops that are held out."""
        if self.held_out is None:
            return None
        drawn = self.held_out.draw(sample_rngs((0,), range(4)))
        batch = Batch(*placed(self.networks, *drawn))
        middle = batch.noisy.shape[1] // 2
        columns = [batch.noisy[:, middle], padded(self.networks.image, batch.noisy[:, middle])]
        if self.blocks:
            columns.append(self.networks(batch.noisy, batch.level)[1])
        known = batch.second if batch.clean is None else batch.clean
        return side_by_side([*columns, known[:, middle]])

    def _places(self, rng: np.random.Generator) -> list[int]:
        """Frames of a window, counted from its first; some windows are mirrored as at the ends."""
        if not self.blocks:
            return [0]
        shift = int(rng.integers(1, MIDDLE + 1)) if rng.random() < MIRRORED_SHARE else 0
        if self.variant.hidden:  # a mirrored place may be the reference, which is the target
            shift = 0
        places = [mirrored(place - shift, LENGTH - 1) for place in range(LENGTH)]
        return places if rng.random() < 0.5 else [LENGTH - 1 - place for place in places]


def _stacked(samples: list[Sample], part: str) -> Tensor | None:
    """One part of every window, channels before rows; a weight that some lack is 1 there."""
    found: list[Pictures | None] = [getattr(sample, part) for sample in samples]
    if all(pictures is None for pictures in found):
        return None
    whole = [
        np.ones_like(s.second) if p is None else p for s, p in zip(samples, found, strict=True)
    ]
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(np.stack(whole), -1, -3)))
