"""Optical flow and what follows from it: composition, consistency, warping.

Flow lives on the centre's grid and points into the neighbour: pixel p of the centre shows what
the neighbour shows at p + F(p). Flows are tensors (B, H, W, 2) in pixels, dx then dy, of B pairs of
pictures at once, beside pictures and maps (B, C, H, W). On a processor OpenCV works on them, which
is five times faster there; elsewhere, and where a gradient is wanted, torch.
"""

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from f2rcli.models import filters
from f2rcli.models.filters import here
from f2rcli.models.recorded import as_constant, constant

Flow = Tensor  # (B, H, W, 2) float32
Luma = NDArray[np.float32]  # (H, W), 0 = black, 1 = white

# Of a search in whole frames, in halved ones, and in those from a flow on: steps of a patch, pixels
# between patches, rounds of smoothing. Patches that take many steps follow the noise, and smoothing
# lets go of it: against 12 steps and 3 rounds worth 0.08 dB at sigma 50, 0.02 at 20, nothing at 5
# (ten filmed clips, `lite`). From what a flow in whole frames leaves, noise is read: that is exact.
EXACT, CALM, BEGUN = (12, 4, 3), (4, 4, 6), (2, 5, 2)
# Pixels of a halved frame, from which on (1080p) motion is looked for in a quarter of them: of two
# filmed clips 41.53 and 42.26 dB become 41.58 and 42.17 at sigma 20, and 46.57 and 46.03 at sigma 5
# become 46.58 and 45.97, in a tenth less of a frame's time. Beside such flows noise is
# read as well: in eleven clips of 854x480 with noise of 2 to 20 codes as before, to 0.1 of a code.
LARGE = 300_000
SMALLEST = 80  # pixels; smaller pictures are padded: below 64 OpenCV 5.0 crashes with these patches


def dis_flow(source: Luma, target: Luma, start: Flow | None = None, *, small: bool = False) -> Flow:
    """Flow (1, H, W, 2) from `source` into `target`, refined from `start` when that is given, by
    OpenCV's dense inverse search (Kroeger et al., ECCV 2016), tuned for noise: half resolution,
    small patches, strong smoothness. Both are stretched alike to the 8 bits that it works on.

    small: whether pictures come from `halved`, and flows are to be as small.
    """
    height, width = source.shape
    step = 2 if small else 4
    white = max(float(np.quantile(source[::step, ::step], 0.995)), 1e-3)
    pair = (source, target) if small else (blurred(source), blurred(target))
    first, second = (_eight_bits(luma, white) for luma in pair)
    initial = None if start is None else _padded(start[0].numpy()).copy()
    kind = EXACT if not small else CALM if start is None else BEGUN
    large = source.size >= (LARGE if small else 4 * LARGE)
    search = _new_search((not small) + large, *kind)
    flow = search.calc(first, second, initial)  # type: ignore[arg-type]  # None is allowed
    return torch.from_numpy(np.ascontiguousarray(flow[:height, :width]))[None]


def halved(x: Tensor) -> Tensor:
    """Pictures as flow is searched in them: means over cells of 2x2 pixels, (B, C, H, W) -> half of
    both sizes, rounded up."""
    rows, columns = (size % 2 for size in x.shape[-2:])
    if rows or columns:
        x = functional.pad(x, (0, columns, 0, rows), "replicate")
    small = filters.halved(x.flatten(0, 1))
    return small.view(*x.shape[:2], *small.shape[1:])


def resized(flow: Flow, shape: tuple[int, ...]) -> Flow:
    """A flow on the grid of pictures of this shape, in their pixels."""
    size = tuple(flow.shape[1:3])
    if size == shape:
        return flow
    if here(flow):
        way = cv2.INTER_AREA if shape < size else cv2.INTER_LINEAR
        wide = torch.empty(len(flow), *shape, 2)
        for one, out in zip(flow.numpy(), wide.numpy(), strict=True):
            cv2.resize(one, shape[::-1], out, interpolation=way)
    else:
        planes = filters.resized(flow.permute(0, 3, 1, 2).flatten(0, 1), shape)
        wide = planes.view(-1, 2, *shape).permute(0, 2, 3, 1)
    for axis in (0, 1):
        wide[..., axis].mul_(shape[1 - axis] / size[1 - axis])
    return wide


def doubled(flow: Flow, shape: tuple[int, ...]) -> Flow:
    """A flow of half the size in the pixels of pictures of this shape, (H, W)."""
    rows, columns = flow.shape[1:3]
    return resized(flow, (2 * rows, 2 * columns))[:, : shape[0], : shape[1]]


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


def sample(values: Tensor, flow: Flow, *, cubic: bool = False) -> Tensor:
    """Backward warp of pictures (B, C, H, W): out(p) = values(p + flow(p)); outside the picture its
    edge goes on. cubic: keeps detail of what is warped again and again."""
    if here(values) and not values.requires_grad:
        kind = cv2.INTER_CUBIC if cubic else cv2.INTER_LINEAR
        moved = np.empty((*values.shape[:2], *flow.shape[1:3]), np.float32)
        for picture, place, out in zip(values.numpy(), landing(flow).numpy(), moved, strict=True):
            for plane, into in zip(picture, out, strict=True):  # faster than several at once
                cv2.remap(plane, place, None, kind, into, cv2.BORDER_REPLICATE)  # type: ignore[call-overload]  # None is allowed
        return torch.from_numpy(moved)
    scale = tuple(2 / max(size - 1, 1) for size in (flow.shape[2], flow.shape[1]))
    places = torch.addcmul(
        _ends(flow.shape[1], flow.shape[2], flow.device), flow, as_constant(scale, flow)
    )
    mode = "bicubic" if cubic else "bilinear"
    return functional.grid_sample(values, places, mode, "border", align_corners=True)


def landing(flow: Flow) -> Tensor:
    """Where every pixel p lands, p + flow(p): x, then y."""
    return _grid(flow.shape[1], flow.shape[2], flow.device) + flow


def landed(flow: Flow, size: tuple[int, ...]) -> Tensor:
    """Where samples of a plane of this size land by the flow (1, h, w, 2) of a picture, to whole
    samples, as flat indices."""
    height, width = size
    x, y = (resized(flow, size).round() + _grid(height, width, flow.device))[0].int().unbind(-1)
    return y.clamp_(0, height - 1).mul_(width).add_(x.clamp_(0, width - 1)).flatten()


@constant(16)
def _grid(height: int, width: int, device: torch.device) -> Tensor:
    rows, columns = np.indices((height, width), dtype=np.float32)
    return torch.from_numpy(np.stack([columns, rows], -1))[None].to(device)


@constant(16)
def _ends(height: int, width: int, device: torch.device) -> Tensor:
    """The same from -1 to 1."""
    sizes = torch.tensor([width, height], device=device).sub_(1).clamp_(min=1)
    return _grid(height, width, device) * (2 / sizes) - 1


def compose(first: Flow, second: Flow) -> Flow:
    """Flow a -> c from a -> b and b -> c."""
    return first + sample(second.permute(0, 3, 1, 2), first).permute(0, 2, 3, 1)


def consistency(forward: Flow, backward: Flow, pixel: float = 1.0) -> Tensor:
    """Whether going there and back ends where it began, (B, 1, H, W): 1 within a fraction of a
    pixel, towards 0 beyond, and 0 where the flow leaves the picture (Sundaram et al., ECCV 2010,
    made soft).

    pixel: how many of the picture's pixels one of the flows' is long.
    """
    error = compose(forward, backward)
    allowed = 0.25 / pixel**2 + 0.01 * (squared(forward) + squared(backward))
    return inside(forward, pixel) / (1 + squared(error) / allowed)


def squared(flow: Flow) -> Tensor:
    """The squared length of every shift, (B, 1, H, W)."""
    x, y = flow.unbind(-1)  # a sum over an axis of two takes four times as long
    return (x * x + y * y).unsqueeze(1)


def inside(flow: Flow, pixel: float = 1.0) -> Tensor:
    """1 where p + flow(p) lies within half a pixel of the picture, else 0; see `consistency`."""
    (x, y), (height, width) = landing(flow).unbind(-1), flow.shape[1:3]
    low = -0.5 - 0.5 / pixel
    within = (x > low) & (y > low) & (x < width - 1 - low) & (y < height - 1 - low)
    return within.float().unsqueeze(1)
