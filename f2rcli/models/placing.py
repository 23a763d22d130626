"""Neighbours in packed planes brought onto the centre's grid by flows between cells, and rated.

A flow (h, w, 2) float32 lies on the grid of cells and counts them, dx then dy: cell p of the centre
shows what the neighbour shows at p + flow(p). Each plane is sampled on its own grid.

One neighbour is worth many frames: a running mean of the past, carried along the flow. A window of
a few frames cannot beat the mean of them. Where a scene stands still, the mean of everything before
is far better; where it moves, nothing is lost, because there the memory is the frame it was made
at. Every cell counts how many frames it is worth: a Kalman filter whose process noise is whatever
the match leaves beyond the noise (Kalman, 1960; DESIGN.md D34).
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from f2rcli.models.filters import box, here, inner_mean
from f2rcli.models.flow import Flow, resized, sample, squared
from f2rcli.models.layers import median
from f2rcli.models.planar import NEAR, Neighbours
from f2rcli.planes import Layout, gathered, spread

MAPS = Layout("map", ((1, 1),))  # of one value a cell
STILL = 0.15  # cells of motion below which a place is taken to stand still, if it matches there
# Cells, of the mean of motion: a search's patches are 8 wide, so it is that of some 15; and the
# square of how many standard errors are chance (four: of 15 pans from 0 to 0.3 pixels a frame under
# noise of 4 to 30 none lost more than 0.03 dB, and what stood still gained 0.14 to 0.3).
OVER, ERRORS = 31, 18 / 15
SUREST = 0.01  # cells: a mean of flows is no surer; a pan of a fiftieth of a pixel a frame
MOVED = 0.5  # cells of a place's own motion from which on it is none of noise
MISMATCH_FLOOR = 2e-3  # half an 8-bit code: coarse frames never agree better than that
MISMATCH_ALLOWED = 3.0  # times the frame's median mismatch; beyond it confidence falls


def at_rest(there: Sequence[Flow], back: Sequence[Flow]) -> Tensor:
    """Where frames in a row show what stands still, (1, 1, h, w), by the flows from each into the
    next and back again: where their mean over OVER cells is as short as chance makes it.
    Noise makes flows that lead anywhere, and each moves a still picture a little, which blurs it.
    """
    ways = torch.cat([*there]).sub_(torch.cat([*back])).permute(0, 3, 1, 2)
    mean = ways.mean(0, keepdim=True).div_(2)
    over = inner_mean(mean, OVER)
    drift = over.square().sum(1, keepdim=True)
    scatter = inner_mean(mean.square().sum(1, keepdim=True), OVER) - drift
    most = (ERRORS * scatter + SUREST**2).clamp_max(STILL**2)
    return (drift < most) & (mean.square().sum(1, keepdim=True) < MOVED**2)


def warped(layout: Layout, packed: Sequence[Tensor], flow: Flow) -> list[Tensor]:
    """Pictures (B, C, h, w) where a flow (B, h, w, 2) leads, without gradients, by cubic
    interpolation of their planes."""
    planes = spread(layout, torch.stack([one.detach() for one in packed], 1))
    flow, (high, wide) = flow.to(planes[0].device), flow.shape[1:3]
    ways = {cell: resized(flow, (cell[0] * high, cell[1] * wide)) for cell in layout.planes}
    both = zip(planes, layout.planes, strict=True)
    moved = [sample(plane, ways[cell], cubic=True) for plane, cell in both]
    return list(gathered(layout, moved).unbind(1))


def rated(coarse: Tensor, reference: Tensor) -> Tensor:
    """How well warped coarse neighbours (B, N, C, h, w) match what they should look like, (B, C,
    h, w): (B, N, 1, h, w), 1 where as well as most of the picture does, towards 0 where they show
    something else."""
    mismatch = inner_mean((coarse - reference.unsqueeze(1)).abs().mean(2), NEAR)
    typical = median(mismatch[..., ::2, ::2].flatten(1))
    allowed = MISMATCH_ALLOWED * typical.clamp_min(MISMATCH_FLOOR).view(-1, 1, 1, 1)
    return (1 / (1 + (mismatch / allowed).square())).unsqueeze(2)


def placed(
    noisy: Tensor, coarse: Tensor, agreement: Tensor, worth: Tensor, reference: Tensor
) -> Neighbours:
    """Neighbours that are warped already, (B, N, C, h, w) twice, with the agreement of their flows
    there and back and the frames each is worth, (B, N, 1, h, w); reference: the coarse centre."""
    worth = worth.clamp_min(1)
    return Neighbours(noisy, coarse, agreement * rated(coarse, reference) * worth, worth)


MOST = 32.0  # frames a cell may be worth: what changes too slowly to be seen must still fade
FEWEST = 0.001  # of a picture's places (a small logo) that must stand still to be looked at there
RESAMPLED = 0.15  # process noise where the memory moved, in units of the noise: interpolation blurs
SIDE = 5  # cells, of the window that a match is judged over
SLACK = 1.5  # times what the noise explains, before a mismatch counts
COARSE_SLACK = 5.0  # times the frame's median, of coarse frames
COARSE_WEIGHT = 3.0  # their mismatch is no noise, and stays from frame to frame
LEAST_VARIANCE = (0.1 / 255) ** 2


class Memory(NamedTuple):
    """The past on the grid of one frame."""

    noisy: Tensor  # (1, C, h, w): mean of the frames that each cell remembers
    coarse: Tensor  # (1, C, h, w): the same of their coarse frames
    worth: Tensor  # (1, 1, h, w): in frames, of each cell, 1 to MOST

    @classmethod
    def of(cls, noisy: Tensor, coarse: Tensor) -> "Memory":
        """A memory of one frame, (1, C, h, w) twice."""
        return cls(noisy, coarse, torch.ones_like(noisy[:, :1]))

    def carried(
        self, layout: Layout, noisy: Tensor, coarse: Tensor, flow: Flow, told: Tensor
    ) -> "Memory":
        """The memory on the next frame's grid, with that frame added.

        noisy, coarse (1, C, h, w): the next frame; flow: from it into the memory's grid, in cells;
        told (1, 2 P, h, w): standard deviations of noise and of a codec's errors. No other frame
        enters, so an estimate that is blind to a later frame stays blind to it.
        """
        variance = _variance(layout, told)
        *old, count = self
        fresh, excess = [noisy, coarse], None
        resting = (squared(flow) < STILL**2).to(noisy.device)
        on_device = not here(flow)  # asking how much rests there would make a GPU wait
        if on_device or resting.float().mean() >= FEWEST:
            excess = _excess(old, fresh, variance, count)
            resting = resting & (excess < RESAMPLED)
        else:
            resting = torch.zeros_like(resting)
        if excess is None or on_device or not resting.all():
            moves = flow * ~resting[:, 0, ..., None].to(flow.device)
            old = warped(layout, old, moves)
            count = warped(MAPS, [count], moves)[0].clamp(1, MOST)
            there = _excess(old, fresh, variance, count) + RESAMPLED
            excess = there if excess is None else torch.where(resting, excess, there)
        worth = 1 / (1 / count + excess)
        share = 1 / (1 + worth)
        before, coarse_before = (torch.lerp(a, b, share) for a, b in zip(old, fresh, strict=True))
        return Memory(before, coarse_before, (worth + 1).clamp_max(MOST))


def _variance(layout: Layout, told: Tensor) -> Tensor:
    """Of a sample, the mean over a cell's, (1, 1, h, w)."""
    noise, errors = told.square().chunk(2, 1)
    shares = [(part.stop - part.start) / layout.channels for part in layout.slices]
    planes = zip(shares, torch.split(noise + errors, 1, 1), strict=True)
    return torch.as_tensor(sum(share * plane for share, plane in planes)).clamp_min(LEAST_VARIANCE)


def _excess(old: list[Tensor], new: list[Tensor], variance: Tensor, count: Tensor) -> Tensor:
    """How far the old and the new, noisy and coarse, differ beyond what noise explains, (1, 1, h,
    w), in units of the noise's variance: judged on the frames, and on the coarse frames, which hold
    far less noise."""
    fine, rough = (
        box((a - b).square().mean(1), SIDE).unsqueeze(1) for a, b in zip(old, new, strict=True)
    )
    fine -= SLACK * variance * (1 + 1 / count)
    rough -= COARSE_SLACK * median(rough[..., ::2, ::2].flatten())
    return (fine.clamp_min_(0) + COARSE_WEIGHT * rough.clamp_min_(0)) / variance
