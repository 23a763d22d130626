"""A working space in which sensor noise has one strength everywhere.

Networks that learnt from pictures with even noise restore photon counts far better there than
among linear values, where the noise of highlights is many times that of the background. It is made
by the generalised Anscombe transform, shifted to map 0 to 0, and left by its unbiased inverse; no
term divides by the gain: at gain 0 they are y / read and back. Source: Makitalo & Foi, IEEE TIP
2013 (transform and closed-form inverse).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
import torch
from torch import Tensor

from f2rcli.noise.model import LOW, SURVEYED, TAIL, NoiseModel

PEDESTAL = 4.0  # noise deviations below black that stay above zero
LEAST = 1e-5  # of the read noise, in units of white: keeps clean signals finite
LEAST_BASE, RAISED = 1.0, 4.0  # noise deviations: the darkest light of a picture lies no lower


def lowest(pictures: Sequence[Tensor]) -> float:
    """The signal nearly all samples exceed, by pictures and their lane's levels."""
    flat = (one.flatten()[:: max(1, one.numel() >> 17)].float().cpu() for one in pictures)
    return min(SURVEYED, *(float(np.quantile(one.numpy(), TAIL)) for one in flat))


@dataclass(frozen=True)
class VarianceStabiliser:
    """Signals in 0..1 with noise of variance gain * x + read^2 per channel, x counted from `dark`,
    to and from a space where every sample's noise is `sigma`, dark is `base` * sigma, white 1."""

    gain: Tensor  # (1, C, 1, 1)
    read: Tensor
    dark: Tensor
    scale: float  # noise deviations from the space's zero to its one
    base: float = PEDESTAL

    @classmethod
    def of(
        cls, model: NoiseModel, device: torch.device | str = "cpu", low: float | None = None
    ) -> "VarianceStabiliser":
        """For noise that follows a line in variance (a curve of the model is not looked at).

        low: see `lowest`. The darkest light lies PEDESTAL deviations above zero then: networks
        keep more noise the more deviations there are below a picture. None: the model's dark does.
        """
        gain, read, dark = (
            torch.tensor(part, dtype=torch.float32, device=device).view(1, -1, 1, 1)
            for part in (model.gain, model.read, model.pedestal)
        )
        read = read.clamp_min(LEAST)
        white, base = float(stabilise(1 - dark, gain, read).max()), PEDESTAL
        if low is not None:
            base -= max(float(stabilise(low - dark, gain, read).min()) + LOW, 0.0)
        return cls(gain, read, dark, white + base, base)

    @property
    def sigma(self) -> float:
        """Standard deviation of the noise in the space."""
        return 1 / self.scale

    @property
    def model(self) -> NoiseModel:
        """The noise in the space."""
        return NoiseModel.gaussian(self.sigma, self.gain.shape[1])

    def into(self, signal: Tensor) -> Tensor:
        """signal (B, C, H, W) -> the same samples in the space."""
        return (stabilise(signal - self.dark, self.gain, self.read) + self.base) / self.scale

    def lift(self, low: float) -> float:
        """The amount to raise a picture with such a lowest signal by in the space; nothing for
        nearly all, and so that those that are much alike are raised alike."""
        light = float(stabilise(low - self.dark, self.gain, self.read).min()) + LOW + self.base
        return RAISED * max(ceil((LEAST_BASE - light) / RAISED), 0) * self.sigma

    def back(self, stable: Tensor) -> Tensor:
        """What was restored in the space (B, C, H, W), the mean of noisy samples there, -> the
        signal whose noisy samples have that mean."""
        return self.dark + destabilise(stable * self.scale - self.base, self.gain, self.read)


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
    # The closed form's terms in 1/z; its constant -1/8 is in what they are added to.
    tail = inverse * (ROOT / 4 - inverse * (11 / 8 - inverse * ROOT * 5 / 8))
    start = gain / (2 * root)
    curved = gain * (above**2 / 4 + 0.25 + tail) + above * root
    slope = root + gain * start**2 * (-ROOT / 4 + start * (11 / 4 - start * ROOT * 15 / 8))
    return curved + torch.minimum(stable, torch.zeros_like(stable)) * slope


def _floor(gain: Tensor, read: Tensor) -> Tensor:
    return (0.375 * gain**2 + read**2).clamp_min(TINY)
