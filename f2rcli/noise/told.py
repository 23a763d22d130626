"""What a method is told of the noise: how strong it is at every place of a packed picture."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from f2rcli.models.constants import kept
from f2rcli.models.layers import inner_mean
from f2rcli.models.planar import NEAR
from f2rcli.noise.model import NoiseModel
from f2rcli.noise.planes import PlaneNoise
from f2rcli.planes import ROTATION, Layout


@dataclass(frozen=True, slots=True)
class Told:
    """The noise of the file's planes, and that of the picture's channels for methods that see
    those."""

    planes: PlaneNoise
    channels: NoiseModel
    errors: bool = False  # whether it is a codec's errors, in place of noise

    def scaled(self, factor: float) -> "Told":
        """The same, `factor` times stronger."""
        return replace(
            self, planes=self.planes.scaled(factor), channels=self.channels.scaled(factor)
        )

    def maps(self, layout: Layout, picture: Tensor) -> Tensor:
        """Standard deviations where a packed picture (1, C, h, w) is as bright as this: of noise in
        every plane, then of a codec's errors, (1, 2 P, h, w)."""
        means = torch.stack([picture[:, part].mean(1) for part in layout.slices], 1)
        means = inner_mean(means, NEAR)
        if layout.rotated:
            found = _rotated(self.planes, means)
        else:
            bright = means if layout.name in OWN_LIGHT else means[:, :1].expand_as(means)
            levels = zip(self.planes.models, torch.split(bright, 1, 1), strict=True)
            found = torch.cat([model.level(one) for model, one in levels], 1)
        none = torch.zeros_like(found)
        return torch.cat([none, found] if self.errors else [found, none], 1)


OWN_LIGHT = "gray", "mosaic"  # layouts whose planes are each as bright as themselves


def nothing(layout: Layout, picture: Tensor) -> Tensor:
    """The maps of noise that nobody knows."""
    batch, _, height, width = picture.shape
    return picture.new_zeros(batch, 2 * len(layout.planes), height, width)


def _rotated(noise: PlaneNoise, means: Tensor) -> Tensor:
    """Levels of planes rotated from R, G and B, whose noise is taken to be independent."""
    rotation = kept(tuple(ROTATION.flatten().tolist()), means).view(3, 3)
    colours = torch.einsum("pc,bphw->bchw", rotation, means)
    levels = zip(noise.models, torch.split(colours, 1, 1), strict=True)
    variances = torch.cat([model.level(one).square() for model, one in levels], 1)
    return torch.einsum("pc,bchw->bphw", rotation.square(), variances).sqrt()
