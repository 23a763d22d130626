"""Means, extremes and sizes of planes (P, H, W): by OpenCV on a processor, by torch elsewhere.

Both give the same values but for rounding; a test compares them.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from f2rcli.frames import Singles
from f2rcli.models.recorded import constant

DIAMETER = 11  # samples, of the bilateral filter's window
GUIDE = 0.5  # of the guide's differences beside the planes' own
LEAST_NORMAL = float(np.finfo(np.float32).tiny)


def box(planes: Tensor, side: int, *, edge: bool = True) -> Tensor:
    """Mean over side x side samples (odd), mirrored beyond the border, whose samples are repeated
    if `edge`; what parts bands repeats none."""
    if here(planes):
        kind = cv2.BORDER_REFLECT if edge else cv2.BORDER_REFLECT_101
        return _each(planes, lambda one, out: cv2.blur(one, (side, side), out, borderType=kind))
    wide = _mirrored(planes, side // 2, edge=edge).unsqueeze(1)
    for window in _windows(side):
        wide = functional.avg_pool2d(wide, window, stride=1)
    return wide.squeeze(1)


def _windows(side: int) -> tuple[tuple[int, int], ...]:
    """Of the means that one over side x side is made of: small ones are cheaper in one go."""
    return ((side, side),) if side in (3, 5) else ((side, 1), (1, side))


def inner_mean(x: Tensor, side: int) -> Tensor:
    """Mean over side x side pixels, odd, of x (B, C, H, W); at the border over those inside."""
    if not here(x) or x.requires_grad:
        for window in _windows(side):
            reach = tuple(length // 2 for length in window)
            x = functional.avg_pool2d(x, window, 1, reach, count_include_pad=False)
        return x
    rows, columns = (_inside(length, side) for length in x.shape[-2:])
    share = 1 / (rows[:, None] * columns)

    def work(plane: Singles, mean: Singles) -> None:
        edge = cv2.BORDER_CONSTANT
        cv2.boxFilter(plane, -1, (side, side), mean, normalize=False, borderType=edge)
        mean *= share

    return _each(x.detach().float().flatten(0, -3), work).view(x.shape).to(x.dtype)


@lru_cache(maxsize=16)
def _inside(length: int, side: int) -> Singles:
    """How many of the places in a window around each lie inside."""
    places, reach = np.arange(length), side // 2
    ends = np.minimum(places + reach, length - 1) - np.maximum(places - reach, 0)
    return np.asarray(ends + 1, np.float32)


def smooth(x: Tensor) -> Tensor:
    """Mean over 7x7 pixels of x (B, C, H, W), in which noise hardly counts."""
    return inner_mean(x, 7)


def bell(planes: Tensor) -> Tensor:
    """Mean over 3x3 samples, the nearer the more (1 2 1); those at the border are repeated."""
    if here(planes):
        edge = {"borderType": cv2.BORDER_REFLECT}
        return _each(planes, lambda one, out: cv2.GaussianBlur(one, (3, 3), 0, out, **edge))
    wide = _mirrored(planes, 1, edge=True).unsqueeze(1)
    return functional.avg_pool2d(functional.avg_pool2d(wide, 2, 1), 2, 1).squeeze(1)


def bands(planes: Tensor, sides: Sequence[int]) -> list[Tensor]:
    """Planes in bands that add up to them, the finest first."""
    parts, low = [], planes
    for side in sides:
        below = box(low, side, edge=False)
        parts.append(low - below)
        low = below
    return [*parts, low]


def least_around(planes: Tensor, side: int) -> Tensor:
    """The least of side x side samples (odd), of those inside at the border."""
    if here(planes):
        window = np.ones((side, side), np.uint8)
        return _each(planes, lambda one, out: cv2.erode(one, window, out))
    reach = side // 2
    rows = functional.max_pool2d(-planes.unsqueeze(1), (side, 1), 1, (reach, 0))
    return -functional.max_pool2d(rows, (1, side), 1, (0, reach)).squeeze(1)


def halved(planes: Tensor) -> Tensor:
    """Means over cells of 2x2 samples."""
    return resized(planes, tuple((length + 1) // 2 for length in planes.shape[-2:]))


def resized(planes: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Planes at another size: area averages where smaller, linear between samples where larger."""
    size, shape = tuple(planes.shape[-2:]), tuple(shape)
    if size == shape:
        return planes
    smaller = shape < size
    if here(planes):
        way = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
        return _each(planes, lambda x, to: cv2.resize(x, shape[::-1], to, interpolation=way), shape)
    if not smaller:
        kind = {"mode": "bilinear", "align_corners": False}
        return functional.interpolate(planes.unsqueeze(1), shape, **kind).squeeze(1)  # type: ignore[arg-type]  # as it takes them
    if size == (2 * shape[0], 2 * shape[1]):
        return functional.avg_pool2d(planes.unsqueeze(1), 2).squeeze(1)
    down, across = (_areas(old, new, planes.device) for old, new in zip(size, shape, strict=True))
    return down @ planes @ across.T


def joint_bilateral(guide: Tensor, planes: Tensor, level: Tensor) -> Tensor:
    """Two planes smoothed where they and a guide (1, H, W) differ by less than `level`, one value
    (Tomasi and Manduchi, ICCV 1998; Petschnigg et al., SIGGRAPH 2004)."""
    joint = torch.cat([guide * GUIDE, planes])
    if here(planes):
        stacked, edge = np.dstack(list(joint.numpy())), cv2.BORDER_REFLECT
        before = not bool(torch.tensor(LEAST_NORMAL).mul(0.5))
        torch.set_flush_denormal(True)  # OpenCV makes weights here; tiny ones take a hundredfold
        out = cv2.bilateralFilter(stacked, DIAMETER, float(level), DIAMETER / 3, borderType=edge)
        torch.set_flush_denormal(before)
        return torch.from_numpy(np.ascontiguousarray(out[..., 1:].transpose(2, 0, 1)))
    height, width, reach = *joint.shape[-2:], DIAMETER // 2
    unit = level * 2**0.5
    joint /= unit
    wide = _mirrored(joint, reach, edge=True).unfold(-1, DIAMETER, 1)  # (3, H + 10, W, 11): a view
    total, summed = joint.new_zeros(height, width), torch.zeros_like(planes)
    for row in range(DIAMETER):
        lines = wide[:, row : row + height]
        apart = torch.linalg.vector_norm(lines - joint.unsqueeze(-1), 1, 0)
        weight = torch.addcmul(_spatial(row, joint.device), apart, apart, value=-1).exp_()
        total += weight.sum(-1)
        summed += (lines[1:] * weight).sum(-1)
    return summed * (unit / total)


def here(planes: Tensor) -> bool:
    """Whether planes are on the processor: OpenCV takes them, and asking for a number is free."""
    return planes.device.type == "cpu"


def _each(
    planes: Tensor, work: Callable[[Singles, Singles], Any], shape: tuple[int, ...] = ()
) -> Tensor:
    """OpenCV's work on each plane of a tensor on the processor, into one of this shape."""
    found = np.empty((len(planes), *(shape or planes.shape[1:])), np.float32)
    for one, out in zip(planes.contiguous().numpy(), found, strict=True):
        work(one, out)
    return torch.from_numpy(found)


def _mirrored(planes: Tensor, reach: int, *, edge: bool) -> Tensor:
    rows, columns = (_mirror(size, reach, edge, planes.device) for size in planes.shape[-2:])
    return planes[:, rows.unsqueeze(1), columns]  # in one launch


@constant(256)
def _mirror(size: int, reach: int, edge: bool, device: torch.device) -> Tensor:
    places = np.pad(np.arange(size), reach, mode="symmetric" if edge else "reflect")
    return torch.tensor(places, device=device)


@constant(64)
def _areas(old: int, new: int, device: torch.device) -> Tensor:
    """(new, old): the share of every new sample that each old one covers."""
    scale = old / new
    first = np.arange(new)[:, None] * scale
    place = np.arange(old)[None]
    covered = np.minimum(first + scale, place + 1) - np.maximum(first, place)
    return torch.tensor((np.clip(covered, 0, None) / scale).astype(np.float32), device=device)


@constant(32)
def _spatial(row: int, device: torch.device) -> Tensor:
    """Logarithms of the weights (11,) of a row of the bilateral window, which is a disc."""
    reach = DIAMETER // 2
    far = (np.arange(DIAMETER) - reach) ** 2 + (row - reach) ** 2
    logs = np.where(far <= reach**2, -0.5 * far / (DIAMETER / 3) ** 2, -np.inf)
    return torch.tensor(logs.astype(np.float32), device=device)
