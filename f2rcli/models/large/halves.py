"""Local means of large pictures on grids of half the size, where they cost a quarter.

What is averaged over seven pixels and more changes little from one pixel to the next. Only where
pictures are large, on a processor, and no gradient is wanted; elsewhere every pixel has its own.
"""

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

LARGE = 256  # pixels on the shorter side; a mean's border is a small part of such a picture


def serve(x: Tensor) -> bool:
    """Whether means of a picture (..., H, W) are taken on a grid of half the size."""
    return x.device.type == "cpu" and not x.requires_grad and min(x.shape[-2:]) >= LARGE


def halved(x: Tensor, side: int = 1) -> Tensor:
    """Means over 2x2 cells, then over side x side cells (odd): half the size, rounded up."""
    height, width = ((size + 1) // 2 for size in x.shape[-2:])
    small = torch.empty((*x.shape[:-2], height, width))
    for plane, out in zip(_planes(x), _planes(small), strict=True):
        cv2.resize(plane, (width, height), out, interpolation=cv2.INTER_AREA)
        if side > 1:
            cv2.blur(out, (side, side), out, borderType=cv2.BORDER_REFLECT)
    return small


def doubled(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Maps (..., h, w) of `halved` on the grid of a picture of this shape, linear between cells."""
    height, width = shape[-2:]
    whole = torch.empty((*x.shape[:-2], height, width))
    for plane, out in zip(_planes(x), _planes(whole), strict=True):
        cv2.resize(plane, (width, height), out, interpolation=cv2.INTER_LINEAR)
    return whole


def _planes(x: Tensor) -> NDArray[np.float32]:
    planes: NDArray[np.float32] = x.detach().float().flatten(0, -3).numpy()
    return planes
