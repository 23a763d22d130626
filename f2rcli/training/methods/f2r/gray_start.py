"""RGB weights as the start of gray networks."""

from dataclasses import replace

import torch
from torch import Tensor

from f2rcli.frames import Space
from f2rcli.methods.f2r import F2RNetworks
from f2rcli.weights import Weights


def gray_start(start: Weights) -> Weights:
    """Weights for networks of one channel: what the three channels of a gray picture would make
    together, inputs summed and outputs averaged.

    Channels come in blocks of three, each of as many cells of a pixel-unshuffled grid as there
    are; what has no colour (confidence, spread) comes as it is.
    """
    own = F2RNetworks(1, start.header.config).state_dict()
    tensors = {n: _narrowed(t.float(), own[n].shape) for n, t in start.tensors.items()}
    header = replace(start.header, space=Space.GRAY, channels=1, order="Y")
    return replace(start, tensors=tensors, header=header)


def _narrowed(wide: Tensor, shape: torch.Size) -> Tensor:
    if wide.shape == shape:
        return wide
    if wide.shape[0] != shape[0]:  # a tail: channel by channel, 4 cells each
        groups = wide.view(-1, 3, 4, *wide.shape[1:])
        return groups.mean(1).flatten(0, 1)
    # A head: pictures of three channels first, each of 4 cells, then what has no colour, then
    # features. `count` pictures become one channel each.
    lost = wide.shape[1] - shape[1]
    count = lost // 8
    colour = wide[:, : 12 * count].view(wide.shape[0], count, 3, 4, *wide.shape[2:])
    return torch.cat([colour.sum(2).flatten(1, 2), wide[:, 12 * count :]], 1)
