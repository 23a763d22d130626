"""`contract/residual.py` as tensors: the part of a change that a frame's planes get."""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from f2rcli.engine.contract.chroma import LEAST_LEVEL
from f2rcli.engine.contract.residual import UNCLIPPED
from f2rcli.engine.contract.returned import map_shape
from f2rcli.engine.contract.shift import halved, looked_up, reaching
from f2rcli.engine.gpu.clipping import cut_off, part_removed
from f2rcli.engine.gpu.colour import Groups, decoded, to_rgb
from f2rcli.engine.gpu.filters import box, joint_bilateral, resized
from f2rcli.engine.gpu.limits import changing, held
from f2rcli.engine.gpu.shrinkage import shrunk
from f2rcli.engine.gpu.steady import DeviceSteady, added, averaged, enough
from f2rcli.engine.gpu.steady import lost as missed
from f2rcli.engine.gpu.tally import Tally, energies
from f2rcli.engine.gpu.terms import Law, Terms
from f2rcli.models.recorded.graphs import Graphs


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
    asked: Groups,
    terms: Terms,
    law: Law,
    near: Sequence[Near],
    steady: DeviceSteady | None,
    learnt: Groups,
    tally: Tally,
    graphs: Graphs,
) -> Groups:
    """The part of the changes that a method asks for which may be made to groups of planes, by
    their codes. In three parts, between which two things are asked for.

    learnt: per group, tables of the shares of noise in what is removed; empty: all of it.
    """
    still = steady.counts if steady is not None and learnt else []
    removed = graphs(
        ("removed", terms), partial(_removed, terms),
        codes, asked, law, list(near), learnt, still,
    )  # fmt: skip
    clipped = bool(removed.reaches and removed.reaches[0])
    past = None
    if steady is not None:
        past = tuple(steady.past(kind, one) for kind, one in enumerate(removed.taken))
    known = past is None, *map(bool, past or ())
    bounds = graphs(
        ("bounded", terms, clipped, known),
        partial(_bounded, terms, clipped=clipped), removed, law,
        *(() if past is None else (past,)),
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
    terms: Terms,
    codes: Groups,
    asked: Groups,
    law: Law,
    near: Sequence[Near],
    learnt: Groups,
    still: Groups,
) -> _Removed:
    centre = decoded(codes, terms.layout)
    removed = [-one for one in asked]
    if learnt:
        removed = _shrunk(removed, _levels(centre, removed, law), terms, learnt, still)
    quiet = _quiet(centre, [(decoded(one.codes, terms.layout), one.flow) for one in near], terms)
    levels = _levels(centre, removed, law)
    restored: tuple[Tensor, ...] = ()
    reaches: tuple[Tensor, ...] = ()
    if terms.clipped and not terms.layout.counts_light:
        both = [plane + one for plane, one in zip(centre, asked, strict=True)]
        restored = (halved(to_rgb(both, terms.layout)),)
        assert terms.model is not None  # there is a picture
        seen = looked_up(restored[0], terms.model, terms.slack.clipped)
        reaches = (torch.stack(list(reaching(seen))).any(),)
    if terms.yuv:
        removed = _calmed(centre, removed, levels, terms)
    return _Removed(removed, levels, quiet, restored, reaches)


def _levels(centre: Groups, removed: Groups, law: Law) -> Groups:
    """The noise's standard deviation where this is removed."""
    light = centre[0] - removed[0]
    return [
        law.level(kind, resized(light, group.shape[-2:]) if kind else light)
        for kind, group in enumerate(centre)
    ]


def _shrunk(removed: Groups, levels: Groups, terms: Terms, learnt: Groups, still: Groups) -> Groups:
    out = []
    for kind, taken in enumerate(removed):
        places = still[kind] if still and still[kind].shape == taken.shape else None
        texture = None if kind else terms.texture
        out.append(shrunk(taken, levels[kind].square(), learnt[kind], texture, places))
    return out


def _bounded(
    terms: Terms,
    removed: _Removed,
    law: Law,
    past: Sequence[Sequence[Tensor]] | None = None,
    *,
    clipped: bool,
) -> list[_Bounded]:
    shifts, factor = (
        cut_off(removed.restored[0], removed.taken, removed.quiet, terms, law)
        if clipped
        else (None, None)
    )
    out = []
    for kind, taken in enumerate(removed.taken):
        variance = removed.levels[kind].square() * terms.slack.noise[kind]
        cut: tuple[Tensor, ...] = ()
        if factor is not None:
            left = resized(factor, taken.shape[-2:])
            variance *= left
            cut = (((UNCLIPPED[1] - left) / (UNCLIPPED[1] - UNCLIPPED[0])).clamp_(0, 1),)
        if removed.quiet:
            changes, lasting = removed.quiet[kind] * terms.slack.change[kind], terms.slack.lasting
            if lasting[kind]:
                changes = torch.maximum(changes, lasting[kind] * variance)
            variance = torch.minimum(variance, changes)
        variance *= terms.allowed(kind) ** 2
        shift: tuple[Tensor, ...] = ()
        if shifts is not None:
            shift = (part_removed(taken, shifts[kind], variance, terms.of_group(kind)),)
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
        shares, (cut,) = terms.of_group(kind), bound.cut or (None,)
        free = taken - bound.shift[0] if bound.shift else taken
        if lost[kind]:
            of_frame = bound.variance / terms.slack.chance
            free = free - missed(
                bound.mean, of_frame, shares, cut,
                fine=taken.shape[-2:] == fine, lasting=terms.slack.lasting[kind],
            )  # fmt: skip
        stays = held(free, bound.variance, shares, clipped=cut)
        if bound.shift:
            stays += bound.shift[0]
        out.append((-stays, *energies(taken, stays, shape)))
    return out


def watched(steady: DeviceSteady, codes: Groups, terms: Terms, law: Law, graphs: Graphs) -> None:
    """Let what stands still learn of the next frame; see `contract.residual.watched`."""
    same = [group.shape for group in codes] == [mean.shape for mean in steady.means]
    known = (steady.means, steady.counts) if same else ([], [])
    means, counts = graphs(("watched", terms), partial(_watched, terms), codes, law, *known)
    steady.means, steady.counts = list(means), list(counts)


def _watched(
    terms: Terms, codes: Groups, law: Law, means: Groups, counts: Groups
) -> tuple[Groups, Groups]:
    groups = decoded(codes, terms.layout)
    light = box(groups[0], 5)
    variances = [
        law.level(kind, resized(light, group.shape[-2:])).square_()
        for kind, group in enumerate(groups)
    ]
    return added(
        groups, variances, [terms.of_group(kind) for kind in range(len(groups))], means, counts
    )


def _quiet(
    centre: Groups, near: Sequence[tuple[Groups, tuple[Tensor, ...]]], terms: Terms
) -> Groups:
    """See `contract.residual._quiet`. near: groups of adjacent frames, and the flow into each, if
    known."""
    if not near:
        return []
    found = []
    moves: dict[torch.Size, list[Tensor | None]] = {}
    for kind, group in enumerate(centre):
        size = group.shape[-2:]
        if size not in moves:
            moves[size] = [_fetched(flow[0], size) if flow else None for _, flow in near]
        others = [groups[kind] for groups, _ in near]
        found.append(changing(group, others, moves[size]))
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
