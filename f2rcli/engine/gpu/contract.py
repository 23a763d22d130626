"""`contract/residual.py` as tensors: what of a change may be made to a frame's planes."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from f2rcli.engine.contract.chroma import LEAST_LEVEL
from f2rcli.engine.contract.limits import LEAST
from f2rcli.engine.contract.residual import CLIPPED_CHANGE, UNCLIPPED, Slack
from f2rcli.engine.contract.shift import SHIFT_SIDE, clipping, halved, shift_scatter
from f2rcli.engine.gpu.colour import Groups, plane_changes, split
from f2rcli.engine.gpu.filters import box, joint_bilateral, resized
from f2rcli.engine.gpu.limits import changing, held
from f2rcli.engine.gpu.steady import DeviceSteady
from f2rcli.engine.gpu.tally import Tally
from f2rcli.frames import Family, PlaneLayout
from f2rcli.models.constants import kept
from f2rcli.noise.bands import Shares
from f2rcli.noise.model import NoiseModel
from f2rcli.noise.planes import PlaneNoise


@dataclass(frozen=True, slots=True)
class Terms:
    """The contract's terms besides the picture; see `contract.residual.under_contract`."""

    layout: PlaneLayout
    noise: PlaneNoise
    model: NoiseModel
    allowance: tuple[float, ...]
    slack: Slack

    @property
    def yuv(self) -> bool:
        return self.layout.family is Family.YUV

    def planes(self, kind: int) -> range:
        """The planes of the file that a group holds."""
        if not self.yuv:
            return range(len(self.noise.models))
        return range(1, 3) if kind else range(1)

    def shares(self, kind: int) -> tuple[Shares, ...]:
        """Of every plane of a group, see `PlaneNoise`."""
        return tuple(self.noise.shares[plane] for plane in self.planes(kind))

    def level(self, kind: int, bright: Tensor) -> Tensor:
        """The noise's standard deviation in a group, (P, H, W), where its planes, or luma (1, H, W)
        for chroma, are as bright as this."""
        planes = self.planes(kind)
        parts = bright.chunk(len(planes)) if len(bright) > 1 else [bright] * len(planes)
        return torch.cat(
            [self.noise.models[i].level(p[None])[0] for i, p in zip(planes, parts, strict=True)]
        )

    def allowed(self, kind: int) -> float:
        return self.allowance[min(self.planes(kind)[0], len(self.allowance) - 1)]


@dataclass(frozen=True, slots=True)
class Near:
    """A frame beside the centre: its groups, and the flow into it (1, H, W, 2) where known."""

    groups: Groups
    flow: Tensor | None


def under_contract(
    centre: Groups,
    picture: Tensor,
    change: Tensor,
    terms: Terms,
    near: Sequence[Near],
    steady: DeviceSteady | None,
    tally: Tally,
) -> Groups:
    """The part of a method's change (1, C, H, W) that may be made to groups of planes."""
    shapes = [tuple(group.shape[-2:]) for group in centre]
    removed = [-one for one in plane_changes(change, shapes, terms.layout)]
    quiet = _quiet(centre, near)
    shifts, factor = _clipped(picture, change, terms, centre, quiet)
    light = centre[0] - removed[0]
    levels = [
        terms.level(kind, resized(light, group.shape[-2:]) if kind else light)
        for kind, group in enumerate(centre)
    ]
    if terms.yuv:
        removed = _calmed(centre, removed, levels, terms)
    out = []
    for kind, (taken, bound) in enumerate(zip(removed, quiet, strict=True)):
        variance = levels[kind].square() * terms.slack.noise[kind]
        cut = None
        if factor is not None:
            left = resized(factor, taken.shape[-2:])
            variance *= left
            cut = ((UNCLIPPED[1] - left) / (UNCLIPPED[1] - UNCLIPPED[0])).clamp_(0, 1)
        if bound is not None:
            variance = torch.minimum(variance, bound * terms.slack.change[kind])
        variance *= terms.allowed(kind) ** 2
        shift = None
        if shifts is not None:
            shift = _part_removed(taken, shifts[kind], variance, terms.shares(kind))
        free = taken if shift is None else taken - shift
        lost = None
        if steady is not None:
            lasting = variance / terms.slack.chance
            lost = steady.lost(kind, free, lasting, terms.shares(kind), cut)
        stays = held(
            free if lost is None else free - lost, variance, terms.shares(kind), clipped=cut
        )
        if shift is not None:
            stays += shift
        tally.add(terms.planes(kind), taken, stays)
        out.append(-stays)
    return out


def watched(steady: DeviceSteady, groups: Groups, terms: Terms) -> None:
    """Let what stands still learn of the next frame; see `contract.residual.watched`."""
    light = box(groups[0], 5)
    variances = [
        terms.level(kind, resized(light, group.shape[-2:])).square_()
        for kind, group in enumerate(groups)
    ]
    steady.add(groups, variances, [terms.shares(kind) for kind in range(len(groups))])


def _quiet(centre: Groups, near: Sequence[Near]) -> list[Tensor | None]:
    found = []
    moves: dict[torch.Size, list[Tensor | None]] = {}
    for kind, group in enumerate(centre):
        size = group.shape[-2:]
        if size not in moves:
            moves[size] = [_fetched(one.flow, size) for one in near]
        found.append(changing(group, [one.groups[kind] for one in near], moves[size]))
    return found


def _fetched(flow: Tensor | None, size: torch.Size) -> Tensor | None:
    """Where each sample of a plane lies in a neighbour's, to whole samples, as flat indices."""
    if flow is None:
        return None
    height, width = size
    across, down = resized(flow[0].permute(2, 0, 1), size)
    x = (across * (width / flow.shape[2])).round_().int()
    y = (down * (height / flow.shape[1])).round_().int()
    x += torch.arange(width, dtype=torch.int32, device=flow.device)
    y += torch.arange(height, dtype=torch.int32, device=flow.device).unsqueeze(1)
    return (y.clamp_(0, height - 1) * width + x.clamp_(0, width - 1)).flatten()


def _calmed(centre: Groups, removed: Groups, levels: Groups, terms: Terms) -> Groups:
    """The removed signal of Y'CbCr groups with the colour noise that the method left."""
    luma, chroma = (group - taken for group, taken in zip(centre, removed, strict=True))
    powers = levels[1].square().mean((1, 2)) * terms.slack.noise[1]
    level = powers.sqrt().mean() * terms.allowed(1)
    guide = resized(luma, chroma.shape[-2:])
    calm = joint_bilateral(guide, chroma, level.clamp_min(LEAST_LEVEL))
    calm = torch.where(level < LEAST_LEVEL, chroma, calm)
    return [centre[0] - luma, centre[1] - calm]


def _clipped(
    picture: Tensor, change: Tensor, terms: Terms, centre: Groups, quiet: list[Tensor | None]
) -> tuple[Groups | None, Tensor | None]:
    """The shift of every plane's mean by clipping, and the variance it left (1, H, W);
    None twice where nothing was clipped."""
    if not terms.noise.clipped or terms.layout.counts_light:
        return None, None
    restored = halved(picture + change)
    found = clipping(restored, terms.model, terms.slack.clipped)
    if found is None:
        return None, None
    shift, factor = found
    size = centre[0].shape[-2:]
    left = resized(factor[0].mean(0, keepdim=True), size)
    shifts = [
        resized(group, full.shape[-2:])
        for group, full in zip(split(shift, terms.layout), centre, strict=True)
    ]
    if quiet[0] is not None:  # where less changes than the law says, less was cut off
        law = terms.level(0, resized(restored[0].mean(0, keepdim=True), size))[:1]
        seen = quiet[0][:1] * CLIPPED_CHANGE / (law.square() * left).clamp_min_(LEAST)
        share = seen.clamp_max_(1).sqrt_()
        shifts = [group * resized(share, group.shape[-2:]) for group in shifts]
    return shifts, left


def _part_removed(
    taken: Tensor, shift: Tensor, variance: Tensor, shares: Sequence[Shares]
) -> Tensor:
    """The part of clipping's shift that was removed; see `contract.shift.part_removed`."""
    room = kept(tuple(shift_scatter(one) for one in shares), taken).view(-1, 1, 1)
    mean = box(taken, SHIFT_SIDE)
    mean += box(variance.sqrt(), SHIFT_SIDE).mul_(room).copysign_(shift)
    return torch.minimum(torch.maximum(mean, shift.clamp_max(0)), shift.clamp_min(0))
