"""Whether the noise of a frame knows of the next frame's: fixed patterns and temporal filters.

Two residuals of adjacent frames, the earlier against its past and the later against its future:
they have no frame in common, so independent noise correlates them not at all.
"""

from typing import NamedTuple

import torch
from torch import Tensor

MOVING = 1.0  # pixels per frame: slower, a fixed pattern cannot be told from the scene
FEWEST = 2000  # samples
INDEPENDENT = 0.1  # correlation that counts as none


class Temporal(NamedTuple):
    """Covariance of adjacent frames' noise over the variance of what each has of its own: the
    correlation, while that is small. Above 1 they share more than they differ by. None: too
    little that moves, or too few places."""

    compensated: float | None  # at the same point of the scene: temporal filters, codecs
    fixed: float | None  # at the same pixel: fixed pattern

    @property
    def independent(self) -> bool | None:
        """Whether both are small; None if nothing is known."""
        known = [abs(rho) for rho in self if rho is not None]
        return max(known) < INDEPENDENT if known else None


def temporal_correlation(
    earlier: Tensor, later: Tensor, later_moved: Tensor, motion: Tensor, flat: Tensor
) -> Temporal:
    """Correlation of residuals (1, C, H, W), each in units of the noise's level.

    `later_moved` is `later` fetched from where the flow says, nearest neighbour; `motion`
    (1, 1, H, W) pixels per frame; `flat` (1, 1, H, W) bool: the places to look at.
    """
    compensated = _mean(earlier * later_moved, flat)
    return Temporal(compensated, _mean(earlier * later, flat & (motion > MOVING)))


def _mean(product: Tensor, chosen: Tensor) -> float | None:
    values = product[chosen.expand_as(product)]
    if len(values) < FEWEST * product.shape[1]:
        return None
    low, high = torch.quantile(
        values[:: max(1, len(values) // 2**20)], values.new_tensor([0.002, 0.998])
    )
    return float(values[(values >= low) & (values <= high)].mean())
