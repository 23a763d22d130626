"""Noise of packed planes, drawn afresh as it was measured."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from f2rcli.frames import Floats, Singles
from f2rcli.models.layers import inner_mean
from f2rcli.models.planar import NEAR
from f2rcli.noise.model import NoiseModel, PlaneNoise, Told, bands, clipped_moments, white_shares
from f2rcli.planes import ROTATION, Layout, gathered, spread, unpack

WHITE = 0.05  # by which bands of white noise may seem stronger than others


@dataclass(frozen=True)
class PlaneLaw:
    """A law that noise of packed planes is drawn from: independent by plane, as strong as the
    brightness has it, and as coarse as was measured."""

    layout: Layout
    planes: PlaneNoise
    channels: NoiseModel
    clipped: bool  # whether the file's range cuts noise off; never of Y'CbCr, which has room

    @property
    def told(self) -> Told:
        """What networks are told of it."""
        return Told(self.planes, self.channels)

    def cut(self, pictures: Tensor) -> Tensor:
        """Standard deviations before anything is cut off, of the file's planes packed (T, C, h,
        w); by smoothed pictures, in which their noise hardly counts."""
        light = unpack(self.layout, inner_mean(pictures, NEAR))
        levels = []
        for plane, (one, model) in enumerate(zip(light, self.planes.models, strict=True)):
            bright = one
            if plane and len(self.layout.planes) == 3 and not self.layout.rotated:
                bright = functional.adaptive_avg_pool2d(light[0][:, None], one.shape[-2:])[:, 0]
            levels.append(model.level(bright[:, None])[:, 0])
        found: Tensor = gathered(self.layout, levels)
        return found

    def fresh(self, pictures: Tensor, generator: torch.Generator) -> Tensor:
        """Noise for pictures (T, C, h, w); where they are clipped, as weak as the range left it:
        else the errors of a recorrupted frame and of its target depend on each other."""
        sigma = self.cut(pictures)
        if self.clipped:
            left = clipped_moments(in_colours(self.layout, inner_mean(pictures, NEAR)), sigma)[1]
            sigma = sigma * left.sqrt()
        planes = [self._unit(plane, one.shape, generator) for plane, one in
                  enumerate(spread(self.layout, pictures))]  # fmt: skip
        return in_planes(self.layout, gathered(self.layout, planes) * sigma)

    def renoised(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        """Clean pictures with noise, as a file would hold them."""
        planes = [self._unit(plane, one.shape, generator) for plane, one in
                  enumerate(spread(self.layout, clean))]  # fmt: skip
        noise = gathered(self.layout, planes) * self.cut(clean)
        if not self.clipped:
            return clean + in_planes(self.layout, noise)
        return in_planes(self.layout, (in_colours(self.layout, clean) + noise).clamp(0, 1))

    def _unit(self, plane: int, shape: Sequence[int], generator: torch.Generator) -> Tensor:
        """Noise (T, H, W) of unit variance with the plane's spectrum."""
        white = torch.randn(tuple(shape), generator=generator)
        gains: Floats = np.sqrt(np.divide(self.planes.shares[plane], white_shares()))
        if np.allclose(gains, 1, atol=WHITE):
            return white
        impulse = np.zeros((255, 255), np.float32)
        impulse[127, 127] = 1
        energy = float(np.square(_mixed(impulse, gains)).sum())
        coloured = np.stack([_mixed(one, gains) for one in white.numpy()])
        return torch.from_numpy(coloured / np.float32(energy**0.5))


def _mixed(noise: Singles, gains: Floats) -> Singles:
    """A plane with its six bands strengthened."""
    parts = zip(bands(noise), gains, strict=True)
    return np.asarray(sum(np.float32(gain) * band for band, gain in parts), np.float32)


def in_colours(layout: Layout, packed: Tensor) -> Tensor:
    """Packed planes (B, C, h, w) as the file's own, still packed; the same but for RGB."""
    return _rotated(packed, ROTATION.T) if layout.rotated else packed


def in_planes(layout: Layout, colours: Tensor) -> Tensor:
    """The inverse of `in_colours`."""
    return _rotated(colours, ROTATION) if layout.rotated else colours


def _rotated(packed: Tensor, matrix: NDArray[np.float64]) -> Tensor:
    weights = torch.as_tensor(matrix, dtype=packed.dtype, device=packed.device)
    planes = packed.reshape(len(packed), 3, -1, *packed.shape[2:])
    return torch.einsum("pc,bcshw->bpshw", weights, planes).flatten(1, 2)
