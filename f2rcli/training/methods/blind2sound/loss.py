"""Blind2Sound's masking, its blend of two branches, and its losses (arXiv 2303.05183).

A masked branch is shown a picture in which one pixel of every cell is hidden, and guesses it from
its neighbours; a visible branch is shown all of it. What the two believe is blended, and the blend
must explain the noisy pixel.
"""

from collections.abc import Sequence
from itertools import permutations

import torch
from torch import Tensor
from torch.nn import functional

from f2rcli.models.blind2sound import LAST_VISIBILITY, Belief, NoiseLevel, around
from f2rcli.noise.anscombe import stabilise, white_level

FIRST_VISIBILITY = 3.0  # the visible branch's weight beside the masked's 1, to begin with
RISES_AFTER = 0.4  # of the training
DARKEST = 1e-3  # signal below which shot noise is taken to fall no further
LEAST_VARIANCE = 1e-8  # keeps logarithms finite where everything is believed to be certain


def visibility(progress: float, last: float = LAST_VISIBILITY) -> float:
    """How much the visible branch weighs after a share of the training, 0..1."""
    risen = max(0.0, progress - RISES_AFTER) / (1 - RISES_AFTER)
    return FIRST_VISIBILITY + (last - FIRST_VISIBILITY) * min(1.0, risen)


def hidden(noisy: Tensor, phase: int, cell: int) -> Tensor:
    """The picture (B, C, H, W) with the pixel at `phase`, counted row by row, of every cell of
    cell x cell pixels replaced by the mean of its eight neighbours, the four nearest counting
    twice; of itself nothing is left."""
    channels = noisy.shape[1]
    # Reflected, not repeated: a repeated border would show a hidden border pixel to itself.
    wide = functional.pad(noisy, (1, 1, 1, 1), "reflect")
    near = functional.conv2d(wide, around(noisy).expand(channels, 1, 3, 3), groups=channels)
    masked = noisy.clone()
    row, column = divmod(phase, cell)
    masked[..., row::cell, column::cell] = near[..., row::cell, column::cell]
    return masked


def at(maps: Tensor, phases: Sequence[int], cell: int) -> Tensor:
    """The pixels at these phases of every cell: (B, C, H, W) -> (B, C, P H/cell, W/cell)."""
    places = [divmod(phase, cell) for phase in phases]
    return torch.cat([maps[..., row::cell, column::cell] for row, column in places], -2)


def gathered(copies: Tensor, phases: Sequence[int], cell: int) -> Tensor:
    """Of each masked copy's result the pixels that were hidden in it.

    copies (P, B, C, H, W), one for each of the P phases -> (B, C, P H/cell, W/cell), as from `at`.
    """
    pairs = zip(copies, phases, strict=True)
    return torch.cat([at(copy, (phase,), cell) for copy, phase in pairs], -2)


def blend(masked: Belief, visible: Belief, weight: float) -> Belief:
    """Both branches' beliefs as one; the visible one has no gradient.

    The mean is (mu_m + b mu_v) / (1 + b), the covariance that of independent branches,
    (S_m + b^2 S_v) / (1 + b)^2. As in the authors' code the mean's gradient to mu_m is 1/2, not
    1 / (1 + b): with rising visibility the masked branch would learn ever less.
    """
    fixed, seen = masked.mean.detach(), visible.mean.detach()
    mean = (masked.mean + fixed) / 2 + (seen - fixed) * (weight / (1 + weight))
    spread = masked.covariance + weight**2 * visible.covariance.detach()
    return Belief(mean, spread / (1 + weight) ** 2)


def noise_covariance(noise: NoiseLevel, mean: Tensor, weight: float) -> Tensor:
    """The noise's variance (B, C, H, W) around a mean, to which it has no gradient."""
    read, gain = (part.view(-1, 1, 1, 1) for part in (noise.read(weight), noise.gain))
    return read + gain * mean.detach().clamp_min(DARKEST)


def gaussian_nll(noisy: Tensor, belief: Belief, noise: Tensor) -> Tensor:
    """Minus the log-likelihood of every pixel (B, H, W), without its constant:

    1/2 r^T S^-1 r + 1/2 log det S, r = noisy - mean, S = covariance + diag(noise). noisy and noise
    (B, C, H, W). The authors' gray code leaves out both halves, which weighs the regulariser less.
    """
    channels = noisy.shape[1]
    residual = (noisy - belief.mean).unbind(1)
    root: list[list[Tensor]] = []  # of S = L L^T, row by row
    whitened: list[Tensor] = []  # L^-1 r
    total = noisy.new_zeros(())
    for i in range(channels):
        row: list[Tensor] = []
        for j in range(i):
            known = sum((row[k] * root[j][k] for k in range(j)), noisy.new_zeros(()))
            row.append((belief.covariance[:, i, j] - known) / root[j][j])
        diagonal = belief.covariance[:, i, i] + noise[:, i]
        left = diagonal - sum((part**2 for part in row), noisy.new_zeros(()))
        row.append(left.clamp_min(LEAST_VARIANCE).sqrt())
        known = sum((a * b for a, b in zip(row, whitened, strict=False)), noisy.new_zeros(()))
        whitened.append((residual[i] - known) / row[i])
        root.append(row)
        total = total + whitened[i] ** 2 / 2 + torch.log(row[i])
    return total


def stabilised_variance_loss(noisy: Tensor, noise: NoiseLevel, weight: float) -> Tensor:
    """The "Cramer Gaussian loss" (B,): how far the noise is from unit strength once stabilised by
    the estimated law, in all parts of the picture alike.

    Colour (arXiv 2303.05183): sum over pairs of channels j != k of (e_j - 1)^2 + (e_j - e_k)^2, e
    the level of white noise. Gray, and mosaics (the authors' code): mean over the four corner crops
    of 3/4 the size of 1.5 (e - 1)^2 + (e_crop - 1)^2.
    """
    gain, read = (p.view(-1, 1, 1, 1) for p in (noise.gain, noise.read(weight).sqrt()))
    stable = stabilise(noisy, gain, read)
    whole = white_level(stable)  # (B, C)
    if noisy.shape[1] == 3:
        pairs = [
            (whole[:, j] - 1) ** 2 + (whole[:, j] - whole[:, k]) ** 2
            for j, k in permutations(range(3), 2)
        ]
        return torch.stack(pairs).sum(0)
    rows, columns = (3 * n // 4 for n in noisy.shape[-2:])
    corners = [
        stable[..., rows_, columns_]
        for rows_ in (slice(rows), slice(-rows, None))
        for columns_ in (slice(columns), slice(-columns, None))
    ]
    parts = white_level(torch.cat(corners)).view(4, *whole.shape)
    return (1.5 * (whole - 1) ** 2 + ((parts - 1) ** 2).mean(0)).mean(1)
