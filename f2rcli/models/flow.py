"""Optical flow and what follows from it: composition, consistency, warping.

Flow lives on the centre's grid and points into the neighbour: pixel p of the centre shows what
the neighbour shows at p + F(p). Flows are (H, W, 2) float32 in pixels, dx then dy, on the CPU.
"""

from typing import Protocol

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

Flow = NDArray[np.float32]  # (H, W, 2)
Luma = NDArray[np.float32]  # (H, W), 0 = black, 1 = white
Map = NDArray[np.float32]  # (H, W), 0..1

SMALLEST = 80  # pixels; smaller pictures are padded: below 64 OpenCV 5.0 crashes with these patches


class FlowEstimator(Protocol):
    """Anything that tells where the pixels of one picture lie in another."""

    def __call__(self, source: Luma, target: Luma, start: Flow | None = None) -> Flow:
        """Flow from `source` into `target`, refined from `start` when that is given."""
        ...


class DISFlow:
    """Dense inverse search (Kroeger et al., ECCV 2016) by OpenCV, tuned for noise.

    Half resolution at the finest, small patches and strong smoothness: benchmarks/ablation.md has
    the numbers.
    """

    def __call__(self, source: Luma, target: Luma, start: Flow | None = None) -> Flow:
        """See FlowEstimator. Both pictures are stretched alike to the 8 bits DIS works on."""
        height, width = source.shape
        white = max(float(np.quantile(source[::4, ::4], 0.995)), 1e-3)
        first, second = (_eight_bits(luma, white) for luma in (source, target))
        initial = None if start is None else _padded(start).copy()
        flow = _new_search().calc(first, second, initial)  # type: ignore[arg-type]  # None is allowed
        return np.ascontiguousarray(flow[:height, :width])


def _new_search() -> cv2.DISOpticalFlow:
    """A search of its own for every pair: one that is used again remembers the pair before, and
    its answers depend on it (seen in OpenCV 5.0)."""
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    search.setFinestScale(1)
    search.setPatchSize(8)
    search.setPatchStride(4)
    search.setGradientDescentIterations(16)
    search.setVariationalRefinementIterations(5)
    search.setVariationalRefinementAlpha(60.0)
    return search


def _eight_bits(luma: Luma, white: float) -> NDArray[np.uint8]:
    blurred = cv2.GaussianBlur(luma, (0, 0), 1.0)
    codes = np.clip(blurred * np.float32(255 / white), 0, 255).astype(np.uint8)
    return np.ascontiguousarray(_padded(codes))


def _padded(values: NDArray[np.generic]) -> NDArray[np.generic]:
    rows, columns = (max(SMALLEST - size, 0) for size in values.shape[:2])
    if not rows and not columns:
        return values
    return np.pad(values, [(0, rows), (0, columns)] + [(0, 0)] * (values.ndim - 2), mode="edge")


def sample(values: NDArray[np.float32], flow: Flow, *, cubic: bool = False) -> NDArray[np.float32]:
    """Backward warp: out(p) = values(p + flow(p)); outside the picture its edge goes on.

    values (H, W) or (H, W, C) with C <= 4.
    """
    rows, columns = np.indices(flow.shape[:2], dtype=np.float32)
    warped: NDArray[np.float32] = cv2.remap(  # type: ignore[assignment]  # float32 stays float32
        values,
        columns + flow[..., 0],
        rows + flow[..., 1],
        cv2.INTER_CUBIC if cubic else cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return warped


def compose(first: Flow, second: Flow) -> Flow:
    """Flow a -> c from a -> b and b -> c."""
    return first + sample(second, first)


def midway(across: Flow, part: float = 0.5, rounds: int = 3) -> Flow:
    """Flow from an unseen frame between a and b to b, by constant velocity from flow a -> b.

    `part` is the share of the way that lies between the unseen frame and b. The unseen pixel p
    comes from the pixel q of a with q + (1 - part) F(q) = p: a fixed-point iteration finds F(q).
    """
    moved = across
    for _ in range(rounds):
        moved = sample(across, np.float32(part - 1) * moved)
    return np.float32(part) * moved


def consistency(forward: Flow, backward: Flow) -> Map:
    """Whether going there and back ends where it began: 1 within a fraction of a pixel, towards 0
    beyond, and 0 where the flow leaves the picture (Sundaram et al., ECCV 2010, made soft)."""
    error = forward + sample(backward, forward)
    allowed = 0.25 + 0.01 * (_squared(forward) + _squared(backward))
    return inside(forward) / (1 + _squared(error) / allowed)


def _squared(flow: Flow) -> Map:
    return flow[..., 0] ** 2 + flow[..., 1] ** 2  # a sum over an axis of two is ten times slower


def inside(flow: Flow) -> Map:
    """1 where p + flow(p) lies in the picture, 0 elsewhere, with half a pixel of grace."""
    height, width = flow.shape[:2]
    rows, columns = np.indices((height, width), dtype=np.float32)
    x, y = columns + flow[..., 0], rows + flow[..., 1]
    within = (x > -1) & (y > -1) & (x < width) & (y < height)
    return within.astype(np.float32)


def warp(picture: Tensor, flow: Flow) -> Tensor:
    """Backward warp with cubic interpolation: picture (1, C, H, W) -> the same shape.

    On the CPU by OpenCV, which is five times faster there; elsewhere, and where a gradient is
    wanted, by grid_sample.
    """
    if picture.device.type == "cpu" and not picture.requires_grad:
        planes = picture[0].float().permute(1, 2, 0).contiguous().numpy()
        groups = [planes[..., i : i + 4] for i in range(0, planes.shape[-1], 4)]
        warped = [np.atleast_3d(sample(np.ascontiguousarray(g), flow, cubic=True)) for g in groups]
        return torch.from_numpy(np.concatenate(warped, -1)).permute(2, 0, 1)[None]
    height, width = flow.shape[:2]
    rows, columns = np.indices((height, width), dtype=np.float32)
    x = 2 * (columns + flow[..., 0]) / max(width - 1, 1) - 1
    y = 2 * (rows + flow[..., 1]) / max(height - 1, 1) - 1
    grid = torch.from_numpy(np.stack([x, y], -1))[None].to(picture.device)
    return functional.grid_sample(
        picture.float(), grid, mode="bicubic", padding_mode="border", align_corners=True
    )
