"""RGB weights as the start of Blind2Sound's gray networks."""

from dataclasses import replace

import torch
from torch import Tensor

from f2rcli.frames import Space
from f2rcli.models.blind2sound import Blind2SoundNetworks
from f2rcli.weights import Weights


def gray_start(start: Weights) -> Weights:
    """Weights for networks of one channel: what the three channels of a gray picture would make
    together, inputs summed and means averaged; its variance is that of the last channel."""
    own = Blind2SoundNetworks(1, **start.header.config).state_dict()
    tensors = {n: _narrowed(t.float(), own[n].shape) for n, t in start.tensors.items()}
    header = replace(start.header, space=Space.GRAY, channels=1, order="Y")
    return replace(start, tensors=tensors, header=header)


def _narrowed(wide: Tensor, shape: torch.Size) -> Tensor:
    if wide.shape == shape:
        return wide
    if wide.shape[0] != shape[0]:  # the denoiser's tail: three means, and a triangle row by row
        return torch.stack([wide[:3].mean(0), wide[-1]])
    return torch.cat([wide[:, :-3], wide[:, -3:].sum(1, keepdim=True)], 1)  # the picture is last
