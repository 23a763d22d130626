"""Fine detail: the bands in which noise stands out of a scene, and the places that are flat."""

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from f2rcli.order import MAD_TO_SIGMA, places

SIDE = 7  # pixels, of what counts as near
RANKS = 256  # of roughness
FEWEST_PIXELS = 256  # that a single frame shows its noise in; of fewer the median of their detail
# tells texture from noise no better than chance does
PAINTED = 1.0 / 255  # range over SIDE x SIDE pixels


def shows_noise(noisy: Tensor) -> bool:
    """Whether a frame (1, C, H, W) is large enough for that."""
    return noisy.shape[-2] // 2 * (noisy.shape[-1] // 2) * 4 >= FEWEST_PIXELS


def single_frame_sigma(noisy: Tensor) -> float:
    """A rough standard deviation from one frame (1, C, H, W): median of its finest diagonal detail.

    Donoho and Johnstone, Biometrika 1994. Reads low where noise is spatially correlated, and fine
    patterns as noise. 0 of too few pixels.
    """
    if not shows_noise(noisy):
        return 0.0
    height, width = (size // 2 * 2 for size in noisy.shape[-2:])
    cells = functional.pixel_unshuffle(noisy[..., :height, :width].flatten(0, 1).unsqueeze(1), 2)
    diagonal = (cells[:, 0] - cells[:, 1] - cells[:, 2] + cells[:, 3]) / 2
    return float(diagonal.abs().median()) * MAD_TO_SIGMA


def in_bands(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """x (1, C, H, W) in three bandwidths, each (1, C, H - 2, W - 2): as it is, through
    [1 -1]^T [1 -1], and through [1 -2 1]^T [1 -2 1]; both filters of unit energy."""
    rows = x[..., 1:, :] - x[..., :-1, :]
    bends = rows[..., 1:, :] - rows[..., :-1, :]
    finest = bends[..., 2:] - 2 * bends[..., 1:-1]
    finest += bends[..., :-2]
    return x[..., 1:-1, 1:-1], _fine(rows[..., :-1, :-1]), finest.div_(6)


def fine_band(x: Tensor) -> Tensor:
    """x (1, C, H, W) through [1 -1]^T [1 -1] of unit energy, (1, C, H - 2, W - 2): of what anchors
    miss of a scene, little is that fine."""
    return _fine(x[..., 1:-1, :-1] - x[..., :-2, :-1])


def _fine(rows: Tensor) -> Tensor:
    return (rows[..., 1:] - rows[..., :-1]).div_(2)


def _gradient(picture: Tensor) -> Tensor:
    """Local power of the gradient of a picture (1, C, H, W): (1, 1, H, W)."""
    steps = [_over_channels(_steps(picture, axis).square_()) for axis in (2, 3)]
    return _around(steps[0] + steps[1])


def _steps(picture: Tensor, axis: int) -> Tensor:
    """Differences of every sample from the one before it, of the first from the last."""
    apart, count = torch.empty_like(picture), picture.shape[axis] - 1
    later, earlier = (picture.narrow(axis, start, count) for start in (1, 0))
    torch.sub(later, earlier, out=apart.narrow(axis, 1, count))
    ends = (picture.narrow(axis, place, 1) for place in (0, count))
    torch.sub(*ends, out=apart.narrow(axis, 0, 1))
    return apart


def _over_channels(x: Tensor) -> Tensor:
    """Mean over channels, (1, C, H, W) -> (1, 1, H, W): torch's own takes twice as long."""
    total = x[:, :1].clone()
    for channel in x[:, 1:].unbind(1):
        total += channel[:, None]
    return total.div_(x.shape[1])


def _around(power: Tensor) -> Tensor:
    """Mean over SIDE x SIDE pixels of (1, 1, H, W), nothing beyond the border."""
    plane = power[0, 0].float().cpu().numpy()
    mean = cv2.blur(plane, (SIDE, SIDE), borderType=cv2.BORDER_CONSTANT)
    return torch.from_numpy(np.asarray(mean, np.float32))[None, None].to(power.device)


def roughness(first: Tensor, second: Tensor) -> Tensor:
    """Unreliability of each place, (1, 1, H, W) in 0..2: ranks of gradient and disagreement."""
    disagreement = _around(_over_channels((first - second).square_()))
    return _ranks(_gradient((first + second) / 2)) + _ranks(disagreement)


def _ranks(values: Tensor) -> Tensor:
    """The share of the picture (1, 1, H, W) that is smaller, 0..1, by a quantile table."""
    sample = values[..., ::3, ::3].flatten()[: 2**24]
    shares = torch.linspace(0, 1, RANKS + 1, device=values.device)
    if values.device.type != "cpu":
        table = torch.quantile(sample, shares)
        return torch.searchsorted(table, values.contiguous()).float() / RANKS
    ranked, at = torch.from_numpy(np.sort(sample.numpy())), shares * (len(sample) - 1)
    table = torch.lerp(ranked[at.floor().int()], ranked[at.ceil().int()], at.frac())
    found = places(table.numpy(), values.numpy()).astype(np.float32)
    return torch.from_numpy(found).view(values.shape).div_(RANKS)


def painted(noisy: Tensor) -> Tensor:
    """Places without any noise, (1, 1, H, W): black bars and drawn areas, not the camera's."""
    gray, around = noisy.mean((0, 1)).float().cpu().numpy(), np.ones((SIDE, SIDE), np.uint8)
    span = cv2.dilate(gray, around) - cv2.erode(gray, around)
    return torch.from_numpy(span < PAINTED)[None, None]
