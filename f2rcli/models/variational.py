"""Dense optical flow in torch, of many pairs at once: what a GPU needs in place of OpenCV's DIS.

Coarse to fine with warping (Brox et al., ECCV 2004). Constancy of brightness and of its gradients,
in units of pixels (Zimmer et al., IJCV 2011), summed over a window, which stands noise, and joined
with a smooth flow field, which fills flat places (Bruhn et al., "Lucas/Kanade meets Horn/Schunck",
IJCV 2005). A robust weight of smoothness lets motion boundaries be (lagged diffusivity).
Of `lite`, results on three filmed clips lie 0.02 dB below those of DIS at sigma 50, 0.08 at 20.
"""

import torch
from torch import Tensor
from torch.nn import functional

from f2rcli.models.filters import inner_mean
from f2rcli.models.flow import Flow, doubled, halved, sample

BRIGHTNESS = 0.5  # weight of its constancy beside that of its gradients
ROBUST = 0.3  # pixels of mismatch beyond which it counts less
LEAST_SLOPE = 0.03  # per pixel, of brightness: below it a picture counts as flat
DATA_SIDE = 7  # pixels, of the window that a match is summed over
SMOOTH_SIDE = 9  # pixels, that the flow is smoothed over in a step
BOUNDARY = 0.05  # change of flow per pixel that is a motion boundary
SMOOTHNESS = 3.0  # beside the match
# The share of it in each warping of a level: first the match finds its way, then it is smoothed.
SHARES = (0.01, 0.03, 0.3, 1.0)
SHARES_FROM_START = (0.03, 1.0)  # where a flow is known roughly, on the finest level alone
STEPS = 4  # of smoothing within a warping
LEVELS = 5  # of the pyramid
SMALLEST = 8  # pixels, of a level's shorter side
WHITE_SHARE = 0.995  # of all pixels are no brighter than what counts as white


def variational_flows(source: Tensor, target: Tensor, start: Flow | None = None) -> Flow:
    """Flows (B, h, w, 2) from `source` into `target`, both (B, 1, h, w) of `halved`, of all pairs
    in one call; `start`: roughly known flows of the same shape."""
    white = _white(source)
    pair = torch.cat([(picture / white).clamp(0, 1) for picture in (source, target)], 1)
    if start is None:
        levels = _pyramid(pair)
        flow = torch.zeros_like(levels[-1])  # of two channels as well
        for level in levels[::-1]:
            flow = _refined(_grown(flow, level), level, SHARES)
    else:
        flow = _refined(start.permute(0, 3, 1, 2), pair, SHARES_FROM_START)
    return flow.permute(0, 2, 3, 1).contiguous()


def _white(source: Tensor) -> Tensor:
    """The brightness that counts as white, (B, 1, 1, 1)."""
    seen = source[..., ::4, ::4].flatten(1)
    rank = max(round(WHITE_SHARE * seen.shape[1]), 1)
    return seen.kthvalue(rank, 1).values.clamp_min(1e-3).view(-1, 1, 1, 1)


def _pyramid(pair: Tensor) -> list[Tensor]:
    found = [pair]
    while len(found) < LEVELS and min(found[-1].shape[-2:]) >= SMALLEST:
        found.append(halved(found[-1]))
    return found


def _grown(flow: Tensor, level: Tensor) -> Tensor:
    if flow.shape[-2:] == level.shape[-2:]:
        return flow
    return doubled(flow.permute(0, 2, 3, 1), level.shape[-2:]).permute(0, 3, 1, 2)


def _refined(flow: Tensor, level: Tensor, shares: tuple[float, ...]) -> Tensor:
    """A flow (B, 2, h, w) after all warpings of a level (B, 2, h, w), its source and target."""
    source, target = (torch.cat([one, _slopes(one)], 1) for one in level.chunk(2, 1))
    for share in shares:
        match = _match(source, sample(target, flow.permute(0, 2, 3, 1)))
        flow = _smoothed(flow, match, share * SMOOTHNESS)
    return flow


def _slopes(x: Tensor) -> Tensor:
    """Central differences along x of all channels, then along y: (B, 2 C, h, w)."""
    wide = functional.pad(x, (1, 1, 1, 1), "replicate")
    across = wide[..., 1:-1, 2:] - wide[..., 1:-1, :-2]
    down = wide[..., 2:, 1:-1] - wide[..., :-2, 1:-1]
    return torch.cat([across, down], 1).div_(2)


def _match(source: Tensor, warped: Tensor) -> Tensor:
    """The normal equations of the match around every pixel, (B, 5, h, w): xx, yy, xy, xt, yt."""
    apart = warped - source
    x, y = _slopes((source + warped).div_(2)).chunk(2, 1)
    steep = (x * x).addcmul_(y, y).add_(LEAST_SLOPE**2)
    weight = (apart * apart).div_(steep).add_(ROBUST**2).rsqrt_().div_(steep)
    weight[:, :1] *= BRIGHTNESS
    products = torch.stack([x * x, y * y, x * y, x * apart, y * apart], 1)
    return inner_mean((products * weight.unsqueeze(1)).sum(2), DATA_SIDE)


def _smoothed(flow: Tensor, match: Tensor, smoothness: float) -> Tensor:
    """The flow nearest to the match and to itself around every pixel, in a few steps."""
    weight = smoothness * _evenness(flow)
    means = inner_mean(torch.cat([weight, weight * flow], 1), SMOOTH_SIDE)
    around, summed = means[:, :1], means[:, 1:]  # of one call: a GPU's box means are slow
    xx, yy, xy = match[:, :3].chunk(3, 1)
    known = _product(_matrix(xx, yy, xy), flow).sub_(match[:, 3:])
    xx, yy = xx + around, yy + around
    scale = (xx * yy).addcmul_(xy, xy, value=-1).reciprocal_()
    inverse = _matrix(yy, xx, -xy) * scale.unsqueeze(1)
    found = _product(inverse, summed + known)
    for _ in range(STEPS - 1):
        found = _product(inverse, inner_mean(weight * found, SMOOTH_SIDE).add_(known))
    return found


def _matrix(xx: Tensor, yy: Tensor, xy: Tensor) -> Tensor:
    """A symmetric matrix at every pixel, (B, 2, 2, h, w)."""
    return torch.cat([xx, xy, xy, yy], 1).unflatten(1, (2, 2))  # type: ignore[no-untyped-call]  # torch's stub


def _product(matrix: Tensor, flow: Tensor) -> Tensor:
    """(B, 2, h, w), of few operations: each is a launch."""
    return (matrix * flow.unsqueeze(1)).sum(2)


def _evenness(flow: Tensor) -> Tensor:
    """Large where the flow is even, small at motion boundaries, (B, 1, h, w)."""
    across = functional.pad((flow[..., 1:] - flow[..., :-1]).square_(), (0, 1, 0, 0))
    down = functional.pad((flow[..., 1:, :] - flow[..., :-1, :]).square_(), (0, 0, 0, 1))
    return across.add_(down).sum(1, keepdim=True).add_(BOUNDARY**2).rsqrt_()
