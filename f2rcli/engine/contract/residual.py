"""The residual contract: the part of a method's change that a frame's planes get.

A frame's planes, the change that a method would make of them, and what is known besides: the
noise's law, frames next to it and the motion into them, what every place showed so far. In turn:
what is removed counts as far as it follows noise; noise is at most what changes in time; colour is
smoothed; no band, place or brightness loses more than its noise; still things come near their mean.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

from f2rcli.engine.contract.limits import (
    Law,
    Terms,
    Tolerance,
    changing,
    law_of,
    limit_to_noise,
    shifts_removed,
    variances_by,
    without,
)
from f2rcli.engine.contract.memory import AHEAD, FEWEST, Memory, added, lost, mean_used, nearer
from f2rcli.engine.contract.shares import NoiseShares, shrunk
from f2rcli.engine.planes_store import Groups, PlanesStore, grouped_planes
from f2rcli.engine.settings import EngineSettings, allowance, scaled
from f2rcli.errors import DeviceError
from f2rcli.frames import Floats, Frame, Mask, Plane, PlaneLayout, Singles
from f2rcli.methods.base import LazyFlow
from f2rcli.models.filters import box, joint_bilateral, resized
from f2rcli.models.flow import landed
from f2rcli.noise.model import PlaneNoise
from f2rcli.planes import ROTATION, mixed
from f2rcli.yuv import changed, code_span, pack_mosaic, with_changes

LEAST_LEVEL = 1e-4  # of chroma's noise: below it there is nothing to smooth
# What networks leave of colour noise grows about as its root: errors of 0.9 codes at sigma 2, 1.4
# at 8, 3.1 at 40. Smoothing as far as the noise itself costs 0.6 to 0.9 dB of chroma at 20 to 40
# (four filmed clips, `lite`).
CALMED8 = 4.0  # codes of noise up to which colour is smoothed as far as that; then as its root
RARE = 0.1  # of a code, the noise of a count in a hundred pixels
LEFT = 0.02  # of the variance of dim stacks' noise: 13 to 22 dB went (ten simulated ones)


@dataclass
class Past:
    """What the contract carries along within one shot; shares belong to the clip."""

    memory: Memory = field(default_factory=Memory)
    shares: NoiseShares | None = None  # where the noise is faint: little else is removed then


@dataclass(frozen=True, slots=True)
class FrameContext:
    """What is known besides a frame: the noise of its planes, frames next to it, the flow from it
    into each where that is known, and the past with the frame itself."""

    noise: PlaneNoise
    frames: tuple[Frame, ...] = ()
    motions: tuple[LazyFlow | None, ...] = ()
    past: Past | None = None  # None: nothing is carried along
    tolerance: Tolerance | None = None  # in place of the clip's
    louder: bool = False  # whether the frames next to it are calmer
    rough: bool = False  # whether codes are coarse beside what is left of a stack's noise


# A frame beside the centre: its groups, and the flow into it (1, H, W, 2) where known.
Near = tuple[Groups, list[Tensor]]


class Contract:
    """The contract on one device, for clips of some settings."""

    def __init__(self, store: PlanesStore, settings: EngineSettings, slack: Tolerance) -> None:
        """slack: the clips' tolerance."""
        self._store, self._settings, self._slack = store, settings, slack
        # Energies over a run of what methods took out, and of what of it went back: where they are
        # made, until somebody reads them.
        self.sums = torch.zeros(2)

    @property
    def given_back(self) -> float:
        """The share of what methods removed that went back, 0..1: of energies, so of variance."""
        taken, back = self.sums.tolist()
        return min(back / taken, 1.0) if taken > 0 else 0.0

    def to_frame(
        self, source: Frame, changes: Sequence[Tensor], context: FrameContext | None = None
    ) -> Frame:
        """The source frame with changes of its planes (H, W) added, as far as the noise allows and
        the settings' strengths ask for it.

        context: what the contract goes by; without it nothing is held back. Stacks and mosaics keep
        the mean of every frame and channel: brightness is what is measured in them. Raises
        DeviceError where the networks gave no numbers.
        """
        ends = torch.stack([end for one in changes for end in one.aminmax()])
        if not ends.isfinite().all():  # asked once, as the host waits for it
            raise DeviceError(
                f"the networks' result is not finite ({self._store.device}).",
                hint="Pass precision='fp32'.",
            )
        layout, groups = source.layout, grouped_planes(changes, source.layout)
        if context is not None:
            groups = self.allowed(source, groups, context)
        allowed = [plane for group in groups for plane in group]
        if not layout.keeps_means:
            asked = scaled(allowed, layout, self._settings)
            return self._store.written(source, grouped_planes(asked, layout))
        own = _written(source)
        known = [
            _without_bias(one.cpu().numpy(), its) for one, its in zip(allowed, own, strict=True)
        ]
        known = scaled(known, layout, self._settings)
        if layout.levels is not None and source.planes[0].dtype.kind != "f":
            rough = context is not None and context.rough
            each = zip(source.planes, known, own, strict=False)  # without alpha
            known = [_mean_kept(*one, layout, rough=rough) for one in each]
        return with_changes(source, known)

    def allowed(self, frame: Frame, change: Groups, context: FrameContext) -> Groups:
        """The part of a change of groups that the noise allows; the past learns of the frame, then
        of the result."""
        groups, noise, past = self._store.groups(frame), context.noise, context.past
        most = allowance(self._settings, frame.layout)
        # half of a louder frame's noise is what it differs from calmer ones by
        apart, repeats = noise.kept * (1 + context.louder), 2 * noise.kept - 1
        tolerance = replace(context.tolerance or self._slack, apart=apart, repeats=repeats)
        terms = Terms(frame.layout, noise.shares, noise.clipped, tolerance, most, noise.gamut)
        law, graphs = law_of(noise, terms, groups), self._store.graphs
        device, motions = groups[0].device, context.motions
        flows = [[] if motion is None else [motion().to(device)] for motion in motions]
        memory, tables = Memory(), Groups()
        if past is not None:
            known = past.memory if past.memory.fits(groups) else Memory()
            watched, ways = partial(_watched, terms), [way for one in flows for way in one]
            memory = past.memory = graphs(("watched", terms), watched, groups, law, known, ways)
            tables = tables if past.shares is None else past.shares.tables(terms, groups[0])
        near = list(zip(map(self._store.groups, context.frames), flows, strict=True))
        work, name = partial(_allowed, terms), ("contract", terms)
        changes, after, sums = graphs(name, work, groups, change, law, near, tables, memory)
        if past is not None and memory.means:
            past.memory = after
        self.sums = self.sums.to(sums.device) + sums
        return list(changes)


def _watched(
    terms: Terms, groups: Groups, law: Law, memory: Memory, flows: Sequence[Tensor]
) -> Memory:
    """The memory with the next frame; how bright it is, many frames tell better than one."""
    light = [box(group, 5) for group in groups]
    if memory.means:
        light = [
            torch.where(resized(worth, one.shape[-2:]) < FEWEST[1], one, mean)
            for one, mean, worth in zip(light, memory.means, memory.worths, strict=True)
        ]
    return added(memory, groups, variances_by(law, light, terms), terms, flows)


def _allowed(
    terms: Terms,
    groups: Groups,
    change: Groups,
    law: Law,
    near: Sequence[Near],
    tables: Groups,
    memory: Memory,
) -> tuple[Groups, Memory, Tensor]:
    """The changes that are allowed, the memory with them, and this frame's part of the sums."""
    removed = [-one for one in change]
    by_law = variances_by(law, without(groups, removed), terms)
    quiet = _quiet(groups, near, terms)
    removed = _noise_in(groups, removed, by_law, quiet, tables, terms)
    shifts, tails = shifts_removed(groups, removed, by_law, quiet, terms)
    changes, sums = [], torch.zeros(2, device=groups[0].device)
    means, ages, results, used = [], [], [], mean_used(memory)
    for kind, (group, taken) in enumerate(zip(groups, removed, strict=True)):
        variance = _variance(by_law[kind], quiet[kind] if quiet else None, terms, kind)
        free = taken - shifts[kind] if shifts else taken
        if memory.means:
            alone = variance / terms.tolerance.chance
            gone, mean, age = lost(memory, kind, free, alone, used[kind], terms)
            free = free - gone
            means.append(mean)
            ages.append(age)
        variance = variance * tails[kind] if tails else variance
        stays = limit_to_noise(free, variance, terms, kind)
        stays = stays + shifts[kind] if shifts else stays
        sums = sums + torch.stack([taken.square().sum(), (taken - stays).square().sum()])
        shown = group - stays
        if memory.means and terms.tolerance.averages[kind]:
            seen = shown + shifts[kind] if shifts else shown  # frames hold what clipping shifted
            step, result = nearer(memory, kind, seen, alone, used[kind], terms)
            shown = shown + step
            results.append(result)
        changes.append(shown - group)
    if memory.means:
        # A codec copies noise into later frames, a camera keeps some: there they prove nothing.
        again = terms.tolerance.lasting or terms.tolerance.repeats > 1
        proved = [] if again else [*memory.results, *results][-AHEAD * len(groups) :]
        memory = memory._replace(removed=means, ages=ages, results=proved)
    return changes, memory, sums


def _noise_in(
    groups: Groups, removed: Groups, by_law: Groups, quiet: Groups, tables: Groups, terms: Terms
) -> Groups:
    """The removed signal as far as it follows noise, and where anything changes at all; with the
    colour noise that the method left."""
    if tables:
        removed = list(map(shrunk, removed, by_law, tables))
    if quiet:  # bands would spread what networks guess of bars around them
        removed = [taken * (changes > 0) for taken, changes in zip(removed, quiet, strict=True)]
    return _calmed(groups, removed, by_law, terms) if terms.coloured else removed


def _quiet(groups: Groups, near: Sequence[Near], terms: Terms) -> Groups:
    """What changes around every sample, see `changing`; nothing where no frame is beside."""
    if not near:
        return []
    sizes = {tuple(group.shape[-2:]) for group in groups}
    moves = {size: [landed(flow[0], size) if flow else None for _, flow in near] for size in sizes}
    return [
        changing(group, [there[kind] for there, _ in near], moves[tuple(group.shape[-2:])], terms)
        for kind, group in enumerate(groups)
    ]


def _variance(by_law: Tensor, quiet: Tensor | None, terms: Terms, kind: int) -> Tensor:
    """Of a group's noise at every sample, as much of it as may be removed."""
    tolerance = terms.tolerance
    variance = by_law * tolerance.noise[kind]
    if quiet is not None:
        changes = quiet * (tolerance.change[kind] * tolerance.apart)
        if tolerance.lasting:
            changes = torch.maximum(changes, tolerance.lasting * variance * (quiet > 0))
        variance = torch.minimum(variance, changes)
    return variance * terms.allowed(kind)


def _calmed(groups: Groups, removed: Groups, variances: Groups, terms: Terms) -> Groups:
    """The removed signal with the colour noise that the method left, which is nearly white on its
    grid: in flat strong colours half of it at sigma 2. Of red, green and blue, +0.2 dB at sigma 5,
    0.05 at 20 and 50 (four filmed clips, `lite`)."""
    shown = without(groups, removed)
    if terms.chroma:
        luma, chroma = shown
    else:
        luma, *colour = mixed(ROTATION, list(shown[0]))
        luma, chroma = luma[None], torch.stack(colour)
    powers = variances[-1].mean((1, 2)) * (
        terms.tolerance.noise[1] * terms.allowed(len(groups) - 1)
    )
    noise = powers.sqrt().mean()
    level = torch.minimum(noise, (noise * CALMED8 / 255).sqrt())
    guide = resized(luma, chroma.shape[-2:])
    calm = joint_bilateral(guide, chroma, level.clamp_min(LEAST_LEVEL))
    calm = torch.where(level < LEAST_LEVEL, chroma, calm)
    if terms.chroma:
        return [removed[0], groups[1] - calm]
    return [groups[0] - torch.stack(mixed(ROTATION.T, [*luma, *calm]))]


# --- The means of sensor values stay: brightness is what is measured in them ---------------------


def _written(frame: Frame) -> list[Mask]:
    """Which samples of each of a frame's planes (see `planes_of`) are written with their change.
    Those set aside, or `stored`, come back as they were, so no mean counts them."""
    mosaic, count = frame.layout.mosaic, frame.layout.colour_planes
    found = [np.ones(plane.shape, np.bool_) for plane in frame.planes[:count]]
    for own, kept in zip(found, frame.aside, strict=False):
        own.flat[kept.places] = False
    for own, stored in zip(found, frame.stored, strict=False):
        own[stored] = False
    return found if mosaic is None else list(pack_mosaic(found[0], mosaic.pattern))


def _without_bias(change: Singles, own: Mask) -> Singles:
    """The change of a plane, less its mean over the samples that are written."""
    mean = change[own].mean(dtype=np.float64) if own.any() else 0.0
    return np.asarray(change - np.float32(mean), np.float32)


def cost_of_codes(noise: Floats, layout: PlaneLayout) -> float:
    """What whole codes cost of what is left of noise, dB: rounding adds a twelfth in variance where
    there is any. noise: of every sample of a stack's plane."""
    codes = noise * code_span(layout)[1]
    power, noisy = float(np.square(codes).mean()), float(np.mean(codes > RARE))
    return 10 * np.log10(1 + noisy / 12 / (LEFT * power)) if power > RARE**2 else 0.0


def _mean_kept(
    plane: Plane, change: Singles, own: Mask, layout: PlaneLayout, *, rough: bool
) -> Singles:
    """The change of a stack's plane such that the samples written keep their mean to 0.01 %, and so
    does every place where codes are `rough`. Rounding and the end of the range move it where light
    is a code or less, or below the code 0."""
    before = plane[own].astype(np.float64)
    _, span = code_span(layout)
    after = changed(plane, change * span, layout)[own].astype(np.float64)
    near = abs(after.sum() - before.sum()) <= 1e-4 * abs(before.sum())
    if near and not (rough and before.size):
        return change
    ends = np.iinfo(plane.dtype)
    codes = plane + change * np.float64(span)
    for _ in range(8):  # by Newton: only what lies within the range moves the mean
        seen = np.clip(codes[own], ends.min, ends.max)
        within = ((seen > ends.min) & (seen < ends.max)).sum()
        codes += (before.sum() - seen.sum()) / max(within, 1)
    np.clip(codes, ends.min, ends.max, out=codes)
    whole = np.floor(codes)
    # Of each 4x4 samples those that are nearest to the next code are rounded up, as many as keep
    # their sum; what that misses goes to the next ones.
    height, width = plane.shape
    share = np.pad(np.where(own, codes - whole, 0), ((0, -height % 4), (0, -width % 4)))
    rows, columns = share.shape[0] // 4, share.shape[1] // 4
    tiles = share.reshape(rows, 4, columns, 4).swapaxes(1, 2).reshape(-1, 16)
    more = np.diff(np.rint(tiles.sum(1).cumsum()), prepend=0)
    # Places that are alike cross the middle between two codes together: chance parts them.
    order = np.argsort(-tiles - np.random.default_rng(0).random(tiles.shape) * 1e-3, axis=1)
    up = np.argsort(order, axis=1) < more[:, None]
    up = up.reshape(rows, columns, 4, 4).swapaxes(1, 2).reshape(share.shape)[:height, :width]
    return np.where(own, np.asarray(whole + up - plane, np.float32) / np.float32(span), change)
