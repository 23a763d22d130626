"""FITVNet: the image module first, then everything; noisy frames are recorrupted into two.

L_pd = sum_k ||Psi(y_k) - target_k||^2      L_st = ||Phi({Psi(y_k)}) - target||^2
L    = (1 / e) L_pd + L_st                  e = 1, 2, ... epochs so far

Targets are second copies of the frames with independent noise (the paper's JSN), or the clean
frames where they are known. The image module alone comes first: it costs a fifth of a joint step,
and the blocks learn little before its estimates are any good.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from f2rcli.methods.fitvnet import LENGTH, MIDDLE, FITVNetNetworks
from f2rcli.training.exams import ValidationErrors, as_stored
from f2rcli.training.methods.base import TrainingContext, WindowRecipe, WindowStage
from f2rcli.training.stage import StageSpec, psnr_loss
from f2rcli.training.windows import Run, Sample
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
        return self.errors(alone=True)[0]


class JointStage(WindowStage):
    """Trains the image module alone (L_pd, on single frames) or everything."""

    def __init__(
        self, networks: FITVNetNetworks, source: Sequence[Run], spec: JointSpec, *how: Any
    ) -> None:
        super().__init__(networks if spec.blocks else networks.image, source, spec, *how)
        self.networks, self.blocks = networks, spec.blocks

    def drawn(self, rng: np.random.Generator) -> Sample:
        """A window, or a frame; some windows are mirrored as at the ends of a shot."""
        run, places = self.source[int(rng.integers(len(self.source)))], [0]
        if self.blocks:
            shift = int(rng.integers(1, MIDDLE + 1)) if rng.random() < MIRRORED_SHARE else 0
            places = [mirrored(place - shift, LENGTH - 1) for place in range(LENGTH)]
        return run.window(rng, places, self.crop).pair(run.law, places, rng)

    def loss(self, batch: Sample) -> Tensor:
        noisy, asked, level, cut = batch
        assert asked is not None  # they are pairs
        if self.blocks:
            level = level.square().mean(2, keepdim=True).sqrt()  # over the channels
            estimates, restored = self.networks(noisy, level)
            loss = psnr_loss(as_stored(restored, cut[:, MIDDLE]), asked[:, MIDDLE])
            epoch = 1 + min(int(EPOCHS * self.progress), EPOCHS - 1)
        else:
            estimates, loss, epoch = (
                self.networks.image(noisy.flatten(0, 1)),
                noisy.new_zeros(()),
                1,
            )
        # L_pd, a mean over the T frames
        seen = as_stored(estimates.flatten(0, -4), cut.flatten(0, 1))
        return loss + psnr_loss(seen, asked.flatten(0, 1)) / epoch


RECIPE = FITVNetRecipe
