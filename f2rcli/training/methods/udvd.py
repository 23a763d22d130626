"""UDVD (Sheth et al., ICCV 2021): noisy frames are their own targets, on many clips or one.

The network never sees the pixel it is asked for, in any frame. Where noise is independent from
pixel to pixel, what it can predict of the noisy value is the clean one.
"""

from dataclasses import replace
from typing import Any

from torch import Tensor

from f2rcli.methods.udvd import LENGTH, UDVDNet
from f2rcli.models.layers import Belief
from f2rcli.training.exams import as_stored
from f2rcli.training.methods import base
from f2rcli.training.stage import StageSpec, gaussian_nll, psnr_loss
from f2rcli.training.windows import Sample

# 248 GMAC per megapixel of a stream and 461 of a training window, at 256x128 pixels.
SMALL: dict[str, Any] = {
    "widths": (8, 16, 48, 32, 16), "middle": 8, "last": 24, "radius": 3,
}  # fmt: skip
CROP_STEP = 4  # crops are multiples of it: two halvings

TRAIN = StageSpec(name="train", steps=6000, lr=base.FROM_NOTHING, warmup=300, ema=0.998)
FROM_WEIGHTS = 4e-4  # rate of what goes on from weights that are good already


class UDVDRecipe(base.WindowRecipe[StageSpec]):
    def __init__(self, context: base.TrainingContext) -> None:
        super().__init__(context, context.header(LENGTH, SMALL), BlindStage, CROP_STEP)
        self.specs = [TRAIN if context.start is None else replace(TRAIN, lr=FROM_WEIGHTS)]


class BlindStage(base.WindowStage):
    """Trains a blind-spot network on windows by likelihood.

    That alone learns the mean slowly at first: as long as that is poor, the cheapest way to
    raise the likelihood is a larger covariance, which then damps the mean's gradient. The log of
    the mean's squared error has the same minimum and no such damping.
    """

    network: UDVDNet
    places = range(LENGTH)

    def loss(self, batch: Sample) -> Tensor:
        noisy, level, cut = (one[:, LENGTH // 2] for one in (batch.noisy, batch.level, batch.cut))
        belief = Belief.of(self.network(batch.noisy))
        mean = as_stored(belief.mean, cut)
        total = belief.noisy_covariance(level.square())
        return gaussian_nll(noisy, mean, total).mean() + psnr_loss(mean, noisy)


RECIPE = UDVDRecipe
