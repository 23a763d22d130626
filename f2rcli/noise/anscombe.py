"""Noise of one strength everywhere: the generalised Anscombe transform and its unbiased inverse.

Both are written so that no term divides by the gain: at gain 0 they are y / read and back. The
transform is shifted to map 0 to 0, which changes no variance. Sources: Makitalo & Foi, IEEE TIP
2013 (transform and closed-form inverse); Chen, Zhu & Heng, ICCV 2015 (level of white noise).
"""

import torch
from torch import Tensor
from torch.nn import functional

PATCH = 8  # pixels per side of the patches that `white_level` looks at
STEP = 2  # pixels between them; the published 4 reads 2.5 % low at 128x128, 16 % at 64x64
LEAST_PATCHES = 2 * PATCH**2  # fewer give a covariance of poor rank
TINY = 1e-12  # variance that stands for none: keeps roots and their gradients finite
ROOT = 1.5**0.5


def stabilise(noisy: Tensor, gain: Tensor, read: Tensor) -> Tensor:
    """A signal with noise of variance gain * x + read^2 -> one with noise of variance 1.

    noisy (B, C, H, W), 0 = black, 1 = white; gain and read broadcast against it, such as
    (1, C, 1, 1), neither below 0. The result, of `noisy`'s shape, is
    (2 / gain) (sqrt(gain y + 3/8 gain^2 + read^2) - sqrt(3/8 gain^2 + read^2)), or y / read where
    the gain is 0; values below the root's domain are as low as its edge.
    """
    floor = _floor(gain, read)
    inside = (gain * noisy + floor).clamp_min(TINY)
    edge = torch.where(gain > 0, -floor / gain.clamp_min(TINY), -torch.inf)
    return 2 * torch.maximum(noisy, edge) / (inside.sqrt() + floor.sqrt())


def destabilise(stable: Tensor, gain: Tensor, read: Tensor) -> Tensor:
    """The exact unbiased inverse: the mean of `stabilise`d noisy values -> the signal they share.

    stable (B, C, H, W) and the result have the units of `stabilise`'s result and input. The
    algebraic inverse would be biased by about gain / 4. Where the closed form ends, below the
    transform of 0, it goes on along its tangent, so that what noise is left around black keeps its
    mean (the published formula stops at 0).
    """
    root = _floor(gain, read).sqrt()
    above = stable.clamp_min(0)
    inverse = gain / (gain * above + 2 * root)  # of the transform before it was shifted
    start = gain / (2 * root)
    curved = gain * (above**2 / 4 + 0.25 + _tail(inverse)) + above * root
    slope = root + gain * start**2 * (-ROOT / 4 + start * (11 / 4 - start * ROOT * 15 / 8))
    return curved + torch.minimum(stable, torch.zeros_like(stable)) * slope


def white_level(noisy: Tensor) -> Tensor:
    """Standard deviation of the white noise in every picture: (B, C, H, W) -> (B, C).

    From the smallest eigenvalues of the covariance of 8x8 patches: as many as have their mean at
    their median, so that structure, which fills the large ones, is left out. Differentiable.
    Raises ValueError for pictures with fewer than 128 patches (one of 30x30 pixels has 144).
    """
    batch, channels = noisy.shape[:2]
    planes = noisy.reshape(batch * channels, 1, *noisy.shape[-2:])
    patches = functional.unfold(planes, PATCH, stride=STEP)  # (B C, 64, patches)
    if patches.shape[-1] < LEAST_PATCHES:
        raise ValueError(f"{noisy.shape[-2]} x {noisy.shape[-1]} pixels: too few patches")
    centred = patches - patches.mean(-1, keepdim=True)
    covariance = centred @ centred.transpose(1, 2) / patches.shape[-1]
    values = torch.linalg.eigvalsh(covariance)
    levels = [_noise_variance(row).clamp_min(TINY).sqrt() for row in values]
    return torch.stack(levels).reshape(batch, channels)


def _floor(gain: Tensor, read: Tensor) -> Tensor:
    return (0.375 * gain**2 + read**2).clamp_min(TINY)


def _tail(inverse: Tensor) -> Tensor:
    """The closed form's terms in 1/z, without its constant -1/8, which `destabilise` has joined."""
    return inverse * (ROOT / 4 - inverse * (11 / 8 - inverse * ROOT * 5 / 8))


def _noise_variance(ascending: Tensor) -> Tensor:
    """Mean of the most of the smallest eigenvalues whose mean is their median."""
    sums = ascending.detach().cumsum(0)
    for count in range(len(ascending), 1, -1):
        mean = sums[count - 1] / count
        below = int((ascending.detach()[:count] < mean).sum())
        if abs(2 * below - count) <= 1:
            return ascending[:count].mean()
    return ascending[0]
