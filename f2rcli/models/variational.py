"""Dense optical flow in torch, of many pairs at once: what a GPU needs in place of OpenCV's DIS.

Coarse to fine with warping (Brox et al., ECCV 2004). Constancy of brightness and of its gradients,
in units of pixels (Zimmer et al., IJCV 2011), summed over a window, which stands noise, and joined
with a smooth flow field, which fills flat places (Bruhn et al., "Lucas/Kanade meets Horn/Schunck",
IJCV 2005). A robust weight of smoothness lets motion boundaries be (lagged diffusivity).
Of `lite`, results on three filmed clips lie 0.02 dB below those of DIS at sigma 50, 0.08 at 20.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from f2rcli.frames import Floats
from f2rcli.models.filters import inner_mean
from f2rcli.models.flow import Flow, doubled, halved, sample
from f2rcli.models.recorded import as_constant

BRIGHTNESS = 0.5  # weight of its constancy beside that of its gradients
ROBUST = 0.3  # pixels of mismatch beyond which it counts less
LEAST_SLOPE = 0.03  # per pixel, of brightness: below it a picture counts as flat
DATA_SIDE = 7  # pixels, of the window that a match is summed over
SMOOTH_SIDE = 9  # pixels, that the flow is smoothed over in a step
BOUNDARY = 0.05  # change of flow per pixel that is a motion boundary
SMOOTHNESS = 1.8  # beside the match
# The share of it in each warping of a level: first the match finds its way, then it is smoothed.
SHARES = (0.01, 0.03, 0.3, 1.0)
SHARES_FROM_START = (0.03, 1.0)  # where a flow is known roughly, on the finest level alone
STEPS = 4  # of smoothing within a warping
LEVELS = 5  # of the pyramid
SMALLEST = 8  # pixels, of a level's shorter side
WHITE_SHARE = 0.995  # of all pixels are no brighter than what counts as white

# Filters of 3x3 pixels, row by row.
NONE = np.zeros(9)
SELF = np.array([0, 0, 0, 0, 1, 0, 0, 0, 0])
SLOPES = np.array([[0, 0, 0, -0.5, 0, 0.5, 0, 0, 0], [0, -0.5, 0, 0, 0, 0, 0, 0.5, 0]])
STEPS_ON = np.array([[0, 0, 0, 0, -1, 1, 0, 0, 0], [0, 0, 0, 0, -1, 0, 0, 1, 0]])


def variational_flows(source: Tensor, target: Tensor, start: Flow | None = None) -> Flow:
    """Flows (B, h, w, 2) from `source` into `target`, both (B, 1, h, w) of `halved`, of all pairs
    in one call; `start`: roughly known flows of the same shape. Pictures are counted in units of
    ROBUST within."""
    pair = torch.cat([source, target], 1).div_(_white(source) * ROBUST).clamp_(0, 1 / ROBUST)
    if start is not None:
        return _refined(start, pair, SHARES_FROM_START).contiguous()
    levels = [pair]
    while len(levels) < LEVELS and min(levels[-1].shape[-2:]) >= SMALLEST:
        levels.append(halved(levels[-1]))
    flow = torch.zeros_like(levels[-1]).permute(0, 2, 3, 1)  # of two channels as well
    for level in levels[::-1]:
        size = tuple(level.shape[-2:])
        flow = _refined(flow if level is levels[-1] else doubled(flow, size), level, SHARES)
    return flow.contiguous()


def _white(source: Tensor) -> Tensor:
    """The brightness that counts as white, (B, 1, 1, 1)."""
    seen = source[..., ::4, ::4].flatten(1)
    rank = max(round(WHITE_SHARE * seen.shape[1]), 1)
    return seen.kthvalue(rank, 1).values.clamp_min(1e-3).view(-1, 1, 1, 1)


def _refined(flow: Flow, level: Tensor, shares: tuple[float, ...]) -> Flow:
    """A flow after all warpings of a level (B, 2, h, w), its source and target."""
    source, target = _filtered(level, (SELF, *SLOPES)).unbind(1)
    for share in shares:
        match = _match(source, sample(target, flow))
        moved = _smoothed(flow.permute(0, 3, 1, 2), match, share * SMOOTHNESS)
        flow = moved.permute(0, 2, 3, 1)
    return flow


def _filtered(x: Tensor, filters: Sequence[Floats], least: float = 0.0) -> Tensor:
    """Every channel of x (B, C, h, w) through F filters, (B, C, F, h, w); least: what the first of
    these is raised by."""
    count = x.shape[1]
    weights = as_constant(count * tuple(np.concatenate(filters).tolist()), x).view(-1, 1, 3, 3)
    raised = as_constant(count * (least, *(0.0 for _ in filters[1:])), x)
    wide = functional.pad(x, (1, 1, 1, 1), "replicate")
    return functional.conv2d(wide, weights, raised, groups=count).unflatten(1, (count, -1))  # type: ignore[no-untyped-call]  # torch's stub


def _match(source: Tensor, warped: Tensor) -> Tensor:
    """The normal equations of the match around every pixel, (B, 2, 3, h, w): xx, xy, xt and yx, yy,
    yt. source, warped (B, 3, h, w): brightness and its slopes."""
    # Of each channel LEAST_SLOPE, the mean's slopes, and by what they differ: what the weight
    # 1 / (steep sqrt(apart^2 + ROBUST^2 steep)) is made of are two norms of these.
    seen = _filtered(source + warped, [NONE, *SLOPES * (ROBUST / 2), NONE], LEAST_SLOPE)
    torch.sub(source, warped, out=seen[:, :, 3])
    steep, both = (torch.linalg.vector_norm(one, dim=2) for one in (seen[:, :, :3], seen))
    left = (seen[:, :, 1:3] / (steep * both).unsqueeze(2)).unsqueeze(3).unbind(1)
    brightness, *slopes = zip(left, seen[:, :, None, 1:].unbind(1), strict=True)
    products = torch.mul(*brightness)
    for pair in slopes:
        products.addcmul_(*pair, value=1 / BRIGHTNESS)
    return inner_mean(products.flatten(1, 2), DATA_SIDE).view_as(products)


def _smoothed(flow: Tensor, match: Tensor, smoothness: float) -> Tensor:
    """The flow nearest to the match and to itself around every pixel, in a few steps."""
    # Large where the flow is even, small at motion boundaries.
    steps = _filtered(flow, [NONE, *STEPS_ON / smoothness], BOUNDARY / smoothness)
    weight = torch.linalg.vector_norm(steps.flatten(1, 2)[:, 1:], dim=1, keepdim=True).reciprocal_()
    means = inner_mean(torch.cat([weight * flow, weight], 1), SMOOTH_SIDE)
    summed, around = means[:, :2], means[:, 2:]  # of one call: a GPU's box means are slow
    match.diagonal(dim1=1, dim2=2).add_(around.movedim(1, -1))
    xx, xy, yy = (match[:, i, j].unsqueeze(1) for i, j in ((0, 0), (0, 1), (1, 1)))
    inverse = torch.cat([yy, -xy, xx], 1).div_((xx * yy).addcmul_(xy, xy, value=-1))
    known = torch.addcmul(match[:, :, 2], around, flow, value=-1 / ROBUST)
    begun = _plus(flow, inverse, known, ROBUST)
    found = _plus(begun, inverse, summed)
    for _ in range(STEPS - 1):
        found = _plus(begun, inverse, inner_mean(weight * found, SMOOTH_SIDE))
    return found


def _plus(flow: Tensor, matrix: Tensor, other: Tensor, times: float = 1.0) -> Tensor:
    """flow + times * matrix other, of symmetric matrices (B, 3, h, w): xx, xy, yy."""
    first = torch.addcmul(flow, matrix[:, :2], other[:, :1], value=times)
    return first.addcmul_(matrix[:, 1:], other[:, 1:], value=times)
