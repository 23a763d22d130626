"""Neighbours moved to where the middle frame shows the same, by a half plane alone.

A small U-Net does not learn from noisy footage to tell what stands still from what moves: it learns
to leave neighbours aside. Here a search tells. For every cell of 4x4 pixels, smoothed frames are
compared over the rows above; the shift that leaves least is taken. Where even that leaves more than
noise explains, the middle frame takes the neighbour's place.

Everything looks up and sideways, as the convolutions behind it do: rows of a result are made of
rows up to their own. Shifts are chosen by ratios, so that results scale with their input.
"""

from itertools import product

import torch
from torch import Tensor, nn
from torch.nn import functional

from f2rcli.models.recorded import as_constant

GRID = 4  # pixels: one shift for every cell
TALL, WIDE = 3, 5  # cells, of rows above, over which frames are compared
REST = 0.05  # of the noise's power: so much less a shift by a pixel has to leave; by n n^2 times
TRUSTED = 1.8  # times the noise's power: more is left where neighbours show something else
LEAST = 1e-12  # power: frames that are alike to the last digit
UNKNOWN = 1.0  # as dy, which is at most 0: the neighbour shows something else
MEMORY = 4  # channels: the shift (dx, dy) of either neighbour
REACH = 3 + GRID * (TALL + 1)  # rows above, besides the shift; no more columns on either side


class Matching(nn.Module):
    """Three frames -> the middle one, and its neighbours as far as they show the same."""

    def __init__(self, radius: int) -> None:
        """radius: the largest shift that is looked for, in pixels."""
        super().__init__()
        self.shifts = list(product(range(-radius, 1), range(-radius, radius + 1)))  # dy, dx
        self.radius, self.reach = radius, REACH + radius

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x (B, 3 C, H, W), H and W multiples of GRID -> the same with moved neighbours, and how
        they moved, (B, MEMORY, H, W)."""
        before, middle, after = (_luma(frame) for frame in x.detach().chunk(3, 1))
        cells = torch.cat([self._shift(middle, other) for other in (before, after)], 1)
        known = functional.interpolate(cells, scale_factor=GRID, mode="nearest")
        return moved(x, known), known

    def _shift(self, one: Tensor, two: Tensor) -> Tensor:
        """The shift (dx, dy) from (B, 1, H, W) to such, (B, 2, H / GRID, W / GRID)."""
        r, (rows, columns) = self.radius, one.shape[-2:]
        noise = _above(_pooled(_halved(_filtered(one - two, -1)))).clamp_min_(LEAST)
        here, wide = _halved(_filtered(one, 1)), functional.pad(_filtered(two, 1), (r, r, r, 0))
        left = torch.cat([
            _pooled(_halved(wide[..., r + dy : r + dy + rows, r + dx : r + dx + columns]) - here)
            for dy, dx in self.shifts
        ], 1)  # fmt: skip
        numbers = tuple(float(part) for pair in self.shifts for part in pair)
        shifts = as_constant(numbers, one).view(-1, 2)
        cost = _above(left).addcmul_(noise, REST * shifts.square().sum(1)[:, None, None])
        least, best = cost.min(1)
        found = shifts.flip(1)[best].permute(0, 3, 1, 2)
        return found.where(least[:, None] < TRUSTED * noise, UNKNOWN)


class Following(nn.Module):
    """Results of a first stage, moved as the frames were that they were made of."""

    def __init__(self, radius: int) -> None:
        """radius: the largest shift, in pixels."""
        super().__init__()
        self.reach = radius

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x (B, 3 C + MEMORY, H, W), results and the middle's shifts -> (B, 3 C, H, W), shifts."""
        known = x[:, -MEMORY:]
        return moved(x[:, :-MEMORY], known), known


def moved(x: Tensor, known: Tensor) -> Tensor:
    """x (B, 3 C, H, W), three pictures, the outer ones moved by known (B, MEMORY, H, W), or in
    their place the middle one; beyond the border is what is on it."""
    batch, channels, rows, columns = x.shape
    row, column, start = (
        torch.arange(0, count * step, step, dtype=torch.int32, device=x.device)
        for count, step in ((rows, 1), (columns, 1), (batch, rows * columns))
    )
    row, start = row[:, None], start[:, None, None]
    own = (start + row * columns + column) * 3 + 1
    places = [own] * 3
    for which in (0, 2):
        across, along = known[:, which : which + 2].to(torch.int32).unbind(1)
        place = start + (row + along).clamp_(0, rows - 1) * columns
        place = (place + (column + across).clamp_(0, columns - 1)) * 3 + which
        places[which] = place.where(along <= 0, own)
    pictures = x.permute(0, 2, 3, 1).reshape(-1, channels // 3)
    found = pictures.index_select(0, torch.stack(places, -1).flatten())
    return found.view(batch, rows, columns, channels).permute(0, 3, 1, 2)


def _luma(x: Tensor) -> Tensor:
    """The sum of the channels of (B, C, H, W) in float32 or better, (B, 1, H, W)."""
    first, *rest = x.to(torch.promote_types(x.dtype, torch.float32)).unbind(1)
    return sum(rest, first)[:, None]


def _filtered(x: Tensor, sign: int) -> Tensor:
    """x (B, 1, H, W) by 1, 2 sign, 1 both ways, on rows up to its own; white power stays."""
    x = functional.pad(x, (1, 1, 2, 0))
    x = x[..., 2:, :] + x[..., :-2, :] + 2 * sign * x[..., 1:-1, :]
    return x[..., 2:] + x[..., :-2] + 2 * sign * x[..., 1:-1]


def _halved(x: Tensor) -> Tensor:
    """Every other row and column."""
    return x[..., ::2, ::2]


def _pooled(x: Tensor) -> Tensor:
    """Sums of squares over 2x2 samples, whose lower row is an even one: (B, C, H / 2, W / 2)."""
    x = functional.pad(x.square(), (0, 0, 1, 0))[..., :-1, :]
    x = x[..., ::2, :] + x[..., 1::2, :]
    return x[..., ::2] + x[..., 1::2]


def _above(x: Tensor) -> Tensor:
    """Sums of x (B, C, H, W) over TALL rows, the last of them the row itself, and WIDE columns."""
    rows, columns = x.shape[-2:]
    x = functional.pad(x, (WIDE // 2, WIDE // 2, TALL - 1, 0))
    x = sum((x[..., k : k + rows, :] for k in range(1, TALL)), x[..., :rows, :])
    return sum((x[..., k : k + columns] for k in range(1, WIDE)), x[..., :columns])
