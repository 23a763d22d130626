"""The refiner's inputs, in its convolutions' order (models/fusion.py, Refiner)."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from f2rcli.fast.cells import Code, cells, lines, packed
from f2rcli.fast.compiling import compiled
from f2rcli.fast.lanes import LANES
from f2rcli.fast.lanes import mixed as mixed_lanes
from f2rcli.fast.rows import like, line, lowered, rows_of

NONE, QUARTER, ONE = (np.float32(value) for value in (0, 0.25, 1))
LEAST, SURE = np.float32(1e-8), np.float32(1e-4)  # see models/fusion.py, EPSILON


def power(noisy: Tensor, anchor: Tensor, level: Tensor, code: Code) -> tuple[Tensor, Tensor]:
    """Powers of noisy - anchor and of noise, (1, 1, H, W), channel means; code: see `around`."""
    height, width = level.shape[-2:]
    found = torch.empty((2, 1, 1, height, width))
    _power(
        rows_of(noisy[0]), rows_of(anchor[0]), rows_of(level[0]), level.shape[1],
        *map(np.float32, code), like(noisy), found[:, 0, 0].numpy(),
    )  # fmt: skip
    return found[0], found[1]


@compiled
def _power(
    noisy: Any, anchor: Any, level: Any, channels: int, scale: Any, zero: Any, kind: Any, into: Any
) -> None:
    _, height, width = into.shape
    share = ONE / np.float32(channels)
    for y in range(height):
        signal, noise = into[0, y], into[1, y]
        into[:, y] = 0
        for c in range(channels):
            seen = line(noisy, c, y, width, kind)
            known = line(anchor, c, y, width, ONE)
            for x in range(width):
                apart = np.float32(seen[x]) * scale + zero - known[x]
                signal[x] += apart * apart * share
            sigma = line(level, c, y, width, ONE)
            for x in range(width):
                noise[x] += sigma[x] * sigma[x] * share


def begun(
    noisy: Tensor,
    coarse: Tensor,
    anchor: Tensor,
    level: Tensor,
    powers: tuple[Tensor, Tensor],
    code: Code,
    more: int,
) -> tuple[Tensor, Tensor, NDArray[np.generic]]:
    """The posterior mean (1, C, H, W), the refiner's cells with room for `more` channels, and the
    same as an array. powers: local ones of noisy - anchor and of the noise."""
    start = torch.empty(anchor.shape)
    found, into = cells(5 * anchor.shape[1], anchor, more)
    _begun(
        *(rows_of(x[0]) for x in (noisy, coarse, anchor, level, start, *powers)),
        *map(np.float32, code), like(noisy), lines(5 * anchor.shape[1], anchor), into,
    )  # fmt: skip
    return start, found, into


@compiled
def _begun(
    noisy: Any,
    coarse: Any,
    anchor: Any,
    level: Any,
    start: Any,
    power: Any,
    variance: Any,
    scale: Any,
    zero: Any,
    kind: Any,
    lines: Any,
    into: Any,
) -> None:
    channels, _, width = lines.shape
    channels //= 5
    gain = np.empty(width, np.float32)
    for y in range(2 * len(into)):
        whole, noise = line(power, 0, y, width, ONE), line(variance, 0, y, width, ONE)
        for x in range(width):
            excess = max(whole[x] - noise[x], NONE)
            gain[x] = excess / (excess + noise[x] + LEAST)
        for c in range(channels):
            seen = line(noisy, c, y, width, kind)
            rough = line(coarse, c, y, width, kind)
            known = line(anchor, c, y, width, ONE)
            sigma = line(level, c, y, width, ONE)
            mean = line(start, c, y, width, ONE)
            for x in range(width):
                mean[x] = known[x] + gain[x] * (np.float32(seen[x]) * scale + zero - known[x])
            one = lines[c, y % 2]
            for x in range(width):
                one[x] = lowered(mean[x], lines)
            one = lines[channels + c, y % 2]
            for x in range(width):
                one[x] = lowered(np.float32(seen[x]) * scale + zero - mean[x], lines)
            one = lines[2 * channels + c, y % 2]
            for x in range(width):
                one[x] = lowered(np.float32(rough[x]) * scale + zero - mean[x], lines)
            one = lines[3 * channels + c, y % 2]
            for x in range(width):
                one[x] = lowered(known[x] - mean[x], lines)
            one = lines[4 * channels + c, y % 2]
            for x in range(width):
                one[x] = lowered(sigma[x], lines)
        if y % 2:
            packed(lines, into[y // 2])


def mixed(
    features: list[Tensor], weights: Tensor, confidence: Tensor, into: NDArray[np.generic]
) -> None:
    """Means of what neighbours show, features (1, E, H/2, W/2) of each, by the anchor's weights and
    by confidence (1, N, 1, H, W) each: the last 2 E channels of cells."""
    rows = np.stack([rows_of(f.permute(0, 2, 3, 1)[0]) for f in features])
    _mixed(
        rows, like(features[0]), rows_of(weights[0, :, 0]), rows_of(confidence[0, :, 0]),
        features[0].shape[1], into,
    )  # fmt: skip


@compiled
def _mixed(rows: Any, kind: Any, weights: Any, confidence: Any, channels: int, into: Any) -> None:
    height, width, place = into.shape
    place -= 2 * channels
    addresses, size = rows[:, 0].copy(), into.itemsize
    gap = (place + 2 * channels) * size
    shares = np.empty((2, len(rows), width), np.float32)
    total = np.empty(2 * width, np.float32)
    for y in range(height):
        shares[:] = 0
        for i in range(2):
            total[:] = 1
            _halve(weights, 2 * y + i, total, shares[0])
            total[:] = 0
            for n in range(len(rows)):
                sure = line(confidence, n, 2 * y + i, 2 * width, ONE)
                for x in range(2 * width):
                    total[x] += sure[x]
            for x in range(2 * width):
                total[x] = ONE / max(total[x], SURE)
            _halve(confidence, 2 * y + i, total, shares[1])
        given, taken = rows[0, 1] * y, np.intp(into.ctypes.data) + y * width * gap + place * size
        for i in range(2):
            weight = np.intp(shares.ctypes.data) + i * 4 * width * len(rows)
            for first in range(0, channels, LANES):
                c = min(first, channels - LANES) * size
                for x in range(width):
                    mixed_lanes(
                        np.intp(addresses.ctypes.data), len(rows), given + x * rows[0, 2] + c,
                        weight + 4 * x, 4 * width, taken + x * gap + i * channels * size + c, kind,
                    )  # fmt: skip


@compiled
def _halve(weights: Any, y: int, scale: Any, into: Any) -> None:
    """A row of weights of every neighbour times a scale, a quarter of each two added up."""
    for n in range(len(into)):
        own, out = line(weights, n, y, len(scale), ONE), into[n]
        for x in range(len(out)):
            out[x] += (own[2 * x] * scale[2 * x] + own[2 * x + 1] * scale[2 * x + 1]) * QUARTER


def around(noisy: Tensor, coarse: Tensor, start: Tensor, code: Code) -> Tensor:
    """The cells of what a neighbour (1, C, H, W) shows: how far its coarse frame is from `start`,
    its noise, and the mean distance. code: factor and zero of what is coded, 1 and 0 of others."""
    channels = start.shape[1]
    found, into = cells(2 * channels + 1, start)
    _around(
        rows_of(noisy[0]), rows_of(coarse[0]), rows_of(start[0]), *map(np.float32, code),
        like(noisy), lines(2 * channels + 1, start), into,
    )  # fmt: skip
    return found


@compiled
def _around(
    noisy: Any, coarse: Any, start: Any, scale: Any, zero: Any, kind: Any, lines: Any, into: Any
) -> None:
    channels, _, width = lines.shape
    channels //= 2
    total = np.empty(width, np.float32)
    last = np.float32(1) / np.float32(channels)
    for y in range(2 * len(into)):
        total[:] = 0
        for c in range(channels):
            own = line(coarse, c, y, width, kind)
            grain = line(noisy, c, y, width, kind)
            centre = line(start, c, y, width, ONE)
            apart, noise = lines[c, y % 2], lines[channels + c, y % 2]
            for x in range(width):
                difference = np.float32(own[x]) * scale + zero - centre[x]
                apart[x] = lowered(difference, lines)
                total[x] += abs(difference)
            for x in range(width):
                noise[x] = lowered((np.float32(grain[x]) - np.float32(own[x])) * scale, lines)
        mean = lines[2 * channels, y % 2]
        for x in range(width):
            mean[x] = lowered(total[x] * last, lines)
        if y % 2:
            packed(lines, into[y // 2])
