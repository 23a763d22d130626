"""FITVNet: the image module first, then everything; noisy frames are recorrupted into two.

L_pd = sum_k ||Psi(y_k) - target_k||^2      L_st = ||Phi({Psi(y_k)}) - target||^2
L    = (1 / e) L_pd + L_st                  e = 1, 2, ... epochs so far

Targets are second copies of the frames with independent noise (the paper's JSN), or the clean
frames where they are known. The image module alone comes first: it costs a fifth of a joint step,
and the blocks learn little before its estimates are any good.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from f2rcli.methods.fitvnet import LENGTH, MIDDLE, FITVNetNetworks
from f2rcli.training.exams import LOUDER, ValidationErrors, as_stored
from f2rcli.training.methods.base import TrainingContext, WindowRecipe, WindowStage
from f2rcli.training.stage import StageSpec, psnr_loss
from f2rcli.training.windows import Run, held_windows, window_of
from f2rcli.window import mirrored

# 129 GMAC per megapixel of output.
SMALL: dict[str, Any] = {
    "image": {"width": 24}, "block": {"widths": (16, 16, 32, 64)},
}  # fmt: skip
STRIDE = 32  # crops are multiples of it: five halvings
EPOCHS = 40  # of a schedule, as published
MIRRORED_SHARE = 0.15  # of windows: as the first and last frames of a shot are seen


@dataclass(frozen=True, slots=True, kw_only=True)
class JointSpec(StageSpec):
    blocks: bool  # False: the image module alone
    warmup: int = 200
    ema: float = 0.998


class FITVNetRecipe(WindowRecipe[JointSpec]):
    def __init__(self, context: TrainingContext) -> None:
        super().__init__(context, context.header(LENGTH, SMALL), JointStage, STRIDE)
        self.specs: list[JointSpec] = [
            JointSpec(name="image", blocks=False, steps=4000, batch=16, lr=context.rate),
            JointSpec(name="joint", blocks=True, steps=3000, lr=context.rate / 1.5, share=2.0),
        ]

    def exam(self, spec: JointSpec) -> ValidationErrors:
        if spec.blocks:
            return super().exam(spec)
        return self.errors(held_windows(self.parts, 1)[0], alone=True)[0]


class FrameSets(NamedTuple):
    """Windows, (B, T, C, H, W) each, level (B, T, 1, H, W)."""

    noisy: Tensor
    target: Tensor  # clean, or the same frames with noise that is independent of `noisy`'s
    level: Tensor  # of `noisy`
    cut: Tensor  # sigma of noisy targets that a range clipped, else 0; see as_stored


class JointStage(WindowStage):
    """Trains the image module alone (L_pd, on single frames) or everything."""

    def __init__(
        self, networks: FITVNetNetworks, source: Sequence[Run], spec: JointSpec, *how: Any
    ) -> None:
        super().__init__(networks if spec.blocks else networks.image, source, spec, *how)
        self.networks, self.blocks = networks, spec.blocks

    def draw(self, rngs: Sequence[np.random.Generator]) -> FrameSets:
        samples = list[tuple[Tensor, ...]]()
        for rng in rngs:
            places = self._places(rng)
            sample = window_of(self.source, rng, places, self.crop).turned(rng)
            level = sample.level.square().mean(1, keepdim=True).sqrt()  # over the channels
            if sample.clean is not None:
                samples.append((sample.noisy, sample.clean, level, torch.zeros_like(sample.noisy)))
                continue
            pair = sample.recorrupted(places, rng)
            samples.append((*pair, LOUDER * level, sample.cut))
        return FrameSets(*map(torch.stack, zip(*samples, strict=True)))

    def loss(self, batch: FrameSets) -> Tensor:
        if not self.blocks:
            return self._image_loss(self.networks.image(batch.noisy.flatten(0, 1)), batch)
        estimates, restored = self.networks(batch.noisy, batch.level)
        loss = psnr_loss(as_stored(restored, batch.cut[:, MIDDLE]), batch.target[:, MIDDLE])
        epoch = 1 + min(int(EPOCHS * self.progress), EPOCHS - 1)
        return loss + self._image_loss(estimates.flatten(0, 1), batch) / epoch

    def _image_loss(self, estimates: Tensor, batch: FrameSets) -> Tensor:
        """L_pd of Psi's estimates (B * T, C, H, W), a mean over the T frames."""
        cut, target = batch.cut.flatten(0, 1), batch.target.flatten(0, 1)
        return psnr_loss(as_stored(estimates, cut), target)

    def _places(self, rng: np.random.Generator) -> list[int]:
        """Frames of a window, counted from its first; some windows are mirrored as at the ends."""
        if not self.blocks:
            return [0]
        shift = int(rng.integers(1, MIDDLE + 1)) if rng.random() < MIRRORED_SHARE else 0
        places = [mirrored(place - shift, LENGTH - 1) for place in range(LENGTH)]
        return places if rng.random() < 0.5 else [LENGTH - 1 - place for place in places]


RECIPE = FITVNetRecipe
