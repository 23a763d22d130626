"""FITVNet's stage: the image module and the blocks after it, trained together.

L_pd = sum_k ||Psi(y_k) - target_k||^2      L_st = ||Phi({Psi(y_k)}) - target||^2
L    = (alpha / e) L_pd + L_st              e = 1, 2, ... epochs so far
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from f2rcli.frames import Pictures
from f2rcli.methods.fitvnet import LENGTH, MIDDLE, FITVNetNetworks, mirrored
from f2rcli.models.layers import padded
from f2rcli.noise.law import NoiseLaw
from f2rcli.training.footage.augment import draw_turn
from f2rcli.training.footage.windows import (
    BLIND_SHARE,
    Sample,
    WindowSource,
    channels_first,
    channels_last,
    independent_noise,
)
from f2rcli.training.loop.stage import Stage, fixed_batches, fixed_loss, shown_batch, side_by_side
from f2rcli.training.methods.improvement import LOUDER, recorrupted
from f2rcli.training.methods.losses import Loss, as_stored, psnr_loss
from f2rcli.training.methods.validation import ValidationErrors

EPOCHS = 40  # of a schedule, as published
MIRRORED_SHARE = 0.15  # of windows: as the first and last frames of a shot are seen
VALIDATION_BATCHES = 4


@dataclass(frozen=True, slots=True)
class Variant:
    """Targets of both losses; without clean frames, independently noisy copies."""

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


class FrameSets(NamedTuple):
    """Windows, (B, 5, C, H, W) each, level (B, 5, 1, H, W)."""

    noisy: Tensor
    second: Tensor  # the same frames with noise that is independent of `noisy`'s
    clean: Tensor | None  # None for noisy footage
    level: Tensor  # of `noisy`, as networks are given it: zero for none
    cut: Tensor | None  # sigma of noisy targets that a range clipped, see as_stored; None: of none

    @property
    def known(self) -> Tensor:
        """The best known estimate of the frames."""
        return self.second if self.clean is None else self.clean


@dataclass
class JointStage(Stage):
    """Trains the image module alone (`blocks` False: L_pd alone, on single frames) or everything.

    Sums over five frames and means over them differ by a factor that alpha takes.
    """

    networks: FITVNetNetworks
    source: WindowSource
    variant: Variant
    name: str = "joint"
    batch: int = 16
    crop: int = 96
    blocks: bool = True
    cost: Loss = psnr_loss
    held_out: "JointStage | None" = None  # the same networks on what they are not trained on
    progress: float = 0.0  # of the schedule, 0..1; the trainer says

    def __post_init__(self) -> None:
        self.network: nn.Module = self.networks if self.blocks else self.networks.image

    def draw(self, rngs: Sequence[np.random.Generator]) -> FrameSets:
        samples = [self._sample(rng) for rng in rngs]
        return FrameSets(*(_stacked(part) for part in zip(*samples, strict=True)))  # type: ignore[arg-type]  # what need not be there is not

    def _sample(self, rng: np.random.Generator) -> "list[Pictures | None]":
        places = self._places(rng)
        sample = self.source.window(rng, places, self.crop)
        code, order = draw_turn(rng, sample.noisy.shape[-1]), int(rng.integers(2))
        return paired(sample.turned(code, order), places[::-1] if order else places, rng)

    def loss(self, batch: FrameSets) -> Tensor:
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

    def image_loss(self, estimates: Tensor, batch: FrameSets) -> Tensor:
        """L_pd of Psi's estimates (B * T, C, H, W), a mean over the T frames."""
        knows = self.variant.clean and batch.clean is not None
        target = batch.clean if knows else batch.second
        assert target is not None  # just looked at
        cut = None if knows or batch.cut is None else batch.cut.flatten(0, 1)
        return self.cost(as_stored(estimates, cut), target.flatten(0, 1))

    def video_loss(self, estimates: Tensor, restored: Tensor, batch: FrameSets) -> Tensor:
        """L_st: `estimates` (B, 5, C, H, W) are Psi's, `restored` (B, C, H, W) is Phi's."""
        variant = self.variant
        if variant.own:
            own = estimates[:, MIDDLE]
            return self.cost(restored, own.detach() if variant.stop_gradient else own)
        if variant.hidden:  # blind to the reference: its own noise is independent of the estimate
            target = batch.noisy
        else:
            target = batch.known
        cut = None if batch.cut is None or batch.clean is not None else batch.cut[:, MIDDLE]
        return self.cost(as_stored(restored, cut), target[:, MIDDLE])

    def validate(self) -> float | None:
        """Half the log of the squared error of what is trained, against what
        is best known of the held-out frames."""
        stage = self.held_out and self.held_out.for_validation()
        return fixed_loss(stage, VALIDATION_BATCHES) if stage else None

    def validation_errors(self) -> ValidationErrors:
        """The blocks' errors on this stage's own windows, against what is best known of them: clean
        frames, or second copies whose noise is independent. The same whenever they are looked at.
        """
        squares = []
        with torch.no_grad():
            for batch in fixed_batches(self, VALIDATION_BATCHES):
                _, restored = self.networks(batch.noisy, batch.level)
                cut = None if batch.cut is None else batch.cut[:, MIDDLE]
                squares.append((as_stored(restored, cut) - batch.known[:, MIDDLE]).square())
        return ValidationErrors.of(squares)

    def for_validation(self) -> "JointStage":
        """A copy whose loss does not change as training goes on."""
        variant = Variant(0.0) if self.blocks else Variant(1.0, clean=True)
        return JointStage(
            self.networks, self.source, variant, self.name, self.batch, self.crop, self.blocks
        )

    def sample(self) -> NDArray[np.uint8] | None:
        """Rows of noisy, single-frame and restored crops that are held out."""
        if self.held_out is None:
            return None
        batch = shown_batch(self.held_out)
        middle = batch.noisy.shape[1] // 2
        columns = [batch.noisy[:, middle], padded(self.networks.image, batch.noisy[:, middle])]
        if self.blocks:
            columns.append(self.networks(batch.noisy, batch.level)[1])
        return side_by_side([*columns, batch.known[:, middle]])

    def _places(self, rng: np.random.Generator) -> list[int]:
        """Frames of a window, counted from its first; some windows are mirrored as at the ends."""
        if not self.blocks:
            return [0]
        shift = int(rng.integers(1, MIDDLE + 1)) if rng.random() < MIRRORED_SHARE else 0
        if self.variant.hidden:  # a mirrored place may be the reference, which is the target
            shift = 0
        places = [mirrored(place - shift, LENGTH - 1) for place in range(LENGTH)]
        return places if rng.random() < 0.5 else [LENGTH - 1 - place for place in places]


def paired(
    sample: Sample, places: Sequence[int], rng: np.random.Generator
) -> list[Pictures | None]:
    """A window as the parts of FrameSets: noisy frames, second ones, clean ones, level and cut.

    Synthetic noise is drawn again. Renditions have no second noise: their clean frames stand in.
    """
    if sample.measured is not None:
        return _recorrupted(sample, sample.measured, places, rng)
    second, law = sample.clean, sample.law
    if law is not None and sample.clean is not None:
        second = independent_noise(sample.clean, places, law, rng)
    blind = rng.random() < BLIND_SHARE or (law is not None and law.impulses > 0)
    factor = np.float32(0 if blind else np.exp(rng.normal(0, sample.spread)))
    return [sample.noisy, second, sample.clean, factor * _root_mean_square(sample.level), None]


def _recorrupted(
    sample: Sample, law: NoiseLaw, places: Sequence[int], rng: np.random.Generator
) -> list[Pictures | None]:
    """Noisy frames made into two with independent noise."""
    pair = recorrupted(sample, law, places, rng)
    factor = np.float32(0 if rng.random() < BLIND_SHARE else LOUDER)
    noisy, second = channels_last(pair.shown), channels_last(pair.asked)
    cut = None if pair.cut is None else channels_last(pair.cut)
    return [noisy, second, None, factor * _root_mean_square(sample.level), cut]


def _root_mean_square(level: Pictures) -> Pictures:
    """Over the channels: (T, H, W, C) -> (T, H, W, 1)."""
    return np.sqrt(np.square(level).mean(-1, keepdims=True))


def _stacked(found: tuple[Pictures | None, ...]) -> Tensor | None:
    """One part of every window, channels before rows; what some windows lack is 0 there."""
    known = [pictures for pictures in found if pictures is not None]
    if not known:
        return None
    whole = [np.zeros_like(known[0]) if part is None else part for part in found]
    return channels_first(np.stack(whole))
