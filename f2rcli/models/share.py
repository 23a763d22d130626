"""The network that tells which share of a bound is noise (see `f2rcli.noise.bound`)."""

import torch
from torch import Tensor, nn
from torch.nn import functional

QUANTILES = 0.05, 0.2, 0.5  # of all that is seen in a picture, which every block is told
ENOUGH = 16384  # cells to take them of


class Share(nn.Module):
    """Block by block, which share of the noise's upper bound is noise, and how sure that is.

    A small U-Net on the grid of blocks, at whose lowest level all of the picture votes, each place
    with a weight of its own: the noise of a picture is mostly alike everywhere, and its textures
    are not. How its quietest places look is told to every block. Its output is at most 1, so that
    it only ever lowers a bound.
    """

    def __init__(self, looks: int, width: int = 24, low: int = 48) -> None:
        super().__init__()
        self.stem = nn.Conv2d(looks, width, 2, stride=2)
        self.quiet = nn.Linear(len(QUANTILES) * looks, width)
        self.first = nn.ModuleList([nn.Conv2d(width, width, 3, padding=1) for _ in range(2)])
        self.down = nn.Conv2d(width, low, 2, stride=2)
        self.middle = nn.ModuleList([nn.Conv2d(low, low, 3, padding=1) for _ in range(3)])
        self.weight = nn.Conv2d(low, low, 1)
        self.over_all = nn.Linear(low, low)
        self.up = nn.Conv2d(low, width, 1)
        self.last = nn.ModuleList([nn.Conv2d(width, width, 3, padding=1) for _ in range(2)])
        self.head = nn.Conv2d(width, 4, 1)

    def forward(self, looks: Tensor) -> tuple[Tensor, Tensor]:
        """looks (B, LOOKS, 2 R, 2 C) -> logarithms (B, 2, R, C) of the share of the variance in all
        bands and in the finest, at most 0, and of the error that the share's logarithm may have."""
        act = functional.silu
        cells = looks.float().flatten(2)
        cells = cells[..., :: max(1, cells.shape[2] // ENOUGH)]
        low = torch.quantile(cells, cells.new_tensor(QUANTILES), dim=2)  # (Q, B, LOOKS)
        x = act(self.stem(looks) + self.quiet(low.transpose(0, 1).flatten(1))[..., None, None])
        for layer in self.first:
            x = x + act(layer(x))
        rows, columns = x.shape[-2:]
        even = functional.pad(x, (0, columns % 2, 0, rows % 2), mode="replicate")
        y = act(self.down(even))
        votes = torch.softmax(self.weight(y).flatten(2), 2)
        y = y + self.over_all((votes * y.flatten(2)).sum(2))[..., None, None]
        for layer in self.middle:
            y = y + act(layer(y))
        wide = functional.interpolate(self.up(y), scale_factor=2.0, mode="nearest")
        x = x + wide[..., :rows, :columns]
        for layer in self.last:
            x = x + act(layer(x))
        share, error = torch.split(self.head(x), 2, 1)
        return -functional.softplus(share), error.clamp(-3, 3)
