"""Remove rows' and columns' offsets from frames before anything else sees them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from f2rcli.engine.contract.residual import STRICT
from f2rcli.engine.cuts import Thumbnail, same_shot, thumbnail
from f2rcli.engine.engine import Engine
from f2rcli.engine.noise.line_offsets import LineGroup, Seen, onward
from f2rcli.engine.standing.remover import AHEAD, StandingRemover
from f2rcli.engine.strength import luma_and_chroma
from f2rcli.frames import Family, Frame, same_samples
from f2rcli.noise.measurement.lines import Lines, find_lines
from f2rcli.noise.planes import picture_of, with_changes
from f2rcli.noise.standing.evidence import Standing, find_standing
from f2rcli.noise.standing.steps import painted
from f2rcli.tee import with_next

MOST_LIGHT = 1.5  # times the contrast of a frame that the next may have

GROUPS = {
    Family.YUV: ((0,), (1,), (2,)),
    Family.RGB: ((0, 1, 2),),
    Family.GRAY: ((0,),),
    Family.BAYER: ((0, 1), (2, 3)),  # the rows that red, and that blue stands in
}
ACROSS = {Family.BAYER: ((0, 3), (1, 2))}  # where these differ for columns


def lines_of(frames: Sequence[Frame]) -> Lines | None:
    """The lines of frames in a row, no two alike; None where none are sure."""
    if not frames:
        return None
    looks = [thumbnail(picture_of(frame).luma) for frame in frames]
    standing = _standing(frames, looks)
    if standing:
        frames = LineRemover(Lines((), standing=standing)).alone(frames)
    pictures = [picture_of(frame) for frame in frames]
    joined = [same_shot(*pair) and _as_lit(*pair) for pair in pairwise(looks)]
    found = find_lines(pictures, joined, GROUPS[frames[0].layout.family])
    if not standing:
        return found
    return Lines((), standing=standing) if found is None else replace(found, standing=standing)


def _standing(frames: Sequence[Frame], looks: Sequence[Thumbnail]) -> tuple[Standing, ...]:
    """The offsets that stay in the first shot."""
    cuts = (at for at, pair in enumerate(pairwise(looks), 1) if not same_shot(*pair))
    family, mosaic = frames[0].layout.family, frames[0].layout.mosaic
    planes = [picture_of(frame).planes for frame in frames[: next(cuts, None)]]
    rows, columns = GROUPS[family], ACROSS.get(family, GROUPS[family])
    if mosaic is not None:  # those with even lines first
        odd = divmod(mosaic.pattern.index("R"), 2)
        rows, columns = (
            one[::-1] if last else one for one, last in zip((rows, columns), odd, strict=True)
        )
    return find_standing(planes, rows, columns)


def _as_lit(before: Thumbnail, after: Thumbnail) -> bool:
    """Whether frames have similar contrast: flow fails under strobes, and rows differ by light."""
    spread = float(before.std()), float(after.std())
    return min(spread) * MOST_LIGHT >= max(spread)


def remover_for(frames: Sequence[Frame], engine: Engine) -> "LineRemover | None":
    """A remover for the lines of a lane that begins with these frames; None where it has none.
    The engine's notes say what was found. What a codec has been at shows no sensor's rows."""
    if engine.slack is not STRICT:
        return None
    lines = lines_of(frames)
    if lines is None:
        return None
    lane = frames[0].lane
    if lane not in engine.lines:  # the other field of interlaced frames has the same
        engine.lines[lane] = lines
        engine.note(f"removed before anything else: {lines.words()}")
    luma, _ = luma_and_chroma(engine.settings)
    return LineRemover(lines, min(luma, 1.0))


class LineRemover:
    """Works on one stream in order; holds AHEAD + 2 frames and one mean per group."""

    def __init__(self, lines: Lines, share: float = 1.0) -> None:
        """share: of the offsets that is taken out, 0 to 1."""
        self.lines = lines
        self.share = share
        self.groups: list[LineGroup] = []
        self.before: Seen | None = None  # in the same shot as the next
        self.done: Frame | None = None  # what was made of it

    def corrected(self, pictures: Iterable[list[Frame]]) -> Iterator[list[Frame]]:
        """Runs of frames that show one picture, without its lines."""
        if self.lines.standing:
            pictures = StandingRemover(self.lines.standing, self.share).corrected(pictures)
        if not self.lines.groups:
            yield from pictures
            return
        seen = (Seen.of(copies) for copies in pictures)
        for centre, following in with_next(seen, AHEAD):
            yield self._next(centre, following)

    def fresh(self) -> "LineRemover":
        """A fresh remover for another part of the clip."""
        return LineRemover(self.lines, self.share)

    def alone(self, frames: Sequence[Frame]) -> list[Frame]:
        """A few different frames in a row without their lines; nothing of it is kept."""
        return [copies[0] for copies in self.fresh().corrected([frame] for frame in frames)]

    def _next(self, centre: Seen, following: list[Seen]) -> list[Frame]:
        future = _of_shot(centre, following)
        if self.before is None or not same_shot(self.before.look, centre.look):
            self.before, self.done = None, None
            self.groups = [LineGroup(one) for one in self.lines.groups]
        if self.done is None or self.before is None or not _same(self.before, centre):
            self.done = self._without(centre, future)
        self.before = centre
        return [replace(copy, planes=self.done.planes) for copy in centre.copies]

    def _without(self, centre: Seen, future: list[Seen]) -> Frame:
        frame = centre.copies[0]
        changes = [np.zeros_like(plane) for plane in centre.planes]
        near = [one for one in (self.before, *future) if one is not None]
        back = None if self.before is None else centre.flow(self.before)
        flows = list(onward(centre, future))
        for group in self.groups:
            references = group.references(centre, back, zip(future, flows, strict=True))
            offsets = group.offsets(centre, references)
            for index in group.noise.planes:
                change = offsets * np.float32(-self.share)
                if near:
                    change[painted(centre.planes[index], near[0].planes[index])] = 0
                changes[index] = change
        return with_changes(frame, changes)


def _of_shot(centre: Seen, ahead: Iterable[Seen]) -> list[Seen]:
    """The frames after one, up to a cut, that are no copies of it."""
    last, found = centre, []
    for one in ahead:
        if not same_shot(last.look, one.look):
            break
        if not _same(last, one):
            found.append(one)
        last = one
    return found


def _same(one: Seen, other: Seen) -> bool:
    return same_samples(one.copies[0], other.copies[0])
