"""Blind2Sound's masking and its blend of two branches (arXiv 2303.05183).

A masked branch is shown a picture in which one pixel of every cell is hidden, and guesses it from
its neighbours; a visible branch is shown all of it. What the two believe is blended, and the blend
must explain the noisy pixel.
"""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from f2rcli.models.blind2sound import LAST_VISIBILITY, Belief, NoiseLevel, around
from f2rcli.models.gaussian import Triangle

FIRST_VISIBILITY = 3.0  # the visible branch's weight beside the masked's 1, to begin with
RISES_AFTER = 0.4  # of the training
DARKEST = 1e-3  # signal below which shot noise is taken to fall no further


def visibility(progress: float, last: float = LAST_VISIBILITY) -> float:
    """Weight of the visible branch after a share of the training, 0..1."""
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


def gathered(copies: Iterable[Tensor], phases: Sequence[int], cell: int) -> Tensor:
    """Of each masked copy's result the pixels that were hidden in it.

    copies (B, C, H, W), one for each of the P phases -> (B, C, P H/cell, W/cell), as from `at`.
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


def total_covariance(belief: Belief, noise: Tensor) -> Triangle:
    """The covariance of belief and noise, of variance (B, C, H, W), together: a lower triangle."""
    own, channels = belief.covariance, noise.shape[1]
    return [
        [own[:, i, j] + noise[:, i] if i == j else own[:, i, j] for j in range(i + 1)]
        for i in range(channels)
    ]
