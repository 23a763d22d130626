"""Held-out errors before and after: by how much they fell, and whether that is certain."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

BLOCK = 32  # pixels per side of the squares whose errors are compared
SCALES = (1, 2, 4)  # blocks per side of the areas whose mean errors may depend on each other
CERTAINTY = 2.0  # standard errors by which an error fell for sure
FEWEST = 6  # areas that a spread is measured on

BlockErrors = NDArray[np.float64]  # (rows, columns)


class ValidationErrors(NamedTuple):
    """Errors of estimates on held-out samples."""

    score: float  # mean over samples of half the log of the mean squared error
    errors: tuple[BlockErrors, ...]  # mean squared error of every block, of each sample
    # How far the error of each sample may be off, in either direction, if the noise drawn for it is
    # as far off as its measurement says; the same sign for all weights. Empty: no noise was drawn.
    doubts: tuple[float, ...] = ()

    @classmethod
    def of(cls, squares: list[Tensor], doubts: Sequence[float] = ()) -> "ValidationErrors":
        """Build from the squared errors (1, C, H, W) of every sample."""
        scores: list[float] = []
        blocks: list[BlockErrors] = []
        for error in squares:
            scores.append(0.5 * float(error.mean().log()))
            side = min(BLOCK, *error.shape[-2:])
            means = functional.avg_pool2d(error.double().mean(1, keepdim=True), side)
            blocks.extend(means[:, 0].cpu().numpy())
        return cls(float(np.mean(scores)), tuple(blocks), tuple(doubts))


NO_ERRORS = ValidationErrors(math.nan, ())  # of no samples


class ErrorReduction(NamedTuple):
    """The reduction of a held-out squared error, and its standard error.

    The targets' own noise is in both errors and falls out of the difference, which is therefore
    that of the errors against the clean frames nobody has; but for `doubt`, what a wrong noise
    model may add.
    """

    mean: float
    spread: float
    doubt: float = 0.0


def error_reduction(before: ValidationErrors, after: ValidationErrors) -> ErrorReduction:
    """Fall of the error between two validations of the same samples, block by block.

    A sample counts by its own error before, so that one noisy clip does not speak for all.
    Neighbouring blocks show the same things: the spread is the largest of those that means over
    areas of several sizes tell.
    """
    weights = np.array([1 / max(float(blocks.mean()), 1e-12) for blocks in before.errors])
    weights /= weights.mean()
    gains = [
        weight * (one - other)
        for weight, one, other in zip(weights, before.errors, after.errors, strict=True)
    ]
    mean = float(np.concatenate([gain.ravel() for gain in gains]).mean())
    doubt = 0.0
    if before.doubts and after.doubts:
        doubt = abs(float(np.mean(weights * np.subtract(before.doubts, after.doubts))))
    return ErrorReduction(mean, max(_spread(gains, scale) for scale in SCALES), doubt)


def is_significant(
    before: ValidationErrors, after: ValidationErrors, certainty: float = CERTAINTY
) -> bool:
    """Whether the error fell by `certainty` standard errors more than a wrong noise model adds."""
    if not before.errors:
        return False
    found = error_reduction(before, after)
    return found.mean - found.doubt > certainty * found.spread


def _spread(gains: list[BlockErrors], scale: int) -> float:
    """Standard error of the mean gain, were areas of so many blocks per side independent."""
    areas = np.concatenate([_areas(gain, scale) for gain in gains])
    if len(areas) < FEWEST:
        return float("inf") if scale == 1 else 0.0
    return float(areas.std(ddof=1)) / float(len(areas)) ** 0.5


def _areas(gain: BlockErrors, scale: int) -> NDArray[np.float64]:
    """Means over areas; what is left over at the border joins none."""
    rows, columns = (n // scale * scale for n in gain.shape)
    whole = gain[:rows, :columns].reshape(rows // scale, scale, columns // scale, scale)
    return np.asarray(whole.mean((1, 3)).ravel())
