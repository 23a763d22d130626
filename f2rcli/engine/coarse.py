"""Noise too coarse for networks, taken out of frames at a quarter of their size before these run.

Networks look at places of some ten pixels. Blotches as wide as that, as film, enlargement and
cameras' own denoising leave them, are scene to them: told the truth, they take out hardly any. In
pictures of a quarter of the size they are as fine as other noise, so these are restored as a clip
of their own, and what they lose the frames lose, but for what white noise would hold there (cf.
Facciolo, Pierazzo and Morel, Conservative scale recomposition for multiscale denoising, 2017).
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain, groupby, islice, pairwise
from typing import NamedTuple

import cv2
import numpy as np

from f2rcli.engine.engine import Engine
from f2rcli.engine.level import LOOK_EVERY
from f2rcli.engine.measuring import PREROLL, map_of, shots_of
from f2rcli.engine.pictures import Copies
from f2rcli.frames import Frame, Plane, Singles
from f2rcli.noise.bound import mean, variance, whole
from f2rcli.noise.estimate import NoiseMap, diagonal
from f2rcli.noise.model import FramePlanes, picture_of
from f2rcli.noise.report import coarse_words
from f2rcli.window import look_of, same_shot, with_next
from f2rcli.yuv import code_span, planes_of, with_changes

LOOKED_AT = 3  # frames in a row
FEWEST = 16  # blocks of a small picture: one of 424x240 has 18, of 360x240 drawings were misread
SMALLER = 4  # times, each way: at half or twice of that blotches lose 0.2 to 2 dB less
CELL = 2 * SMALLER  # pixels of luma a side, that hold a sample of colour of small pictures
BITS = 16  # of small pictures: their means are finer than codes
# Of 255, that noise of small pictures is at least, two standard errors below what is read: of 65
# clean clips two are read up to 1.9 there, of which `SPARSE` tells.
LEAST8 = 1.6
# Fourth moment of what small pictures differ by, of Gaussian noise 1: coarse noise has up to 1.5,
# waves, traffic and drawn snow 1.6 to 3.1.
SPARSE = 1.5
# Correlation of what small pictures differ by and what they show: noise knows nothing of the scene
# (0.02 to 0.30), light is a factor of it (24 filmed clips: 0.41 to 1 in 37 of 43 readings; less in
# four of light that flickers place by place, as of fire, and in two others).
LIGHT = 0.4
# Times the deviation of white noise as strong, from which on noise is coarse. At 2.3 times networks
# alone come nearer (0.2 dB at sigma 30, ten filmed clips), at 2.7 this does (0.4 to 2 dB).
MORE = 2.5


class Coarse(NamedTuple):
    """The coarse noise of a few frames."""

    shares: tuple[float, ...]  # by plane, of what small pictures lose: what frames do
    sigma8: float  # of the plane that holds most of it
    part: tuple[slice, slice]  # of luma: all but bars


# Restores small pictures, one for one, whose noise is measured on others.
Restore = Callable[[Iterable[Frame], Sequence[Frame]], Iterator[Frame]]


class CoarseRemover:
    """Takes coarse noise out of a clip's pictures, where there is any. It is looked for every few
    pictures, by an excerpt at those of the whole run."""

    def __init__(self, engine: Engine, restore: Restore) -> None:
        self._engine, self._restore = engine, restore
        self._first: list[Frame] = []  # small pictures of the clip, that the noise is measured on

    def corrected(self, pictures: Iterable[Copies]) -> Iterator[Copies]:
        """Pictures without it."""
        if self._engine.prompt or self._engine.settings.sigma is not None:
            yield from pictures  # results may not wait; all there is to know is declared
            return
        for part, seen in groupby(self._looked_at(pictures), lambda one: one[1] and one[1].part):
            if part:
                small = map(_small, seen)
                first = list(islice(small, PREROLL))
                self._first = self._first or first
                yield from map(_less, self._restore(chain(first, small), self._first))
            else:
                yield from (copies for copies, _ in seen)

    def _looked_at(self, pictures: Iterable[Copies]) -> Iterator[tuple[Copies, Coarse | None]]:
        """Pictures with what is known of their coarse noise. What a shot had once is left to the
        small clip to follow: it rises and falls, and may be seen less surely."""
        number, coarse, found = -1, None, self._engine.found
        shown: Singles | None = None
        for copies, following in with_next(pictures, LOOKED_AT - 1):
            if copies[0].layout.keeps_means:  # sensors' counts have none
                yield copies, None
                continue
            look = look_of(copies[0])
            begins = shown is None or not same_shot(shown, look)
            number = (copies[0].index or 0) if shown is None else number + 1
            shown, coarse = look, None if begins else coarse
            if begins or (number % LOOK_EVERY == 0 and len(following) == LOOKED_AT - 1):
                seen = [one[0] for one in (copies, *following)]
                coarse = _more(coarse, coarse_noise(seen, coded=self._engine.coded))
            if coarse is not None and not found.coarse8:
                found.coarse8 = coarse.sigma8
                found.note(f"removed before anything else: {coarse_words(coarse.sigma8)}")
            yield copies, coarse


def _more(before: Coarse | None, now: Coarse | None) -> Coarse | None:
    """Of two looks at one shot, the larger shares."""
    if before is None or now is None:
        return before or now
    return before._replace(shares=tuple(map(max, before.shares, now.shares)))


def coarse_noise(frames: Sequence[Frame], *, coded: bool) -> Coarse | None:
    """That of a few frames in a row; None: hardly any, or too few pixels. coded: see `estimate`."""
    part = _between_bars(frames[0].planes[0])
    if not frames[0].planes[0][part].size:
        return None
    frames = [replace(one, planes=_cut(one.planes, part)) for one in frames]
    pictures = [picture_of(shrunk(frame)) for frame in frames]
    small = map_of(pictures, coded=coded) if len(shots_of(pictures)[0]) > 1 else None
    if small is None or small.planes[0].level.size < FEWEST:
        return None
    rough = [_in_flat_places(plane) for plane in planes_of(frames[0])]  # enough of white noise
    if not any(_shares(small, rough, pictures)):
        return None
    large = map_of([picture_of(frame) for frame in frames], coded=coded, whole=False)
    own = [plane.law().sigma[0] for plane in large.planes] if large else rough
    shares = _shares(small, own, pictures)
    found = zip(small.planes, shares, strict=True)
    sigma = max((plane.law().sigma[0] for plane, share in found if share), default=0.0)
    return Coarse(shares, 255 * sigma, part) if sigma else None


def _between_bars(luma: Plane) -> tuple[slice, slice]:
    """A plane without the rows and columns at its edges that are flat: blocks of small pictures are
    large, and noise beside bars is as sparse in them as snow."""
    part = []
    for axis in (1, 0):
        live, size = np.flatnonzero(np.ptp(luma, axis)), luma.shape[1 - axis]
        low, high = (int(live[0]), int(live[-1]) + 1) if live.size else (0, size)
        part.append(slice(-(-low // CELL) * CELL, size if high == size else high // CELL * CELL))
    return part[0], part[1]


def _cut(planes: Sequence[Plane], part: tuple[slice, slice]) -> tuple[Plane, ...]:
    """Views of a part of planes, the first of which is luma; of coarser ones what shows it, too."""
    found = []
    for plane in planes:
        finer = (round(n / m) for n, m in zip(planes[0].shape, plane.shape, strict=True))
        both = zip(part, finer, strict=True)
        found.append(plane[tuple(slice(s.start // n, -(-s.stop // n)) for s, n in both)])
    return tuple(found)


def _shares(
    small: NoiseMap, own: Sequence[float], pictures: Sequence[FramePlanes]
) -> tuple[float, ...]:
    """Of the noise of small pictures, what white noise as strong as each plane's own does not hold;
    0 where that is most of it, or where it may be scene or light."""
    found = []
    for index, (plane, white) in enumerate(zip(small.planes, own, strict=True)):
        sigma = plane.law().sigma[0]
        sure = sigma * np.exp(-2 * plane.unsure) > LEAST8 / 255 and plane.sparse < SPARSE
        shown = pairwise(one.planes[index] for one in pictures)
        coarse = sure and sigma > MORE / SMALLER * white
        coarse = coarse and all(_as_scene(*pair) < LIGHT for pair in shown)
        found.append(1 - white / (SMALLER * sigma) if coarse else 0.0)
    return tuple(found)


def _as_scene(before: Singles, after: Singles) -> float:
    """How far what two pictures of a plane differ by goes with what they show, 0..1, in most
    blocks: difference and sum covary by what the variances of both differ by."""
    pair = before, after, after - before, after + before
    one, other, apart, both = (variance(whole(plane)) for plane in pair)
    live = apart > 0
    return float(np.median(np.abs(other - one)[live] / np.sqrt(apart * both)[live]))


def _in_flat_places(plane: Singles) -> float:
    """The finest diagonal detail of the flattest quarter of a plane."""
    power = mean(np.square(diagonal(plane)))
    return float(np.quantile(power, 0.25)) ** 0.5


def _small(seen: tuple[Copies, Coarse | None]) -> Frame:
    """A small picture; its `source` is what it is of, and itself."""
    copies, coarse = seen
    assert coarse is not None  # as `corrected` saw to
    small = shrunk(replace(copies[0], planes=_cut(copies[0].planes, coarse.part)))
    return replace(small, source=(*seen, small))


def _less(small: Frame) -> Copies:
    """The picture of a small one that was restored, without its share of what that lost."""
    copies, coarse, before = small.source
    frame: Frame = copies[0]
    both = zip(planes_of(before), planes_of(small), coarse.shares, strict=True)
    lost = [np.float32(share) * (after - whole) for whole, after, share in both]
    changes = [np.zeros(plane.shape, np.float32) for plane in frame.planes[: len(lost)]]
    for one, inside in zip(lost, _cut(changes, coarse.part), strict=True):
        cv2.resize(one, inside.shape[::-1], inside, interpolation=cv2.INTER_CUBIC)
        there = np.asarray(one != 0, np.uint8)  # what stands still stays as it is
        inside *= cv2.resize(there, inside.shape[::-1], interpolation=cv2.INTER_NEAREST)
    planes = with_changes(frame, changes).planes
    return [replace(copy, planes=planes) for copy in copies]


def shrunk(frame: Frame) -> Frame:
    """A frame at a quarter of its size: means of its samples."""
    layout = replace(frame.layout, bits=BITS, alpha=False)
    rows, columns = (  # of chroma, which has as many samples fewer
        -(-size // (SMALLER << log2))
        for size, log2 in zip(frame.planes[0].shape, layout.log2_chroma[::-1], strict=True)
    )
    planes = list[Plane]()
    for index, plane in enumerate(planes_of(frame)):
        wide, high = (0, 0) if index else layout.log2_chroma
        size = columns << wide, rows << high
        mean = cv2.resize(plane, size, interpolation=cv2.INTER_AREA)
        zero, span = code_span(layout, index)
        planes.append(np.rint(zero + span * mean).clip(0, 2**BITS - 1).astype(np.uint16))
    return replace(
        frame, planes=tuple(planes), layout=layout, context=False, aside=(), stored=(),
        source=None, quantiser8=0.0,
    )  # fmt: skip
