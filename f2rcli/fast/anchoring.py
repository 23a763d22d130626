"""The blind anchor's weights of neighbours, and their merging (models/fusion.py, BlindAnchor).

Pictures of all neighbours are tensors (1, N, C, H, W), float32 or codes; `code` is the factor and
the zero of what is coded, 1 and 0 of others. Confidence is (1, N, 1, H, W), float32.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from f2rcli.fast.cells import Code, cells, lines, packed
from f2rcli.fast.compiling import compiled
from f2rcli.fast.rows import exponential, like, line, line_of, lowered, raised, row, rows_of

NONE, ONE = np.float32(0), np.float32(1)
LEAST = np.float32(1e-4)  # see models/fusion.py, EPSILON


def compared(coarse: Tensor, confidence: Tensor, code: Code) -> tuple[Tensor, Tensor]:
    """The neighbours' mean by confidence (1, C, H, W), and their distance from it (1, 1, H, W)."""
    _, several, channels, height, width = coarse.shape
    mean, spread = torch.empty((1, channels, height, width)), torch.empty((1, 1, height, width))
    _compared(
        rows_of(coarse[0]), rows_of(confidence[0, :, 0]), several, *map(np.float32, code),
        like(coarse), mean[0].numpy(), spread[0, 0].numpy(),
    )  # fmt: skip
    return mean, spread


@compiled
def _compared(
    coarse: Any,
    confidence: Any,
    several: int,
    scale: Any,
    zero: Any,
    kind: Any,
    mean: Any,
    spread: Any,
) -> None:
    channels, height, width = mean.shape
    trust = np.empty((several, width), np.float32)
    total = np.empty(width, np.float32)
    share = ONE / np.float32(channels)
    for y in range(height):
        total[:] = 0
        for n in range(several):
            sure = line(confidence, n, y, width, ONE)
            for x in range(width):
                total[x] += sure[x]
        for x in range(width):
            total[x] = ONE / max(total[x], LEAST)
        for n in range(several):
            sure, part = line(confidence, n, y, width, ONE), trust[n]
            for x in range(width):
                part[x] = sure[x] * total[x]
        for c in range(channels):
            middle = mean[c, y]
            middle[:] = 0
            for n in range(several):
                own, part = line_of(coarse, n, c, y, width, kind), trust[n]
                for x in range(width):
                    middle[x] += part[x] * (np.float32(own[x]) * scale + zero)
        far = spread[y]
        far[:] = 0
        for n in range(several):
            for c in range(channels):
                own, middle, part = line_of(coarse, n, c, y, width, kind), mean[c, y], trust[n]
                for x in range(width):
                    far[x] += part[x] * share * abs(np.float32(own[x]) * scale + zero - middle[x])


def weighing(coarse: Tensor, sure: Tensor, mean: Tensor, spread: Tensor, code: Code) -> Tensor:
    """The cells of one neighbour (1, C, H, W) as it is weighed: how far it is from the mean, both
    ways, in units of what is usual there, and its confidence (1, 1, H, W), at most 1."""
    channels = mean.shape[1]
    found, into = cells(channels + 2, mean)
    _weighing(
        *(rows_of(x[0]) for x in (coarse, sure, mean, spread)), *map(np.float32, code),
        like(coarse), lines(channels + 2, mean), into,
    )  # fmt: skip
    return found


@compiled
def _weighing(
    coarse: Any,
    sure: Any,
    mean: Any,
    spread: Any,
    scale: Any,
    zero: Any,
    kind: Any,
    lines: Any,
    into: Any,
) -> None:
    channels, _, width = lines.shape
    channels -= 2
    total, unit = np.empty(width, np.float32), np.empty(width, np.float32)
    share = ONE / np.float32(channels)
    for y in range(2 * len(into)):
        usual = line(spread, 0, y, width, ONE)
        for x in range(width):
            unit[x] = ONE / (usual[x] + LEAST)
        total[:] = 0
        for c in range(channels):
            own, middle = line(coarse, c, y, width, kind), line(mean, c, y, width, ONE)
            apart = lines[c, y % 2]
            for x in range(width):
                difference = np.float32(own[x]) * scale + zero - middle[x]
                apart[x] = lowered(difference * unit[x], lines)
                total[x] += abs(difference)
        far, trust = lines[channels, y % 2], lines[channels + 1, y % 2]
        for x in range(width):
            far[x] = lowered(total[x] * share * unit[x], lines)
        one = line(sure, 0, y, width, ONE)
        for x in range(width):
            trust[x] = lowered(min(one[x], ONE), lines)
        if y % 2:
            packed(lines, into[y // 2])


def merged(
    logits: list[Tensor],
    noisy: Tensor,
    coarse: Tensor,
    confidence: Tensor,
    spread: Tensor,
    code: Code,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Weights (1, N, 1, H, W), a softmax of logits (1, 4, H/2, W/2) in cells beside confidence; the
    noisy neighbours merged by them and what of it the coarse ones lack, (1, C, H, W) each; and the
    cells that the anchor's U-Net begins with."""
    _, several, channels, height, width = coarse.shape
    weights = torch.empty((1, several, 1, height, width))
    both = torch.empty((2, 1, channels, height, width))
    found, into = cells(2 * channels + 1, spread)
    shown = confidence.amax((0, 2, 3, 4)).numpy() > 0
    _merged(
        np.stack([rows_of(one.permute(0, 2, 3, 1)[0]) for one in logits]), like(logits[0]),
        *(rows_of(x) for x in (noisy[0], coarse[0], confidence[0, :, 0], spread[0])), shown,
        *map(np.float32, code), like(coarse), weights[0, :, 0].numpy(), both[:, 0].numpy(),
        lines(2 * channels + 1, spread), into,
    )  # fmt: skip
    return weights, both[0], both[1], found


@compiled
def _merged(
    logits: Any,
    short: Any,
    noisy: Any,
    coarse: Any,
    confidence: Any,
    spread: Any,
    shown: Any,
    scale: Any,
    zero: Any,
    kind: Any,
    weights: Any,
    both: Any,
    lines: Any,
    into: Any,
) -> None:
    several, height, width = weights.shape
    channels = both.shape[1]
    mixed = np.empty(width, np.float32)
    for y in range(height):
        _softmax(logits, short, confidence, shown, y, weights)
        for c in range(channels):
            grain, lack = both[0, c, y], both[1, c, y]
            grain[:], mixed[:] = 0, 0
            for n in range(several):
                weight, own = weights[n, y], line_of(coarse, n, c, y, width, kind)
                for x in range(width):
                    mixed[x] += weight[x] * (np.float32(own[x]) * scale + zero)
                own = line_of(noisy, n, c, y, width, kind)
                for x in range(width):
                    grain[x] += weight[x] * (np.float32(own[x]) * scale + zero)
            one, other = lines[c, y % 2], lines[channels + c, y % 2]
            for x in range(width):
                one[x] = lowered(mixed[x], lines)
            for x in range(width):
                lack[x] = grain[x] - mixed[x]
            for x in range(width):
                other[x] = lowered(lack[x], lines)
        usual, last = line(spread, 0, y, width, ONE), lines[2 * channels, y % 2]
        for x in range(width):
            last[x] = lowered(usual[x], lines)
        if y % 2:
            packed(lines, into[y // 2])


@compiled
def _softmax(logits: Any, short: Any, confidence: Any, shown: Any, y: int, weights: Any) -> None:
    """A row of weights, of neighbours that are shown; of all alike where none is."""
    several, _, width = weights.shape
    highest, total = np.empty(width, np.float32), np.empty(width, np.float32)
    highest[:], total[:] = -np.inf, 0
    for n in range(several):
        own = row(logits[n, 0] + (y // 2) * logits[n, 1], 2 * width, short)
        weight, first = weights[n, y], 2 * (y % 2)
        for x in range(width // 2):
            weight[2 * x] = raised(own[4 * x + first])
            weight[2 * x + 1] = raised(own[4 * x + first + 1])
        for x in range(width):
            highest[x] = max(highest[x], weight[x])
    any_shown = shown.any()
    for n in range(several):
        sure, weight = line(confidence, n, y, width, ONE), weights[n, y]
        there = ONE if shown[n] else NONE
        for x in range(width):
            weight[x] = (sure[x] + LEAST) * exponential(weight[x] - highest[x]) * there
        if not any_shown:
            weight[:] = 1
        for x in range(width):
            total[x] += weight[x]
    for x in range(width):
        total[x] = ONE / total[x]
    for n in range(several):
        weight = weights[n, y]
        for x in range(width):
            weight[x] *= total[x]
