"""`contract/steady.py` as tensors: what was taken out, averaged over time where nothing moves."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from f2rcli.engine.contract.limits import LEAST
from f2rcli.engine.contract.steady import (
    EARLY,
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
    """Of one stream of frames that come in order, per group of planes."""

    means: Groups = field(default_factory=list)  # of the frames
    counts: Groups = field(default_factory=list)  # frames that a place stood still, 1 to MOST
    removed: dict[int, Tensor] = field(default_factory=dict)  # the mean of what was taken out
    ages: dict[int, Tensor] = field(default_factory=dict)  # frames in it

    def add(self, groups: Groups, variances: Groups, shares: list[tuple[Shares, ...]]) -> None:
        """Take in the next frame's groups; see `Steady.add`."""
        if [g.shape for g in groups] != [m.shape for m in self.means]:
            self.means = [group.clone() for group in groups]
            self.counts = [torch.ones_like(group) for group in groups]
            return
        for kind, (group, variance, share) in enumerate(
            zip(groups, variances, shares, strict=True)
        ):
            apart = group - self.means[kind]
            count = _matching(self.counts[kind], apart, variance.clamp_min(LEAST), share)
            self.means[kind] = self.means[kind] + apart / count
            self.counts[kind] = count

    @property
    def stands(self) -> bool:
        """Whether enough of the picture has stood still for its past to count."""
        return bool(self.counts) and float((self.counts[0][0] > SURE).float().mean()) >= LEAST_STILL

    def lost(
        self,
        kind: int,
        removed: Tensor,
        variance: Tensor,
        shares: tuple[Shares, ...],
        clipped: Tensor | None = None,
    ) -> Tensor | None:
        """The part of a group's `removed` that is not noise but lost; None if none is known."""
        before, age = self.removed.get(kind), self.ages.get(kind)
        if before is None or age is None or before.shape != removed.shape:
            age, mean = torch.ones_like(removed), removed
        else:
            age = torch.minimum(age + 1, self.counts[kind])
            mean = before + (removed - before) / age
        self.removed[kind], self.ages[kind] = mean, age
        enough = (age > SURE).float().mean((1, 2), keepdim=True) >= LEAST_STILL
        if not bool(enough.any()):
            return None
        hidden = age * age / (age * age + HIDDEN**2)
        if removed.shape[-2:] != self.means[0].shape[-2:]:  # small fields of colour are wider
            hidden = torch.zeros_like(hidden)
        if clipped is not None:
            hidden = hidden * (1 - clipped)
        allowed = variance / age * (1 + EARLY / age)
        lost = mean - held(mean, allowed, shares, hidden, clipped)
        return lost * ((age - 1) / (SURE - 1)).clamp_(0, 1) * enough


def _matching(count: Tensor, apart: Tensor, variance: Tensor, shares: tuple[Shares, ...]) -> Tensor:
    """The worth of every place with a frame that differs from the mean by `apart`."""
    expected = variance * (1 + 1 / count)
    most = kept(tuple(LOW_SLACK * left(share) for share in shares), count).view(-1, 1, 1)
    fine = (power_around(apart, FINE) - FINE_SLACK * expected).clamp_min_(0)
    low = (box(apart, LOW).square_() - most * expected).clamp_min_(0)
    worth = 1 / (1 / count + fine.add_(low, alpha=3).div_(variance))
    return (worth + 1).clamp_max_(MOST)
