"""The noise of a file's own planes: how strong at every brightness, and at which scales."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from f2rcli.noise.model import NoiseModel

# Share of white noise's variance in every band of `pyramid`, from the finest to what is left.
BAND_SIDES = (3, 7, 15, 31, 63)  # pixels, of the box filters that part the bands


@dataclass(frozen=True, slots=True)
class PlaneNoise:
    """Noise of every colour plane, in units of the plane: white - black, and for chroma the
    distance between its extremes.

    models: one channel each; brightness is that of luma, for chroma planes as well.
    shares: per plane, the share of its variance in each of the six bands; sums to one.
    clipped: whether black and white cut the noise off (never where codes beyond them were seen).
    """

    models: tuple[NoiseModel, ...]
    shares: tuple[tuple[float, ...], ...]
    clipped: bool = True

    def level(self, plane: int, brightness: NDArray[np.float32]) -> NDArray[np.float32]:
        """The noise's standard deviation in a plane where luma is as bright as this, (H, W)."""
        signal = torch.from_numpy(brightness)[None, None]
        found: NDArray[np.float32] = self.models[plane].level(signal)[0, 0].numpy()
        return found
