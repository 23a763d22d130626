"""`contract/residual.py` as tensors: what of a change may be made to a frame's planes."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from f2rcli.engine.contract.chroma import LEAST_LEVEL
from f2rcli.engine.contract.limits import LEAST
from f2rcli.engine.contract.residual import CLIPPED_CHANGE, UNCLIPPED, Slack
from f2rcli.engine.contract.returned import map_shape
from f2rcli.engine.contract.shift import (
    SHIFT_SIDE,
    halved,
    looked_up,
    moved,
    reaching,
    shift_scatter,
)
from f2rcli.engine.gpu.colour import Groups, decoded, plane_changes, split
from f2rcli.engine.gpu.filters import box, joint_bilateral, resized
from f2rcli.engine.gpu.limits import changing, held
from f2rcli.engine.gpu.outliers import noise_share
from f2rcli.engine.gpu.steady import DeviceSteady, added, averaged, enough
from f2rcli.engine.gpu.steady import lost as missed
from f2rcli.engine.gpu.tally import Tally, energies
from f2rcli.frames import Family, PlaneLayout
from f2rcli.models.constants import kept as constants
from f2rcli.models.recorded.graphs import Graphs
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


class Near(NamedTuple):
    """A frame beside the centre: its codes, and the flow into it (1, H, W, 2) where known."""

    codes: Groups
    flow: tuple[Tensor, ...]


class _Removed(NamedTuple):
    """A method's change on a frame's groups."""

    taken: Groups
    levels: Groups  # the noise's standard deviation
    quiet: Groups  # the variance of what changes in time; nothing where no frame is beside
    restored: tuple[Tensor, ...]  # the picture at half its size, where noise was clipped
    reaches: tuple[Tensor, ...]  # whether noise reaches black or white there


class _Bounded(NamedTuple):
    """What a group's change is held to."""

    variance: Tensor
    shift: tuple[Tensor, ...]  # that clipping made
    cut: tuple[Tensor, ...]  # 0..1, how much noise was cut off
    mean: tuple[Tensor, ...]  # what was taken out lately, and how many frames are in that
    enough: tuple[Tensor, ...]  # of it to look for what is lost


def under_contract(
    codes: Groups,
    picture: Tensor,
    change: Tensor,
    terms: Terms,
    near: Sequence[Near],
    steady: DeviceSteady | None,
    tally: Tally,
    graphs: Graphs,
) -> Groups:
    """The part of a method's change (1, C, H, W) that may be made to groups of planes, by their
    codes. In three parts, between which two things are asked for."""
    removed = graphs(
        ("removed", terms), partial(_removed, terms), codes, picture, change, list(near)
    )
    clipped = bool(removed.reaches and removed.reaches[0])
    past = None
    if steady is not None:
        past = tuple(steady.past(kind, one) for kind, one in enumerate(removed.taken))
    known = past is None, *map(bool, past or ())
    bounds = graphs(
        ("bounded", terms, clipped, known),
        partial(_bounded, terms, clipped=clipped), removed, *(() if past is None else (past,)),
    )  # fmt: skip
    lost = (False,) * len(bounds)
    if steady is not None:
        for kind, bound in enumerate(bounds):
            steady.removed[kind], steady.ages[kind] = bound.mean
        lost = tuple(torch.cat([bound.enough[0] for bound in bounds]).tolist())
    shape = map_shape(*codes[0].shape[-2:])
    kept = graphs(
        ("kept", terms, clipped, lost), partial(_kept, terms, lost, shape), removed.taken, bounds
    )
    for kind, (_, sums, maps) in enumerate(kept):
        tally.add(terms.planes(kind), sums, maps)
    return [change for change, _, _ in kept]


def _removed(
    terms: Terms, codes: Groups, picture: Tensor, change: Tensor, near: Sequence[Near]
) -> _Removed:
    centre = decoded(codes, terms.layout)
    shapes = [tuple(group.shape[-2:]) for group in centre]
    removed = [-one for one in plane_changes(change, shapes, terms.layout)]
    quiet = _quiet(centre, [(decoded(one.codes, terms.layout), one.flow) for one in near])
    light = centre[0] - removed[0]
    levels = [
        terms.level(kind, resized(light, group.shape[-2:]) if kind else light)
        for kind, group in enumerate(centre)
    ]
    restored: tuple[Tensor, ...] = ()
    reaches: tuple[Tensor, ...] = ()
    if terms.noise.clipped and not terms.layout.counts_light:
        restored = (halved(picture + change),)
        seen = looked_up(restored[0], terms.model, terms.slack.clipped)
        reaches = (torch.stack(list(reaching(seen))).any(),)
    if terms.yuv:
        removed = _calmed(centre, removed, levels, terms)
    return _Removed(removed, levels, quiet, restored, reaches)


def _bounded(
    terms: Terms,
    removed: _Removed,
    past: Sequence[Sequence[Tensor]] | None = None,
    *,
    clipped: bool,
) -> list[_Bounded]:
    shifts, factor = _clipped(removed, terms) if clipped else (None, None)
    out = []
    for kind, taken in enumerate(removed.taken):
        variance = removed.levels[kind].square() * terms.slack.noise[kind]
        cut: tuple[Tensor, ...] = ()
        if factor is not None:
            left = resized(factor, taken.shape[-2:])
            variance *= left
            cut = (((UNCLIPPED[1] - left) / (UNCLIPPED[1] - UNCLIPPED[0])).clamp_(0, 1),)
        if removed.quiet:
            variance = torch.minimum(variance, removed.quiet[kind] * terms.slack.change[kind])
        variance *= terms.allowed(kind) ** 2
        shift: tuple[Tensor, ...] = ()
        if shifts is not None:
            shift = (_part_removed(taken, shifts[kind], variance, terms.shares(kind)),)
        mean: tuple[Tensor, ...] = ()
        if past is not None:
            mean = averaged(taken - shift[0] if shift else taken, past[kind])
        ready = (enough(mean[1]).any().view(1),) if mean else ()
        out.append(_Bounded(variance, shift, cut, mean, ready))
    return out


def _kept(
    terms: Terms,
    lost: Sequence[bool],
    shape: tuple[int, int],
    removed: Groups,
    bounds: Sequence[_Bounded],
) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Changes of groups, and `energies` of each."""
    out = []
    fine = removed[0].shape[-2:]
    for kind, (taken, bound) in enumerate(zip(removed, bounds, strict=True)):
        shares, (cut,) = terms.shares(kind), bound.cut or (None,)
        free = taken - bound.shift[0] if bound.shift else taken
        if lost[kind]:
            lasting = bound.variance / terms.slack.chance
            free = free - missed(bound.mean, lasting, shares, cut, fine=taken.shape[-2:] == fine)
        stays = held(free, bound.variance, shares, clipped=cut)
        if not kind:
            stays *= noise_share(free, bound.variance, cut)
        if bound.shift:
            stays += bound.shift[0]
        out.append((-stays, *energies(taken, stays, shape)))
    return out


def watched(steady: DeviceSteady, codes: Groups, terms: Terms, graphs: Graphs) -> None:
    """Let what stands still learn of the next frame; see `contract.residual.watched`."""
    same = [group.shape for group in codes] == [mean.shape for mean in steady.means]
    known = (steady.means, steady.counts) if same else ([], [])
    means, counts = graphs(("watched", terms), partial(_watched, terms), codes, *known)
    steady.means, steady.counts = list(means), list(counts)


def _watched(terms: Terms, codes: Groups, means: Groups, counts: Groups) -> tuple[Groups, Groups]:
    groups = decoded(codes, terms.layout)
    light = box(groups[0], 5)
    variances = [
        terms.level(kind, resized(light, group.shape[-2:])).square_()
        for kind, group in enumerate(groups)
    ]
    return added(
        groups, variances, [terms.shares(kind) for kind in range(len(groups))], means, counts
    )


def _quiet(centre: Groups, near: Sequence[tuple[Groups, tuple[Tensor, ...]]]) -> Groups:
    """near: groups of the frames beside, and the flow into each where known."""
    if not near:
        return []
    found = []
    moves: dict[torch.Size, list[Tensor | None]] = {}
    for kind, group in enumerate(centre):
        size = group.shape[-2:]
        if size not in moves:
            moves[size] = [_fetched(flow[0], size) if flow else None for _, flow in near]
        found.append(changing(group, [groups[kind] for groups, _ in near], moves[size]))
    return found


def _fetched(flow: Tensor, size: torch.Size) -> Tensor:
    """Where each sample of a plane lies in a neighbour's, to whole samples, as flat indices."""
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


def _clipped(removed: _Removed, terms: Terms) -> tuple[Groups, Tensor]:
    """The shift of every plane's mean by clipping, and the variance it left (1, H, W)."""
    (restored,) = removed.restored
    shift, factor = moved(looked_up(restored, terms.model, terms.slack.clipped))
    size = removed.taken[0].shape[-2:]
    left = resized(factor[0].mean(0, keepdim=True), size)
    shifts = [
        resized(group, full.shape[-2:])
        for group, full in zip(split(shift, terms.layout), removed.taken, strict=True)
    ]
    if removed.quiet:  # where less changes than the law says, less was cut off
        law = terms.level(0, resized(restored[0].mean(0, keepdim=True), size))[:1]
        seen = removed.quiet[0][:1] * CLIPPED_CHANGE / (law.square() * left).clamp_min_(LEAST)
        share = seen.clamp_max_(1).sqrt_()
        shifts = [group * resized(share, group.shape[-2:]) for group in shifts]
    return shifts, left


def _part_removed(
    taken: Tensor, shift: Tensor, variance: Tensor, shares: Sequence[Shares]
) -> Tensor:
    """The part of clipping's shift that was removed; see `contract.shift.part_removed`."""
    room = constants(tuple(shift_scatter(one) for one in shares), taken).view(-1, 1, 1)
    mean = box(taken, SHIFT_SIDE)
    mean += box(variance.sqrt(), SHIFT_SIDE).mul_(room).copysign_(shift)
    return torch.minimum(torch.maximum(mean, shift.clamp_max(0)), shift.clamp_min(0))
