"""Offsets of rows and columns, taken out of frames before anything else sees them.

Lasting ones are those that a clip's first frames have in common. New ones are what a frame has more
than its two neighbours where these show the same of the scene; each of those has offsets of its
own, so it counts as far as they average out, and what the frame itself shows of single rows comes
on top. Nothing is fed back, so no error stays.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import numpy as np

from f2rcli.engine.contract.residual import STRICT
from f2rcli.engine.cuts import Thumbnail, same_shot, thumbnail
from f2rcli.engine.engine import Engine
from f2rcli.engine.settings import luma_and_chroma
from f2rcli.frames import Family, Frame, same_samples
from f2rcli.models.flow import DISFlow, doubled, halved, resized, sample
from f2rcli.noise import rows
from f2rcli.noise.model import picture_of, with_changes
from f2rcli.noise.rows import Lines, RowNoise, Values
from f2rcli.window import with_next

FEWEST = 4  # frames of a shot that show lasting offsets

# Planes whose rows share offsets; of mosaics, the colours that stand in one row of the sensor.
GROUPS = {
    Family.YUV: ((0,), (1,), (2,)),
    Family.RGB: ((0, 1, 2),),
    Family.GRAY: ((0,),),
    Family.BAYER: ((0, 1), (2, 3)),
}
ACROSS = GROUPS | {Family.BAYER: ((0, 3), (1, 2))}  # the same of columns


@dataclass
class Look:
    """A run of frames that show one picture, and what is seen of it."""

    copies: list[Frame]
    planes: list[Values]  # as `planes_of` gives them
    luma: Values
    thumb: Thumbnail

    @classmethod
    def of(cls, copies: list[Frame]) -> "Look":
        picture = picture_of(copies[0])
        return cls(copies, picture.planes, picture.luma, thumbnail(picture.luma))

    @cached_property
    def small(self) -> Values:
        """Luma at half its size, for flow, which would take offsets for motion."""
        return halved(rows.levelled(self.luma))

    def of_shot(self, other: "Look | None") -> bool:
        """Whether another picture is of the same shot, and not the same one again."""
        if other is None or not same_shot(self.thumb, other.thumb):
            return False
        return not same_samples(self.copies[0], other.copies[0])

    def mean(self, group: Sequence[int], *, columns: bool = False) -> Values:
        """The mean of some planes; on its side for columns."""
        mean = np.mean([self.planes[index] for index in group], axis=0)
        return np.ascontiguousarray(mean.T if columns else mean, np.float32)


@dataclass
class View:
    """A picture with its neighbours in time."""

    centre: Look
    near: Sequence[Look]

    @cached_property
    def fetched(self) -> list[list[Values]]:
        """The planes of each neighbour, where it shows what the centre does."""
        found = []
        for other in self.near:
            half = DISFlow(halved=True)(self.centre.small, other.small, None)
            flow = doubled(half, self.centre.luma.shape) * np.float32(2)
            found.append([sample(plane, resized(flow, plane.shape)) for plane in other.planes])
        return found

    def beside(self, group: Sequence[int]) -> list[Values]:
        """The mean of some planes, by each of the neighbours."""
        return [
            np.asarray(np.mean([planes[index] for index in group], axis=0), np.float32)
            for planes in self.fetched
        ]


def lines_of(frames: Sequence[Frame]) -> Lines | None:
    """The lines of frames in a row, no two alike; None where none are sure."""
    if not frames:
        return None
    family = frames[0].layout.family
    found = list[RowNoise]()
    looks = [Look.of([frame]) for frame in frames]
    cuts = (i for i, pair in enumerate(pairwise(looks), 1) if not Look.of_shot(*pair))
    shot = looks[: next(cuts, None)]
    for columns, groups in ((True, ACROSS[family]), (False, GROUPS[family])):
        for group in groups if len(shot) >= FEWEST else ():
            seen = rows.lasting_in([look.mean(group, columns=columns) for look in shot])
            if seen:
                found.append(RowNoise(group, columns, True, seen.sigma, seen.values))
    if found:
        frames = LineRemover(Lines(tuple(found))).alone(frames)
        looks = [Look.of([frame]) for frame in frames]
    threes = zip(looks, looks[1:], looks[2:], strict=False)
    views = [
        View(centre, (before, after))
        for before, centre, after in threes
        if centre.of_shot(before) and centre.of_shot(after)
    ]
    for group in GROUPS[family] if len(views) > 1 else ():
        sigma = rows.new_in((view.centre.mean(group), view.beside(group)) for view in views)
        if sigma:
            found.append(RowNoise(group, False, False, sigma, np.zeros(0, np.float32)))
    return Lines(tuple(found)) if found else None


def remover_for(frames: Sequence[Frame], engine: Engine) -> "LineRemover | None":
    """A remover for the lines of a lane that begins with these frames; None where it has none.
    The engine's notes say what was found. What a codec has been at shows no sensor's rows."""
    if engine.slack is not STRICT:
        return None
    lines = lines_of(frames)
    if lines is None:
        return None
    lane = frames[0].lane
    if lane not in engine.found.lines:  # the other field of interlaced frames has the same
        engine.found.lines[lane] = lines
        engine.found.note(f"removed before anything else: {lines.words()}")
    luma, _ = luma_and_chroma(engine.settings)
    return LineRemover(lines, min(luma, 1.0))


class LineRemover:
    """Takes known lines out of a stream of pictures; remembers nothing of it."""

    def __init__(self, lines: Lines, share: float = 1.0) -> None:
        """share: of the offsets that is taken out, 0 to 1."""
        self.lines = lines
        self.share = share

    def corrected(self, pictures: Iterable[list[Frame]]) -> Iterator[list[Frame]]:
        """Runs of frames that show one picture, without its lines."""
        for lasting in (True, False):
            noise = [one for one in self.lines.found if one.lasting == lasting]
            if noise:
                pictures = self._without(noise, pictures)
        yield from pictures

    def alone(self, frames: Sequence[Frame]) -> list[Frame]:
        """A few different frames in a row without their lines."""
        return [copies[0] for copies in self.corrected([frame] for frame in frames)]

    def _without(
        self, noise: Sequence[RowNoise], pictures: Iterable[list[Frame]]
    ) -> Iterator[list[Frame]]:
        before: Look | None = None
        done: Frame | None = None
        shown = list(noise)
        for centre, following in with_next(map(Look.of, pictures), rows.FOLLOWING):
            cut = before is None or not same_shot(before.thumb, centre.thumb)
            if cut:
                shown = [one for one in noise if not one.lasting or _shows(centre, one)]
            if done is None or cut or centre.of_shot(before):
                near = [one for one in (before, *following) if one and centre.of_shot(one)]
                done = self._changed(View(centre, near), shown)
            before = centre
            yield [replace(copy, planes=done.planes) for copy in centre.copies]

    def _changed(self, view: View, noise: Sequence[RowNoise]) -> Frame:
        """A frame with so much less in its planes, but where it is painted."""
        centre, near = view.centre, view.near
        changes = [np.zeros_like(plane) for plane in centre.planes]
        for one in noise:
            offsets = one.offsets
            if not one.lasting:
                own = centre.mean(one.planes)
                offsets = rows.new_offsets(own, view.beside(one.planes), one.sigma)
            for index in one.planes:
                changes[index] += offsets if one.columns else offsets[:, None]
        if not any(change.any() for change in changes):
            return centre.copies[0]
        if near:
            for change, *pair in zip(changes, centre.planes, near[0].planes, strict=False):
                change[rows.painted(*pair)] = 0
        return with_changes(
            centre.copies[0], [change * np.float32(-self.share) for change in changes]
        )


def _shows(look: Look, noise: RowNoise) -> bool:
    """Whether a shot that begins has a clip's lasting offsets: another may be another camera's."""
    plane = look.mean(noise.planes, columns=noise.columns)
    if len(plane) != len(noise.offsets):
        return False
    steps, _ = rows.common(*rows.steps_of(plane, plane - noise.offsets[:, None]))
    level = np.concatenate([[0.0], np.cumsum(steps)])
    return bool(np.corrcoef(rows.parted(level)[0], rows.parted(noise.offsets)[0])[0, 1] > 0.5)
