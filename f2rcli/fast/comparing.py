"""How far pictures differ, as means over cells of 2x2 pixels (models/memory.py, _differences, and
methods/f2r/alignment.py, _small_mismatches)."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from f2rcli.fast.compiling import compiled
from f2rcli.fast.rows import like, line, rows_of

NONE, ONE, QUARTER = (np.float32(value) for value in (0, 1, 0.25))


def differences(
    old: tuple[Tensor, Tensor], new: tuple[Tensor, Tensor], variance: Tensor, count: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Of frames and coarse frames (1, C, H, W), H and W even, float32: the power of the frames'
    difference (1, 1, H/2, W/2), the difference itself (1, C, H/2, W/2), the power of the coarse
    ones', the noise's variance (1, 1, H, W) and how many frames a place is worth."""
    _, channels, height, width = new[0].shape
    found = torch.empty((1, 4 + channels, height // 2, width // 2))
    rows = [rows_of(one[0]) for one in (*old, *new, variance, count)]
    _differences(*rows, channels, found[0].numpy())
    power, rough, level, worth, *_ = found.split(1, 1)
    return power, found[:, 4:], rough, level, worth


@compiled
def _differences(
    noisy: Any,
    coarse: Any,
    fresh: Any,
    smooth: Any,
    variance: Any,
    count: Any,
    channels: int,
    into: Any,
) -> None:
    _, height, width = into.shape
    apart = np.empty(2 * width, np.float32)
    square = np.empty(2 * width, np.float32)
    share = ONE / np.float32(channels)
    into[:] = 0
    for y in range(2 * height):
        _halve(line(variance, 0, y, 2 * width, ONE), ONE, into[2, y // 2])
        _halve(line(count, 0, y, 2 * width, ONE), ONE, into[3, y // 2])
        for k in range(2):
            pictures, others = (noisy, fresh) if k == 0 else (coarse, smooth)
            square[:] = 0
            for c in range(channels):
                before = line(pictures, c, y, 2 * width, ONE)
                now = line(others, c, y, 2 * width, ONE)
                for x in range(2 * width):
                    apart[x] = before[x] - now[x]
                for x in range(2 * width):
                    square[x] += apart[x] * apart[x]
                if k == 0:
                    _halve(apart, ONE, into[4 + c, y // 2])
            _halve(square, share, into[k, y // 2])


@compiled
def _halve(values: Any, share: Any, into: Any) -> None:
    """A quarter of every two numbers' sum, times a share, added up."""
    share *= QUARTER
    for x in range(len(into)):
        into[x] += (values[2 * x] + values[2 * x + 1]) * share


def distances(pictures: Tensor, reference: Tensor, scale: float) -> Tensor:
    """The mean over channels and cells of how far pictures (1, N, C, H, W) are from a reference
    (1, C, H, W), H and W even, times a scale: (1, N, H/2, W/2). float32, or codes, both."""
    _, several, channels, height, width = pictures.shape
    found = torch.empty((1, several, height // 2, width // 2))
    for one, out in zip(pictures[0], found[0].numpy(), strict=True):
        _distances(
            rows_of(one),
            rows_of(reference[0]),
            like(one),
            np.float32(scale / channels),
            channels,
            out,
        )
    return found


@compiled
def _distances(
    picture: Any, reference: Any, kind: Any, scale: Any, channels: int, into: Any
) -> None:
    height, width = into.shape
    apart = np.empty(2 * width, np.float32)
    into[:] = 0
    for y in range(2 * height):
        apart[:] = 0
        for c in range(channels):
            one = line(picture, c, y, 2 * width, kind)
            other = line(reference, c, y, 2 * width, kind)
            for x in range(2 * width):
                apart[x] += abs(np.float32(one[x]) - np.float32(other[x]))
        _halve(apart, scale, into[y // 2])
