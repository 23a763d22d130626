"""Means, resizing and the joint bilateral filter as OpenCV has them, as tensors on any device."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from f2rcli.models.constants import constant


def box(planes: Tensor, side: int) -> Tensor:
    """Mean over side x side samples (odd) of planes (P, H, W), as cv2.BORDER_REFLECT."""
    return _mean(mirrored(planes, side // 2, edge=True), side)


def blurred(planes: Tensor, side: int) -> Tensor:
    """As `box`, but mirrored without repeating the edge (BORDER_REFLECT_101)."""
    return _mean(mirrored(planes, side // 2, edge=False), side)


def power_around(planes: Tensor, side: int) -> Tensor:
    """Mean square over side x side samples, as `box`."""
    return box(planes.square(), side)


def least_around(planes: Tensor, side: int) -> Tensor:
    """The least of side x side samples (odd) of planes (P, H, W), of those inside at the border."""
    reach = side // 2
    rows = functional.max_pool2d(-planes.unsqueeze(1), (side, 1), 1, (reach, 0))
    return -functional.max_pool2d(rows, (1, side), 1, (0, reach)).squeeze(1)


def _mean(wide: Tensor, side: int) -> Tensor:
    rows = functional.avg_pool2d(wide.unsqueeze(1), (side, 1), stride=1)
    return functional.avg_pool2d(rows, (1, side), stride=1).squeeze(1)


def mirrored(planes: Tensor, reach: int, *, edge: bool) -> Tensor:
    """Planes with `reach` more samples on every side, mirrored; edge: the last one repeated."""
    for axis in (-2, -1):
        index = _mirror(planes.shape[axis], reach, edge, planes.device)
        planes = planes.index_select(axis, index)
    return planes


def resized(planes: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Planes (P, H, W) at another size: area averages where smaller, linear where larger."""
    size = tuple(planes.shape[-2:])
    if size == tuple(shape):
        return planes
    if not tuple(shape) < size:
        way = {"mode": "bilinear", "align_corners": False}
        return functional.interpolate(planes.unsqueeze(1), shape, **way).squeeze(1)  # type: ignore[arg-type]  # as it takes them
    if size == (2 * shape[0], 2 * shape[1]):
        return functional.avg_pool2d(planes.unsqueeze(1), 2).squeeze(1)
    down, across = (_areas(old, new, planes.device) for old, new in zip(size, shape, strict=True))
    return down @ planes @ across.T


DIAMETER, GUIDE = 11, 0.5  # as in contract.chroma


def joint_bilateral(guide: Tensor, planes: Tensor, level: Tensor) -> Tensor:
    """Planes (2, H, W) smoothed where they and the guide (1, H, W) differ by less than `level` (a
    tensor of one value): cv2.bilateralFilter of the three, row by row of its window."""
    joint = torch.cat([guide * GUIDE, planes])
    height, width, reach = *joint.shape[-2:], DIAMETER // 2
    wide = mirrored(joint, reach, edge=True).unfold(-1, DIAMETER, 1)  # (3, H + 10, W, 11): a view
    fall = -0.5 / (level * level)
    total = joint.new_zeros(height, width)
    summed = torch.zeros_like(planes)
    for row in range(DIAMETER):
        lines = wide[:, row : row + height]
        apart = (lines - joint.unsqueeze(-1)).abs_().sum(0)
        weight = (apart.square_().mul_(fall)).exp_() * _spatial(row, joint.device)
        total += weight.sum(-1)
        summed += (lines[1:] * weight).sum(-1)
    return summed / total


@constant(64)
def _mirror(size: int, reach: int, edge: bool, device: torch.device) -> Tensor:
    places = np.pad(np.arange(size), reach, mode="symmetric" if edge else "reflect")
    return torch.tensor(places, device=device)


@constant(16)
def _areas(old: int, new: int, device: torch.device) -> Tensor:
    """(new, old): the share of every new sample that each old one covers."""
    scale = old / new
    first = np.arange(new)[:, None] * scale
    place = np.arange(old)[None]
    covered = np.minimum(first + scale, place + 1) - np.maximum(first, place)
    shares = np.clip(covered, 0, None) / scale
    return torch.tensor(shares.astype(np.float32), device=device)


@constant(32)
def _spatial(row: int, device: torch.device) -> Tensor:
    """Weights (11,) of a row of the bilateral window, which is a disc."""
    reach = DIAMETER // 2
    far = (np.arange(DIAMETER) - reach) ** 2 + (row - reach) ** 2
    weights = np.where(far <= reach**2, np.exp(-0.5 * far / (DIAMETER / 3) ** 2), 0)
    return torch.tensor(weights.astype(np.float32), device=device)
