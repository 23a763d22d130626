"""The motion that a network follows, over a whole frame.

The pixels of a grid are explained as `explain` does one. Filters are small beside a frame: pixels
far enough apart share one pass backwards (Sheth et al., ICCV 2021, section on motion).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from f2rcli.engine.engine import Engine
from f2rcli.evaluation.explain import STEP, centre_of, filter_of, shown, traced
from f2rcli.noise.model import NoiseModel
from f2rcli.window import Window

REACH = 32  # pixels around a pixel in which its filters are looked at
MARGIN = 48  # of a crop, around the pixels that are followed in it
INNER = 160  # pixels per side of a crop without its margins; a multiple of STEP
LEAST_SHARE = 0.01  # of a pixel: what gives less has a centre of mass of noise

Points = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class MotionField:
    """Every frame's contribution to the pixels of a grid, and its origin. N pixels, T frames."""

    frame: int
    frames: tuple[int, ...]
    picture: NDArray[np.float32]  # (H, W, C), the noisy frame
    step: int  # of the grid
    pixels: NDArray[np.int64]  # (N, 2): x, y
    shares: Points  # (N, T): of the pixel, from each frame
    centres: Points  # (N, T, 2): centre of mass (x, y) of the filter, less the pixel; nan: none

    @property
    def motion(self) -> Points:
        """(N, T - 1, 2): filters' motion from frame to frame, (dx, dy) in pixels; nan if faint."""
        clear = np.where((self.shares >= LEAST_SHARE)[..., None], self.centres, np.nan)
        return np.diff(clear, axis=1)

    @property
    def medians(self) -> Points:
        """(T - 1, 2): the median of the motion over the grid; nan where nothing is known."""
        known = [steps[np.isfinite(steps).all(-1)] for steps in self.motion.swapaxes(0, 1)]
        return np.array([np.median(k, axis=0) if len(k) else (np.nan, np.nan) for k in known])


def motion_field(
    engine: Engine, window: Window[tuple[int, Tensor]], step: int, noise: NoiseModel | None
) -> MotionField:
    """Follow a pixel in every step x step cell of a window's centre back through a method.

    window: frames' indices and pictures (1, C, H, W). As in `explain`, motion that a method
    estimates to align frames counts as given. Raises InputError for a method whose result is cut
    off from its input.
    """
    frame, centre = window.centre
    height, width = centre.shape[-2:]
    found = [
        one
        for top, left in product(range(0, height, INNER), range(0, width, INNER))
        for one in _followed(engine, window, (top, left), step, noise)
    ]
    found.sort(key=lambda one: (one[0][1], one[0][0]))
    pixels, shares, centres = (np.array(part) for part in zip(*found, strict=True))
    frames = tuple(i for i, _ in window.items)
    return MotionField(frame, frames, shown(centre), step, pixels, shares, centres)


_Found = tuple[tuple[int, int], list[float], list[tuple[float, float]]]


def _followed(
    engine: Engine,
    window: Window[tuple[int, Tensor]],
    corner: tuple[int, int],
    step: int,
    noise: NoiseModel | None,
) -> Iterator[_Found]:
    """The grid's pixels inside the INNER pixels from a corner (y, x): x and y, shares, centres."""
    height, width = window.centre[1].shape[-2:]
    sides = [
        [n for n in range(step // 2, size, step) if first <= n < first + INNER]
        for first, size in zip(corner, (height, width), strict=True)
    ]
    if not all(sides):
        return
    top, left = (max(0, first - MARGIN) // STEP * STEP for first in corner)
    rows, columns = (
        slice(start, first + INNER + MARGIN)
        for start, first in zip((top, left), corner, strict=True)
    )
    crops, restored = traced(engine, window, rows, columns, noise)
    means = restored[0].mean(0)
    apart = -(-2 * REACH // step)  # pixels of the grid between those of one pass
    for down, right in product(range(apart), range(apart)):
        pixels = list(product(sides[0][down::apart], sides[1][right::apart]))
        if not pixels:
            continue
        total = torch.stack([means[y - top, x - left] for y, x in pixels]).sum()
        gradients = torch.autograd.grad(
            total, list(crops.values()), retain_graph=True, allow_unused=True
        )
        filters = [filter_of(g, crop) for g, crop in zip(gradients, crops.values(), strict=True)]
        for y, x in pixels:
            yield (x, y), *_seen(filters, y - top, x - left)


def _seen(
    filters: list[NDArray[np.float32]], y: int, x: int
) -> tuple[list[float], list[tuple[float, float]]]:
    """Of every filter the sum around a pixel (y, x) of the crop, and its centre less the pixel."""
    up, back = max(0, y - REACH), max(0, x - REACH)
    shares, centres = [], []
    for weights in filters:
        around = weights[up : y + REACH, back : x + REACH]
        column, row = centre_of(around)
        shares.append(float(around.sum()))
        centres.append((column + back - x, row + up - y))
    return shares, centres
