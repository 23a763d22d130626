"""Stacks of a few photons a pixel: frames are summed before networks see them.

How many, what restores a stack's first frames best tells. Every sample is split in two of
independent noise, as counts are by a coin (thinning). One part is restored as the stack would be,
in sums of one, two, four or eight frames, by networks and by a Gaussian filter; the other judges,
which nobody has seen. Where cells move, long sums smear them, and the judge sees that.

Frames get what the sums show, linear between their middles, and what single frames hold besides: a
frame less its estimate is looked at in places as wide as a cell, over a few frames that begin or
end with it. What noise alone hardly ever does is light.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import product
from math import sqrt
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from f2rcli.engine.contract.limits import LEAST, SPARSE
from f2rcli.engine.contract.means import Real
from f2rcli.engine.contract.residual import FrameContext, Past
from f2rcli.engine.cuts import same_shot, thumbnail
from f2rcli.engine.engine import Engine
from f2rcli.engine.level import NoiseTracker
from f2rcli.frames import Frame, Singles
from f2rcli.noise.model import NoiseModel, planes_of
from f2rcli.order import Reals
from f2rcli.yuv import code_span

Copies = list[Frame]  # that show one picture
Joined = Callable[[Frame, Frame], bool]

SURE_CUT = 3.0  # times the change that noise alone makes of small pictures


class Shown(NamedTuple):
    """A picture, its place in the clip, and whether a shot begins with it."""

    number: int
    copies: Copies
    begins: bool


@dataclass
class Sum:
    """Pictures in a row of one shot whose mean is restored as one; the last of a shot closes it."""

    members: list[Shown] = field(default_factory=list)
    closes: bool = False

    @property
    def middle(self) -> float:
        """The place of its middle in the clip."""
        return float(np.mean([one.number for one in self.members]))

    @cached_property
    def mean(self) -> tuple[Reals, ...]:
        """The mean of its pictures' planes, in codes."""
        first = self.members[0].copies[0]
        exact = np.float64 if first.planes[0].dtype.itemsize > 2 else np.float32
        planes = zip(*(one.copies[0].planes for one in self.members), strict=True)
        return tuple(np.asarray(np.mean(one, axis=0, dtype=np.float64), exact) for one in planes)

    @property
    def frame(self) -> Frame:
        """Its mean as a frame of floats, with the sum as its `source`."""
        first = self.members[0].copies[0]
        layout = replace(first.layout, bits=32)
        whole = replace(first, aside=(), stored=())
        return replace(whole, planes=self.mean, layout=layout, source=self, context=False)


def joined(variance: float) -> Joined:
    """Whether two frames in a row show the same shot; variance: of their noise, in units of white
    squared, which alone may part small pictures."""

    def same(before: Frame, after: Frame) -> bool:
        planes = [planes_of(frame)[0] for frame in (before, after)]
        looks = [np.asarray(thumbnail(plane)) for plane in planes]
        alone = 2 * variance * looks[0].size / planes[0].size
        change = float(np.mean(np.square(looks[0] - looks[1])))
        return change < SURE_CUT * alone or same_shot(looks[0], looks[1])

    return same


def summed(pictures: Iterable[Copies], size: int, first: int, same: Joined) -> Iterator[Sum]:
    """Pictures, the `first` of the clip and on, in sums of `size` whose bounds are multiples of it;
    none reaches across a cut. What is left of less than half of that joins the sum beside it."""
    done: Sum | None = None
    now = Sum()
    for shown in _shown(pictures, first, same):
        if now.members and (shown.begins or shown.number % size == 0):
            yield from _settled(done, now, size, last=shown.begins)
            done, now = (None, Sum()) if shown.begins else (_kept(done, now, size), Sum())
        now.members.append(shown)
    if now.members:
        yield from _settled(done, now, size, last=True)


def _small(one: Sum, size: int) -> bool:
    return 2 * len(one.members) < size


def _kept(done: Sum | None, now: Sum, size: int) -> Sum:
    """What waits after two sums of a shot: the later, with an earlier too small to stand alone."""
    if done is None or not (_small(done, size) or _small(now, size)):
        return now
    return Sum(done.members + now.members)


def _settled(done: Sum | None, now: Sum, size: int, *, last: bool) -> Iterator[Sum]:
    """Of two sums in a row, those that no later picture changes; last: none of the shot follows."""
    kept = _kept(done, now, size)
    if done is not None and kept is now:
        yield done
    if last:
        kept.closes = True
        yield kept


def _shown(pictures: Iterable[Copies], first: int, same: Joined) -> Iterator[Shown]:
    before: Frame | None = None
    for number, copies in enumerate(pictures, first):
        yield Shown(number, copies, before is None or not same(before, copies[0]))
        before = copies[0]


class Estimated(NamedTuple):
    """A picture, and what it shows by its restored sums: planes in codes."""

    shown: Shown
    planes: tuple[Reals, ...]


def between(restored: Iterable[Frame]) -> Iterator[Estimated]:
    """Every picture of restored `Sum.frame`s in order: linear between middles of a shot's sums."""
    before: Frame | None = None
    waiting: deque[Shown] = deque()
    for after in restored:
        here: Sum = after.source
        waiting.extend(here.members)
        while waiting and (here.closes or waiting[0].number < here.middle):
            shown = waiting.popleft()
            yield Estimated(shown, _mixed(before, after, shown.number))
        before = None if here.closes else after


def _mixed(before: Frame | None, after: Frame, number: int) -> tuple[Reals, ...]:
    if before is None:
        return after.planes
    start, end = before.source.middle, after.source.middle
    share = min((number - start) / (end - start), 1.0)
    return tuple(a + (b - a) * share for a, b in zip(before.planes, after.planes, strict=True))


SIZES = (1, 2, 4, 8)  # frames of a sum
CHOSEN_ON = 4 * SIZES[-1]  # frames
WIDTHS = (1.0, 1.5, 2.0)  # pixels, of Gaussian filters
SQUARE = 128  # pixels, of the square of large frames that is looked at
SEEN = 0.8  # of the light, that is restored; the rest judges
FEW = 5.0  # electrons a pixel, read noise counted as light: from there on frames are not summed
LEAST_FRAMES = 8
TINY = 1e-6  # electrons that stand for none

# What restores pictures, given by how much their noise is stronger than the stack's.
Restore = Callable[[Iterable[Copies], float], Iterator[Frame]]


@dataclass(frozen=True, slots=True)
class Blend:
    """The way a dim stack's frames are restored: as sums of so many, by networks, and for the rest
    by a Gaussian filter of the counts."""

    size: int = 1  # frames
    share: float = 1.0  # of the networks
    width: float = 0.0  # pixels, standard deviation of the filter

    def of(self, restored: Frame) -> Frame:
        """A sum's frame as networks restored it, and as the filter does."""
        if self.share == 1:
            return restored
        counts: Sum = restored.source
        planes = tuple(
            self.share * plane + (1 - self.share) * cv2.GaussianBlur(own, (0, 0), self.width)
            for plane, own in zip(restored.planes, counts.mean, strict=True)
        )
        return replace(restored, planes=planes)


ALONE = Blend()


@dataclass(frozen=True, slots=True)
class Light:
    """The line of a plane's noise, by the brightness at which it would vanish."""

    gain: float
    zero: float

    @classmethod
    def of(cls, model: NoiseModel) -> "Light | None":
        """The line of a noise model; None where the noise does not grow with light."""
        gain, read, dark = model.gain[0], model.read[0], model.pedestal[0]
        if model.curve is not None or gain <= 0:
            return None
        return cls(gain, dark - read**2 / gain)

    def electrons(self, planes: Sequence[Singles]) -> float:
        """The mean of planes; read noise counts as light."""
        return (float(np.mean([plane.mean() for plane in planes])) - self.zero) / self.gain

    def variance(self, plane: Singles) -> Singles:
        """The noise variance of every sample."""
        return self.gain * np.maximum(plane - np.float32(self.zero), 0)


def dim(frames: Sequence[Frame], model: NoiseModel) -> bool:
    """Whether frames of a stack hold so little light that their sums may be restored better."""
    layout = frames[0].layout
    if layout.levels is None or not layout.counts_light:
        return False
    light = Light.of(model)
    return light is not None and light.electrons([planes_of(f)[0] for f in frames]) < FEW


def chosen(frames: Sequence[Frame], model: NoiseModel, restore: Restore) -> Blend:
    """The blend that restores a stack's first `frames`, in a row and all different, best; ALONE if
    too few. model: their noise; restore: see `restored_in_sums`."""
    light = Light.of(model)
    if light is None or len(frames) < LEAST_FRAMES:
        return ALONE
    square = _square([planes_of(frame)[0] for frame in frames])
    rng = np.random.default_rng(0)
    parts = [_split(frame, square, light, rng) for frame in frames]
    best, least = ALONE, np.inf
    for size in SIZES:
        if 2 * size > len(frames):
            break
        blend, error = _best(parts, size, model, restore)
        if error > least:  # longer sums would smear even more
            break
        best, least = blend, error
    return best


def restored_in_sums(
    pictures: Iterable[Copies], blend: Blend, first: int, model: NoiseModel, restore: Restore
) -> Iterator[Estimated]:
    """Every picture with what restored sums show of it. first: the first one's place in its
    clip."""
    restored = _sums_restored(pictures, blend.size, first, model, restore)
    return between(blend.of(frame) for frame in restored)


def _sums_restored(
    pictures: Iterable[Copies], size: int, first: int, model: NoiseModel, restore: Restore,
    share: float = 1.0,
) -> Iterator[Frame]:  # fmt: skip
    """Sums of pictures, restored; share: of the light of the stack, that the pictures have."""
    variance = float(np.mean(np.square(model.sigma))) / share
    sums = summed(pictures, size, first, joined(variance))
    return restore(([one.frame] for one in sums), sqrt(1 / (share * size)))


def _best(
    parts: Sequence[tuple[Frame, Singles]], size: int, model: NoiseModel, restore: Restore
) -> tuple[Blend, float]:
    """The blend of sums of a size that comes closest to the judges, and its mean square error, in
    which the judges' own noise counts as much for every blend.

    parts: what is restored, and its judge.
    """
    pictures = ([frame] for frame, _ in parts)
    restored = list(_sums_restored(pictures, size, 0, model, restore, SEEN))
    judges = np.stack([judge for _, judge in parts])
    networks = _off(restored, Blend(size), judges)
    best, least = Blend(size), float(np.mean(np.square(networks)))
    for width in WIDTHS:
        filtered = _off(restored, Blend(size, 0.0, width), judges)
        apart = networks - filtered
        share = -float(np.mean(filtered * apart)) / max(float(np.mean(np.square(apart))), TINY)
        share = min(max(share, 0.0), 1.0)
        error = float(np.mean(np.square(filtered + share * apart)))
        if error < least:
            best, least = Blend(size, share, width), error
    return best, least


def _off(restored: Sequence[Frame], blend: Blend, judges: Singles) -> NDArray[np.float64]:
    """By how much every picture is off its judge, in units of white: (T, H, W)."""
    black, span = code_span(restored[0].layout, chroma=False)
    shown = between(blend.of(frame) for frame in restored)
    codes = np.stack([one.planes[0] for one in shown]).astype(np.float64)
    return (codes - black) / span - judges


def _split(
    frame: Frame, square: tuple[slice, slice], light: Light, rng: np.random.Generator
) -> tuple[Frame, Singles]:
    """A square of a frame with SEEN of its light, and the rest: independent, of the same mean."""
    plane = planes_of(frame)[0][square]
    apart = np.sqrt(light.variance(plane)) * _coins(light.variance(plane) / light.gain**2, rng)
    part = plane + apart * np.float32(sqrt((1 - SEEN) / SEEN))
    judge = plane - apart * np.float32(sqrt(SEEN / (1 - SEEN)))
    black, span = code_span(frame.layout, chroma=False)
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


LENGTHS = (8, 4, 2, 1)  # frames
CELLS = (3.0, 1.5)  # pixels
SEEN_FOR_SURE = 3.0  # standard deviations: of 700 places of noise alone one has so much
ALIKE = 9  # pixels, over which the noise is as strong


def missed(row: Sequence[Real], at: int, variance: Real) -> Real:
    """The light missed at every sample of a frame (H, W).

    row: frames of its shot less their estimates, in order; at: its place among them; variance:
    of its noise.
    """
    found = np.zeros_like(variance)
    noise = np.maximum(cv2.blur(variance, (ALIKE, ALIKE)), LEAST)
    for length, width in product(LENGTHS, CELLS):
        given, power = _look(row[at : at + length], width, found, noise)
        if length > 1:
            other, more = _look(row[max(at - length + 1, 0) : at + 1], width, found, noise)
            given = np.where(more > power, other, given)
        found = found + given
    return found


def _look(span: Sequence[Real], width: float, found: Real, noise: Real) -> tuple[Real, Real]:
    """What is missed in places of a width over some frames, beyond what was found, and its power
    before it is shrunk, of the noise's."""
    area = np.float32(4 * np.pi * width**2 * len(span))
    mean: Real = np.mean(span, axis=0, dtype=np.float32)
    left: Real = cv2.GaussianBlur(mean - found, (0, 0), width)  # type: ignore[assignment]  # float32 stays
    power = np.square(left) * area / noise
    return left * np.maximum(1 - np.float32(SEEN_FOR_SURE**2) / np.maximum(power, LEAST), 0), power


REACH = max(LENGTHS) - 1  # frames before and after one, that tell what it misses


class Looked(NamedTuple):
    """A picture with its estimate, and what that misses: planes (H, W) in units of white."""

    shown: Shown
    estimate: Real
    missed: Real


def written(
    estimates: Iterable[Estimated], engine: Engine, noise: NoiseTracker
) -> Iterator[Copies]:
    """Every picture with its estimate, as far as the residual contract allows; its copies are as
    they were but for their samples."""
    past = Past()
    for row, at in _rows(_looked(one) for one in estimates):
        one = row[at]
        if not at:
            past = Past()
        near = tuple(other.shown.copies[0] for other in (*row[at - 1 : at], *row[at + 1 : at + 2]))
        context = FrameContext(near, (None,) * len(near), past, noise.planes, SPARSE)
        estimate = one.estimate
        if context.noise is not None:
            variance = np.square(context.noise.level(0, estimate))
            estimate = estimate + missed([each.missed for each in row], at, variance)
        yield _with(one.shown, estimate, engine, context)


def _looked(one: Estimated) -> Looked:
    frame = one.shown.copies[0]
    black, span = code_span(frame.layout, chroma=False)
    estimate = np.asarray((one.planes[0] - black) / span, np.float32)
    return Looked(one.shown, estimate, planes_of(frame)[0] - estimate)


def _rows(items: Iterable[Looked]) -> Iterator[tuple[list[Looked], int]]:
    """Each as its place in a row of its shot, with REACH before and after it as far as there are
    so many. The place is 0 for the first of a shot only."""
    row: list[Looked] = []
    at = 0
    for one in items:
        if one.shown.begins:
            yield from ((row, place) for place in range(at, len(row)))
            row, at = [], 0
        row.append(one)
        if len(row) > at + REACH:
            yield row, at
            at += 1
        if at > REACH:
            row, at = row[1:], at - 1
    yield from ((row, place) for place in range(at, len(row)))


def _with(shown: Shown, estimate: Real, engine: Engine, context: FrameContext) -> Copies:
    frame = shown.copies[0]
    change = torch.from_numpy(estimate - planes_of(frame)[0]).to(engine.torch_device)
    done = engine.contract.to_frame(frame, [change], context)
    return [done, *(replace(copy, planes=done.planes) for copy in shown.copies[1:])]
