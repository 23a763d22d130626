"""`contract/steady.py` as tensors: what was taken out, averaged over time where nothing moves."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from f2rcli.engine.contract.limits import LEAST
from f2rcli.engine.contract.steady import (
    FINE,
    FINE_SLACK,
    HIDDEN,
    LEAST_STILL,
    LOW,
    LOW_SLACK,
    MOST,
    SURE,
    left,
)
from f2rcli.engine.gpu.colour import Groups
from f2rcli.engine.gpu.filters import box, power_around
from f2rcli.engine.gpu.limits import held
from f2rcli.models.constants import kept
from f2rcli.noise.bands import Shares


@dataclass
class DeviceSteady:
    """The mean of the removed signal, per group of planes, of one stream of frames in order."""

    means: Groups = field(default_factory=list)  # of the frames
    counts: Groups = field(default_factory=list)  # frames that a place stood still, 1 to MOST
    removed: dict[int, Tensor] = field(default_factory=dict)  # the mean of what was taken out
    ages: dict[int, Tensor] = field(default_factory=dict)  # frames in it

    @property
    def stands(self) -> bool:
        """Whether enough of the picture has stood still for its past to count."""
        return bool(self.counts) and float((self.counts[0][0] > SURE).float().mean()) >= LEAST_STILL

    def past(self, kind: int, like: Tensor) -> tuple[Tensor, ...]:
        """What `averaged` needs of a group of this shape: the mean before, frames in it and counts
        of places, or nothing where there is none."""
        before = self.removed.get(kind)
        if before is None or before.shape != like.shape:
            return ()
        return before, self.ages[kind], self.counts[kind]


def added(
    groups: Groups,
    variances: Groups,
    shares: list[tuple[Shares, ...]],
    means: Groups,
    counts: Groups,
) -> tuple[Groups, Groups]:
    """Means and counts with the next frame's groups; see `Steady.add`."""
    if not means:
        return [group.clone() for group in groups], [torch.ones_like(group) for group in groups]
    found = []
    for kind, (group, variance, share) in enumerate(zip(groups, variances, shares, strict=True)):
        apart = group - means[kind]
        count = _matching(counts[kind], apart, variance.clamp_min(LEAST), share)
        found.append((means[kind] + apart / count, count))
    return [mean for mean, _ in found], [count for _, count in found]


def averaged(removed: Tensor, past: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """The mean of what was taken out of a group by now, and how many frames are in it."""
    if not past:
        return removed, torch.ones_like(removed)
    before, age, count = past
    age = torch.minimum(age + 1, count)
    return before + (removed - before) / age, age


def enough(age: Tensor) -> Tensor:
    """Which planes stood still long enough in enough places, (P, 1, 1)."""
    return (age > SURE).float().mean((1, 2), keepdim=True) >= LEAST_STILL


def lost(
    past: tuple[Tensor, ...],
    variance: Tensor,
    shares: tuple[Shares, ...],
    clipped: Tensor | None,
    *,
    fine: bool,
    lasting: float = 0.0,
) -> Tensor:
    """The part of a mean of what was taken out, as `averaged`, that is not noise but lost. fine:
    whether the group is as fine as luma: small fields of colour are wider; lasting: see
    `Steady.lost`."""
    mean, age = past
    hidden = age * age / (age * age + HIDDEN**2) if fine else torch.zeros_like(age)
    if clipped is not None:
        hidden = hidden * (1 - clipped)
    allowed = variance / age
    if lasting:
        allowed += lasting * (variance - allowed)
    found = mean - held(mean, allowed, shares, hidden, clipped)
    return found * ((age - 1) / (SURE - 1)).clamp_(0, 1) * enough(age)


def _matching(count: Tensor, apart: Tensor, variance: Tensor, shares: tuple[Shares, ...]) -> Tensor:
    """The worth of every place with a frame that differs from the mean by `apart`."""
    expected = variance * (1 + 1 / count)
    most = kept(tuple(LOW_SLACK * left(share) for share in shares), count).view(-1, 1, 1)
    fine = (power_around(apart, FINE) - FINE_SLACK * expected).clamp_min_(0)
    low = (box(apart, LOW).square_() - most * expected).clamp_min_(0)
    worth = 1 / (1 / count + fine.add_(low, alpha=3).div_(variance))
    return (worth + 1).clamp_max_(MOST)
