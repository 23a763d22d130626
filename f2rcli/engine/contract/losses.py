"""Losses of points by class, learnt over a run: the prior that each point's own loss meets."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from f2rcli.frames import Floats

SURE = 2.0  # standard errors from which a loss is believed


@dataclass
class Losses:
    """Per class of points: their count, and sums of losses, their products and noise covariance."""

    count: Floats
    total: Floats
    products: Floats
    noise: Floats

    @classmethod
    def none(cls, classes: int, many: int) -> "Losses":
        """Empty losses, with `many` profiles."""
        square = (classes, many, many)
        shapes = (classes,), (classes, many), square, square
        return cls(*map(np.zeros, shapes))

    def add(self, classes: NDArray[np.intp], lost: Floats, noise: Floats) -> None:
        """Take in points: lost (N, P) as each of P profiles, noise (N, P, P)."""
        np.add.at(self.count, classes, 1)
        np.add.at(self.total, classes, lost)
        np.add.at(self.products, classes, lost[:, :, None] * lost[:, None, :])
        np.add.at(self.noise, classes, noise)

    def prior(self, middle: Floats) -> tuple[Floats, Floats]:
        """Mean and covariance of losses (classes, P[, P]); none of classes that lose no light
        in the middle of their points: what chance or texture made bright.

        middle (P,): heights of the profiles there.
        """
        count = np.maximum(self.count, 1)[:, None]
        mean, noise = self.total / count, self.noise / count[..., None]
        spread = self.products / count[..., None] - mean[:, :, None] * mean[:, None, :]
        chance = np.sqrt(2 / count)[..., None]  # relative error of a variance
        differ = _positive(spread - noise * (1 + chance))
        error = np.einsum("i,nij,j->n", middle, noise + differ, middle) / count[:, 0]
        losing = mean @ middle > SURE * np.sqrt(error)
        return mean * losing[:, None], differ * losing[:, None, None]


def values_of(losses: dict[int, Losses]) -> dict[int, dict[str, Any]]:
    """The losses of every plane as lists."""
    return {
        i: {name: sums.tolist() for name, sums in vars(one).items()} for i, one in losses.items()
    }


def losses_of(values: dict[int, dict[str, Any]]) -> dict[int, Losses]:
    """Losses from the output of `values_of`."""
    return {
        index: Losses(**{name: np.array(sums) for name, sums in one.items()})
        for index, one in values.items()
    }


def _positive(matrices: Floats) -> Floats:
    """Symmetric matrices (..., n, n) with what is negative in them cut off."""
    values, vectors = np.linalg.eigh(matrices)
    cut: Floats = (vectors * np.maximum(values, 0)[..., None, :]) @ np.swapaxes(vectors, -1, -2)
    return cut
