"""A working space in which sensor noise has one strength everywhere.

Networks that learnt from pictures with even noise restore photon counts far better there than
among linear values, where the noise of highlights is many times that of the background.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from f2rcli.noise.anscombe import destabilise, stabilise
from f2rcli.noise.model import NoiseModel

PEDESTAL = 4.0  # noise deviations below black that stay above zero
LEAST = 1e-5  # of the read noise, in units of white: keeps clean signals finite


@dataclass(frozen=True)
class VarianceStabiliser:
    """Signals in 0..1 with noise of variance gain * x + read^2 per channel, x counted from `dark`,
    to and from a space where every sample's noise is `sigma`, dark is PEDESTAL * sigma, white 1."""

    gain: Tensor  # (1, C, 1, 1)
    read: Tensor
    dark: Tensor
    scale: float  # noise deviations from the space's zero to its one

    @classmethod
    def of(cls, model: NoiseModel, device: torch.device | str = "cpu") -> "VarianceStabiliser":
        """For noise that follows a line in variance (a curve of the model is not looked at)."""
        gain, read, dark = (
            torch.tensor(part, dtype=torch.float32, device=device).view(1, -1, 1, 1)
            for part in (model.gain, model.read, model.pedestal)
        )
        read = read.clamp_min(LEAST)
        white = float(stabilise(1 - dark, gain, read).max())
        return cls(gain, read, dark, white + PEDESTAL)

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
        return (stabilise(signal - self.dark, self.gain, self.read) + PEDESTAL) / self.scale

    def back(self, stable: Tensor) -> Tensor:
        """What was restored in the space (B, C, H, W), the mean of noisy samples there, -> the
        signal whose noisy samples have that mean."""
        return self.dark + destabilise(stable * self.scale - PEDESTAL, self.gain, self.read)
