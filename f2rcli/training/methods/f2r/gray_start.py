"""RGB weights of F2R as those of gray networks."""

import torch
from torch import Tensor


def narrowed(wide: Tensor, shape: torch.Size) -> Tensor:
    """A tensor of RGB weights as a gray network has it: what three equal channels make together,
    inputs summed and outputs averaged.

    Channels come in blocks of three, each of as many cells of a pixel-unshuffled grid as there
    are; what has no colour (confidence, spread) comes as it is.
    """
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
