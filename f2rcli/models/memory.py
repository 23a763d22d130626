"""A running mean of the past, carried along the flow: one neighbour that is worth many frames.

A window of a few frames cannot beat the mean of them. Where a scene stands still, the mean of
everything before is far better; where it moves, nothing is lost, because there the memory is the
frame it was made at. Every cell counts how many frames it is worth: a Kalman filter whose process
noise is whatever the match leaves beyond the noise (Kalman, 1960; DESIGN.md D34).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from f2rcli.models import motion
from f2rcli.models.flow import Flow, squared
from f2rcli.models.layers import box_mean
from f2rcli.models.placing import MAPS, warped
from f2rcli.planes import Layout

MOST = 32.0  # frames a cell may be worth: what changes too slowly to be seen must still fade
STILL = 0.15  # cells of motion below which a place is taken to stand still, if it matches there
FEWEST = 0.001  # of a picture's places (a small logo) that must stand still to be looked at there
RESAMPLED = 0.15  # process noise where the memory moved, in units of the noise: interpolation blurs
SIDE, NARROW = 5, 3  # cells, of the windows that a match is judged over, and of low frequencies
# What the noise alone leaves after a box filter of NARROW, as a share of its variance: white noise
# of luma 1 / 36, noise that neighbouring pixels share (demosaicking, codecs) several times that.
LOW_SHARE = 0.3
SLACK = 1.5  # times what the noise explains, before a mismatch counts
COARSE_SLACK = 5.0  # times the frame's median, of coarse frames
COARSE_WEIGHT = 3.0  # their mismatch is no noise, and stays from frame to frame
LEAST_VARIANCE = (0.1 / 255) ** 2


@dataclass(frozen=True, slots=True)
class Memory:
    """The past on the grid of one frame."""

    index: int  # of that frame
    noisy: Tensor  # (1, C, h, w): mean of the frames that each cell remembers
    coarse: Tensor  # (1, C, h, w): the same of their coarse frames
    count: Tensor  # (1, 1, h, w): how many frames each cell is worth, 1 to MOST

    @classmethod
    def of(cls, index: int, noisy: Tensor, coarse: Tensor) -> "Memory":
        """A memory of one frame, (1, C, h, w) twice."""
        return cls(index, noisy, coarse, torch.ones_like(noisy[:, :1]))

    def carried(
        self,
        layout: Layout,
        index: int,
        noisy: Tensor,
        coarse: Tensor,
        flow: Flow | Tensor,
        told: Tensor,
    ) -> "Memory":
        """The memory on the next frame's grid, with that frame added.

        noisy, coarse (1, C, h, w): the next frame; flow: from it into the memory's grid, in cells;
        told (1, 2 P, h, w): standard deviations of noise and of a codec's errors. No other frame
        enters, so an estimate that is blind to a later frame stays blind to it.
        """
        variance = _variance(layout, told)
        old, fresh = [self.noisy, self.coarse], [noisy, coarse]
        count, excess = self.count, None
        resting = _rests(flow).to(noisy.device)
        on_device = isinstance(flow, Tensor)  # asking how much rests there would make a GPU wait
        if on_device or resting.float().mean() >= FEWEST:
            excess = _excess(layout, old, fresh, variance, count)
            resting = resting & (excess < RESAMPLED)
        else:
            resting = torch.zeros_like(resting)
        if excess is None or on_device or not resting.all():
            moves = _only(flow, ~resting)
            old = warped(layout, old, moves)
            count = warped(MAPS, [count], moves)[0].clamp(1, MOST)
            there = _excess(layout, old, fresh, variance, count) + RESAMPLED
            excess = there if excess is None else torch.where(resting, excess, there)
        worth = 1 / (1 / count + excess)
        share = 1 / (1 + worth)
        before, coarse_before = (torch.lerp(a, b, share) for a, b in zip(old, fresh, strict=True))
        return Memory(index, before, coarse_before, (worth + 1).clamp_max(MOST))


def _variance(layout: Layout, told: Tensor) -> Tensor:
    """Of a sample, the mean over a cell's, (1, 1, h, w)."""
    noise, errors = told.square().chunk(2, 1)
    return _weighted(layout, noise + errors).clamp_min(LEAST_VARIANCE)


def _rests(flow: Flow | Tensor) -> Tensor:
    """Where next to nothing moves, (1, 1, h, w)."""
    if isinstance(flow, Tensor):
        return squared(flow) < STILL**2
    return torch.from_numpy(squared(flow) < STILL**2)[None, None]


def _only(flow: Flow | Tensor, where: Tensor) -> Flow | Tensor:
    """A flow that counts only where it is told to (1, 1, h, w)."""
    if isinstance(flow, Tensor):
        return flow * where[:, 0].unsqueeze(-1)
    moved: Flow = flow * where[0, 0].cpu().numpy()[..., None]
    return moved


def _excess(
    layout: Layout,
    old: list[Tensor],
    new: list[Tensor],
    variance: Tensor,
    count: Tensor,
) -> Tensor:
    """How far the old and the new, noisy and coarse, differ beyond what noise explains, (1, 1, h,
    w), in units of the noise's variance: judged on the frames, on their low frequencies, and on the
    coarse frames, which hold far less noise."""
    apart, rough = (a - b for a, b in zip(old, new, strict=True))
    expected = variance * (1 + 1 / count)
    fine = box_mean(apart.square().mean(1, keepdim=True), SIDE) - SLACK * expected
    lows = box_mean(
        torch.cat([apart[:, p].mean(1, keepdim=True) for p in layout.slices], 1), NARROW
    )
    low = box_mean(_weighted(layout, lows.square()), SIDE) - SLACK * LOW_SHARE * expected
    rough = box_mean(rough.square().mean(1, keepdim=True), SIDE)
    rough = rough - COARSE_SLACK * motion.median(rough[..., ::2, ::2].flatten())
    total = fine.clamp_min_(0) + low.clamp_min_(0) + COARSE_WEIGHT * rough.clamp_min_(0)
    return total / variance


def _weighted(layout: Layout, planes: Tensor) -> Tensor:
    """The mean over a cell's samples of maps of its planes, (1, P, h, w) -> (1, 1, h, w)."""
    counts = [part.stop - part.start for part in layout.slices]
    parts = zip(counts, torch.split(planes, 1, 1), strict=True)
    return torch.as_tensor(sum(count / layout.channels * part for count, part in parts))
