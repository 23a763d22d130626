"""Explain a restored pixel by its gradient with respect to every noisy frame.

A bias-free network is positively homogeneous, so that an output is the sum of all inputs weighed
by its gradient (Euler); Mohan et al., ICLR 2020, read it as a filter, Sheth et al., ICCV 2021, its
centre of mass from frame to frame as the motion that the network follows without being told.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from f2rcli import methods
from f2rcli.engine.engine import Engine
from f2rcli.errors import InputError
from f2rcli.models.layers import padded
from f2rcli.noise.model import NoiseModel
from f2rcli.window import Window

SIDE = 192  # pixels per side of what is looked at around the pixel
STEP = 16  # of where that begins: every network's grid
BELIEVED = 0.5  # of a filter's largest entry; smaller ones do not count for its centre of mass

FilterWeights = NDArray[np.float32]  # (H, W)


@dataclass(frozen=True, slots=True)
class FrameFilter:
    """The contribution of one frame to the pixel."""

    frame: int
    picture: NDArray[np.float32]  # (H, W, C), the noisy frame around the pixel
    weights: FilterWeights  # (H, W), summed over colours

    @property
    def total(self) -> float:
        """The share of the pixel that this frame gave."""
        return float(self.weights.sum())

    @property
    def centre(self) -> tuple[float, float]:
        """See `centre_of`."""
        return centre_of(self.weights)


@dataclass(frozen=True, slots=True)
class Explanation:
    """A pixel's filters in order of time; coordinates are those of the crop at `corner`."""

    pixel: tuple[int, int]  # x, y in the picture
    corner: tuple[int, int]  # x, y of the crop in the picture
    frame: int
    filters: tuple[FrameFilter, ...]
    value: tuple[float, float]  # noisy and restored, mean of the colours, 0..1

    @property
    def spot(self) -> tuple[int, int]:
        """The pixel in the crop."""
        return self.pixel[0] - self.corner[0], self.pixel[1] - self.corner[1]

    @property
    def motion(self) -> list[tuple[float, float]]:
        """The motion of the filters' centres from each frame to the next, (dx, dy) in pixels."""
        centres = [f.centre for f in self.filters]
        return [(b[0] - a[0], b[1] - a[1]) for a, b in pairwise(centres)]


def centre_of(weights: FilterWeights) -> tuple[float, float]:
    """The centre of mass (x, y) of a filter's entries above BELIEVED of the largest."""
    kept = np.where(weights >= BELIEVED * weights.max(), weights, 0)
    kept = np.maximum(kept, 0).astype(np.float64)
    mass = kept.sum()
    if mass <= 0:
        return float("nan"), float("nan")
    rows, columns = np.indices(kept.shape)
    return float((columns * kept).sum() / mass), float((rows * kept).sum() / mass)


def explain(
    engine: Engine, window: Window[tuple[int, Tensor]], pixel: tuple[int, int],
    noise: NoiseModel | None,
) -> Explanation:  # fmt: skip
    """Follow the pixel (x, y) of a window's centre back through an engine's method.

    window: frames' indices and pictures (1, C, H, W). Motion that a method estimates to align
    frames counts as given: only what networks do with the aligned frames is followed. Raises
    InputError for a pixel outside, and for a method whose result is cut off from its input.
    """
    x, y = pixel
    frame, centre = window.centre
    height, width = centre.shape[-2:]
    if not (0 <= x < width and 0 <= y < height):
        raise InputError(
            f"pixel {x},{y}: outside the picture.",
            hint=f"It is {width} x {height}; 0,0 is the upper left.",
        )
    left, top = (_corner(place, size) for place, size in ((x, width), (y, height)))
    rows, columns = slice(top, top + SIDE + STEP), slice(left, left + SIDE + STEP)
    crops, restored = traced(engine, window, rows, columns, noise)
    chosen = restored[0, :, y - top, x - left]
    found = torch.autograd.grad(chosen.mean(), list(crops.values()), allow_unused=True)
    filters = tuple(
        FrameFilter(i, shown(crop), filter_of(gradient, crop))
        for (i, crop), gradient in zip(crops.items(), found, strict=True)
    )
    noisy = float(centre[0, :, y, x].mean())
    return Explanation(pixel, (left, top), frame, filters, (noisy, float(chosen.detach().mean())))


def _corner(place: int, size: int) -> int:
    return max(0, min(place - SIDE // 2, size - SIDE)) // STEP * STEP


def shown(picture: Tensor) -> NDArray[np.float32]:
    """A picture (1, C, H, W) as (H, W, C)."""
    return picture.detach()[0].permute(1, 2, 0).float().cpu().numpy()


def filter_of(gradient: Tensor | None, crop: Tensor) -> FilterWeights:
    """A gradient (1, C, H, W), None if there is none, as a filter of a crop of that size."""
    if gradient is None:
        return np.zeros(crop.shape[-2:], np.float32)
    return gradient[0].sum(0).float().cpu().numpy()


def traced(
    engine: Engine, window: Window[tuple[int, Tensor]], rows: slice, columns: slice,
    noise: NoiseModel | None,
) -> tuple[dict[int, Tensor], Tensor]:  # fmt: skip
    """Crops of a window's frames, by index, and the centre restored from them; see `traceable`."""
    crops = {i: picture[..., rows, columns].clone().requires_grad_() for i, picture in window.items}
    return crops, traceable(engine, window.map(lambda item: (item[0], crops[item[0]])), noise)


def traceable(
    engine: Engine, window: Window[tuple[int, Tensor]], noise: NoiseModel | None
) -> Tensor:
    """The centre (1, C, H, W), restored untiled in float32 with gradients. Raises InputError for a
    method whose result is cut off from its input."""
    method = methods.load(engine.method_name).from_weights(engine.used or engine.weights, padded)
    method.networks.eval().to(engine.torch_device)
    try:
        ready = window.map(lambda item: method.prepare(*item, noise))
        restored = method.restore(ready, noise).refined
        if not restored.requires_grad:
            raise RuntimeError("the result is detached from the frames")
    except RuntimeError as error:
        if "memory" in str(error):
            raise
        raise InputError(
            f"method {engine.method_name}: its results cannot be traced back to pixels: "
            "part of it runs outside its networks.",
            hint="Choose another method.",
        ) from error
    return restored
