"""Pictures as 16-bit codes: half the memory of float32, for what large frames hold for long.

Two codes lie 1/64 of an 8-bit code apart, far less than noise that is worth removing. Differences
need no zero, sums that weigh to one keep it, and OpenCV warps codes as fast as floats.
"""

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

SPAN, ZERO = 16384, 20480  # codes from black to white; black's own
LOWEST, HIGHEST = -ZERO / SPAN, (65535 - ZERO) / SPAN
LARGE = 1_000_000  # pixels: memory of smaller frames is no burden
FINEST = 1 / 1024  # of white: the least noise whose pictures are coded


def serve(picture: Tensor, level: Tensor) -> bool:
    """Whether a picture (1, C, H, W) with this noise level at each sample may be coded."""
    if picture.device.type != "cpu" or picture[0, 0].numel() < LARGE:
        return False
    if level[..., ::16, ::16].mean() < FINEST:
        return False
    low, high = picture.aminmax()
    return bool(low >= LOWEST and high <= HIGHEST)


def coded(x: Tensor) -> Tensor:
    """Pictures (..., H, W) as uint16 codes, clipped to the codes' range; codes stay as they are."""
    if x.dtype is torch.uint16:
        return x
    codes = torch.empty(x.shape, dtype=torch.uint16)
    for plane, out in zip(_planes(x), _planes(codes), strict=True):
        cv2.addWeighted(plane, SPAN, plane, 0, ZERO, out, cv2.CV_16U)
    return codes


def plain(x: Tensor) -> Tensor:
    """Pictures (..., H, W) in float32 where they are coded; others as they are."""
    if x.dtype is not torch.uint16:
        return x
    values = torch.empty(x.shape)
    for plane, out in zip(_planes(x), _planes(values), strict=True):
        cv2.addWeighted(plane, 1 / SPAN, plane, 0, LOWEST, out, cv2.CV_32F)
    return values


def alike(x: Tensor, other: Tensor) -> Tensor:
    """Pictures coded where others are."""
    return coded(x) if other.dtype is torch.uint16 else plain(x)


def bits(x: Tensor) -> Tensor:
    """Codes as numbers of as many bits that torch can turn over; others as they are."""
    return x.view(torch.int16) if x.dtype is torch.uint16 else x


def difference(one: Tensor, other: Tensor) -> Tensor:
    """one - other, pictures (..., H, W) of which both are coded or none."""
    if one.dtype is not torch.uint16:
        return one - other
    values = torch.empty(one.shape)
    for this, that, out in zip(*map(_planes, (one, other, values)), strict=True):
        cv2.addWeighted(this, 1 / SPAN, that, -1 / SPAN, 0, out, cv2.CV_32F)
    return values


def distance(one: Tensor, other: Tensor) -> Tensor:
    """The mean over channels of how far pictures (B, C, H, W) are apart, (B, H, W)."""
    if one.dtype is not torch.uint16:
        return (one - other).abs_().mean(1)
    channels = one.shape[1]
    means = torch.empty((len(one), *one.shape[2:]))
    pairs = zip(*(_planes(x).reshape(one.shape) for x in (one, other)), strict=True)
    for (these, those), out in zip(pairs, means.numpy(), strict=True):
        total = cv2.absdiff(these[0], those[0])
        for this, that in zip(these[1:], those[1:], strict=True):
            cv2.add(total, cv2.absdiff(this, that), total)  # beyond the last code it stays there
        cv2.addWeighted(total, 1 / (channels * SPAN), total, 0, 0, out, cv2.CV_32F)
    return means


def grown_codes(x: Tensor, rows: int, columns: int) -> Tensor:
    """Codes (..., H, W) with their last row and column repeated: torch pads floats alone."""
    for axis, more in ((-2, rows), (-1, columns)):
        edge = x.narrow(axis, x.shape[axis] - 1, 1)
        x = torch.cat([x, *[edge] * more], axis)
    return x


def _planes(x: Tensor) -> NDArray[np.generic]:
    planes: NDArray[np.generic] = x.detach().flatten(0, -3).numpy()
    return planes
