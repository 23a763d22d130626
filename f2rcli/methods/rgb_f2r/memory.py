"""A running mean of the past, carried along the flow: one neighbour that is worth many frames.

A window of seven frames cannot beat the mean of seven. Where a scene stands still, the mean of
everything before is far better; where it moves, nothing is lost, because there the memory is the
frame it was made at. Every pixel counts how many frames it is worth: a Kalman filter whose
process noise is whatever the match leaves beyond the noise (Kalman, 1960; DESIGN.md D34).
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from f2rcli.models import motion
from f2rcli.models.flow import Flow, squared, warp_all
from f2rcli.models.layers import box_mean

MOST = 32.0  # frames a pixel may be worth: what changes too slowly to be seen must still fade
STILL = 0.3  # pixels of motion below which a place is taken to stand still, if it matches there
FEWEST = 0.001  # of a picture's places (a small logo) that must stand still to be looked at there
RESAMPLED = 0.15  # process noise where the memory moved, in units of the noise: interpolation blurs
SIDE, NARROW = 9, 5  # pixels, of the windows that a match is judged over, and of low frequencies
# What the noise alone leaves after a box filter of NARROW, as a share of its variance: white
# noise 1 / 25, noise that neighbouring pixels share (demosaicking, codecs) several times that.
LOW_SHARE = 0.3
SLACK = 1.5  # times what the noise explains, before a mismatch counts
COARSE_SLACK = 5.0  # times the frame's median, of coarse frames
COARSE_WEIGHT = 3.0  # their mismatch is no noise, and stays from frame to frame
LEAST_VARIANCE = (0.1 / 255) ** 2


@dataclass(frozen=True, slots=True)
class Memory:
    """The past on the grid of one frame."""

    index: int  # of that frame
    noisy: Tensor  # (1, C, H, W): mean of the frames that each pixel remembers
    coarse: Tensor  # (1, C, H, W): the same of their coarse frames
    count: Tensor  # (1, 1, H, W): how many frames each pixel is worth, 1 to MOST

    @classmethod
    def of(cls, index: int, noisy: Tensor, coarse: Tensor) -> "Memory":
        """A memory of one frame, (1, C, H, W) twice."""
        return cls(index, noisy, coarse, torch.ones_like(noisy[:, :1]))

    def carried(
        self, index: int, noisy: Tensor, coarse: Tensor, flow: Flow | Tensor, level: Tensor
    ) -> "Memory":
        """The memory on the next frame's grid, with that frame added.

        noisy, coarse (1, C, H, W): the next frame; flow: from it into the memory's grid;
        level (1, C, H, W): the noise's standard deviation. No other frame enters, so an estimate
        that is blind to a later frame stays blind to it.
        """
        variance = level.square().mean(1, keepdim=True).clamp_min(LEAST_VARIANCE)
        fresh = _Pair(noisy, coarse)
        old, count, excess = _Pair(self.noisy, self.coarse), self.count, None
        resting = _rests(flow).to(noisy.device)
        on_device = isinstance(flow, Tensor)  # asking how much rests there would make a GPU wait
        if on_device or resting.float().mean() >= FEWEST:
            excess = _excess(old, fresh, variance, count)
            resting = resting & (excess < RESAMPLED)
        else:
            resting = torch.zeros_like(resting)
        if excess is None or on_device or not resting.all():
            *moved, count = _moved([*old, count], flow, ~resting)
            old, count = _Pair(*moved), count.clamp_(1, MOST)
            there = _excess(old, fresh, variance, count) + RESAMPLED
            excess = there if excess is None else torch.where(resting, excess, there)
        worth = 1 / (1 / count + excess)
        share = 1 / (1 + worth)
        return Memory(
            index,
            torch.lerp(old.noisy, noisy, share),
            torch.lerp(old.coarse, coarse, share),
            (worth + 1).clamp_max(MOST),
        )


def _rests(flow: Flow | Tensor) -> Tensor:
    """Where next to nothing moves, (1, 1, H, W)."""
    if isinstance(flow, Tensor):
        return squared(flow) < STILL**2
    return torch.from_numpy(squared(flow) < STILL**2)[None, None]


def _moved(pictures: list[Tensor], flow: Flow | Tensor, where: Tensor) -> list[Tensor]:
    """Pictures by a flow, which counts only where it is told to (1, 1, H, W)."""
    if isinstance(flow, Tensor):
        return motion.warp_all(pictures, flow * where[:, 0].unsqueeze(-1))
    return warp_all(pictures, flow * where[0, 0].cpu().numpy()[..., None])


class _Pair(NamedTuple):
    noisy: Tensor
    coarse: Tensor


def _excess(old: _Pair, new: _Pair, variance: Tensor, count: Tensor) -> Tensor:
    """How far the old and the new differ beyond what noise explains, (1, 1, H, W), in units of the
    noise's variance: judged on the frames, on their low frequencies, and on the coarse frames,
    which hold far less noise."""
    apart, rough = old.noisy - new.noisy, old.coarse - new.coarse
    expected = variance * (1 + 1 / count)
    fine = box_mean(apart.square().mean(1, keepdim=True), SIDE) - SLACK * expected
    low = box_mean(box_mean(apart, NARROW).square().mean(1, keepdim=True), SIDE)
    low -= SLACK * LOW_SHARE * expected
    rough = box_mean(rough.square().mean(1, keepdim=True), SIDE)
    rough -= COARSE_SLACK * motion.median(rough[..., ::4, ::4].flatten())
    total = fine.clamp_min_(0) + low.clamp_min_(0) + COARSE_WEIGHT * rough.clamp_min_(0)
    return total / variance
