"""A working space in which sensor noise has one strength everywhere.

Networks that learnt from pictures with even noise restore photon counts far better there than
among linear values, where the noise of highlights is many times that of the background.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import torch
from torch import Tensor

from f2rcli.noise.anscombe import destabilise, stabilise
from f2rcli.noise.model import NoiseModel
from f2rcli.order import quantile

PEDESTAL = 4.0  # noise deviations below black that stay above zero
LEAST = 1e-5  # of the read noise, in units of white: keeps clean signals finite
# Of the samples of a stack, the share that lies below a signal which is LOW noise deviations below
# the darkest light; surveyed stacks have that signal at SURVEYED (`samples/lanes.py`).
TAIL, LOW = 1e-3, 3.0
SURVEYED = 0.25
LEAST_BASE, STEP = 1.0, 4.0  # noise deviations: the darkest light of a picture lies no lower


def lowest(pictures: Sequence[Tensor]) -> float:
    """The signal nearly all samples exceed, by pictures (1, C, H, W) and their lane's levels."""
    flat = (one.flatten()[:: max(1, one.numel() >> 17)].float().cpu() for one in pictures)
    return min(SURVEYED, *(float(quantile(one.numpy(), TAIL)) for one in flat))


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
        cls,
        model: NoiseModel,
        device: torch.device | str = "cpu",
        low: float | None = None,
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
        return STEP * max(ceil((LEAST_BASE - light) / STEP), 0) * self.sigma

    def back(self, stable: Tensor) -> Tensor:
        """What was restored in the space (B, C, H, W), the mean of noisy samples there, -> the
        signal whose noisy samples have that mean."""
        return self.dark + destabilise(stable * self.scale - self.base, self.gain, self.read)
