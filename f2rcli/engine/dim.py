"""Stacks of few photons a pixel: sums of frames are restored beside single ones.

How many, what restores a stack's first frames best tells. Every sample is split in two of
independent noise, as counts are by a coin (thinning). One part is restored as the stack would be,
in sums of one, two, four or eight frames; the other judges, which nobody has seen. Where cells
move, long sums smear them, and the judge sees that.

Frames get what the sums show, linear between their middles, but where single frames, restored as
well, show something else: what moves or flashes is not in sums.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, tee
from math import sqrt
from typing import NamedTuple

import cv2
import numpy as np
import torch

from f2rcli.engine.contract.limits import LEAST, SPARSE
from f2rcli.engine.contract.residual import FrameContext
from f2rcli.engine.engine import Engine
from f2rcli.engine.level import NoiseTracker, SeenLately
from f2rcli.engine.pictures import Copies
from f2rcli.engine.window_loop import beside
from f2rcli.frames import Frame, Plane, Singles
from f2rcli.noise.following import grain
from f2rcli.noise.model import PlaneNoise, Shares, in_bands
from f2rcli.window import same_shot, thumbnail, windows
from f2rcli.yuv import code_span, planes_of


class Shown(NamedTuple):
    """A picture, its place in the clip, and which of the shots it is of."""

    number: int
    copies: Copies
    shot: int


@dataclass
class Sum:
    """Pictures in a row of one shot whose mean is restored as one; the last of a shot closes it."""

    members: list[Shown]
    closes: bool = False

    @property
    def middle(self) -> float:
        """The place of its middle in the clip."""
        return float(np.mean([one.number for one in self.members]))

    @property
    def frame(self) -> Frame:
        """The mean of its pictures as a frame of floats, with the sum as its `source`."""
        planes = [one.copies[0].planes[0] for one in self.members]
        exact = np.float64 if planes[0].dtype.itemsize > 2 else np.float32
        mean = np.asarray(np.mean(planes, axis=0, dtype=np.float64), exact)
        first = replace(self.members[0].copies[0], aside=(), stored=(), context=False)
        return replace(first, planes=(mean,), layout=replace(first.layout, bits=32), source=self)


def summed(pictures: Iterable[Copies], size: int) -> Iterator[Sum]:
    """Pictures in sums of `size` whose bounds are multiples of it in the clip; none reaches across
    a cut. What is left of less than half of that joins the sum beside it."""
    before: Sum | None = None
    for _, members in groupby(_shown(pictures), lambda one: (one.shot, one.number // size)):
        after = Sum(list(members))
        if before is not None:
            before.closes = before.members[0].shot != after.members[0].shot
            if not before.closes and 2 * min(len(before.members), len(after.members)) < size:
                after = Sum(before.members + after.members)
            else:
                yield before
        before = after
    if before is not None:
        before.closes = True
        yield before


def _shown(pictures: Iterable[Copies]) -> Iterator[Shown]:
    before: Singles | None = None
    first = shot = 0
    for count, copies in enumerate(pictures):
        look = thumbnail(planes_of(copies[0])[0])
        if before is None:
            first = copies[0].index or 0
        elif not same_shot(before, look):
            shot += 1
        yield Shown(first + count, copies, shot)
        before = look


class Estimated(NamedTuple):
    """A picture, and what it shows by its restored sums, in units of white."""

    shown: Shown
    plane: Singles


def between(restored: Iterable[Frame]) -> Iterator[Estimated]:
    """Every picture of restored `Sum.frame`s in order: linear between middles of a shot's sums."""
    before: Frame | None = None
    waiting: deque[Shown] = deque()
    for after in restored:
        here: Sum = after.source
        waiting.extend(here.members)
        while waiting and (here.closes or waiting[0].number < here.middle):
            shown = waiting.popleft()
            codes = _mixed(before, after, shown.number).astype(np.float64)
            black, span = code_span(shown.copies[0].layout)
            yield Estimated(shown, np.asarray((codes - black) / span, np.float32))
        before = None if here.closes else after


def _mixed(before: Frame | None, after: Frame, number: int) -> Plane:
    if before is None:
        return after.planes[0]
    start, end = before.source.middle, after.source.middle
    share = min((number - start) / (end - start), 1.0)
    return before.planes[0] + (after.planes[0] - before.planes[0]) * share


SIZES = (1, 2, 4, 8)  # frames of a sum
CHOSEN_ON = 4 * SIZES[-1]  # frames
SQUARE = 128  # pixels, of the square of large frames that is looked at
SEEN = 0.8  # of the light, that is restored; the rest judges
# Electrons a pixel, read noise counted as light, from which on frames are not summed: at 24 that
# brings `lite` 1.4 dB of simulated cells, `full` nothing from 16 on.
FEW = 40.0
LEAST_FRAMES = 8
TINY = 1e-6  # electrons that stand for none

# What restores pictures, given by how much their noise is stronger than the stack's.
Restore = Callable[[Iterable[Copies], float], Iterator[Frame]]


class Way(NamedTuple):
    """How a stack's frames are restored: by sums of so many, which where nothing moves differ by so
    much from what single frames show (see `apart_by`)."""

    size: int = 1  # frames
    apart: float = 0.0


ALONE = Way()


class Light(NamedTuple):
    """The line of a plane's noise, by the brightness at which it would vanish."""

    gain: float
    zero: float
    shares: Shares  # of the noise's variance, in six bands

    @classmethod
    def of(cls, noise: PlaneNoise) -> "Light":
        """That of noise which is a line."""
        model, gain = noise.model, max(noise.model.gain[0], TINY)  # 0 while a shutter is closed
        return cls(gain, model.pedestal[0] - model.read[0] ** 2 / gain, noise.shares[0])

    def variance(self, plane: Singles) -> Singles:
        """The noise variance of every sample."""
        return self.gain * np.maximum(plane - np.float32(self.zero), 0)


def _follow(noise: NoiseTracker, number: int, seen: Sequence[Frame], *, begins: bool) -> None:
    """Look at the noise of a picture beside its neighbours, now and then."""
    if noise.looks(number, [grain(seen[0])], begins=begins):
        noise.look(seen, [None] * (len(seen) - 1), list(map(grain, seen)))


def dim(frames: Sequence[Frame], noise: PlaneNoise) -> bool:
    """Whether frames of a stack have so little light that their sums may be restored better, and
    noise grows with it. Frames that keep noise of those before were summed already."""
    layout, model = frames[0].layout, noise.model
    counted = layout.levels is not None and layout.counts_light and noise.kept == 1
    if not counted or model.curve is not None or model.gain[0] <= 0:
        return False
    light = Light.of(noise)
    mean = float(np.mean([planes_of(frame)[0].mean() for frame in frames]))
    return (mean - light.zero) / light.gain < FEW


def chosen(frames: Sequence[Frame], noise: NoiseTracker, restore: Restore) -> Way:
    """What restores a stack's first frames, all different, best; ALONE if there are too few."""
    if len(frames) < LEAST_FRAMES:
        return ALONE
    square = _square([planes_of(frame)[0] for frame in frames])
    rng, parts, judges = np.random.default_rng(0), list[Frame](), list[Singles]()
    for place, frame in enumerate(frames):
        near = (*frames[max(place - 1, 0) : place], *frames[place + 1 : place + 2])
        _follow(noise, place, (frame, *near), begins=not place)
        part, judge = _split(frame, square, Light.of(noise.planes), rng)
        parts.append(part)
        judges.append(judge)
    noise.recall(SeenLately())
    own = [planes_of(part)[0] for part in parts]
    best, least, alone = ALONE, np.inf, list[Singles]()
    for size in SIZES:
        if 2 * size > len(frames):
            break
        restored = _sums_restored(([part] for part in parts), size, restore, SEEN)
        shown = [one.plane for one in between(restored)]
        error = float(np.mean(np.square(np.subtract(shown, judges))))
        alone = alone or shown
        if error < least:
            powers = [apart_by(*three) for three in zip(shown, alone, own, strict=True)]
            best, least = Way(size, float(np.median(powers))), error
    return best


def _sums_restored(
    pictures: Iterable[Copies], size: int, restore: Restore, share: float = 1.0
) -> Iterator[Frame]:
    """Sums of pictures, restored; share: of the light of the stack, that the pictures have."""
    return restore(([one.frame] for one in summed(pictures, size)), sqrt(1 / (share * size)))


def _split(
    frame: Frame, square: tuple[slice, slice], light: Light, rng: np.random.Generator
) -> tuple[Frame, Singles]:
    """A square of a frame with SEEN of its light, and the rest: independent, of the same mean."""
    plane = planes_of(frame)[0][square]
    coins = _coins(light.variance(plane) / light.gain**2, rng)
    apart = np.sqrt(light.variance(plane)) * in_bands(coins, light.shares)
    part = plane + apart * np.float32(sqrt((1 - SEEN) / SEEN))
    judge = plane - apart * np.float32(sqrt(SEEN / (1 - SEEN)))
    black, span = code_span(frame.layout)
    codes = np.asarray(black + span * part.astype(np.float64), np.float64)
    layout = replace(frame.layout, bits=32)
    return replace(frame, planes=(codes,), layout=layout, aside=(), source=None), judge


def _coins(electrons: Singles, rng: np.random.Generator) -> Singles:
    """Noise of tossing a coin for every electron, in standard deviations: as skewed as if
    each were thrown, or light that is dim would make both parts bright together."""
    shape = 4 * SEEN * (1 - SEEN) / (2 * SEEN - 1) ** 2 * np.maximum(electrons, TINY)
    drawn = (shape - rng.standard_gamma(shape)) / np.sqrt(shape)
    return np.asarray(drawn, np.float32)


def _square(planes: Sequence[Singles]) -> tuple[slice, slice]:
    """Where most of the light is, which tells most."""
    height, width = (min(SQUARE, size) for size in planes[0].shape)
    side = min(height, width) // 2 * 2 - 1
    light = cv2.blur(np.mean(planes, axis=0, dtype=np.float32), (side, side))
    inner = light[height // 2 : light.shape[0] - (height - 1) // 2,
                  width // 2 : light.shape[1] - (width - 1) // 2]  # fmt: skip
    top, left = np.unravel_index(int(inner.argmax()), inner.shape)
    return slice(int(top), int(top) + height), slice(int(left), int(left) + width)


PLACE = 9  # pixels a side, within which something moves or rests
# Times the power that both ways differ by at rest: two standard deviations. At 9 a transient at 3
# electrons keeps 0.69 of its height for 0.74, at 2 still cells lose 0.8 dB.
MOVED = 4.0


def apart_by(sums: Singles, alone: Singles, own: Singles) -> Singles:
    """Power of what two ways to show a picture differ by, in that of its noise, place by place."""
    parts = (np.square(one - alone) for one in (sums, own))
    apart, noise = (cv2.blur(np.asarray(part, np.float32), (PLACE, PLACE)) for part in parts)
    return np.asarray(apart / np.maximum(noise, LEAST), np.float32)


def restored_in_sums(
    pictures: Iterable[Copies], way: Way, engine: Engine, noise: NoiseTracker, restore: Restore
) -> Iterator[Copies]:
    """Every picture, and its copies, with what restored sums show of it, or what it shows by itself
    where that is something else, as far as the residual contract allows."""
    sums, singles = (
        between(_sums_restored(shown, size, restore))
        for shown, size in zip(tee(pictures), (way.size, 1), strict=True)
    )
    for window in windows(sums, 3, lambda a, b: a.shown.shot == b.shown.shot):
        frame, *copies = window.centre.shown.copies
        near = tuple(one.shown.copies[0] for one in beside(window))
        _follow(noise, window.centre.shown.number, (frame, *near), begins=not window.before)
        own, estimate, single = planes_of(frame)[0], window.centre.plane, next(singles).plane
        power = apart_by(estimate, single, own)
        moved = np.maximum(1 - np.float32(MOVED * way.apart) / np.maximum(power, LEAST), 0)
        still = (None,) * len(near)
        context = FrameContext(noise.planes, near, still, None, SPARSE, rough=noise.rough)
        change = torch.from_numpy(estimate + moved * (single - estimate) - own)
        done = engine.contract.to_frame(frame, [change.to(engine.torch_device)], context)
        yield [done, *(replace(copy, planes=done.planes) for copy in copies)]
