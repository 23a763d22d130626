"""Correlation of noise between adjacent frames: fixed patterns and temporal filters.

Two residuals of adjacent frames, the earlier against its past and the later against its future:
they have no frame in common, so independent noise correlates them not at all. What the anchors
miss of the scene does, and at sigma 5 there may be more of it than noise: so the fine band alone
is asked, which has little of it, for the covariance and for the variance beside it.
"""

from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from f2rcli.noise.measurement.detail import fine_band

MOVING = 1.0  # pixels per frame: slower, a fixed pattern cannot be told from the scene
FEWEST = 2000  # samples
INDEPENDENT = 0.1  # correlation that counts as none
LEAST = 1e-3  # of the noise's variance that frames have of their own


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


class Residuals(NamedTuple):
    """A frame less two noise-independent estimates of it, (1, C, H, W), over the noise level."""

    first: Tensor
    second: Tensor

    def fine(self) -> "Residuals":
        """The fine band of both, without a border of one pixel."""
        return Residuals(fine_band(self.first), fine_band(self.second))

    @property
    def mean(self) -> Tensor:
        """(1, C, H, W)."""
        return (self.first + self.second) / 2


def temporal_correlation(
    earlier: Residuals, later: Residuals, flow: NDArray[np.float32], flat: Tensor
) -> Temporal:
    """Correlation of the noise of two adjacent frames.

    `flow` (H, W, 2): where the later frame shows what the earlier one does, pixels; `flat`
    (1, 1, H, W) bool: the places to look at.
    """
    earlier, later = earlier.fine(), later.fine()
    flow, flat = flow[1:-1, 1:-1], flat[..., 1:-1, 1:-1]
    moving = flat & torch.from_numpy(np.hypot(flow[..., 0], flow[..., 1]) > MOVING)
    here, there = later, Residuals(*(_fetched(part, flow) for part in later))
    return Temporal(_correlation(earlier, there, flat), _correlation(earlier, here, moving))


def _correlation(one: Residuals, other: Residuals, chosen: Tensor) -> float | None:
    shared = _mean(one.mean * other.mean, chosen)
    own = _mean((one.first * one.second + other.first * other.second) / 2, chosen)
    return None if shared is None or own is None else shared / max(own, LEAST)


def _mean(product: Tensor, chosen: Tensor) -> float | None:
    values = product[chosen.expand_as(product)]
    if len(values) < FEWEST * product.shape[1]:
        return None
    low, high = torch.quantile(
        values[:: max(1, len(values) // 2**20)], values.new_tensor([0.002, 0.998])
    )
    return float(values[(values >= low) & (values <= high)].mean())


def _fetched(picture: Tensor, flow: NDArray[np.float32]) -> Tensor:
    """picture (1, C, H, W) at p + flow(p), from the nearest pixel, which keeps the variance."""
    rows, columns = np.indices(flow.shape[:2], dtype=np.float32)
    x, y = columns + flow[..., 0], rows + flow[..., 1]
    planes = np.ascontiguousarray(picture[0].permute(1, 2, 0).numpy())
    moved = cv2.remap(planes, x, y, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
    return torch.from_numpy(np.atleast_3d(moved)).permute(2, 0, 1)[None]
