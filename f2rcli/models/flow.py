"""Optical flow and what follows from it: composition, consistency, warping.

Flow lives on the centre's grid and points into the neighbour: pixel p of the centre shows what
the neighbour shows at p + F(p). Flows are (H, W, 2) float32 in pixels, dx then dy, on the CPU; what
is composed or judged may also be tensors, on any device: `Shifts` of B pairs of pictures at once,
beside pictures and maps (B, C, H, W).
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from f2rcli.models.recorded import constant

Flow = NDArray[np.float32]  # (H, W, 2)
Shifts = Tensor  # (B, H, W, 2)
Luma = NDArray[np.float32]  # (H, W), 0 = black, 1 = white
F = TypeVar("F", Flow, Tensor)  # flows of either kind; maps of tensors are (B, 1, H, W)

# Of a search in whole frames, in halved ones, and in those from a flow on: steps of a patch, pixels
# between patches, rounds of smoothing. Patches that take many steps follow the noise, and smoothing
# lets go of it: against 12 steps and 3 rounds worth 0.08 dB at sigma 50, 0.02 at 20, nothing at 5
# (ten filmed clips, `lite`). From what a flow in whole frames leaves, noise is read: that is exact.
EXACT, CALM, BEGUN = (12, 4, 3), (4, 4, 6), (2, 5, 2)
SMALLEST = 80  # pixels; smaller pictures are padded: below 64 OpenCV 5.0 crashes with these patches


@dataclass(frozen=True, slots=True)
class DISFlow:
    """Dense inverse search (Kroeger et al., ECCV 2016) by OpenCV, tuned for noise: half resolution,
    small patches, strong smoothness."""

    halved: bool = False  # whether pictures come from `halved`, and flows are to be as small

    def __call__(self, source: Luma, target: Luma, start: Flow | None = None) -> Flow:
        """Flow from `source` into `target`, refined from `start` when that is given. Both are
        stretched alike to the 8 bits DIS works on."""
        height, width = source.shape
        step = 2 if self.halved else 4
        white = max(float(np.quantile(source[::step, ::step], 0.995)), 1e-3)
        pair = (source, target) if self.halved else (blurred(source), blurred(target))
        first, second = (_eight_bits(luma, white) for luma in pair)
        initial = None if start is None else _padded(start).copy()
        kind = EXACT if not self.halved else CALM if start is None else BEGUN
        search = _new_search(0 if self.halved else 1, *kind)
        flow = search.calc(first, second, initial)  # type: ignore[arg-type]  # None is allowed
        return np.ascontiguousarray(flow[:height, :width])


def halved(luma: F) -> F:
    """A picture as flow is searched in it, at half the size: (H, W) or (B, 1, H, W) -> half of
    both, rounded up."""
    if isinstance(luma, Tensor):
        return half(luma)
    rows, columns = (size % 2 for size in luma.shape)
    even = cv2.copyMakeBorder(luma, 0, rows, 0, columns, cv2.BORDER_REPLICATE)
    size = (even.shape[1] // 2, even.shape[0] // 2)
    return np.asarray(cv2.resize(even, size, interpolation=cv2.INTER_AREA), np.float32)


def half(x: Tensor) -> Tensor:
    """Means over cells of 2x2 pixels: (B, C, H, W) -> half of both sizes, rounded up."""
    rows, columns = (size % 2 for size in x.shape[-2:])
    if rows or columns:
        x = functional.pad(x, (0, columns, 0, rows), "replicate")
    return functional.avg_pool2d(x, 2)


def doubled(values: F, shape: tuple[int, ...]) -> F:
    """Maps or the shifts of a flow, (H, W[, 2]), or maps (B, C, H, W), from half the size onto
    pictures of this shape (..., H, W)."""
    if isinstance(values, Tensor):
        wide = functional.interpolate(values, scale_factor=2, mode="bilinear", align_corners=False)
        return wide[..., : shape[-2], : shape[-1]]
    rows, columns = values.shape[:2]
    whole = np.asarray(cv2.resize(values, (2 * columns, 2 * rows)), np.float32)
    return np.ascontiguousarray(whole[: shape[-2], : shape[-1]])


def doubled_flow(flow: F, shape: tuple[int, ...]) -> F:
    """A flow of half the size in the pixels of pictures of this shape (..., H, W)."""
    if isinstance(flow, Tensor):
        return doubled(flow.permute(0, 3, 1, 2), shape).permute(0, 2, 3, 1) * 2
    return 2 * doubled(flow, shape)


def resized(flow: Flow, shape: tuple[int, ...]) -> Flow:
    """A flow on the grid of a smaller picture of this shape, in its pixels."""
    if flow.shape[:2] == shape:
        return flow
    scale = np.array([shape[1] / flow.shape[1], shape[0] / flow.shape[0]], np.float32)
    small = cv2.resize(flow, (shape[1], shape[0]), interpolation=cv2.INTER_AREA)
    return np.asarray(small * scale, np.float32)


def _new_search(finest: int, steps: int, stride: int, rounds: int) -> cv2.DISOpticalFlow:
    """A search of its own for every pair: one that is used again remembers the pair before, and
    its answers depend on it (seen in OpenCV 5.0)."""
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    search.setFinestScale(finest)
    search.setPatchSize(8)
    search.setPatchStride(stride)
    search.setGradientDescentIterations(steps)
    search.setVariationalRefinementIterations(rounds)
    search.setVariationalRefinementAlpha(60.0)
    return search


def blurred(luma: Luma) -> Luma:
    """A noisy picture by a pixel, as flow is searched in it."""
    return np.asarray(cv2.GaussianBlur(luma, (0, 0), 1.0), np.float32)


def _eight_bits(luma: Luma, white: float) -> NDArray[np.uint8]:
    codes = np.clip(luma * np.float32(255 / white), 0, 255).astype(np.uint8)
    return np.ascontiguousarray(_padded(codes))


def _padded(values: NDArray[np.generic]) -> NDArray[np.generic]:
    rows, columns = (max(SMALLEST - size, 0) for size in values.shape[:2])
    if not rows and not columns:
        return values
    return np.pad(values, [(0, rows), (0, columns)] + [(0, 0)] * (values.ndim - 2), mode="edge")


def sample(values: F, flow: F, *, cubic: bool = False) -> F:
    """Backward warp: out(p) = values(p + flow(p)); outside the picture its edge goes on.

    values (H, W) or (H, W, C) with C <= 4, or (B, C, H, W); cubic: keeps detail of what is warped
    again and again.
    """
    places = landing(flow)
    if not isinstance(values, Tensor):
        kind = cv2.INTER_CUBIC if cubic else cv2.INTER_LINEAR
        return np.asarray(_fetched(values, places, kind), np.float32)
    for axis, size in enumerate((flow.shape[2], flow.shape[1])):  # in place: -1 to 1
        places[..., axis].mul_(2 / max(size - 1, 1)).sub_(1)
    mode = "bicubic" if cubic else "bilinear"
    return functional.grid_sample(values, places, mode, "border", align_corners=True)


def landing(flow: F) -> F:
    """Where every pixel p lands, p + flow(p): x, then y."""
    if isinstance(flow, Tensor):
        return _grid_on(flow.shape[1], flow.shape[2], flow.device) + flow
    return _grid(*flow.shape[:2]) + flow


@lru_cache(maxsize=4)
def _grid(height: int, width: int) -> Flow:
    rows, columns = np.indices((height, width), dtype=np.float32)
    grid = np.stack([columns, rows], -1)
    grid.setflags(write=False)
    return grid


@constant(16)
def _grid_on(height: int, width: int, device: torch.device) -> Tensor:
    return torch.from_numpy(_grid(height, width).copy())[None].to(device)


def _fetched(values: Any, places: Flow, kind: int) -> Any:
    return cv2.remap(values, places, None, kind, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[call-overload]  # None is allowed


def compose(first: F, second: F) -> F:
    """Flow a -> c from a -> b and b -> c."""
    if isinstance(first, Tensor):
        return first + sample(second.permute(0, 3, 1, 2), first).permute(0, 2, 3, 1)
    return first + sample(second, first)


def consistency(forward: F, backward: F, pixel: float = 1.0) -> F:
    """Whether going there and back ends where it began: 1 within a fraction of a pixel, towards 0
    beyond, and 0 where the flow leaves the picture (Sundaram et al., ECCV 2010, made soft).

    pixel: how many of the picture's pixels one of the flows' is long.
    """
    error = compose(forward, backward)
    allowed = 0.25 / pixel**2 + 0.01 * (squared(forward) + squared(backward))
    return inside(forward, pixel) / (1 + squared(error) / allowed)


def squared(flow: F) -> F:
    """The squared length of every shift, a map."""
    if isinstance(flow, Tensor):
        return flow.square().sum(-1).unsqueeze(1)
    return flow[..., 0] ** 2 + flow[..., 1] ** 2  # a sum over an axis of two is ten times slower


def inside(flow: F, pixel: float = 1.0) -> F:
    """1 where p + flow(p) lies within half a pixel of the picture, else 0; see `consistency`."""
    places: Any = landing(flow)
    height, width = places.shape[-3:-1]
    x, y = places[..., 0], places[..., 1]
    low = -0.5 - 0.5 / pixel
    within = (x > low) & (y > low) & (x < width - 1 - low) & (y < height - 1 - low)
    return within.float().unsqueeze(1) if isinstance(flow, Tensor) else within.astype(np.float32)


def warp(picture: Tensor, flow: Flow) -> Tensor:
    """Backward warp with cubic interpolation: picture (1, C, H, W) -> the same shape, float32.

    On the CPU by OpenCV, which is five times faster there; elsewhere, and where a gradient is
    wanted, by grid_sample.
    """
    if picture.device.type == "cpu" and not picture.requires_grad:
        places = landing(flow)
        planes = picture[0].float().numpy()
        moved = [_fetched(plane, places, cv2.INTER_CUBIC) for plane in planes]
        return torch.from_numpy(np.stack(moved))[None]
    there = torch.from_numpy(flow)[None].to(picture.device)
    return sample(picture.float(), there, cubic=True)
