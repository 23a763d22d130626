"""Pixel-unshuffled channels, as convolutions take them, straight from pictures.

A cell holds two by two pixels of every channel, channels last (models/layers.py, _cells). Kernels
make rows of one picture row and channel each, two rows of pixels at a time, and turn them over.
"""

from typing import Any

import numpy as np
import torch
from numba import types
from numba.extending import overload
from numpy.typing import NDArray
from torch import Tensor

from f2rcli.fast.compiling import compiled
from f2rcli.fast.lanes import LANES, turned
from f2rcli.fast.support import precision

CELL = 4  # pixels

Code = tuple[float, float]  # what is coded times the first, and the second added


def serves(x: Tensor) -> bool:
    """Whether cells of one picture (1, C, H, W) are made here."""
    return (
        len(x) == 1 and x.shape[-2] % 2 == 0 and x.shape[-1] % 2 == 0 and x.shape[-1] >= 2 * LANES
    )


def cells(channels: int, like: Tensor, more: int = 0) -> tuple[Tensor, NDArray[np.generic]]:
    """Room for the cells of so many channels of a picture (1, C, H, W) and `more` channels of half
    its size: as a tensor (1, channels, H/2, W/2), and as an array (H/2, W/2, channels)."""
    height, width = like.shape[-2] // 2, like.shape[-1] // 2
    room = torch.empty((height, width, CELL * channels + more), dtype=precision())
    return room[None].permute(0, 3, 1, 2), numbers(room)


def numbers(x: Tensor) -> NDArray[np.generic]:
    """A tensor as an array; bfloat16 as its bits."""
    found: NDArray[np.generic] = (x.view(torch.uint16) if x.dtype is torch.bfloat16 else x).numpy()
    return found


def lines(channels: int, like: Tensor) -> NDArray[np.generic]:
    """Room for two rows of pixels of so many channels: (channels, 2, W)."""
    return numbers(torch.empty((channels, 2, like.shape[-1]), dtype=precision()))


def packed(lines: Any, into: Any) -> None:
    """Two rows of pixels (channels, 2, W) as a row of cells (W/2, at least 4 channels)."""
    raise NotImplementedError


@overload(packed, strict=False)
def _packed(lines: Any, into: Any) -> Any:
    if lines.dtype == types.uint16:
        return lambda lines, into: _by_pairs(lines, into)
    return lambda lines, into: _one_by_one(lines, into)


@compiled
def _one_by_one(lines: Any, into: Any) -> None:
    channels, _, width = lines.shape
    for x in range(width // 2):
        for c in range(channels):
            for y in range(2):
                into[x, 4 * c + 2 * y] = lines[c, y, 2 * x]
                into[x, 4 * c + 2 * y + 1] = lines[c, y, 2 * x + 1]


@compiled
def _by_pairs(lines: Any, into: Any) -> None:
    """Two numbers of 16 bits, side by side in a row and in a cell, move as one."""
    rows, width = 2 * lines.shape[0], lines.shape[2]
    gap = 2 * into.shape[1]  # bytes
    if rows < LANES:
        _one_by_one(lines, into)
        return
    for first in range(0, rows, LANES):
        k = min(first, rows - LANES)
        for start in range(0, width // 2, LANES):
            x = min(start, width // 2 - LANES)
            source = np.intp(lines.ctypes.data) + k * 2 * width + 4 * x
            turned(source, 2 * width, np.intp(into.ctypes.data) + x * gap + 4 * k, gap)
