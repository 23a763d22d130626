"""Exams on held-out frames: errors, in dB where that can be said, and whether they fell for sure.

A noisy target whose noise is independent of what a network was shown adds its own variance to the
squared error, the same for every network: so networks can be compared without a clean frame, and
what is known of the noise says how much of the error is left (Frames2Residual, arXiv 2603.10417;
recorruption: Pang et al., CVPR 2021).
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from f2rcli.frames import in_cells
from f2rcli.noise.model import clipped_mean

BLOCK = 32  # pixels per side of the squares whose errors are compared
SCALES = (1, 2, 4)  # blocks per side of the areas whose mean errors may depend on each other
CERTAINTY = 2.0  # standard errors by which an error fell for sure
FEWEST = 6  # areas that a spread is measured on
LEAST_LEFT = 0.01  # of the noise's power: less than that cannot be told from an error of its law
TAU = 0.5  # of recorruption: the target has 1 + 1/tau^2 times the noise variance
LOUDER = (1 + TAU**2) ** 0.5  # by how much the noise of what is shown is stronger than the clip's

BlockErrors = NDArray[np.float64]  # (rows, columns)


class Noise(NamedTuple):
    """Mean squared noise of one held-out sample: what was shown to the network, and the target."""

    shown: float
    target: float


class SampleErrors(NamedTuple):
    """Of an estimate of one held-out sample."""

    squares: Tensor  # (1, C, H, W)
    noise: Noise | None = None  # of the target; None: it is clean
    # How far the mean square may be off, in either direction, if the noise drawn for the sample is
    # as far off as its measurement says; the same sign for all weights.
    doubt: float = 0.0

    @classmethod
    def of_pair(
        cls, shown: Tensor, target: Tensor, stored: Callable[[float], Tensor],
        variance_error: float, tau: float = TAU,
    ) -> "SampleErrors":  # fmt: skip
        """Of a recorrupted pair. stored: the estimate as the file's range leaves noise around it,
        of so many times the sigma that was measured; see `as_stored`.

        variance_error: the share of its variance by which the noise that was drawn may be wrong. So
        much of the noise that the estimate lets through does not cancel: it adds to the error
        twice, and weights that let through less look better by it, or worse, than they are. By as
        much the mean may be off that black and white leave of the noise.
        """
        found, apart = stored(1.0), shown - target  # (tau + 1 / tau) n'
        squares, both = (found - target).square(), 1 + tau**2
        doubt = 2 * variance_error / both * float((found * apart).mean())
        # were it drawn too strong, the true sigma would be lower
        lower = (stored(1 - variance_error / 2) - target).square()
        doubt += float((squares - lower).mean())
        power = float(apart.square().mean())
        return cls(squares, Noise(power * tau**2 / both, power / both), doubt)


class ValidationErrors(NamedTuple):
    """Errors of estimates on held-out samples."""

    score: float  # mean over samples of half the log of the mean squared error; lower is better
    decibels: float  # PSNR where targets are clean, else the gain over the noisy frames
    errors: tuple[BlockErrors, ...]  # mean squared error of every block, of each sample
    doubts: tuple[float, ...]  # of each sample

    @classmethod
    def of(cls, samples: Sequence[SampleErrors], cell: int = 1) -> "ValidationErrors":
        """Of every sample. cell: pixels along a side of what lies at one place."""
        means, blocks = [], list[BlockErrors]()
        for error in (one.squares.double() for one in samples):
            means.append(max(float(error.mean()), 1e-12))
            side = min(BLOCK // cell, *error.shape[-2:])
            averages = functional.avg_pool2d(error.mean(1, keepdim=True), side)
            blocks.extend(averages[:, 0].cpu().numpy())
        levels = [_decibels(mean, one.noise) for mean, one in zip(means, samples, strict=True)]
        score = float(np.mean([0.5 * math.log(mean) for mean in means]))
        doubts = tuple(one.doubt for one in samples)
        return cls(score, float(np.mean(levels)), tuple(blocks), doubts)


def _decibels(error: float, noise: Noise | None) -> float:
    if noise is None:
        return -10 * math.log10(error)
    left = max(error - noise.target, LEAST_LEFT * noise.shown)
    return 10 * math.log10(noise.shown / left)


class ErrorReduction(NamedTuple):
    """The reduction of a held-out squared error, and its standard error.

    The targets' own noise is in both errors and falls out of the difference, which is therefore
    that of the errors against the clean frames nobody has; but for `doubt`, what a wrong noise
    model may add.
    """

    mean: float
    spread: float
    doubt: float


def error_reduction(before: ValidationErrors, after: ValidationErrors) -> ErrorReduction:
    """Fall of the error between two validations of the same samples, block by block.

    A sample counts by its own error before, so that one noisy clip does not speak for all.
    Neighbouring blocks show the same things: the spread is the largest of those that means over
    areas of several sizes tell.
    """
    weights = np.array([1 / max(float(blocks.mean()), 1e-12) for blocks in before.errors])
    weights /= weights.mean()
    each = zip(weights, before.errors, after.errors, strict=True)
    gains = [weight * (one - other) for weight, one, other in each]
    mean = float(np.concatenate([gain.ravel() for gain in gains]).mean())
    doubt = abs(float(np.mean(weights * np.subtract(before.doubts, after.doubts))))
    return ErrorReduction(mean, max(_spread(gains, scale) for scale in SCALES), doubt)


def is_significant(before: ValidationErrors, after: ValidationErrors) -> bool:
    """Whether the error fell by CERTAINTY standard errors more than a wrong noise model adds."""
    found = error_reduction(before, after)
    return found.mean - found.doubt > CERTAINTY * found.spread


def _spread(gains: list[BlockErrors], scale: int) -> float:
    """Standard error of the mean gain, were areas of so many blocks per side independent; what is
    left over at the border joins none."""
    areas = np.concatenate([in_cells(gain, scale).mean((1, 3)).ravel() for gain in gains])
    if len(areas) < FEWEST:
        return float("inf") if scale == 1 else 0.0
    return float(areas.std(ddof=1)) / float(len(areas)) ** 0.5


def as_stored(estimate: Tensor, cut: Tensor, share: float = 1.0) -> Tensor:
    """What a file's range leaves, on average, of noise around an estimate (B, C, H, W): noisy
    targets that were clipped are unbiased for that, and not for the clean picture.

    cut: the standard deviation of a target's noise before it was clipped, 0 where it was not.
    share: of it, that is taken for true.
    """
    return clipped_mean(estimate.float(), share * cut)
