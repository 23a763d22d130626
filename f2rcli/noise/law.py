"""A measured law, for re-noising: how strong, of what spectrum, how shared by the channels.

What users ask for by --noise is in `synthesis/law.py`.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from f2rcli.noise.model import NoiseModel

NoiseKernel = tuple[tuple[float, ...], ...]  # (K, K), K odd, unit energy
Mixing = tuple[tuple[float, ...], ...]  # (C, C), rows of unit energy


@dataclass(frozen=True, slots=True)
class NoiseLaw:
    """Zero-mean Gaussian noise, level(signal) * mixing @ (kernel * white).

    `kernels` hold one filter per channel, None where the noise is white; `mixing` turns independent
    channels into correlated ones, None where they are independent. Both keep the variance, so the
    level alone says how strong the noise is. Frames are independent of each other.
    """

    level: NoiseModel
    kernels: tuple[NoiseKernel, ...] | None = None
    mixing: Mixing | None = None

    def sample(self, signal: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Fresh noise for a signal (B, C, H, W) in 0..1, unclipped; `generator` is the CPU's, so a
        seed gives the same noise on every device."""
        batch, channels, height, width = signal.shape
        rim = 0 if self.kernels is None else len(self.kernels[0]) // 2
        size = (batch, channels, height + 2 * rim, width + 2 * rim)
        noise = torch.randn(size, generator=generator, dtype=signal.dtype).to(signal.device)
        if self.kernels is not None:
            noise = functional.conv2d(
                noise, noise.new_tensor(self.kernels)[:, None], groups=channels
            )
        if self.mixing is not None:
            noise = torch.einsum("dc,bchw->bdhw", noise.new_tensor(self.mixing), noise)
        return noise * self.level.level(signal)

    def first_channels(self, channels: int) -> "NoiseLaw":
        """The law of the first so many channels, each by itself if they are fewer."""
        if len(self.level.gain) == channels:
            return self
        kernels = None if self.kernels is None else self.kernels[:channels]
        return NoiseLaw(self.level.first_channels(channels), kernels)

    def values(self) -> dict[str, Any]:
        """The law as JSON values; `curve` at knots that are evenly spaced from black to white."""
        model = self.level
        return {
            "gain": list(model.gain),
            "read": list(model.read),
            "sigma": list(model.sigma),
            "samples": model.samples,
            "dark": list(model.pedestal),
            "curve": [list(curve) for curve in model.at_knots()],
            "kernels": None if self.kernels is None else [list(map(list, k)) for k in self.kernels],
            "mixing": None if self.mixing is None else list(map(list, self.mixing)),
        }
