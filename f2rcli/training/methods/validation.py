"""Held-out errors before and after: by how much they fell, and whether that is certain."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

BLOCK = 32  # pixels per side of the squares whose errors are compared


class ValidationErrors(NamedTuple):
    """Errors of a stage's networks on the held-out samples."""

    score: float  # mean over samples of half the log of the mean squared error
    errors: NDArray[np.float64]  # mean squared error of every block of every sample


class ErrorReduction(NamedTuple):
    """By how much a held-out squared error fell, and the standard error of that.

    The targets' own noise is in both errors and falls out of the difference, which is therefore
    that of the errors against the clean frames nobody has.
    """

    mean: float
    spread: float


def error_reduction(before: ValidationErrors, after: ValidationErrors) -> ErrorReduction:
    """Fall of the error between two validations of the same samples, block by block."""
    gain = before.errors - after.errors
    spread = float(gain.std(ddof=1)) / len(gain) ** 0.5 if len(gain) > 1 else float("inf")
    return ErrorReduction(float(gain.mean()), spread)


def is_significant(
    before: ValidationErrors, after: ValidationErrors, certainty: float = 2.0
) -> bool:
    """True if the held-out error fell by more than `certainty` standard errors."""
    found = error_reduction(before, after)
    return found.mean > certainty * found.spread
