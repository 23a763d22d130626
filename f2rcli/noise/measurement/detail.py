"""Fine detail: the bands in which noise stands out of a scene, and the places that are flat."""

from itertools import product
from math import inf, isqrt
from statistics import NormalDist

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
TILE, MOST_TILES = 32, 96  # pixels a side; of all channels
OF_WHITE = 0.7514  # of white noise's power, the medians of 5x5 frequencies beside each other have
# Shares of the first frames of ten clips, noisy or not, are 0.96 and more, of correlated noise 0.88
# and more; of fabrics, halftone and lattices below 0.75 for the most part.
PATTERNED = 0.7, 0.85
REACH = 8  # pixels: how far apart samples are compared,
EVERY, COMPARED = 3, 20_000  # and every how many of a row and column, so that no more are, roughly
FAR_LESS = 0.8  # times a sigma: the least of so many medians is a little low by chance


def shows_noise(noisy: Tensor) -> bool:
    """Whether a frame (1, C, H, W) is large enough for that."""
    return noisy.shape[-2] // 2 * (noisy.shape[-1] // 2) * 4 >= FEWEST_PIXELS


def single_frame_sigma(noisy: Tensor) -> float:
    """A rough standard deviation from one frame (1, C, H, W): median of its finest diagonal detail.

    Donoho and Johnstone, Biometrika 1994. Reads low where noise is spatially correlated, and where
    a pattern is all over the picture: only the share counts that no lines of a spectrum hold, and
    no more than samples differ by where the picture repeats itself. 0 of too few pixels.
    """
    if not shows_noise(noisy):
        return 0.0
    height, width = (size // 2 * 2 for size in noisy.shape[-2:])
    cells = functional.pixel_unshuffle(noisy[..., :height, :width].flatten(0, 1).unsqueeze(1), 2)
    diagonal = (cells[:, 0] - cells[:, 1] - cells[:, 2] + cells[:, 3]) / 2
    sigma = float(diagonal.abs().median()) * MAD_TO_SIGMA * without_patterns(noisy)
    most = most_by_repeats(noisy)
    return most if most < FAR_LESS * sigma else sigma


def most_by_repeats(noisy: Tensor) -> float:
    """The most that the white noise of a frame (1, C, H, W) can be, as a standard deviation: the
    least median, over all steps of 2 to REACH pixels, of what samples differ by. inf where a frame
    is smaller than that.

    Whatever a picture shows, its differences can only be wider spread with noise than noise alone
    (Anderson, Proc. Amer. Math. Soc. 1955). Dots and threads repeat, so there they are little else.
    """
    around = noisy[0].float()
    height, width = (size - 2 * REACH for size in around.shape[-2:])
    if height < 1 or width < 1:
        return inf
    step = max(EVERY, isqrt(height * width // COMPARED))
    centre, least = around[:, REACH:-REACH:step, REACH:-REACH:step], inf
    for down, across in product(range(REACH + 1), range(-REACH, REACH + 1)):
        if max(down, abs(across)) < 2 or (down == 0 and across < 0):
            continue  # neighbours share correlated noise; the way back is the same
        top, left = REACH + down, REACH + across
        there = around[:, top : top + height : step, left : left + width : step]
        least = min(least, _spread((there - centre).abs_().flatten()))
    return least / 2**0.5


def _spread(apart: Tensor) -> float:
    """Gaussian standard deviation by the median of sizes, mid-way among those rounded alike."""
    middle = apart.median()
    share = (float((apart < middle).float().mean()) + float((apart <= middle).float().mean())) / 2
    return float(middle) / NormalDist().inv_cdf((1 + share) / 2) if share else 0.0


def without_patterns(noisy: Tensor) -> float:
    """The share of the finest diagonal detail of a frame (1, C, H, W), as a standard deviation,
    that is not of patterns: fabric, knitwear, halftone, lattices. 1 where there are none.

    A pattern's power lies in lines of its spectrum, that of noise is smooth. So every frequency of
    a tile is given the median of those around it; the median tile speaks for the picture.
    """
    height, width = (size // TILE for size in noisy.shape[-2:])
    if not height or not width:
        return 1.0
    planes = noisy[0, :, : height * TILE, : width * TILE].float().cpu().numpy()
    tiles = planes.reshape(-1, height, TILE, width, TILE).swapaxes(2, 3).reshape(-1, TILE, TILE)
    tiles = tiles[:: max(1, len(tiles) // MOST_TILES)]
    line = np.hanning(TILE + 1)[1:]
    tiles = (tiles - tiles.mean((1, 2), keepdims=True)) * np.outer(line, line)
    power = np.fft.fftshift(np.abs(np.fft.fft2(tiles)) ** 2, axes=(1, 2)).astype(np.float32)
    fine = np.square(np.sin(np.pi * np.fft.fftshift(np.fft.fftfreq(TILE))))
    weight = np.outer(fine, fine)
    shares = []
    for one in power:
        smooth = cv2.medianBlur(np.pad(one, 2, mode="wrap"), 5)[2:-2, 2:-2]
        shares.append(float((weight * smooth).sum()) / max(float((weight * one).sum()), 1e-18))
    share = float(min(float(np.median(shares)) / OF_WHITE, 1.0) ** 0.5)
    low, high = PATTERNED
    return share + (1 - share) * float(np.clip((share - low) / (high - low), 0, 1))


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
